"""Regular patterns with the period of an upsampling, on flat areas: the checkerboards of generators and upscalers."""

import torch
from torch import Tensor

REPEATS = 4
"""A block has this many periods a side."""
FLAT = 2.0
"""Largest standard deviation of a flat block of the true image about a plane, in levels of 255."""


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
    residual, spread = _without_plane(made, period), _without_plane(true, period)
    flat = spread.square().mean((4, 5)).sqrt().amax(3) < FLAT
    pattern = residual.unflatten(5, (REPEATS, period)).unflatten(4, (REPEATS, period)).mean((4, 6))
    strength = pattern.square().mean((3, 4, 5)).sqrt()
    return [values[places] for values, places in zip(strength, flat, strict=True)]


def _without_plane(x: Tensor, period: int) -> Tensor:
    """Cut images into blocks (N, rows, columns, C, B, B), in levels of 255, minus the best plane of each."""
    side = REPEATS * period
    height, width = (length // side * side for length in x.shape[2:])
    levels = x[:, :, :height, :width].double().mul(127.5)
    blocks = levels.unflatten(3, (-1, side)).unflatten(2, (-1, side)).permute(0, 2, 4, 1, 3, 5)
    at = torch.arange(side, dtype=torch.float64) - (side - 1) / 2
    norm = side * at.square().sum()
    down = (blocks * at[:, None]).sum((4, 5), keepdim=True) / norm
    right = (blocks * at).sum((4, 5), keepdim=True) / norm
    rest: Tensor = blocks - blocks.mean((4, 5), keepdim=True) - down * at[:, None] - right * at
    return rest
