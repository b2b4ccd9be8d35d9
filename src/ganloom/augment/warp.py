"""Affine maps of images and of colours, and the anti-aliased warp of adaptive augmentation (Karras et al. 2020,
arXiv:2006.06676, app. B). Everything is differentiable twice with torch's public functions.
"""

import functools
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

SYM2 = (-0.12940952255092145, 0.22414386804185735, 0.836516303737469, 0.48296291314469025)
SYM6 = (
    0.015404109327027373, 0.0034907120842174702, -0.11799011114819057, -0.048311742585633, 0.4910559419267466,
    0.787641141030194, 0.3379294217276218, -0.07263752278646252, -0.021060292512300564, 0.04472490177066578,
    0.0017677118642428036, -0.007800708325034148,
)  # fmt: skip
"""Wavelets of the symlet family: low-pass filters for alias-free resampling (Daubechies 1992)."""


def _rows(rows: list[list[Tensor]]) -> Tensor:
    return torch.stack([torch.stack(row, 1) for row in rows], 1)


def scaling(x: Tensor, y: Tensor) -> Tensor:
    """Return the maps (N, 3, 3) that scale by x and y, each (N,)."""
    zero, one = torch.zeros_like(x), torch.ones_like(x)
    return _rows([[x, zero, zero], [zero, y, zero], [zero, zero, one]])


def translation(x: Tensor, y: Tensor) -> Tensor:
    """Return the maps (N, 3, 3) that shift by x and y, each (N,)."""
    zero, one = torch.zeros_like(x), torch.ones_like(x)
    return _rows([[one, zero, x], [zero, one, y], [zero, zero, one]])


def rotation(angle: Tensor) -> Tensor:
    """Return the maps (N, 3, 3) that rotate by angles (N,) in radians."""
    zero, one, c, s = torch.zeros_like(angle), torch.ones_like(angle), angle.cos(), angle.sin()
    return _rows([[c, -s, zero], [s, c, zero], [zero, zero, one]])


def rounded(quarters: Tensor) -> Tensor:
    """Round quarter turns to whole numbers."""
    return quarters.round()


def colour_rotation(axis: Tensor, along: Tensor, angle: Tensor, one: Tensor) -> Tensor:
    """Return the rotation of colours around an axis: cos I + (1 - cos) v v^T + sin [v]x; the fourth number is kept."""
    x, y, z, _ = axis.tolist()
    cross = torch.tensor([[0, -z, y, 0], [z, 0, -x, 0], [-y, x, 0, 0], [0, 0, 0, 0]], device=axis.device)
    last = torch.zeros_like(one)
    last[3, 3] = 1
    return angle.cos() * (one - last) + (1 - angle.cos()) * along + angle.sin() * cross + last


def frequency_bands() -> Any:
    """Return (4, 43) float32: filters of four bands that sum to the identity, from sym2 (app. B, image-space filtering)."""
    low = np.asarray(SYM2)
    high = low * (-1.0) ** np.arange(len(low))
    low2, high2 = np.convolve(low, low[::-1]) / 2, np.convolve(high, high[::-1]) / 2
    bank = np.eye(4, 1)
    for i in range(1, 4):
        spread = np.zeros((4, 2 * bank.shape[1] - 1))
        spread[:, ::2] = bank
        bank = np.stack([np.convolve(row, low2) for row in spread])
        start = (bank.shape[1] - len(high2)) // 2
        bank[i, start : start + len(high2)] += high2
    return bank.astype(np.float32)


def reflected(x: Tensor, left: int, right: int, top: int, bottom: int) -> Tensor:
    """Pad an image by mirroring it at its border pixels, repeatedly if the padding is wide."""
    for axis, before, after in ((3, left, right), (2, top, bottom)):
        if before or after:
            x = x.index_select(axis, _mirror(x.shape[axis], before, after).to(x.device))
    return x


@functools.lru_cache(64)
def _mirror(side: int, before: int, after: int) -> Tensor:
    period = max(2 * side - 2, 1)
    place = torch.arange(-before, side + after) % period
    return torch.minimum(place, period - place) if side > 1 else torch.zeros_like(place)


