"""Run an upscaler on a large image in overlapping tiles, with bounded memory and the result of the whole image.

A tile is computed with a margin, and the margin of the result is cut off. If the margin covers the pixels that an output
pixel depends on (``reach`` of the network), the result is that of the whole image except for rounding.
"""

import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ganloom.networks.restore import RRDBNet

MEASURED = 64
"""Margin of networks that reach farther. RRDBNet's 23 blocks reach 350 pixels, but the weight of distant pixels is tiny. Measured
with RealESRGAN_x4plus beside a tile's edge: a margin of 16 pixels changes the result by up to 16 of 255, 32 by 6, 48 by 3, and 64
and 96 by 1."""
LARGEST = 512
"""Largest tile, in input pixels a side without the margin: larger ones are no faster."""
SMALLEST = 32
MEMORY = 1024 * 2**20
"""Approximate bytes of features of a tile."""
STEP = 8
"""Tiles and margins are multiples of it, so that networks that join pixels to blocks see the same blocks in each tile."""


def margin_of(net: nn.Module) -> int:
    """Return the margin around a tile, in input pixels."""
    reach = int(getattr(net, "reach", MEASURED))
    return -(-min(reach, MEASURED * int(getattr(net, "unshuffle", 1))) // STEP) * STEP


def bytes_per_pixel(net: nn.Module) -> int:
    """Estimate the bytes of features that a network holds at a time, for each input pixel."""
    inner = getattr(net, "net", net)
    if isinstance(inner, RRDBNet):
        return inner.bytes_per_pixel
    width = max(p.shape[0] for p in inner.parameters() if p.dim() == 4)
    widest = max(p.shape[1] for p in inner.parameters() if p.dim() == 4)
    pixels = 1 if hasattr(inner, "base") else (int(inner.scale) ** 2)  # type: ignore[arg-type]
    return 4 * (4 * max(width, widest) + 3 * width * pixels)


def side_of(net: nn.Module, memory: float = MEMORY) -> int:
    """Return the side of a tile without its margin that fits into a memory limit in bytes."""
    with_margin = int(math.sqrt(memory / bytes_per_pixel(net)))
    side = min(LARGEST, with_margin - 2 * margin_of(net))
    return max(SMALLEST, side // STEP * STEP)


def boxes(height: int, width: int, side: int) -> Iterator[tuple[int, int, int, int]]:
    """Yield (top, bottom, left, right) of the tiles of an image, row by row. All have about equal sizes, at most ``side``."""
    down, across = (_equal(length, side) for length in (height, width))
    for top in range(0, height, down):
        for left in range(0, width, across):
            yield top, min(top + down, height), left, min(left + across, width)


def _equal(length: int, side: int) -> int:
    """Return the multiple of STEP that cuts a length into the same number of about equal parts as ``side``, itself one."""
    parts = math.ceil(length / side)
    return math.ceil(math.ceil(length / parts) / STEP) * STEP


def count(height: int, width: int, side: int) -> int:
    """Return the number of tiles."""
    return -(-height // side) * -(-width // side)


@torch.no_grad()
def enlarged(
    net: nn.Module,
    pixels: NDArray[Any],
    prepare: Callable[[NDArray[Any]], Tensor],
    finish: Callable[[Tensor], NDArray[Any]],
    side: int | None = None,
    each: Callable[[float, int], None] | None = None,
) -> NDArray[Any]:
    """Enlarge an image tile by tile.

    Args:
        net: The upscaler, for images in [0, 1]. It has ``scale`` and ``reach``.
        pixels: (H, W, C), of any type.
        prepare: Converts a part (h, w, C) to the network's input (1, c, h, w).
        finish: Converts an output (1, c, h, w) to a part (h, w, C') of the result.
        side: Side of a tile without its margin, in input pixels. None: by memory.
        each: Called with (tiles done, tiles) before each tile, inside large networks, and at the end.

    Returns:
        (scale x H, scale x W, C').
    """
    height, width = pixels.shape[:2]
    scale, margin = int(net.scale), margin_of(net)  # type: ignore[arg-type]
    side = side_of(net) if side is None else max(STEP, side // STEP * STEP)
    total, result = count(height, width, side), None
    for number, (top, bottom, left, right) in enumerate(boxes(height, width, side)):
        if each is not None:
            each(number, total)
        up, down = max(0, top - margin), min(height, bottom + margin)
        before, after = max(0, left - margin), min(width, right + margin)
        part = prepare(pixels[up:down, before:after])
        if each is not None and isinstance(net, RRDBNet):  # a tile takes long
            y = net(part, lambda share, number=number: each(number + share, total))
        else:
            y = net(part)
        y = y[:, :, (top - up) * scale : (bottom - up) * scale, (left - before) * scale : (right - before) * scale]
        done = finish(y)
        if result is None:
            result = np.empty((height * scale, width * scale, done.shape[2]), done.dtype)
        result[top * scale : bottom * scale, left * scale : right * scale] = done
    if each is not None:
        each(total, total)
    assert result is not None
    return result
