"""Write a data set of class folders with real and generated images, and a table that says which is which.

OUT/CLASS/real-000000.png, OUT/CLASS/generated-000000.png and OUT/metadata.csv. ``ganloom.data.open`` reads the labels from
metadata.csv, so the classes keep their names also where a folder cannot have such a name.
"""

import csv
import io
import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ganloom.apps.augment_models import CHUNK, ClassModel, counts_of, open_labelled, open_model
from ganloom.core import class_names, json_files
from ganloom.core.errors import BadInput
from ganloom.core.names import as_path, file_names, printable
from ganloom.core.output_files import replace_file, write_new, written
from ganloom.data.decode import BadImage
from ganloom.data.file_index import Listing
from ganloom.data.images import Images
from ganloom.data.sources import listing_of
from ganloom.imaging.grid import save_png
from ganloom.report.progress import Report, stage

TABLE, PLAN = "metadata.csv", "augment.json"
COLUMNS = ("file_name", "class", "source", "seed", "run", "original")


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


def augment_data(
    data: Any,
    run: Any,
    out: str | os.PathLike[str],
    *,
    per_class: int | None = None,
    balance: bool = False,
    links: bool = False,
    seed: int = 0,
    truncation: float = 1.0,
    resize: bool = False,
    checkpoint: str = "latest",
    device: str = "auto",
    progress: Report = None,
) -> Augmented:
    """Write a data set of class folders with the real images and generated ones of each class.

    Args:
        data: Labelled images: whatever ``ganloom.data.open`` accepts.
        run: A run folder, a model/ folder, a Run, or a model, with the classes of the data.
        out: A new or empty folder; or one that the same call began and did not finish.
        per_class: Number of generated images of each class. With ``balance``: real and generated images together; None: as many
            as the largest class has.
        balance: Generate only what is missing in short classes.
        links: Link to the real files instead of copying them.
        seed: The first generated image has this seed, the next one the next, over all classes.
        truncation: Below 1 the samples are more typical and less diverse.
        resize: Resize real images to the shape of the model. Otherwise other shapes are refused.
        checkpoint: "latest", "best", or the name of a checkpoint.
        device: "auto", "cpu", "cuda" or "mps".
        progress: Called with (what, done, total).

    Returns:
        What was written.

    Raises:
        BadInput: An argument cannot be used, the classes or shapes do not fit, or the folder holds something else.
    """
    if per_class is not None and per_class < 1:
        raise BadInput(f"--per-class must be at least 1, got {per_class}")
    if per_class is None and not balance:
        raise BadInput("say how many images to generate: --per-class N, or --balance to fill up short classes")
    if not truncation >= 0:
        raise BadInput(f"--truncation must not be negative, got {truncation}")
    folder = _free(out, data)
    model = open_model(run, checkpoint=checkpoint, device=device, progress=progress)
    opened = open_labelled(data, model, resize=resize, progress=progress)
    numbers, text = model.numbers_of(opened)
    have = counts_of(opened)
    target = max(have) if per_class is None else per_class
    counts = [max(0, target - n) if balance else target for n in have]
    if not sum(counts):
        raise BadInput(
            f"--balance: each class of {opened.name} has {target} images or more: there is nothing to fill up"
        )
    notes = [text] if text else []
    held = (model.described.get("data") or {}).get("held_out")
    if held:
        notes.append(
            f"{model.name} held out {held} of its images; the data set has all images of {opened.name}, so do not test a "
            "classifier on those"
        )
    plan = {
        "data": opened.name, "fingerprint": opened.fingerprint, "model": model.name, "kimg": _finite(model.gan.kimg),
        "counts": counts, "links": links, "seed": seed, "truncation": truncation,
    }  # fmt: skip
    _claim(folder, plan)
    writer = _Writer(folder, opened, model.shape, links, progress, len(opened) + sum(counts))
    writer.real(_sources(data, opened), np.arange(len(opened)))
    writer.generated(model, numbers, counts, seed, truncation)
    return writer.finish(notes)


