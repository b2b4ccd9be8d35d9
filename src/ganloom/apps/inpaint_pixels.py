"""Fill the holes of one image with a model or a classical method: any size, any channels, 8 and 16 bits, bounded memory."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from ganloom.core.errors import BadInput
from ganloom.nn import biharmonic

Progress = Callable[[str, int, int], None] | None
CONTEXT = 64
"""Smallest number of pixels around a hole that a model sees."""
MEMORY = 1024.0
"""Memory for the features of a model, in MiB."""


def fill_pixels(
    pixels: NDArray[Any], mask: NDArray[np.bool_], gan: Any, *, memory: float = MEMORY, progress: Progress = None
) -> tuple[NDArray[Any], list[str]]:
    """Fill the holes of an image.

    Args:
        pixels: (H, W, 1 to 4), uint8, uint16 or float32 in [0, 1]; with 2 or 4 channels the last one is alpha.
        mask: (H, W), True where a pixel is to be filled. Values there are not used.
        gan: A model with ``inpaint``, or None for the biharmonic fill.
        memory: Largest memory for features of the model, in MiB. More than that is filled in parts, or at a smaller scale.
        progress: Called with (what, done, total).

    Returns:
        (pixels of the same shape and type, lines for the user). Known pixels are those of the input, bit for bit.

    Raises:
        BadInput: The mask has another size, is empty, or covers the whole image.
    """
    check_mask(mask, pixels.shape[:2])
    top = white_of(pixels, mask)
    scaled = pixels.astype(np.float32) / top
    scaled[mask] = 0
    colours = pixels.shape[2] - (pixels.shape[2] in (2, 4))
    notes: list[str] = []
    result = np.empty_like(scaled)
    smooth = _progress_of(progress, "filling holes smoothly")
    if gan is None:
        result[..., :colours] = biharmonic.fill_pixels(scaled[..., :colours], mask, progress=smooth)
    else:
        result[..., :colours] = _by_model(scaled[..., :colours], mask, gan, memory, smooth, progress, notes)
    if colours < pixels.shape[2]:
        result[..., colours:] = biharmonic.fill_pixels(scaled[..., colours:], mask)
    out = pixels.copy()
    values = result[mask] * top
    limit = np.iinfo(pixels.dtype).max if pixels.dtype.kind == "u" else 1.0
    out[mask] = np.clip(np.rint(values) if pixels.dtype.kind == "u" else values, 0, limit).astype(pixels.dtype)
    return out, notes


def check_mask(mask: NDArray[np.bool_], size: tuple[int, ...], name: str = "the mask") -> None:
    """Raise BadInput if a mask has another size than its image, is empty, or covers the whole image."""
    height, width = mask.shape
    if (height, width) != tuple(size[:2]):
        raise BadInput(
            f"{name} has {width} x {height} pixels and the image {size[1]} x {size[0]}: give a mask of the image's size"
        )
    if not mask.any():
        raise BadInput(f"{name} is empty: there is nothing to fill. White pixels (or the chosen colour) are the hole")
    if mask.all():
        raise BadInput(f"{name} covers the whole image: no pixel is known. White pixels are the hole; is it inverted?")


def white_of(pixels: NDArray[Any], mask: NDArray[np.bool_]) -> float:
    """Return the number that counts as white: 255, 1.0, or for 16 bits the smallest of 255, 511, ... that none exceeds."""
    if pixels.dtype != np.uint16:
        return 255.0 if pixels.dtype == np.uint8 else 1.0
    return float((1 << max(int(pixels[~mask].max()).bit_length(), 8)) - 1)


def _progress_of(progress: Progress, what: str) -> Callable[[int, int], None] | None:
    return None if progress is None else lambda done, total: progress(what, done, total)


def _by_model(
    pixels: NDArray[np.float32],
    mask: NDArray[np.bool_],
    gan: Any,
    memory: float,
    smooth: Callable[[int, int], None] | None,
    progress: Progress,
    notes: list[str],
) -> NDArray[np.float32]:
    """Fill the holes of a float image (H, W, 1 or 3): as a whole if that fits into memory, else region by region."""
    residual = getattr(gan.cfg, "fill", "none") == "biharmonic"
    start = biharmonic.fill_pixels(pixels, mask, progress=smooth) if residual else pixels
    out = start.copy()
    whole = pixels.shape[0] * pixels.shape[1] <= _most_pixels(gan, memory)
    if whole and not residual:
        boxes = [(slice(0, mask.shape[0]), slice(0, mask.shape[1]))]
    else:
        boxes = [box[:2] for box in biharmonic.regions(mask)]
    for number, (rows, columns) in enumerate(boxes):
        if progress is not None:
            progress("filling holes with the model", number, len(boxes))
        rows, columns = _with_context(rows, mask.shape[0]), _with_context(columns, mask.shape[1])
        # Regions may overlap: each starts from the smooth fill, and all holes in it get the model's pixels.
        part, hole = start[rows, columns], mask[rows, columns]
        out[rows, columns][hole] = _region(part, hole, gan, memory, notes)[hole]
    return out


def _with_context(side: slice, length: int) -> slice:
    margin = max(CONTEXT, (side.stop - side.start) // 2)
    return slice(max(side.start - margin, 0), min(side.stop + margin, length))


def _most_pixels(gan: Any, memory: float) -> float:
    return memory * 2**20 / float(getattr(gan.G, "bytes_per_pixel", 1024))


def _region(
    part: NDArray[np.float32], hole: NDArray[np.bool_], gan: Any, memory: float, notes: list[str]
) -> NDArray[np.float32]:
    """Run the model on one region: at once, in tiles if it sees only what is near, or at a smaller scale."""
    most = _most_pixels(gan, memory)
    x = torch.from_numpy(part.transpose(2, 0, 1).copy())[None] * 2 - 1
    mask = torch.from_numpy(hole)[None, None].float()
    if hole.size <= most:
        y = _complete(gan, x, mask)
    elif (reach := getattr(gan.G, "reach", None)) is not None:
        y = _in_tiles(gan, x, mask, int(reach), most)
    else:
        factor = (most / hole.size) ** 0.5
        size = [max(int(n * factor), 1) for n in hole.shape]
        notes.append(
            f"a hole of {hole.shape[1]} x {hole.shape[0]} pixels with its surroundings was filled at {factor:.0%} of its "
            "size, to fit into --memory"
        )
        small_mask = F.interpolate(mask, size, mode="area").gt(0).float()
        weight = F.interpolate(1 - mask, size, mode="area").clamp_min(1e-6)
        small = F.interpolate(x * (1 - mask), size, mode="area") / weight  # known pixels only
        y = F.interpolate(_complete(gan, small, small_mask), hole.shape, mode="bicubic", align_corners=False)
    return ((y[0].clamp(-1, 1) + 1) / 2).numpy().transpose(1, 2, 0)


def _in_tiles(gan: Any, x: Tensor, mask: Tensor, reach: int, most: float) -> Tensor:
    """Complete an image in tiles that overlap by what the model sees; the result is that of the whole image."""
    multiple = int(getattr(gan.G, "multiple", 1))
    margin = -(-reach // multiple) * multiple
    side = max(int(most**0.5) // multiple * multiple - 2 * margin, 8 * multiple)
    height, width = x.shape[2:]
    y = x.clone()
    for top in range(0, height, side):
        for left in range(0, width, side):
            if not bool(mask[:, :, top : top + side, left : left + side].any()):
                continue
            begin = max(top - margin, 0), max(left - margin, 0)
            rows, columns = slice(begin[0], top + side + margin), slice(begin[1], left + side + margin)
            done = _complete(gan, x[:, :, rows, columns], mask[:, :, rows, columns])
            inner = done[:, :, top - begin[0] :, left - begin[1] :][:, :, :side, :side]
            y[:, :, top : top + side, left : left + side] = inner
    return y


def _complete(gan: Any, x: Tensor, mask: Tensor) -> Tensor:
    """Call the model with the channels that it has: grey is repeated, and colours go one by one through a grey model."""
    wanted, channels = int(gan.cfg.shape[0]), x.shape[1]
    if wanted == channels:
        images = x
    elif wanted == 1:
        images, mask = x.transpose(0, 1), mask.expand(channels, -1, -1, -1)
    elif channels == 1:
        images = x.expand(-1, wanted, -1, -1)
    else:
        images = torch.cat([x, torch.ones_like(x[:, :1]).expand(-1, wanted - channels, -1, -1)], 1)[:, :wanted]
    y: Tensor = gan.complete(images, mask).cpu().float()
    if wanted == channels:
        return y
    if wanted == 1:
        return y.transpose(0, 1)
    return y[:, :3].mean(1, keepdim=True) if channels == 1 else y[:, :channels]
