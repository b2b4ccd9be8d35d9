"""Sliced Wasserstein distance: the distance of two sets after projection to random lines.

Rabin et al. 2011, "Wasserstein Barycenter and its Application to Texture Mixing"; Bonneel et al. 2015. Unlike the
Frechet distance it does not assume Gaussians.
"""

import math

import torch
from torch import Tensor

from ganloom.core.errors import BadInput
from ganloom.metrics.statistics.rows import Features, as_pair


def sliced_wasserstein(real: Features, fake: Features, *, projections: int = 512, seed: int = 0) -> float:
    """Compute the root of the mean, over random directions, of the squared 2-Wasserstein distance of the projections.

    A shift by the vector v gives |v| / sqrt(d) on average over directions. Between samples of one distribution the
    distance is above 0, like 1 / sqrt(N): compare it with a real-versus-real floor.

    Args:
        real: (N, d) features; the computation is in float64.
        fake: (M, d) features. M may differ from N.
        projections: number of directions.
        seed: keys the directions.

    Returns:
        The distance.

    Raises:
        BadInput: NaN or Inf, different d, fewer than 2 rows, or no projections.
    """
    a, b = as_pair(real, fake)
    if projections < 1:
        raise BadInput(f"projections: {projections}; give 1 or more")
    rng = torch.Generator().manual_seed(seed)
    rows_a, rows_b, weight = _couple(len(a), len(b))
    total = 0.0
    for start in range(0, projections, 32):
        directions = torch.randn(a.shape[1], min(32, projections - start), generator=rng, dtype=torch.float64)
        directions /= directions.norm(dim=0)
        x, y = _projected(a, directions)[rows_a], _projected(b, directions)[rows_b]
        total += float((weight[:, None] * (x - y).square()).sum())
    return math.sqrt(total / projections)


def _projected(x: Tensor, directions: Tensor) -> Tensor:
    """Sorted projections (N, directions)."""
    return torch.cat([part.double() @ directions for part in x.split(65536)]).sort(0).values


def _couple(n: int, m: int) -> tuple[Tensor, Tensor, Tensor]:
    """The monotone coupling of n and m sorted points of equal mass: pairs of indices and the mass of each pair."""
    cuts = torch.cat([torch.arange(1, n + 1) * m, torch.arange(1, m + 1) * n]).unique()  # of n * m
    weight = torch.diff(cuts, prepend=torch.zeros(1, dtype=cuts.dtype))
    before = cuts - weight
    return before // m, before // n, weight.double() / (n * m)
