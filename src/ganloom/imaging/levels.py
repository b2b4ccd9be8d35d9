"""Convert between the 256 levels of 8 bits and floats in [-1, 1]."""

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor


def from_uint8(images: npt.NDArray[np.uint8] | Tensor) -> Tensor:
    """Convert images of 8 bits to floats. The inverse of ``grid.to_uint8``.

    Args:
        images: (N, H, W, C) uint8.

    Returns:
        (N, C, H, W) float32 in [-1, 1], new, with the strides of the permuted view: channels_last without a copy.
    """
    x = torch.from_numpy(np.require(images, requirements="W")) if isinstance(images, np.ndarray) else images
    return from_levels(x.permute(0, 3, 1, 2))


def from_levels(x: Tensor) -> Tensor:
    """Convert levels in 0..255, of any shape and type, to a new float32 tensor in [-1, 1]."""
    return x.to(torch.float32, copy=True).div_(127.5).sub_(1.0)


def rounded(x: Tensor) -> Tensor:
    """Clip images in [-1, 1] and round them to the 256 levels of 8 bits, halves to the even level."""
    return x.clamp(-1, 1).add(1).mul(127.5).round().div(127.5).sub(1)
