"""The report of ``check`` on a data set: as fields, as JSON values, as lines of text, and as a preview image."""

import dataclasses
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from PIL import Image

from ganloom.core import class_names
from ganloom.core.errors import BadInput
from ganloom.core.names import printable, shown
from ganloom.data.caption_report import Captions
from ganloom.data.dataset import Data
from ganloom.data.duplicates import Copies
from ganloom.data.images import Images
from ganloom.data.points import Points
from ganloom.data.preview import image_grid, point_plot

PREVIEW = 25
"""Images in the preview."""
_CLASSES = 20


@dataclass(frozen=True)
class Sizes:
    """The sizes of the images in pixels.

    Args:
        width: (min, median, max).
        height: (min, median, max).
        common: (width, height, number of images) of the most common sizes.
        distinct: number of different sizes.
    """

    width: tuple[int, int, int]
    height: tuple[int, int, int]
    common: list[tuple[int, int, int]]
    distinct: int


@dataclass(frozen=True)
class Report:
    """The result of ``check``. A field is None if it does not apply to the source.

    Args:
        name: name of the data set.
        kind: "images" or "points".
        count: number of rows.
        shape: (C, H, W), or (d,) for points, as the network gets them.
        fit: how images are resized, see `resize.FITS`.
        sizes: sizes of the images before they are resized.
        channels: number of channels -> number of files.
        modes: Pillow's mode -> number of files.
        formats: file format -> number of files.
        bits: bits per channel -> number of files.
        classes: class name -> number of rows.
        empty_classes: names of the classes that have no rows and are left out.
        captions: the captions of the images.
        duplicates: images whose pixels are equal, as the network gets them.
        conflicting: how many duplicates have another label than the first image of their group.
        near_duplicates: images that look almost the same (approximate, by an 8 x 8 average hash).
        constant: images of a single colour.
        unreadable: number of files left out.
        bad_files: (path, reason) of the first few of them.
        notes: what the user should know, such as a split, a file of labels or images that are not used.
        translation: (recipe, path) for image-to-image data.
        cropped: mean fraction of an image that is cropped away, 0 to 1.
        padded: mean fraction of the result that is border, 0 to 1.
        enlarged: number of images with a side shorter than the network's.
        modes_of_points: number of modes of points.
        sd: standard deviation of the modes of points.
        extent: (min, max) of points along each axis.
        data: the data set itself.
    """

    name: str
    kind: str
    count: int
    shape: tuple[int, ...]
    fit: str
    sizes: Sizes | None = None
    channels: dict[str, int] | None = None
    modes: dict[str, int] | None = None
    formats: dict[str, int] | None = None
    bits: dict[str, int] | None = None
    classes: dict[str, int] | None = None
    empty_classes: list[str] = field(default_factory=list)
    captions: Captions | None = None
    duplicates: Copies | None = None
    conflicting: int | None = None
    near_duplicates: Copies | None = None
    constant: Copies | None = None
    unreadable: int | None = None
    bad_files: list[tuple[str, str]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    translation: tuple[str, str] | None = None
    cropped: float | None = None
    padded: float | None = None
    enlarged: int | None = None
    modes_of_points: int | None = None
    sd: float | None = None
    extent: list[tuple[float, float]] | None = None
    data: Data | None = field(default=None, repr=False, compare=False)

    def to_dict(self) -> dict[str, Any]:
        """Return all fields but ``data`` as JSON values."""
        fields = dataclasses.asdict(dataclasses.replace(self, data=None))
        del fields["data"]
        return {key: _to_json(value) for key, value in fields.items()}

    def lines(self) -> list[str]:
        """Return the report as text: the name and the count, then one fact per line."""
        facts = _point_facts(self) if self.kind == "points" else _image_facts(self)
        width = max(len(label) for label, _ in facts)
        return [printable(f"{self.name}: {self.count:,} {self.kind}")] + [
            printable(f"  {label:<{width}}  {text}") for label, text in facts
        ]

    def preview(self) -> Image.Image:
        """Draw up to 25 images, evenly spaced over the data, as the network gets them; or a plot of points.

        Raises:
            BadInput: the report has no ``data``.
        """
        if self.data is None:
            raise BadInput(f"the report on {self.name} has no data; create it with check()")
        if isinstance(self.data, Points):
            return point_plot(self.data.rows)
        assert isinstance(self.data, Images)
        picks = np.unique(np.linspace(0, self.count - 1, min(PREVIEW, self.count)).astype(np.int64))
        return image_grid(self.data.uint8(picks))


def _image_facts(report: Report) -> list[tuple[str, str]]:
    """(label, text) of each line about images."""
    channels, height, width = report.shape
    facts = [] if report.sizes is None else _size_facts(report.sizes)
    for label, counts in (
        ("channels", report.channels),
        ("modes", report.modes),
        ("formats", report.formats),
        ("bits a channel", report.bits),
    ):
        if counts is not None:
            facts.append((label, _format_counts(counts)))
    facts.append(("classes", _format_classes(report.classes)))
    if report.empty_classes:
        facts.append(("", class_names.empty_text(list(report.classes or ()), report.empty_classes)))
    facts += [] if report.captions is None else report.captions.facts()
    facts += _duplicate_facts(report) + _unreadable_facts(report)
    facts.append(("the network sees", f"{channels} x {height} x {width} (channels, height, width), fit {report.fit}"))
    if report.cropped is not None:
        facts.append(("cropped away", f"{report.cropped:.1%} of the pixels on average"))
    if report.padded is not None:
        facts.append(("padding", f"{report.padded:.1%} of what the network sees on average"))
    if report.enlarged:
        facts.append(("enlarged", f"{report.enlarged:,} images are smaller than {width} x {height}"))
    return facts + [("note", note) for note in report.notes]


def _size_facts(sizes: Sizes) -> list[tuple[str, str]]:
    if sizes.distinct == 1:
        return [("sizes", f"all {sizes.common[0][0]} x {sizes.common[0][1]}")]
    common = ", ".join(f"{w} x {h} ({count:,})" for w, h, count in sizes.common)
    return [
        ("widths", "min {} median {} max {}".format(*sizes.width)),
        ("heights", "min {} median {} max {}".format(*sizes.height)),
        ("sizes", f"{sizes.distinct:,} different; most common {common}"),
    ]


def _duplicate_facts(report: Report) -> list[tuple[str, str]]:
    duplicates = _format_copies(report.duplicates, "=")
    if report.conflicting:
        duplicates += f"; {report.conflicting:,} with another label than the first"
    near = _format_copies(report.near_duplicates, "~") + " (approximate: 8 x 8 average hash)"
    facts = [("exact duplicates", duplicates), ("near duplicates", near)]
    if report.constant is not None:
        names = ", ".join(name for name, _ in report.constant.examples)
        facts.append(
            ("one colour only", _format_count(report.constant.count) + (f", such as {names}" if names else ""))
        )
    return facts


def _unreadable_facts(report: Report) -> list[tuple[str, str]]:
    if report.unreadable is None:
        return []
    facts = [("unreadable files", _format_count(report.unreadable))]
    facts += [("", f"{path} ({reason})") for path, reason in report.bad_files]
    if report.unreadable > len(report.bad_files):
        facts.append(("", f"and {report.unreadable - len(report.bad_files):,} more"))
    return facts


def _point_facts(report: Report) -> list[tuple[str, str]]:
    """(label, text) of each line about points."""
    facts = [("the network sees", f"points of {report.shape[0]} numbers, not scaled")]
    if report.modes_of_points is not None:
        spread = "" if report.sd is None else f", standard deviation {report.sd:g}"
        facts.append(("modes", f"{report.modes_of_points}{spread}"))
    if report.extent is not None:
        facts.append(("extent", ", ".join(f"{low:.3g} to {high:.3g}" for low, high in report.extent)))
    if report.classes is not None:
        facts.append(("classes", _format_classes(report.classes)))
    return facts + [("note", note) for note in report.notes]


def _format_classes(classes: dict[str, int] | None) -> str:
    if classes is None:
        return "none"
    counts = ", ".join(f"{shown(name)} {count:,}" for name, count in list(classes.items())[:_CLASSES])
    return f"{len(classes):,}: {counts}" + (" ..." if len(classes) > _CLASSES else "")


def _format_counts(counts: dict[str, int]) -> str:
    if len(counts) == 1:
        return f"all {next(iter(counts))}"
    return ", ".join(f"{value} ({count:,})" for value, count in counts.items())


def _format_count(count: int) -> str:
    return f"{count:,}" if count else "none"


def _format_copies(copies: Copies | None, relation: str) -> str:
    if copies is None or not copies.count:
        return "none"
    first, copy = copies.examples[0]
    return f"{copies.count:,}, such as {copy} {relation} {first}"


def _to_json(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(k): _to_json(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_to_json(v) for v in value]
    return value
