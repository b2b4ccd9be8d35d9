"""Resize an image of any size and mode to the shape that the network takes: crop, pad or squash."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ganloom.data.decode import convert, to_array

FITS = ("crop", "pad", "squash")
"""crop: scale to cover, cut the centre; pad: scale to fit, fill the border; squash: scale each side separately."""

Shape = tuple[int, int, int]
"""(channels, height, width)."""


def crop_box(size: tuple[int, int], width: int, height: int) -> tuple[float, float, float, float]:
    """Return the largest centred box of aspect ``width`` : ``height`` in an image of ``size`` (w, h).

    Returns:
        (left, top, right, bottom) in pixels, inside the image.
    """
    scale = min(size[0] / width, size[1] / height)
    w, h = min(width * scale, size[0]), min(height * scale, size[1])  # rounding must not exceed the image
    left, top = (size[0] - w) / 2, (size[1] - h) / 2
    if scale == 1:  # whole pixels, so that cropping without scaling is exact
        left, top = float(int(left)), float(int(top))
    return left, top, min(left + w, size[0]), min(top + h, size[1])


def _padded_size(size: tuple[int, int], width: int, height: int) -> tuple[int, int]:
    """(w, h) of an image of ``size`` scaled to fit into ``width`` x ``height``."""
    scale = min(width / size[0], height / size[1])
    return max(1, min(width, round(size[0] * scale))), max(1, min(height, round(size[1] * scale)))


def _pad(image: Image.Image, width: int, height: int) -> Image.Image:
    """Scale to fit, and fill with the median colour of the image's border.

    The median of the border continues a plain background, whether white, black or transparent; a fixed colour would
    frame every image of another background.
    """
    size = _padded_size(image.size, width, height)
    small = to_array(image.resize(size, Image.Resampling.LANCZOS))
    border = np.concatenate([small[0], small[-1], small[:, 0], small[:, -1]])
    canvas = np.empty((height, width, small.shape[2]), np.uint8)
    canvas[:] = np.median(border, axis=0).astype(np.uint8)
    top, left = (height - size[1]) // 2, (width - size[0]) // 2
    canvas[top : top + size[1], left : left + size[0]] = small
    return Image.fromarray(canvas[:, :, 0] if canvas.shape[2] == 1 else canvas)


def fit_image(image: Image.Image, shape: Shape, fit: str) -> NDArray[np.uint8]:
    """Resize an image, antialiased (Lanczos), and convert its channels.

    Args:
        image: mode L, LA, RGB or RGBA.
        shape: (C, H, W) of the result.
        fit: "crop", "pad" or "squash", see `FITS`.

    Returns:
        uint8 (H, W, C).
    """
    channels, height, width = shape
    image = convert(image, channels)
    if image.size != (width, height):
        if fit == "pad":
            image = _pad(image, width, height)
        else:
            box = crop_box(image.size, width, height) if fit == "crop" else None
            image = image.resize((width, height), Image.Resampling.LANCZOS, box=box)
    return to_array(image)


def kept_share(size: tuple[int, int], shape: Shape, fit: str) -> float:
    """Return the share of an image's area that remains after resizing, in (0, 1]; 1 unless ``fit`` is "crop".

    Args:
        size: (width, height) of the image.
        shape: (C, H, W) of the result.
        fit: "crop", "pad" or "squash".
    """
    if fit != "crop":
        return 1.0
    left, top, right, bottom = crop_box(size, shape[2], shape[1])
    return (right - left) * (bottom - top) / (size[0] * size[1])


def padded_share(size: tuple[int, int], shape: Shape, fit: str) -> float:
    """Return the share of the result that is border, in [0, 1); 0 unless ``fit`` is "pad".

    Args:
        size: (width, height) of the image.
        shape: (C, H, W) of the result.
        fit: "crop", "pad" or "squash".
    """
    if fit != "pad":
        return 0.0
    width, height = _padded_size(size, shape[2], shape[1])
    return 1 - width * height / (shape[2] * shape[1])