def warped(x: Tensor, inverse: Tensor) -> Tensor:
    """Resample x at the positions inverse x position, without aliasing: pad by mirroring, upsample, sample, downsample.

    The filters are products with band matrices, which on a CPU take a fifth of the time of one-channel convolutions.
    """
    n, c, height, width = x.shape
    border = len(SYM6) // 4
    up, down = [[_matrix(kind, side).to(x.device) for side in (height, width)] for kind in ("up", "down")]
    y = up[0] @ x @ up[1].t()
    ones = torch.ones(n, device=x.device)

    def shift(a: float, b: float) -> Tensor:
        return translation(ones * a, ones * b)

    def scale(a: float, b: float) -> Tensor:
        return scaling(ones * a, ones * b)

    doubled = shift(-0.5, -0.5) @ scale(2, 2) @ inverse @ scale(0.5, 0.5) @ shift(0.5, 0.5)
    out = (height + 2 * border) * 2, (width + 2 * border) * 2
    theta = scale(2 / y.shape[3], 2 / y.shape[2]) @ doubled @ scale(out[1] / 2, out[0] / 2)
    grid = F.affine_grid(theta[:, :2], [n, c, *out], align_corners=False)
    halved: Tensor = down[0] @ sampled(y, grid) @ down[1].t()
    return halved


@functools.lru_cache(16)
def _matrix(kind: str, side: int) -> Tensor:
    """Return the matrix that upsamples or downsamples by 2 with SYM6.

    "up": pads ``side`` pixels by mirroring side - 1 on both sides, then upsamples: (6 side - 4, side). "down": downsamples a
    row with 6 more pixels at each end: (side, 2 side + 12).
    """
    taps = torch.tensor(SYM6, dtype=torch.float64) / sum(SYM6)
    if kind == "down":
        matrix = torch.zeros(side, 2 * side + 12, dtype=torch.float64)
        for t, tap in enumerate(taps):
            matrix[torch.arange(side), 2 * torch.arange(side) + 1 + t] = tap
        return matrix.float()
    mirror = _mirror(side, side - 1, side - 1)
    length = len(mirror)
    matrix = torch.zeros(2 * length, side, dtype=torch.float64)
    for t, tap in enumerate(taps):
        source = torch.arange(length)
        row = 2 * source + t - 5
        inside = (row >= 0) & (row < 2 * length)
        matrix.index_put_((row[inside], mirror[source[inside]]), 2 * tap, accumulate=True)
    return matrix.float()


def sampled(x: Tensor, grid: Tensor) -> Tensor:
    """Apply ``grid_sample`` (bilinear, zeros outside), differentiable in x any number of times; the grid has no gradient."""
    out: Tensor = _Sampled.apply(x, grid.detach())
    return out


class _Sampled(torch.autograd.Function):
    """``grid_sample`` is linear in x: its gradient is the transposed map, whose gradient is this map again."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, grid: Tensor) -> Tensor:  # type: ignore[override]
        ctx.save_for_backward(grid)
        ctx.shape = x.shape
        return F.grid_sample(x, grid, align_corners=False)

    @staticmethod
    def backward(ctx: Any, slopes: Tensor) -> tuple[Tensor, None]:  # type: ignore[override]
        (grid,) = ctx.saved_tensors
        return _Spread.apply(slopes, grid, ctx.shape), None


class _Spread(torch.autograd.Function):
    """The gradient of ``grid_sample`` with respect to its input."""

    @staticmethod
    def forward(ctx: Any, slopes: Tensor, grid: Tensor, shape: torch.Size) -> Tensor:  # type: ignore[override]
        ctx.save_for_backward(grid)
        with torch.enable_grad():
            x = slopes.new_zeros(shape).requires_grad_(True)
            (spread,) = torch.autograd.grad(F.grid_sample(x, grid, align_corners=False), x, slopes)
        return spread

    @staticmethod
    def backward(ctx: Any, slopes: Tensor) -> tuple[Tensor, None, None]:  # type: ignore[override]
        (grid,) = ctx.saved_tensors
        return _Sampled.apply(slopes, grid), None, None
