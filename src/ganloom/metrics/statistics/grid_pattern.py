"""Regular patterns with the period of an upsampling, on flat areas: the checkerboards of generators and upscalers."""

import torch
from torch import Tensor

REPEATS = 4
"""A block has this many periods a side."""
FLAT = 2.0
"""Largest standard deviation of a flat block of the true image about a plane, in levels of 255."""
ROUNDING = 1 / 12
"""Variance of the error of rounding to 8 bits, in levels."""


def grid_pattern(made: Tensor, true: Tensor, period: int) -> list[Tensor]:
    """Measure the pattern that repeats every ``period`` pixels, on blocks where the true images are flat.

    A plane is subtracted from each block of REPEATS x REPEATS periods, and the pixels with the same place in the period are
    averaged. What is left is the part of the spectrum at the frequency of the period and its multiples. Noise without a
    pattern is reduced to 1 / REPEATS by the averaging.

    Args:
        made: Images (N, C, H, W) in [-1, 1].
        true: The true images, of the same shape.
        period: Period in pixels, at least 2: the factor of the upscaler.

    Returns:
        For each image the root mean square of the pattern in levels of 255, float64, one value for each flat block. An
        image without flat blocks has no values.
    """
    power, flat = pattern_power(made.double(), true.double(), period)
    return [values[places] for values, places in zip(power.sqrt(), flat, strict=True)]


def pattern_power(made: Tensor, true: Tensor, period: int) -> tuple[Tensor, Tensor]:
    """Compute the squares of the values of `grid_pattern`, with gradients and in the type of the images.

    Args:
        made: Images (N, C, H, W) in [-1, 1], of at least REPEATS periods a side.
        true: The true images, of the same shape.
        period: Period in pixels, at least 2.

    Returns:
        (mean square of the pattern of each block in levels of 255, which blocks are flat), both (N, rows, columns).
    """
    residual = _without_plane(made, period)
    pattern = residual.unflatten(5, (REPEATS, period)).unflatten(4, (REPEATS, period)).mean((4, 6))
    return pattern.square().mean((3, 4, 5)), _flat(true, period)


def grid_peak(made: Tensor, true: Tensor, period: int) -> Tensor:
    """Compare the power at the frequency of ``period`` and its multiples with the power at the neighbouring frequencies.

    Texture and noise have about the same power at both, so their value is near 1 however strong they are. A regular pattern
    has all its power at the former. Rounding to 8 bits is added to both, so that an area without any residual has the value 1.

    Args:
        made: Images (N, C, H, W) in [-1, 1].
        true: The true images, of the same shape.
        period: Period in pixels, at least 2: the factor of the upscaler.

    Returns:
        (N,) float64: for each image the ratio over all its flat blocks; NaN without flat blocks.
    """
    residual, flat = _without_plane(made.double(), period), _flat(true.double(), period)
    side = REPEATS * period
    power = torch.fft.fft2(residual).abs().square().div(side**2).mean(3) + ROUNDING
    total = (power * flat[..., None, None]).sum((1, 2))
    near = [total.roll((i, j), (1, 2)) for i in (-1, 0, 1) for j in (-1, 0, 1) if (i, j) != (0, 0)]
    places = torch.zeros(side, side, dtype=torch.bool)
    places[::REPEATS, ::REPEATS] = True
    places[0, 0] = False  # the mean of the block, which is 0
    ratio: Tensor = total[:, places].mean(1) / torch.stack(near).mean(0)[:, places].mean(1)
    return ratio


def _flat(true: Tensor, period: int) -> Tensor:
    """Return which blocks of the true images are flat, (N, rows, columns) bool."""
    spread = _without_plane(true, period).square().mean((4, 5)).sqrt()
    return spread.amax(3) < FLAT


def _without_plane(x: Tensor, period: int) -> Tensor:
    """Cut images into blocks (N, rows, columns, C, B, B), in levels of 255, minus the best plane of each block."""
    side = REPEATS * period
    height, width = (length // side * side for length in x.shape[2:])
    levels = x[:, :, :height, :width].mul(127.5)
    blocks = levels.unflatten(3, (-1, side)).unflatten(2, (-1, side)).permute(0, 2, 4, 1, 3, 5)
    at = torch.arange(side, dtype=x.dtype, device=x.device) - (side - 1) / 2
    norm = side * at.square().sum()
    down = (blocks * at[:, None]).sum((4, 5), keepdim=True) / norm
    right = (blocks * at).sum((4, 5), keepdim=True) / norm
    rest: Tensor = blocks - blocks.mean((4, 5), keepdim=True) - down * at[:, None] - right * at
    return rest
