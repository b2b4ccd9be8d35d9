"""Resizers of the Inception features. Distances are comparable only with the same resizer.

Parmar et al. 2022, "On Aliased Resizing and Surprising Subtleties in GAN Evaluation" (arXiv:2104.11222): the resizer alone
changes FID by more than the gains of most papers. All take (N, C, H, W) float32 in 0..255 and return (N, C, side, side).
"""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F


def legacy(x: Tensor, side: int) -> Tensor:
    """TensorFlow 1's bilinear resize: sample i is at i * H / side, without half-pixel shift and antialiasing."""
    if x.shape[2:] == (side, side):
        return x
    top, bottom, down = _taps(x.shape[2], side, x.device)
    left, right, across = _taps(x.shape[3], side, x.device)

    def row(indices: Tensor) -> Tensor:
        line = x[:, :, indices]
        a, b = line[..., left], line[..., right]
        return a + (b - a) * across

    above, below = row(top), row(bottom)
    return above + (below - above) * down[:, None]


def _taps(size: int, side: int, device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
    """The two neighbours of each output sample, and the weight of the second."""
    at = torch.arange(side, dtype=torch.float32, device=device) * (size / side)
    low = at.floor().long().clamp(max=size - 1)
    return low, (low + 1).clamp(max=size - 1), at - low


def clean(x: Tensor, side: int) -> Tensor:
    """Clean-FID's resize: bicubic with antialiasing (as Pillow on 32-bit floats), clipped to 0..255, not rounded."""
    if x.shape[2:] == (side, side):
        return x
    return F.interpolate(x, (side, side), mode="bicubic", antialias=True, align_corners=False).clamp(0, 255)


def halfpixel(x: Tensor, side: int) -> Tensor:
    """pytorch-fid's resize: bilinear about pixel centres, without antialiasing."""
    if x.shape[2:] == (side, side):
        return x
    return F.interpolate(x, (side, side), mode="bilinear", align_corners=False)


RESIZERS: dict[str, Callable[[Tensor, int], Tensor]] = {"legacy": legacy, "clean": clean, "halfpixel": halfpixel}
