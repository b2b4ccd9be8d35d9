"""``check`` a data set before training: sizes, channels, classes, duplicates, unreadable files."""

import os
from collections import Counter
from typing import Any, NamedTuple

import numpy as np
from torch import Tensor

from ganloom.core.errors import BadInput
from ganloom.data import arrays, caption_report, npz_reader, sources, store
from ganloom.data.caption_folders import captions_of_listing
from ganloom.data.caption_report import Captions
from ganloom.data.caption_sources import NoCaptions
from ganloom.data.captioned import all_captions
from ganloom.data.check_report import Report, Sizes
from ganloom.data.dataset import Data
from ganloom.data.decode import BadImage, Header
from ganloom.data.duplicates import EXAMPLES, Copies, exact_copies, near_copies, single_colour
from ganloom.data.images import Images
from ganloom.data.points import Points
from ganloom.data.resize import kept_share, padded_share
from ganloom.report import progress as progress_report


class _Files(NamedTuple):
    """Headers and names of the image files that can be read."""

    headers: list[Header]
    names: list[str]


def check(
    source: sources.Source,
    *,
    shape: tuple[int, ...] | None = None,
    fit: str = "crop",
    default_size: int = 64,
    labels: Any = None,
    progress: progress_report.Report = None,
) -> Report:
    """Open a data set, examine all of it, and report.

    Folders and archives are decoded as by ``open`` and kept in the cache, so training starts at once afterwards.

    Args:
        source: see ``open``, also for the other arguments.
        shape: (C, H, W) that images are brought to, or None.
        fit: "crop", "pad" or "squash".
        default_size: side in pixels if no shape is given and the images have different sizes.
        labels: see ``open``; False: ignore labels, class folders too.
        progress: called with (what, done, total).

    Raises:
        BadInput: ``open`` refuses the source, or the files change during the check.
    """
    options: dict[str, Any] = {"shape": shape, "fit": fit, "default_size": default_size, "labels": labels}
    data = sources.open(source, **options, progress=progress_report.part_of(progress, "reading the images"))
    if isinstance(data, Points):
        return _check_points(data, fit)
    assert isinstance(data, Images)
    opened = data.source.get("source")
    if isinstance(source, (str, os.PathLike)) and isinstance(opened, str) and sources.is_named(opened):
        source = opened  # a folder with IDX files
    reading = progress_report.part_of(progress, "reading the headers")
    files = _read_headers(source, data, labels is not False, reading)
    headers = files.headers if files else None
    names = files.names if files else [f"#{i}" for i in range(len(data))]
    sizes = [header.size for header in headers] if headers else data.facts.sizes
    sizes = sizes or [_original_size(source, data)] * len(data)
    progress_report.stage(progress, "looking for duplicates")
    exact = exact_copies(data.rows, data.labels, names)
    constant = single_colour(data.rows)
    target = data.shape
    return Report(
        name=data.name,
        kind="images",
        count=len(data),
        shape=target,
        fit=data.fit,
        sizes=_sizes(sizes),
        channels=_count([str(h.channels) for h in headers]) if headers else {str(target[0]): len(data)},
        modes=_count([h.mode for h in headers]) if headers else None,
        formats=_count([h.format for h in headers]) if headers else None,
        bits=_count([str(h.bits) for h in headers]) if headers else None,
        classes=_count_classes(data),
        empty_classes=list(data.facts.empty_classes),
        captions=_captions(source, data, names),
        duplicates=exact.copies,
        conflicting=exact.conflicting,
        near_duplicates=near_copies(data.rows, names, exact.first & ~constant),
        constant=Copies(int(constant.sum()), [(names[i], "") for i in np.flatnonzero(constant)[:EXAMPLES]]),
        unreadable=len(data.bad_files) if headers else None,
        bad_files=list(data.bad_files[:EXAMPLES]),
        notes=list(data.notes),
        translation=data.facts.translation,
        cropped=_mean([1 - kept_share(size, target, data.fit) for size in sizes]) if data.fit == "crop" else None,
        padded=_mean([padded_share(size, target, data.fit) for size in sizes]) if data.fit == "pad" else None,
        enlarged=sum(size[0] < target[2] or size[1] < target[1] for size in sizes),
        data=data,
    )


