"""The files of a data set with real and generated images: written one by one, complete or absent, and a table of all."""

import csv
import io
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ganloom.apps.augment_models import CHUNK, COLUMNS, TABLE, ClassModel
from ganloom.core.errors import BadInput
from ganloom.core.names import file_names, printable
from ganloom.core.output_files import write_new, written
from ganloom.data.decode import BadImage
from ganloom.data.file_index import Listing
from ganloom.data.images import Images
from ganloom.data.sources import listing_of
from ganloom.imaging.grid import save_png
from ganloom.report.progress import Report, stage


@dataclass
class Augmented:
    """What ``augment_data`` wrote.

    Attributes:
        folder: the data set.
        table: its table, metadata.csv.
        real: class name -> number of real images.
        generated: class name -> number of generated images.
        notes: what the user should know, a line each.
    """

    folder: Path
    table: Path
    real: dict[str, int]
    generated: dict[str, int]
    notes: list[str] = field(default_factory=list)

    def lines(self) -> list[str]:
        """A table of the counts as text."""
        width = max(map(len, map(printable, [*self.real, "class"])))
        head = [f"{'class':<{width}}  {'real':>8}  {'generated':>9}"]
        rows = [
            f"{printable(name):<{width}}  {n:>8,}  {self.generated.get(name, 0):>9,}" for name, n in self.real.items()
        ]
        return [*head, *rows]

    def to_dict(self) -> dict[str, Any]:
        """Plain data."""
        return {
            "out": str(self.folder), "table": str(self.table), "real": self.real, "generated": self.generated,
            "notes": self.notes,
        }  # fmt: skip


def sources_of(data: Any, opened: Images) -> tuple[Listing, list[int]] | None:
    """The files of the data and which of them each row is; None for data without files."""
    listing = listing_of(data)
    if listing is None:
        return None
    bad = {path for path, _ in opened.bad_files}
    good = [i for i, entry in enumerate(listing.entries) if listing.path(entry.name) not in bad]
    if len(good) != len(opened):
        raise BadInput(f"{opened.name} changed while it was read: run the command again")
    return listing, good


@dataclass
class FileRow:
    """A line of the table."""

    file: str
    label: int
    source: str
    seed: str = ""
    run: str = ""
    original: str = ""


class Writer:
    """Write the images of a data set one by one; those that are there already are kept."""

    def __init__(
        self, folder: Path, data: Images, shape: tuple[int, int, int], links: bool, progress: Report, total: int
    ) -> None:
        self.folder, self.data, self.shape, self.links = folder, data, shape, links
        self.progress, self.total, self.rows = progress, total, list[FileRow]()
        self.folders = file_names(data.class_names)
        self.resized = 0

    def real(self, sources: tuple[Listing, list[int]] | None, picks: NDArray[np.int64]) -> None:
        """Write real images: a link or a copy of the file if it has the shape, else the image as the model sees it."""
        if self.links and sources is None:
            raise BadInput(f"--links: {self.data.name} has no image files of 8 bits to link to. Leave it out")
        if self.links and sources is not None and sources[0].archive is not None:
            raise BadInput(f"--links: the images of {self.data.name} are in an archive. Leave it out")
        assert self.data.labels is not None
        try:
            for row in picks.tolist():
                listing, index = (None, 0) if sources is None else (sources[0], sources[1][row])
                self._real(row, int(self.data.labels[row]), listing, index)
        finally:
            if sources is not None:
                sources[0].close()

    def _real(self, row: int, label: int, listing: Listing | None, index: int) -> None:
        name = f"{self.folders[label]}/real-{row:06d}"
        if listing is None:
            self._add(FileRow(f"{name}.png", label, "real", original=f"{printable(self.data.name)}:{row}"))
            self._png(f"{name}.png", self.data.rows[row])
            return
        entry = listing.entries[index]
        ending = os.path.splitext(entry.name)[1].lower()
        fits = bool(ending) and self._fits(listing, index)
        if self.links and not fits:
            size = " x ".join(map(str, self.shape))
            raise BadInput(
                f"--links: {listing.path(entry.name)} is not of the shape {size} (channels, height, width). Leave it out: "
                "copies are converted"
            )
        self._add(FileRow(f"{name}{ending if fits else '.png'}", label, "real", original=listing.path(entry.name)))
        target = self.folder / self.rows[-1].file
        if not fits:
            self.resized += 1
            self._png(self.rows[-1].file, self.data.rows[row])
        elif not os.path.lexists(target):
            target.parent.mkdir(exist_ok=True)
            if self.links:
                target.symlink_to(os.path.abspath(listing.path(entry.name)))
            else:
                with written(target) as temporary, listing.open(index) as file, temporary.open("wb") as copy:
                    shutil.copyfileobj(file, copy)

    def _fits(self, listing: Listing, index: int) -> bool:
        """Whether a file has the shape of the data set."""
        try:
            header = listing.header(index)
        except BadImage:
            return False
        return (header.channels, header.size[1], header.size[0]) == self.shape and header.bits <= 8

    def generated(
        self, model: ClassModel, numbers: tuple[int, ...], counts: list[int], seed: int, truncation: float
    ) -> None:
        """Generate images of each class and write them."""
        for label, count in enumerate(counts):
            for part in _parts(count):
                rows = [
                    FileRow(
                        f"{self.folders[label]}/generated-{seed + i:09d}.png",
                        label,
                        "generated",
                        str(seed + i),
                        model.name,
                    )
                    for i in part
                ]
                new = not all((self.folder / row.file).exists() for row in rows)
                images = model.draw(numbers[label], len(part), seed + part[0], truncation) if new else None
                for i, row in enumerate(rows):
                    self._add(row)
                    if images is not None:
                        self._png(row.file, images[i])
            seed += count

    def _add(self, row: FileRow) -> None:
        self.rows.append(row)
        if self.progress is not None:
            self.progress("writing images", len(self.rows), self.total)

    def _png(self, name: str, image: NDArray[np.uint8]) -> None:
        if not (self.folder / name).exists():
            save_png(image, self.folder / name)

    def finish(self, notes: list[str]) -> Augmented:
        """Write the table; the folder is complete with it."""
        stage(self.progress, "writing the table")
        names, text = self.data.class_names, io.StringIO()
        table = csv.writer(text, lineterminator="\n")
        table.writerow(COLUMNS)
        for row in self.rows:
            table.writerow([row.file, names[row.label], row.source, row.seed, row.run, row.original])
        write_new(self.folder / TABLE, text.getvalue().encode(errors="backslashreplace"))
        if self.resized:
            notes.append(f"{self.resized:,} real images were written as the model sees them: {_shown(self.shape)}, PNG")
        real, generated = (
            {name: sum(r.label == k and r.source == kind for r in self.rows) for k, name in enumerate(names)}
            for kind in ("real", "generated")
        )
        return Augmented(self.folder, self.folder / TABLE, real, generated, notes)


def _parts(count: int) -> Iterator[range]:
    return (range(i, min(i + CHUNK, count)) for i in range(0, count, CHUNK))


def _shown(shape: tuple[int, int, int]) -> str:
    return " x ".join(map(str, shape))
