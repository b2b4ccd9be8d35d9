"""``check``: look at a data set before training on it: what is there, what is odd, what the network will see."""

import dataclasses
import hashlib
import os
from collections import Counter
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ganloom.core.errors import BadInput
from ganloom.data import arrays, sources, store
from ganloom.data.dataset import Data
from ganloom.data.decode import BadImage, Header, convert, from_array, header
from ganloom.data.file_index import list_folder, list_zip
from ganloom.data.images import Images
from ganloom.data.points import Points
from ganloom.data.resize import kept, padding

SHOWN = 5
"""So many examples of each kind are named."""

PREVIEW = 25
# Images of equal hash count as near copies when their 8 x 8 thumbnails differ by at most a tenth of their contrast,
# never more than 4 of 255 levels; half a level always passes, for rounding alone makes as much.
_NEAR, _NEAR_SHARE, _NEAR_FLOOR = 4.0, 0.1, 0.5
_GAP = 2


@dataclass(frozen=True)
class Sizes:
    """Widths and heights as (min, median, max), and the most common (width, height, count)."""

    width: tuple[int, int, int]
    height: tuple[int, int, int]
    common: list[tuple[int, int, int]]
    distinct: int


@dataclass(frozen=True)
class Copies:
    """``count`` images beyond the first of each group; ``examples`` (first, copy) by name or number."""

    count: int
    examples: list[tuple[str, str]]