def _check_points(data: Points, fit: str) -> Report:
    low, high = data.rows.min(0), data.rows.max(0)
    return Report(
        name=data.name,
        kind="points",
        count=len(data),
        shape=data.shape,
        fit=fit,
        classes=_count_classes(data),
        notes=list(data.notes),
        modes_of_points=None if data.modes is None else len(data.modes),
        sd=data.sd,
        extent=[(float(a), float(b)) for a, b in zip(low, high, strict=True)],
        data=data,
    )


def _read_headers(source: Any, data: Images, use_labels: bool, progress: store.Progress) -> _Files | None:
    """The headers of the files that became the rows of ``data``, in their order. None for data without files."""
    listing = sources.listing_of(source, use_labels)
    if listing is None:
        return None
    bad = {path for path, _ in data.bad_files}
    good = [i for i, entry in enumerate(listing.entries) if listing.path(entry.name) not in bad]
    try:
        results = [result for _, result in store.each(lambda i: listing.header(good[i]), len(good), progress)]
    finally:
        listing.close()
    headers = [result for result in results if not isinstance(result, BadImage)]
    if len(headers) != len(data):
        raise BadInput(f"{data.name} changed during the check; run the check again")
    return _Files(headers, [listing.entries[i].name for i in good])


def _captions(source: Any, data: Images, names: list[str]) -> Captions | None:
    """Describe the captions that belong to the data or stand in files beside the images; None without captions."""
    if data.captions is not None:
        return caption_report.describe(all_captions(data.facts), names)
    if not sources.holds_files(source):
        return None
    listing = sources.listing_of(source, use_labels=False)
    if listing is None or not listing.captions:
        return None
    try:
        found = captions_of_listing(listing)
    except NoCaptions:
        return None
    except BadInput as error:
        data.notes.append(str(error))
        return None
    finally:
        listing.close()
    for name in found.where:  # the note says that the file has no labels
        data.notes[:] = [note for note in data.notes if not note.startswith(f"{name} is not read")]
    own = dict(zip((entry.name for entry in listing.entries), found.captions, strict=True))
    return caption_report.describe([own.get(name, ()) for name in names], names, found.where, found.notes)


def _original_size(source: sources.Source, data: Images) -> tuple[int, int]:
    """(width, height) of the images of an array or a built-in set before they are resized."""
    height, width = data.shape[1:]
    if isinstance(source, Data):
        return source.shape[2], source.shape[1]
    if isinstance(source, (str, os.PathLike)):
        text = os.path.expanduser(os.fspath(source))
        if sources.is_named(source):
            # Shapes are rendered at the requested size; the other built-in sets are small enough to open again.
            original = data if text.startswith("shapes") else sources.open(text)
            return original.shape[2], original.shape[1]
        content = npz_reader.read(text, data.shape[0], use_labels=False)
        assert isinstance(content, tuple)
        return content[0].shape[2], content[0].shape[1]
    if isinstance(source, tuple):
        source = source[0]
    if not isinstance(source, (np.ndarray, Tensor)):
        return width, height
    images = arrays.channels_last(arrays.to_numpy(source, "the array"), "the array", data.shape[0])
    return (images.shape[2], images.shape[1]) if images.size else (width, height)


def _sizes(sizes: list[tuple[int, int]]) -> Sizes:
    counts = Counter(sizes)
    table = np.array(sizes)
    low, middle, high = table.min(0), np.median(table, axis=0), table.max(0)
    width, height = ((int(low[i]), int(middle[i]), int(high[i])) for i in (0, 1))
    common = sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:EXAMPLES]
    return Sizes(width, height, [(w, h, count) for (w, h), count in common], len(counts))


def _mean(values: list[float]) -> float:
    return float(np.mean(values))


def _count(values: list[str]) -> dict[str, int]:
    """Value -> how often it occurs, the most common first."""
    return dict(sorted(Counter(values).items(), key=lambda item: (-item[1], item[0])))


def _count_classes(data: Data) -> dict[str, int] | None:
    """Class name -> number of rows; None without labels. Classes of equal names are added up."""
    if data.labels is None:
        return None
    counts: dict[str, int] = {}
    rows = np.bincount(data.labels, minlength=data.n_classes).tolist()
    for name, count in zip(data.class_names, rows, strict=True):
        counts[name] = counts.get(name, 0) + count
    return counts
