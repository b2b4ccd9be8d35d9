"""The batch that a recipe's losses receive."""

from typing import NamedTuple

from torch import Tensor


class Batch(NamedTuple):
    """One batch of N samples.

    A recipe may return another NamedTuple from ``GAN.draw``. It must have a field ``x``, and all fields must have the
    same length.

    Attributes:
        x: Real data: images (N, C, H, W) float32 in [-1, 1], or points (N, d).
        c: Condition: labels (N,) int64, a caption, a mask or a low-resolution image. None without a condition.
        y: Second domain or target, None if there is none.
    """

    x: Tensor
    c: Tensor | None = None
    y: Tensor | None = None