@dataclass(frozen=True)
class Report:
    """What ``check`` found. A field is None where it does not apply to the source.

    ``channels``, ``modes``, ``formats``, ``bits``: value -> number of files. ``classes``: name -> count.
    ``duplicates``: images whose pixels, as stored for the network, are equal; ``conflicting`` of them carry another
    label than their first. ``near_duplicates``: approximate, by an 8 x 8 average hash. ``unreadable``: the number of
    files left out, ``bad_files`` the first few with their reason. ``cropped``, ``padded``: mean shares, 0 to 1.
    ``enlarged``: images with a side smaller than the network's. ``extent``: of points, (min, max) an axis.
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
    duplicates: Copies | None = None
    conflicting: int | None = None
    near_duplicates: Copies | None = None
    constant: Copies | None = None
    unreadable: int | None = None
    bad_files: list[tuple[str, str]] = field(default_factory=list)
    cropped: float | None = None
    padded: float | None = None
    enlarged: int | None = None
    modes_of_points: int | None = None
    sd: float | None = None
    extent: list[tuple[float, float]] | None = None
    data: Data | None = field(default=None, repr=False, compare=False)

    def to_dict(self) -> dict[str, Any]:
        """All facts as plain JSON values; without the data."""
        bare = dataclasses.asdict(dataclasses.replace(self, data=None))
        del bare["data"]
        return {key: _plain(value) for key, value in bare.items()}

    def lines(self) -> list[str]:
        """The report as text, one fact a line, the first with the name and the count."""
        what = "points" if self.kind == "points" else "images"
        facts = _points_facts(self) if self.kind == "points" else _image_facts(self)
        width = max(len(label) for label, _ in facts)
        return [_shown(f"{self.name}: {self.count:,} {what}")] + [
            _shown(f"  {label:<{width}}  {words}") for label, words in facts
        ]

    def preview(self) -> Image.Image:
        """25 images (fewer where there are fewer), spread over the data, as the network will see them."""
        if self.data is None:
            raise BadInput(f"the report on {self.name} carries no data; make it with check()")
        if isinstance(self.data, Points):
            return _plot(self.data.rows)
        assert isinstance(self.data, Images)
        picks = np.unique(np.linspace(0, self.count - 1, min(PREVIEW, self.count)).astype(np.int64))
        return _tile(self.data.uint8(picks))


class _Looked(NamedTuple):
    """What the files say of themselves: one header a good image, and the names of those images."""

    headers: list[Header]
    names: list[str]


def check(
    source: sources.Source, *, shape: tuple[int, int, int] | None = None, fit: str = "crop", default_size: int = 64
) -> Report:
    """Look at all of ``source`` (see ``open``, which takes the same options) and report.

    Folders and archives are decoded as ``open`` does and kept in the cache, so that training starts at once afterwards.
    Raises BadInput where ``open`` does.
    """
    data = sources.open(source, shape=shape, fit=fit, default_size=default_size)
    if isinstance(data, Points):
        return _report_points(data, fit)
    assert isinstance(data, Images)
    looked = _look(os.fspath(source), data) if sources.holds_files(source) else None
    names = looked.names if looked else [f"#{i}" for i in range(len(data))]
    if looked:
        sizes = [found.size for found in looked.headers]
    else:
        sizes = [_native_size(source, data)] * len(data)
    exact, conflicting, first = _duplicates(data, names)
    flat = _constant(data.rows)
    about = looked.headers if looked else None
    target = data.shape
    return Report(
        name=data.name,
        kind="images",
        count=len(data),
        shape=target,
        fit=data.fit,
        sizes=_sizes(sizes),
        channels=_tally([str(h.channels) for h in about]) if about else {str(target[0]): len(data)},
        modes=_tally([h.mode for h in about]) if about else None,
        formats=_tally([h.format for h in about]) if about else None,
        bits=_tally([str(h.bits) for h in about]) if about else None,
        classes=_classes(data),
        duplicates=exact,
        conflicting=conflicting,
        near_duplicates=_near_duplicates(data.rows, names, first & ~flat),
        constant=Copies(int(flat.sum()), [(names[i], "") for i in np.flatnonzero(flat)[:SHOWN]]),
        unreadable=len(data.bad_files) if looked else None,
        bad_files=list(data.bad_files[:SHOWN]),
        cropped=float(np.mean([1 - kept(size, target, data.fit) for size in sizes])) if data.fit == "crop" else None,
        padded=float(np.mean([padding(size, target, data.fit) for size in sizes])) if data.fit == "pad" else None,
        enlarged=sum(size[0] < target[2] or size[1] < target[1] for size in sizes),
        data=data,
    )


def _look(root: str, data: Images) -> _Looked:
    """The headers of the files that became the rows of ``data``, in their order."""
    listing = list_folder(root) if os.path.isdir(root) else list_zip(root)
    bad = {path for path, _ in data.bad_files}
    good = [i for i, entry in enumerate(listing.entries) if listing.path(entry.name) not in bad]

    def look(position: int) -> Header:
        with listing.open(good[position]) as file:
            return header(file, listing.entries[good[position]].name)

    try:
        found = [result for _, result in store.each(look, len(good)) if not isinstance(result, BadImage)]
    finally:
        listing.close()
    if len(found) != len(data):
        raise BadInput(f"{root} changed while it was looked at; run the check again")
    return _Looked(found, [listing.entries[i].name for i in good])


def _native_size(source: sources.Source, data: Images) -> tuple[int, int]:
    """(width, height) of the images of an array or built-in set before they are fitted."""
    height, width = data.shape[1:]
    if isinstance(source, Data):
        return source.shape[2], source.shape[1]
    if isinstance(source, (str, os.PathLike)):
        text = os.fspath(source)
        if sources.is_named(source):
            plain = data if text.startswith("shapes") else sources.open(text)
            return plain.shape[2], plain.shape[1]  # the built-in sets are small enough to open as they are
        found = arrays.read(text, data.shape[0])
        assert not isinstance(found, Points)
        return found[0].shape[2], found[0].shape[1]
    given = arrays.channels_last(arrays.to_numpy(source, "the array"), "the array", data.shape[0])
    return (given.shape[2], given.shape[1]) if given.size else (width, height)


def _report_points(data: Points, fit: str) -> Report:
    low, high = data.rows.min(0), data.rows.max(0)
    return Report(
        name=data.name,
        kind="points",
        count=len(data),
        shape=data.shape,
        fit=fit,
        classes=_classes(data),
        modes_of_points=None if data.modes is None else len(data.modes),
        sd=data.sd,
        extent=[(float(a), float(b)) for a, b in zip(low, high, strict=True)],
        data=data,
    )


def _sizes(sizes: list[tuple[int, int]]) -> Sizes:
    seen = Counter(sizes)
    both = np.array(sizes)
    low, middle, high = both.min(0), np.median(both, axis=0), both.max(0)
    width, height = ((int(low[i]), int(middle[i]), int(high[i])) for i in (0, 1))
    common = sorted(seen.items(), key=lambda item: (-item[1], item[0]))[:SHOWN]
    return Sizes(width, height, [(w, h, count) for (w, h), count in common], len(seen))


def _tally(values: list[str]) -> dict[str, int]:
    return dict(sorted(Counter(values).items(), key=lambda item: (-item[1], item[0])))


def _classes(data: Data) -> dict[str, int] | None:
    if data.labels is None:
        return None
    counts = np.bincount(data.labels, minlength=data.n_classes)
    made: dict[str, int] = {}
    for name, count in zip(data.class_names, counts.tolist(), strict=True):
        made[name] = made.get(name, 0) + count
    return made


def _duplicates(data: Images, names: list[str]) -> tuple[Copies, int | None, NDArray[np.bool_]]:
    """Exact copies, how many of them differ in label, and which rows are the first of their pixels."""
    known: dict[bytes, int] = {}
    first = np.ones(len(data), bool)
    examples: list[tuple[str, str]] = []
    conflicting = 0
    for i in range(len(data)):
        origin = known.setdefault(hashlib.sha256(np.ascontiguousarray(data.rows[i]).data).digest(), i)
        if origin == i:
            continue
        first[i] = False
        conflicting += data.labels is not None and bool(data.labels[i] != data.labels[origin])
        if len(examples) < SHOWN:
            examples.append((names[origin], names[i]))
    return Copies(int((~first).sum()), examples), None if data.labels is None else conflicting, first


def _chunks(rows: NDArray[np.uint8]) -> list[slice]:
    step = max(1, 2**24 // rows[0].size)
    return [slice(start, start + step) for start in range(0, len(rows), step)]


def _constant(rows: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Which images are of one colour."""
    return np.concatenate([(rows[part] == rows[part, :1, :1]).all((1, 2, 3)) for part in _chunks(rows)])


