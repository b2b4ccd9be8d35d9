"""Images on their way into a feature net: checked, brought to the net's channels and size."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from ganloom.core.errors import BadInput

Images = Tensor | NDArray[np.floating] | NDArray[np.uint8]


def check_images(x: Images, name: str, *, allow_uint8: bool = False) -> Tensor:
    """``x`` as a float32 CPU tensor (N, C, H, W) in [-1, 1] with 1 to 4 channels, or one clear `BadInput`.

    With ``allow_uint8``, uint8 in 0..255 is taken too, channels first or last. A float that leaves [-1, 1] by less than
    0.01 (a resize, a half-precision save) is clamped; anything beyond has another range and is refused.
    """
    t = torch.as_tensor(x).detach().cpu()
    if t.dtype == torch.uint8 and allow_uint8 and t.ndim == 4:
        if t.shape[1] > 4 and t.shape[3] <= 4:
            t = t.permute(0, 3, 1, 2)
        t = t.float() / 127.5 - 1
    if t.ndim != 4 or not 1 <= t.shape[1] <= 4:
        raise BadInput(f"{name}: shape {tuple(t.shape)} is not (N, C, H, W) with 1 to 4 channels")
    if not t.is_floating_point():
        raise BadInput(f"{name}: images are {t.dtype}; give floats in [-1, 1] (uint8 x: x / 127.5 - 1)")
    if t.numel() == 0:
        raise BadInput(f"{name}: no images (shape {tuple(t.shape)})")
    low, high = t.amin().item(), t.amax().item()
    if not (low >= -1.01 and high <= 1.01):  # NaN fails too
        raise BadInput(f"{name}: values from {low:.4g} to {high:.4g}; images must be finite and in [-1, 1]")
    return t.float().clamp(-1, 1)


def to_channels(x: Tensor, channels: int) -> Tensor:
    """(N, 1..4, H, W) in [-1, 1] as grey (1) or RGB (3).

    Two and four channels end in alpha (-1 clear, 1 opaque) and are laid on white. Grey is repeated for RGB; RGB becomes
    grey by ITU-R 601 luma.
    """
    if x.shape[1] in (2, 4):
        alpha = (x[:, -1:] + 1) / 2
        x = x[:, :-1] * alpha + (1 - alpha)
    if x.shape[1] == channels:
        return x
    if channels == 3:
        return x.expand(-1, 3, -1, -1)
    weights = torch.tensor([0.299, 0.587, 0.114], device=x.device, dtype=x.dtype)
    return (x * weights[:, None, None]).sum(1, keepdim=True)


def to_size(x: Tensor, size: int) -> Tensor:
    """(N, C, H, W) to (N, C, size, size), bilinear and antialiased; untouched when it fits already."""
    if x.shape[2:] == (size, size):
        return x
    return F.interpolate(x, (size, size), mode="bilinear", antialias=True, align_corners=False)
