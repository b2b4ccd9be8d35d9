"""What a recipe's losses receive: one batch of data, every field of equal length."""

from typing import NamedTuple

from torch import Tensor


class Batch(NamedTuple):
    """One batch.

    ``x`` is the real data: images (N, C, H, W) float32 in [-1, 1], or points (N, d). ``c`` is the condition: int64
    labels (N,), a caption, a mask or a low resolution image. ``y`` is a second domain or a target. A recipe may
    return a NamedTuple of its own from ``GAN.draw``; it must have ``x``, and all fields share their length.
    """

    x: Tensor
    c: Tensor | None = None
    y: Tensor | None = None