def _thumbnails(rows: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Means of 8 x 8 cells: float32 (N, 8, 8, C). Sides below 8 repeat their pixels."""

    def halve(values: NDArray[np.float32], axis: int) -> NDArray[np.float32]:
        side = values.shape[axis]
        edges = np.arange(9) * side // 8
        spans = np.maximum(np.diff(edges), 1).astype(np.float32)
        total = np.add.reduceat(values, edges[:8], axis)
        means: NDArray[np.float32] = total / spans.reshape([8 if i == axis else 1 for i in range(4)])
        return means

    return np.concatenate([halve(halve(rows[part].astype(np.float32), 1), 2) for part in _chunks(rows)])


def _near_duplicates(rows: NDArray[np.uint8], names: list[str], among: NDArray[np.bool_]) -> Copies:
    """Images of equal 8 x 8 average hash whose thumbnails differ by little. Approximate: it misses shifts and crops,
    and takes images that differ only in fine detail for one.
    """
    thumbs = _thumbnails(rows)
    grey = thumbs[..., :3].mean(3) if rows.shape[3] >= 3 else thumbs[..., 0]
    bits = np.packbits((grey > grey.mean((1, 2), keepdims=True)).reshape(len(rows), 64), axis=1)
    groups: dict[bytes, list[int]] = {}
    for i in np.flatnonzero(among).tolist():
        groups.setdefault(bits[i].tobytes(), []).append(i)
    pairs: list[tuple[int, int]] = []
    for group in groups.values():
        rest = np.array(group)
        for _ in range(64):  # a hash that thousands of different images share must not cost their square
            if len(rest) < 2:
                break
            own = thumbs[rest[0]]
            contrast = float(np.abs(own - own.mean((0, 1))).mean())
            limit = min(_NEAR, max(_NEAR_FLOOR, _NEAR_SHARE * contrast))
            far = np.abs(thumbs[rest[1:]] - own).mean((1, 2, 3)) > limit
            pairs += [(int(rest[0]), int(i)) for i in rest[1:][~far]]
            rest = rest[1:][far]
    pairs.sort()
    return Copies(len(pairs), [(names[a], names[b]) for a, b in pairs[:SHOWN]])


def _tile(images: NDArray[np.uint8]) -> Image.Image:
    """Images side by side, five a row, white between them; alpha on white."""
    count, height, width, channels = images.shape
    shown = 1 if channels <= 2 else 3
    columns = min(5, count)
    lines = -(-count // columns)
    sheet = Image.new(
        "L" if shown == 1 else "RGB",
        (columns * (width + _GAP) - _GAP, lines * (height + _GAP) - _GAP),
        255 if shown == 1 else (255, 255, 255),
    )
    for i, pixels in enumerate(images):
        place = i % columns * (width + _GAP), i // columns * (height + _GAP)
        sheet.paste(convert(from_array(pixels), shown), place)
    return sheet


def _plot(points: NDArray[np.float32], side: int = 256) -> Image.Image:
    """Where points lie in their first two axes: black on white, darker where there are more."""
    x, y = points[:, 0], points[:, 1] if points.shape[1] > 1 else np.zeros(len(points), np.float32)
    reach = float(max(np.abs(x).max(), np.abs(y).max())) * 1.1 or 1.0
    counts, _, _ = np.histogram2d(-y, x, bins=side, range=[[-reach, reach]] * 2)
    ink = np.log1p(counts) / max(np.log1p(counts).max(), 1e-9)
    # A single point must be seen too: any ink is at least a quarter.
    grey = np.where(counts > 0, 0.25 + 0.75 * ink, 0.0)
    return Image.fromarray((255 - np.rint(255 * grey)).astype(np.uint8))


def _image_facts(report: Report) -> list[tuple[str, str]]:
    channels, height, width = report.shape
    facts: list[tuple[str, str]] = []
    if report.sizes is not None:
        facts += _size_facts(report.sizes)
    for label, counts in (
        ("channels", report.channels),
        ("modes", report.modes),
        ("formats", report.formats),
        ("bits a channel", report.bits),
    ):
        if counts is not None:
            facts.append((label, _counted(counts)))
    facts.append(("classes", _class_words(report.classes)))
    duplicates = _copies(report.duplicates)
    if report.conflicting:
        duplicates += f"; {report.conflicting:,} with another label than the first"
    facts.append(("exact duplicates", duplicates))
    facts.append(("near duplicates", _copies(report.near_duplicates, " (approximate: 8 x 8 average hash)")))
    if report.constant is not None:
        names = ", ".join(name for name, _ in report.constant.examples)
        facts.append(("one colour only", _number(report.constant.count) + (f", such as {names}" if names else "")))
    if report.unreadable is not None:
        facts.append(("unreadable files", _number(report.unreadable)))
        facts += [("", f"{path} ({reason})") for path, reason in report.bad_files]
        if report.unreadable > len(report.bad_files):
            facts.append(("", f"and {report.unreadable - len(report.bad_files):,} more"))
    facts.append(("the network sees", f"{channels} x {height} x {width} (channels, height, width), fit {report.fit}"))
    if report.cropped is not None:
        facts.append(("cropped away", f"{report.cropped:.1%} of the pixels on average"))
    if report.padded is not None:
        facts.append(("padding", f"{report.padded:.1%} of what the network sees on average"))
    if report.enlarged:
        facts.append(("enlarged", f"{report.enlarged:,} images are smaller than {width} x {height}"))
    return facts


def _size_facts(sizes: Sizes) -> list[tuple[str, str]]:
    if sizes.distinct == 1:
        return [("sizes", f"all {sizes.common[0][0]} x {sizes.common[0][1]}")]
    common = ", ".join(f"{w} x {h} ({count:,})" for w, h, count in sizes.common)
    return [
        ("widths", "min {} median {} max {}".format(*sizes.width)),
        ("heights", "min {} median {} max {}".format(*sizes.height)),
        ("sizes", f"{sizes.distinct:,} different; most common {common}"),
    ]


def _points_facts(report: Report) -> list[tuple[str, str]]:
    facts = [("the network sees", f"points of {report.shape[0]} numbers, not scaled")]
    if report.modes_of_points is not None:
        spread = "" if report.sd is None else f", standard deviation {report.sd:g}"
        facts.append(("modes", f"{report.modes_of_points}{spread}"))
    if report.extent is not None:
        facts.append(("extent", ", ".join(f"{low:.3g} to {high:.3g}" for low, high in report.extent)))
    if report.classes is not None:
        facts.append(("classes", _class_words(report.classes)))
    return facts


def _class_words(classes: dict[str, int] | None) -> str:
    if classes is None:
        return "none"
    words = ", ".join(f"{name} {count:,}" for name, count in list(classes.items())[:20])
    return f"{len(classes):,}: {words}" + (" ..." if len(classes) > 20 else "")


def _counted(counts: dict[str, int]) -> str:
    if len(counts) == 1:
        return f"all {next(iter(counts))}"
    return ", ".join(f"{value} ({count:,})" for value, count in counts.items())


def _number(count: int) -> str:
    return f"{count:,}" if count else "none"


def _copies(copies: Copies | None, note: str = "") -> str:
    if copies is None or not copies.count:
        return "none" + note
    first, copy = copies.examples[0]
    return f"{copies.count:,}, such as {copy} {'~' if note else '='} {first}{note}"


def _shown(text: str) -> str:
    """On one line and printable everywhere, whatever a file is called."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(v) for v in value]
    return value