def labelled_subset(
    data: Any,
    out: str | os.PathLike[str],
    *,
    per_class: int,
    links: bool = False,
    seed: int = 0,
    progress: Report = None,
) -> Augmented:
    """Write a data set with some images of each class, chosen at random: to train a GAN on few labels.

    Args:
        data: Labelled images: whatever ``ganloom.data.open`` accepts.
        out: A new or empty folder.
        per_class: Number of images of each class; a class that has fewer keeps all.
        links: Link to the files instead of copying them.
        seed: Decides which images are chosen.
        progress: Called with (what, done, total).

    Returns:
        What was written.

    Raises:
        BadInput: An argument cannot be used, or the folder holds something else.
    """
    if per_class < 1:
        raise BadInput(f"--per-class must be at least 1, got {per_class}")
    folder = _free(out, data)
    opened = open_labelled(data, None, progress=progress)
    assert opened.labels is not None
    shuffled = np.random.default_rng(seed).permutation(len(opened))
    rows = np.sort(
        np.concatenate([shuffled[opened.labels[shuffled] == k][:per_class] for k in opened.classes_with_rows])
    )
    short = [opened.class_names[k] for k, n in enumerate(counts_of(opened)) if 0 < n < per_class]
    notes = [f"fewer than {per_class} images: {class_names.listing(short)}"] if short else []
    plan = {
        "data": opened.name,
        "fingerprint": opened.fingerprint,
        "per_class": per_class,
        "links": links,
        "seed": seed,
    }
    _claim(folder, plan)
    writer = _Writer(folder, opened, opened.shape, links, progress, len(rows))
    writer.real(_sources(data, opened), rows)
    return writer.finish(notes)


# ------------------------------------------------------------------------------------------------------------- folder


def _free(out: str | os.PathLike[str], data: Any) -> Path:
    """The folder to write, if it is new, empty, or unfinished, and not inside the data."""
    folder = as_path(out)
    if os.path.lexists(folder) and not folder.is_dir():
        raise BadInput(f"--out {folder} is a file: choose another name")
    if (folder / TABLE).exists() or (folder.is_dir() and any(folder.iterdir()) and not (folder / PLAN).is_file()):
        raise BadInput(f"--out {folder} exists and is not empty: choose another folder")
    if isinstance(data, str | os.PathLike) and as_path(data).is_dir():
        inside = as_path(data).resolve()
        if inside == folder.resolve() or inside in folder.resolve().parents:
            raise BadInput(f"--out {folder} is inside {data}: its images would become part of the data. Choose another")
    return folder


def _claim(folder: Path, plan: dict[str, Any]) -> None:
    """Create the folder, or check that the same call began it."""
    if (folder / PLAN).is_file():
        before = json_files.read(folder / PLAN, fix="Delete the folder to start again")
        differing = sorted(name for name in before.keys() | plan.keys() if before.get(name) != plan.get(name))
        if differing:
            raise BadInput(f"--out {folder} was begun with another {', '.join(differing)}: choose another folder")
        return
    folder.mkdir(parents=True, exist_ok=True)
    replace_file(folder / PLAN, (json.dumps(plan) + "\n").encode())


def _finite(kimg: float) -> float | None:
    return kimg if np.isfinite(kimg) else None


def _sources(data: Any, opened: Images) -> tuple[Listing, list[int]] | None:
    """The files of the data and which of them each row is; None for data without files, or with numbers that were scaled."""
    listing = listing_of(data)
    if listing is None or opened.source.get("scales_used"):
        return None
    bad = {path for path, _ in opened.bad_files}
    good = [i for i, entry in enumerate(listing.entries) if listing.path(entry.name) not in bad]
    if len(good) != len(opened):
        raise BadInput(f"{opened.name} changed while it was read: run the command again")
    return listing, good


@dataclass
class _Row:
    """A line of the table."""

    file: str
    label: int
    source: str
    seed: str = ""
    run: str = ""
    original: str = ""


class _Writer:
    """Write the images of a data set one by one; those that are there already are kept."""

    def __init__(
        self, folder: Path, data: Images, shape: tuple[int, int, int], links: bool, progress: Report, total: int
    ) -> None:
        self.folder, self.data, self.shape, self.links = folder, data, shape, links
        self.progress, self.total, self.rows = progress, total, list[_Row]()
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
            self._add(_Row(f"{name}.png", label, "real", original=f"{printable(self.data.name)}:{row}"))
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
        self._add(_Row(f"{name}{ending if fits else '.png'}", label, "real", original=listing.path(entry.name)))
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
                    _Row(
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

    def _add(self, row: _Row) -> None:
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
