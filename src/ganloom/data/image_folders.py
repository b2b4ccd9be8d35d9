"""Open a folder, an archive or a list of image files: decode the images once, or take them from the cache."""

import hashlib
import os
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ganloom.core.errors import BadInput
from ganloom.data import cache, store, translation_layout
from ganloom.data.dataset import Facts
from ganloom.data.decode import VERSION
from ganloom.data.default_shape import shape_of_files
from ganloom.data.file_index import Listing, list_files
from ganloom.data.images import Images
from ganloom.data.open_options import Options, image_shape
from ganloom.data.resize import Shape, fit_image


def open_files(root: str, options: Options, use_cache: bool, progress: store.Progress) -> Images:
    """Open a folder or an archive of images.

    Args:
        root: the folder, or a zip archive.
        options: the options of ``open``; "source" is set to the absolute path.
        use_cache: load the decoded images from the cache if no file has changed, and keep them there.
        progress: called with (done, total) while images are decoded.

    Raises:
        BadInput: no image can be read, or `file_index.list_files` refuses the source.
    """
    listing = list_files(root, options.get("labels") is not False)
    options["source"] = os.path.abspath(root)
    return open_listing(listing, os.path.basename(options["source"]), options, use_cache, progress)


def open_listing(listing: Listing, name: str, options: Options, use_cache: bool, progress: store.Progress) -> Images:
    """Open listed image files, and close the listing.

    Args:
        listing: the files.
        name: name of the data set.
        options: the options of ``open``.
        use_cache: see ``open_files``.
        progress: see ``open_files``.

    Raises:
        BadInput: no image can be read.
    """
    try:
        stored = _load_or_decode(listing, image_shape(options), options, use_cache, progress)
        is_one_side = options.get("inputs") is not None and options.get("labels") is False
        translation = None if is_one_side else translation_layout.find(listing)
    finally:
        listing.close()
    notes = stored.notes
    facts = Facts(
        name,
        source=options,
        labels=None if notes["labels"] is None else np.array(notes["labels"], np.int64),
        classes=notes["classes"],
        bad_files=[(listing.path(name), reason) for name, reason in notes["bad"]],
        notes=[*listing.notes, *([translation.note] if translation else [])],
        translation=translation[:2] if translation and listing.archive is None else None,
        flip=bool(options["flip"]),
        fit=options["fit"],
    )
    return Images(stored.rows, facts, stored.sha256)


def _load_or_decode(
    listing: Listing, wanted: Shape | None, options: Options, use_cache: bool, progress: store.Progress
) -> cache.Store:
    """The decoded images, from the cache if they are there."""
    parts = listing.key(), wanted, options["default_size"], options["fit"], VERSION
    key = hashlib.sha256(repr(parts).encode()).hexdigest()[:40]
    stored = cache.load(key) if use_cache else None
    if stored is not None:
        return stored
    shape = shape_of_files(listing, options["default_size"]) if wanted is None else wanted

    def decode_row(index: int) -> NDArray[np.uint8]:
        return fit_image(listing.decode(index, at_least=2 * max(shape[1:])), shape, options["fit"])

    def notes(good: list[int], bad: list[tuple[int, str]]) -> dict[str, Any]:
        bad_files = listing.bad + [(listing.entries[i].name, reason) for i, reason in bad]
        labels = None if listing.labels is None else listing.labels[good].tolist()
        return {"labels": labels, "classes": listing.classes, "bad": sorted(bad_files)}

    filled = store.fill(decode_row, len(listing.entries), shape, key if use_cache else None, notes, progress)
    if not filled.good:
        bad_files = filled.store.notes["bad"]
        name, reason = bad_files[0]
        raise BadInput(
            f"none of the {len(bad_files)} image files in {listing.root} can be read; the first: {name} ({reason})"
        )
    return filled.store
