"""Open photographs as random crops: files by their headers, and images that are in memory."""

import os
from collections import Counter
from typing import Any

import numpy as np

from ganloom.core.errors import BadInput
from ganloom.data import store
from ganloom.data.crops import Crops, Files, Rows, reduced
from ganloom.data.dataset import Facts
from ganloom.data.decode import BadImage
from ganloom.data.file_index import Listing
from ganloom.data.file_scales import FileScales
from ganloom.data.images import Images
from ganloom.data.open_options import Options, image_shape
from ganloom.data.resize import Shape

STEP = 8
"""A default crop has sides of a multiple of it, so that all usual scale factors divide them."""


def crops_of_files(listing: Listing, name: str, options: Options, progress: store.Progress) -> Crops:
    """Open image files as crops. Only their headers are read.

    Args:
        listing: the files. It stays open.
        name: name of the data set.
        options: the options of ``open``. "shape" is set to that of the crops.
        progress: called with (done, total) while the headers are read.

    Returns:
        The crops. Files that cannot be read, or are smaller than a crop, are listed in ``bad_files``.

    Raises:
        BadInput: no file can be used.
    """
    listing.scales = FileScales(options.get("scales"))
    found: list[tuple[int, tuple[int, int], int]] = []
    bad = [(listing.path(file), reason) for file, reason in listing.bad]
    for index, header in store.each(listing.header, len(listing.entries), progress):
        if isinstance(header, BadImage):
            bad.append((listing.path(listing.entries[index].name), str(header)))
        else:
            found.append((index, reduced(header.size), header.channels))
    if not found:
        first = f"; the first: {bad[0][0]} ({bad[0][1]})" if bad else ""
        raise BadInput(f"none of the {len(bad)} image files of {name} can be read{first}")
    channels = Counter(number for _, _, number in found).most_common(1)[0][0]
    shape = _shape(options, channels, [size for _, size, _ in found])
    used = [(index, size) for index, size, _ in found if size[0] >= shape[1] and size[1] >= shape[2]]
    small = [(index, size) for index, size, _ in found if size[0] < shape[1] or size[1] < shape[2]]
    crop = f"{shape[2]} x {shape[1]}"
    bad += [(listing.path(listing.entries[i].name), f"{w} x {h} pixels, a crop has {crop}") for i, (h, w) in small]
    if not used:
        height, width = max((size for _, size, _ in found), key=min)
        raise BadInput(
            f"{name}: no image has the {crop} pixels of a crop (the best has {width} x {height}): set --shape"
        )
    if small:
        listing.notes.append(f"left out {len(small)} images that are smaller than a crop of {crop} pixels")
    options["shape"] = list(shape)
    photos = Files(listing, [index for index, _ in used], [size for _, size in used], shape[0])
    return Crops(photos, shape, _facts(name, options, sorted(bad), listing.notes))


def crops_of_images(images: Images, options: Options) -> Crops:
    """Open images of one size as crops of them.

    Args:
        images: the images.
        options: the options of ``open``. "shape" is set to that of the crops.

    Raises:
        BadInput: the images are smaller than a crop, or have another number of channels.
    """
    channels, height, width = images.shape
    shape = _shape(options, channels, [(height, width)])
    if shape[0] != channels or shape[1] > height or shape[2] > width:
        raise BadInput(
            f"{images.name}: crops of {list(shape)} cannot be cut from images of {list(images.shape)}: set --shape"
        )
    options["shape"] = list(shape)
    return Crops(Rows(images), shape, _facts(images.name, options, images.bad_files, images.notes))


def name_of(source: Any) -> str:
    """Return the name of a folder or an archive of photographs, or a general one."""
    return os.path.basename(os.path.abspath(source)) if isinstance(source, str | os.PathLike) else "the photographs"


def _facts(name: str, options: Options, bad: list[tuple[str, str]], notes: list[str]) -> Facts:
    return Facts(name, source=options, bad_files=bad, notes=list(notes), flip=bool(options["flip"]), fit=options["fit"])


def _shape(options: Options, channels: int, sizes: list[tuple[int, int]]) -> Shape:
    """The shape of a crop: the requested one, or a square that fits into most images."""
    wanted = image_shape(options)
    if wanted is not None:
        return wanted
    usual = int(np.median([min(size) for size in sizes]))
    side = min(int(options["default_size"]), usual)
    side = side // STEP * STEP or side
    return channels, side, side
