"""Crops of photographs at random scales, for training inpainting and for measuring inpainting and super-resolution."""

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ganloom.core.errors import BadInput
from ganloom.data.decode import BadImage, quiet
from ganloom.data.file_index import list_folder

SCALES = 400, 1400
"""Longer side of a photograph when a crop is cut from it, in pixels."""


def crops(
    folder: Path,
    count: int,
    side: int,
    seed: int = 0,
    *,
    progress: Callable[[int, int], None] | None = None,
    left_out: list[tuple[str, str]] | None = None,
) -> NDArray[np.uint8]:
    """Cut crops at random places and scales; of two, the one with more contrast is kept.

    Args:
        folder: A folder of photographs.
        count: Number of crops, as evenly as possible from all photographs.
        side: Height and width of a crop.
        seed: Seed of the places and scales.
        progress: Called with (photographs done, all).
        left_out: Gets (path, reason) of each photograph that cannot be read or is too small.

    Returns:
        (count, side, side, 3); fewer if photographs were left out.

    Raises:
        BadInput: There is no such folder, or no photograph is large enough.
    """
    if not folder.is_dir():
        raise BadInput(f"there is no folder {folder}: give a folder of photographs")
    listing = list_folder(str(folder), use_labels=False)
    total = len(listing.entries)
    out: list[tuple[int, NDArray[np.uint8]]] = []
    bad = [(listing.path(name), reason) for name, reason in listing.bad]
    with quiet():
        for number, entry in enumerate(listing.entries):
            if progress is not None:
                progress(number, total)
            try:
                image = listing.decode(number).convert("RGB")
            except BadImage as error:
                bad.append((listing.path(entry.name), str(error)))
                continue
            if min(image.size) < side:
                bad.append((listing.path(entry.name), f"{image.width} x {image.height} pixels, the crops have {side}"))
                continue
            image.thumbnail((SCALES[1], SCALES[1]), Image.Resampling.LANCZOS)
            rng = np.random.default_rng([seed, number])
            mine = range(number, count, total)
            out += [(place, crop(image, side, SCALES, rng)) for place in mine]
    if left_out is not None:
        left_out += bad
    if not out:
        raise BadInput(f"{folder} has no image of at least {side} pixels a side")
    return np.stack([crop for _, crop in sorted(out, key=lambda pair: pair[0])])


def crop(image: Image.Image, side: int, scales: tuple[int, int], rng: np.random.Generator) -> NDArray[np.uint8]:
    """Cut two square crops at a random scale, and return the one with more contrast.

    Args:
        image: A photograph in RGB.
        side: Height and width of the crop.
        scales: Smallest and largest longer side of the photograph, in pixels, when the crop is cut from it.
        rng: Source of the scale and the places.

    Returns:
        (side, side, 3).
    """
    longer = math.exp(rng.uniform(math.log(scales[0]), math.log(scales[1])))
    length = min(round(side * max(max(image.size) / longer, 1.0)), *image.size)
    found = []
    for _ in range(2):
        left, top = (int(rng.integers(n - length + 1)) for n in image.size)
        area = left, top, left + length, top + length
        found.append(np.asarray(image.resize((side, side), Image.Resampling.LANCZOS, area)))
    return max(found, key=lambda crop: float(crop.std((0, 1)).mean()))
