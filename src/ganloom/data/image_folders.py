"""A folder or an archive of image files as a data set: from the cache, or decoded once."""

import hashlib
import os
from collections import Counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ganloom.core.errors import BadInput
from ganloom.data import cache, store
from ganloom.data.dataset import Facts
from ganloom.data.decode import VERSION, BadImage, decode, header
from ganloom.data.file_index import Listing, list_folder, list_zip
from ganloom.data.images import Images
from ganloom.data.resize import Shape, fit_image

NATIVE_LIMIT = 128
"""Images that all have one size keep it up to this many pixels a side; others become ``default_size`` square."""


def survey(listing: Listing, shape: Shape | None, default_size: int) -> Shape:
    """The shape (C, H, W) to bring a listing's images to; reads headers only, and only where ``shape`` is None."""
    if shape is not None:
        return shape
    kinds: Counter[int] = Counter()
    sizes: Counter[tuple[int, int]] = Counter()

    def look(index: int) -> tuple[int, tuple[int, int]]:
        with listing.open(index) as file:
            found = header(file, listing.entries[index].name)
        return found.channels, found.size

    for _, result in store.each(look, len(listing.entries)):
        if not isinstance(result, BadImage):
            kinds[result[0]] += 1
            sizes[result[1]] += 1
    return choose(kinds, sizes, default_size)


def choose(kinds: Counter[int], sizes: Counter[tuple[int, int]], default_size: int) -> Shape:
    """(C, H, W) from how many images have each number of channels and each size (w, h)."""
    channels = max(kinds, key=lambda c: (kinds[c], c), default=3)
    if len(sizes) == 1 and max(width_height := next(iter(sizes))) <= NATIVE_LIMIT:
        return channels, width_height[1], width_height[0]
    return channels, default_size, default_size


def open_files(root: str, asked: dict[str, Any], keep: bool, progress: store.Progress) -> Images:
    """A folder or archive, from the cache where its files have not changed."""
    listing = list_folder(root) if os.path.isdir(root) else list_zip(root)
    asked["source"] = os.path.abspath(root)
    shape = None if asked["shape"] is None else (asked["shape"][0], asked["shape"][1], asked["shape"][2])
    try:
        if asked.get("labels") is False:
            listing.labels = listing.classes = None
        found = _stored(listing, shape, asked, keep, progress)
    finally:
        listing.close()
    notes = found.notes
    facts = Facts(
        os.path.basename(os.path.abspath(root)),
        source=asked,
        labels=None if notes["labels"] is None else np.array(notes["labels"], np.int64),
        classes=notes["classes"],
        bad_files=[(listing.path(name), reason) for name, reason in notes["bad"]],
        flip=bool(asked["flip"]),
        fit=asked["fit"],
    )
    return Images(found.rows, facts, found.sha256)


def _stored(
    listing: Listing, wanted: Shape | None, asked: dict[str, Any], keep: bool, progress: store.Progress
) -> cache.Store:
    parts = listing.key(), wanted, asked["default_size"], asked["fit"], VERSION
    key = hashlib.sha256(repr(parts).encode()).hexdigest()[:40]
    found = cache.load(key) if keep else None
    if found is not None:
        return found
    shape = survey(listing, wanted, asked["default_size"])

    def work(index: int) -> NDArray[np.uint8]:
        with listing.open(index) as file:
            image = decode(file, listing.entries[index].name, at_least=2 * max(shape[1:]))
        return fit_image(image, shape, asked["fit"])

    def notes(good: list[int], bad: list[tuple[int, str]]) -> dict[str, Any]:
        left_out = listing.bad + [(listing.entries[i].name, reason) for i, reason in bad]
        labels = None if listing.labels is None else listing.labels[good].tolist()
        return {"labels": labels, "classes": listing.classes, "bad": sorted(left_out)}

    filled = store.fill(work, len(listing.entries), shape, key if keep else None, notes, progress)
    if not filled.good:
        name, reason = filled.store.notes["bad"][0]
        count = len(filled.store.notes["bad"])
        raise BadInput(f"none of the {count} image files in {listing.root} can be read; the first: {name} ({reason})")
    return filled.store
