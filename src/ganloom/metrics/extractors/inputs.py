"""Convert images to the channels and the size of a feature net."""

import torch
from torch import Tensor
from torch.nn import functional as F


def to_channels(x: Tensor, channels: int) -> Tensor:
    """Convert images to grey or RGB.

    An alpha channel (the second of two or the fourth of four; -1 transparent, 1 opaque) is blended with white. Grey is
    repeated for RGB. RGB becomes grey by ITU-R 601 luma.

    Args:
        x: (N, C, H, W) in [-1, 1], C from 1 to 4.
        channels: 1 (grey) or 3 (RGB).

    Returns:
        (N, channels, H, W).
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
    """Resize (N, C, H, W) to (N, C, size, size), bilinear with antialiasing; unchanged if it has that size."""
    if x.shape[2:] == (size, size):
        return x
    return F.interpolate(x, (size, size), mode="bilinear", antialias=True, align_corners=False)
