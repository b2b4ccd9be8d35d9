"""The check that all images pass before they are measured."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ganloom.core.errors import BadInput
from ganloom.imaging import levels

Images = Tensor | NDArray[np.floating] | NDArray[np.uint8]


def check_images(x: Images, name: str, *, allow_uint8: bool = False) -> Tensor:
    """Check the shape and the range of images.

    Args:
        x: (N, C, H, W) floats in [-1, 1] with 1 to 4 channels. A value outside by less than 0.01 (from a resize or half
            precision) is clamped.
        name: what the images are, for the message.
        allow_uint8: also accept uint8 in 0..255, channels first or last.

    Returns:
        (N, C, H, W) float32 in [-1, 1] on the CPU.

    Raises:
        BadInput: another shape, type or range, NaN or Inf, or no images.
    """
    t = torch.as_tensor(x).detach().cpu()
    if t.dtype == torch.uint8 and allow_uint8 and t.ndim == 4:
        if t.shape[1] > 4 and t.shape[3] <= 4:
            t = t.permute(0, 3, 1, 2)
        t = levels.from_levels(t)
    if t.ndim != 4 or not 1 <= t.shape[1] <= 4:
        raise BadInput(f"{name}: shape {tuple(t.shape)} is not (N, C, H, W) with 1 to 4 channels")
    if not t.is_floating_point():
        raise BadInput(f"{name}: images are {t.dtype}; give floats in [-1, 1] (uint8 x: x / 127.5 - 1)")
    if t.numel() == 0:
        raise BadInput(f"{name}: no images (shape {tuple(t.shape)})")
    low, high = t.amin().item(), t.amax().item()
    if not (low >= -1.01 and high <= 1.01):  # also true for NaN
        raise BadInput(f"{name}: values from {low:.4g} to {high:.4g}; images must be finite and in [-1, 1]")
    return t.float().clamp(-1, 1)
