"""Which pixels are holes: mask files, transparent pixels or a colour; and which mask belongs to which image."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ganloom.apps.image_files import inputs_of
from ganloom.core.errors import BadInput
from ganloom.data.file_index import Listing

ALPHA = "alpha"
COLOUR = re.compile(r"(?:colou?r:)#?([0-9a-fA-F]{6})")
MASK_NAME = re.compile(r"(.+)_mask\w*")
"""LaMa's names: image1_mask001.png is a mask of image1.png."""


@dataclass(frozen=True)
class Job:
    """One image to fill.

    Args:
        image: Its place in the listing of images.
        mask: The place of its mask in the listing of masks; None for a mask from the image itself.
        name: The name of the output, without the ending.
    """

    image: int
    mask: int | None
    name: str


@dataclass(frozen=True)
class Jobs:
    """Images, masks, and which of them belong together.

    Args:
        images: The images.
        masks: The masks; None if they come from the images themselves.
        jobs: What is to be filled.
        bad: (path, reason) of images and masks without a partner, and of files that are no images.
    """

    images: Listing
    masks: Listing | None
    jobs: list[Job]
    bad: list[tuple[str, str]]


def is_rule(mask: str) -> bool:
    """Whether a mask is "alpha" or "colour:RRGGBB" and not a file. Raises BadInput if the colour is not six hex digits."""
    if mask == ALPHA or COLOUR.fullmatch(mask):
        return True
    if re.match("colou?r:", mask) and not Path(mask).exists():
        raise BadInput(f"the mask {mask}: a colour is six hex digits, such as colour:ff00ff")
    return False


def by_rule(mask: str, pixels: NDArray[Any]) -> NDArray[np.bool_]:
    """Find the hole in an image by its transparency or by a colour.

    Args:
        mask: "alpha": pixels of less than half opacity; "colour:RRGGBB": pixels of exactly this colour.
        pixels: (H, W, 1 to 4), uint8, uint16 or floats in [0, 1]. Floats have the colour if they are rounded to it in 8 bits.

    Returns:
        (H, W), True in the hole.

    Raises:
        BadInput: The image has no alpha channel.
    """
    floats = pixels.dtype.kind == "f"
    top = 1.0 if floats else float(np.iinfo(pixels.dtype).max)
    if mask == ALPHA:
        if pixels.shape[2] not in (2, 4):
            raise BadInput("the mask is to be the alpha channel, and the image has none")
        return np.asarray(pixels[..., -1] < top / 2)
    found = COLOUR.fullmatch(mask)
    assert found is not None
    colour = np.array([int(found[1][i : i + 2], 16) for i in (0, 2, 4)]) * (top / 255)
    if floats:
        pixels, colour = np.rint(pixels * 255), np.rint(colour * 255)
    shades = pixels[..., :3] if pixels.shape[2] >= 3 else pixels[..., :1].repeat(3, axis=2)
    return np.asarray((shades == colour).all(axis=2))


def of_pixels(pixels: NDArray[Any]) -> NDArray[np.bool_]:
    """Read a mask image (H, W, 1 to 4) of any type: bright pixels are the hole, or those that are 1 if there are only 0 and 1.

    A transparent pixel of the mask counts as black.
    """
    if pixels.dtype == np.bool_:
        return np.asarray(pixels.any(axis=2))
    grey = pixels[..., :3].mean(2) if pixels.shape[2] >= 3 else pixels[..., 0].astype(np.float64)
    top = 1.0 if pixels.dtype.kind == "f" else float(np.iinfo(pixels.dtype).max)
    if pixels.shape[2] in (2, 4):
        grey = grey * (pixels[..., -1] / top)
    if 0 < grey.max() <= 1:
        top = 1.0
    return np.asarray(grey >= top / 2)


def grown(mask: NDArray[np.bool_], pixels: int) -> NDArray[np.bool_]:
    """Extend a hole (H, W) by a number of pixels in all directions."""
    for axis in (0, 1):
        wide = mask.copy()
        for step in range(1, min(pixels, mask.shape[axis] - 1) + 1):
            if axis == 0:
                wide[step:] |= mask[:-step]
                wide[:-step] |= mask[step:]
            else:
                wide[:, step:] |= mask[:, :-step]
                wide[:, :-step] |= mask[:, step:]
        mask = wide
    return mask


def pair(source: Path, mask: str) -> Jobs:
    """Find which masks belong to which images.

    Args:
        source: An image, or a folder of images.
        mask: "alpha", "colour:RRGGBB", a mask file, or a folder of masks. In a folder, a mask has the name of its image, or
            LaMa's: image1_mask001.png for image1.png. An image may have several masks. A single mask file is for all images.

    Raises:
        BadInput: There are no images, or no mask for any of them.
    """
    images, single = inputs_of(source), source.is_file()
    if is_rule(mask):
        jobs = [Job(i, None, _stem(entry.name)) for i, entry in enumerate(images.entries)]
        return Jobs(images, None, jobs, _bad(images))
    masks = inputs_of(Path(mask))
    if Path(mask).is_file():
        kept = [i for i, e in enumerate(images.entries) if Path(images.path(e.name)).resolve() != Path(mask).resolve()]
        if not kept and images.entries:
            raise BadInput(f"the mask {mask} is the image itself: give a mask, or alpha or colour:RRGGBB")
        return Jobs(images, masks, [Job(i, 0, _stem(images.entries[i].name)) for i in kept], _bad(images))
    return _in_folder(images, masks, single)


def _in_folder(images: Listing, masks: Listing, single: bool) -> Jobs:
    same = Path(images.root).resolve() == Path(masks.root).resolve()
    by_name: dict[str, int] = {}
    for i, entry in enumerate(images.entries):
        if not (same and MASK_NAME.fullmatch(_stem(entry.name))):
            by_name.setdefault(_stem(entry.name).casefold(), i)
    jobs, used, bad = [], set(), [] if single else _bad(masks)
    for i, entry in enumerate(masks.entries):
        stem = _stem(entry.name)
        owner = None if same else by_name.get(stem.casefold())
        found = MASK_NAME.fullmatch(stem)
        if owner is None and found is not None:
            owner = by_name.get(found[1].casefold())
        if owner is not None:
            jobs.append(Job(owner, i, stem))
            used.add(owner)
        elif not single and (not same or found is not None):
            bad.append((masks.path(entry.name), "no image belongs to this mask"))
    missing = [i for i in by_name.values() if i not in used]
    bad += [(images.path(images.entries[i].name), f"no mask belongs to it in {masks.root}") for i in missing]
    if not same:
        bad += _bad(images)
    if not jobs:
        stem = _stem(images.entries[0].name)
        raise BadInput(
            f"no mask in {masks.root} belongs to an image in {images.root}: name it like the image, or {stem}_mask001.png"
        )
    return Jobs(images, masks, jobs, bad)


def _stem(name: str) -> str:
    return str(Path(name).with_suffix(""))


def _bad(listing: Listing) -> list[tuple[str, str]]:
    return [(listing.path(name), reason) for name, reason in listing.bad]
