"""Open a folder, an archive or a list of image files: decode the images once, or take them from the cache."""

import hashlib
import os
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ganloom.core.errors import BadInput
from ganloom.data import cache, store, translation_layout
from ganloom.data.brightness import check_brightness
from ganloom.data.dataset import Facts
from ganloom.data.decode import VERSION
from ganloom.data.default_shape import crop_note, shape_of_files
from ganloom.data.file_index import Listing, list_files
from ganloom.data.file_scales import FileScales
from ganloom.data.images import Images
from ganloom.data.open_options import Options, image_shape
from ganloom.data.resize import Shape, fit_image


def open_files(root: str, options: Options, use_cache: bool, progress: store.Progress) -> Images:
    """Open a folder or an archive of images.

    Args:
        root: the folder, or a zip archive.
        options: the options of ``open``; "source" is set to the absolute path, and "scales_used" as in ``open_listing``.
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
        options: the options of ``open``; "scales_used" is set to the (black, white) of numbers of more than 8 bits.
        use_cache: see ``open_files``.
        progress: see ``open_files``.

    Raises:
        BadInput: no image can be read.
    """
    listing.scales = FileScales(options.get("scales"))
    try:
        stored = _load_or_decode(listing, image_shape(options), options, use_cache, progress)
        is_one_side = options.get("inputs") is not None and options.get("labels") is False
        translation = None if is_one_side else translation_layout.find(listing)
    finally:
        listing.close()
    notes = stored.notes
    if notes["scales"]:
        options["scales_used"] = notes["scales"]
    facts = Facts(
        name,
        source=options,
        labels=None if notes["labels"] is None else np.array(notes["labels"], np.int64),
        classes=notes["classes"],
        bad_files=[(listing.path(name), reason) for name, reason in notes["bad"]],
        notes=[*listing.notes, *notes["lines"], *check_brightness(stored.rows, listing.root or name)],
        translation=translation[:2] if translation and listing.archive is None else None,
        flip=bool(options["flip"]),
        fit=options["fit"],
    )
    facts.notes += [translation.note] if translation else []
    return Images(stored.rows, facts, stored.sha256)


def _load_or_decode(
    listing: Listing, wanted: Shape | None, options: Options, use_cache: bool, progress: store.Progress
) -> cache.Store:
    """The decoded images, from the cache if they are there."""
    parts = listing.key(), wanted, options["default_size"], options["fit"], options.get("scales"), VERSION
    key = hashlib.sha256(repr(parts).encode()).hexdigest()[:40]
    stored = cache.load(key) if use_cache else None
    if stored is not None:
        return stored
    shape = shape_of_files(listing, options["default_size"]) if wanted is None else wanted

    sizes: list[tuple[int, int] | None] = [None] * len(listing.entries)

    def decode_row(index: int) -> NDArray[np.uint8]:
        image = listing.decode(index, at_least=2 * max(shape[1:]))
        sizes[index] = image.size
        return fit_image(image, shape, options["fit"])

    def notes(good: list[int], bad: list[tuple[int, str]]) -> dict[str, Any]:
        bad_files = listing.bad + [(listing.entries[i].name, reason) for i, reason in bad]
        labels = None if listing.labels is None else listing.labels[good].tolist()
        cropped = crop_note([size for size in sizes if size is not None], shape, options["fit"])
        lines = listing.decoding_notes() + ([cropped] if cropped else [])
        scales = listing.scales.scales.used
        return {
            "labels": labels, "classes": listing.classes, "bad": sorted(bad_files), "lines": lines, "scales": scales,
        }  # fmt: skip

    filled = store.fill(decode_row, len(listing.entries), shape, key if use_cache else None, notes, progress)
    if not filled.good:
        bad_files = filled.store.notes["bad"]
        name, reason = bad_files[0]
        raise BadInput(
            f"none of the {len(bad_files)} image files{listing.root and f' in {listing.root}'} can be read; the first: "
            f"{name} ({reason})"
        )
    return filled.store
