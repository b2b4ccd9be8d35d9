"""Frechet distance without its bias: extrapolated to infinitely many samples.

Chong and Forsyth 2020, "Effectively Unbiased FID and Inception Score" (arXiv:1911.07023): the expected distance of n
samples is the true one plus c / n, so a line through distances at several n, drawn over 1 / n, meets the axis at the
true one.
"""

from dataclasses import dataclass

import torch

from ganloom.core.errors import BadInput
from ganloom.metrics.statistics.frechet import frechet_distance
from ganloom.metrics.statistics.intervals import t975
from ganloom.metrics.statistics.rows import Features, as_pair


@dataclass(frozen=True)
class Extrapolation:
    """``value`` at infinitely many samples, the 95 % interval of the fit, and the (n, distance) pairs it went through."""

    value: float
    low: float
    high: float
    points: tuple[tuple[int, float], ...]


def frechet_infinity(real: Features, fake: Features, *, points: int = 15, seed: int = 0) -> Extrapolation:
    """Extrapolate `frechet_distance` from ``points`` subsets between a third of the samples and all of them.

    Both sets are cut to n rows, drawn by ``seed`` (the paper cuts the fakes alone and draws them by a Sobol sequence;
    here the reference is a sample too, and its bias goes as well). The line is weighted by n. The value may be below 0
    where the true distance is near 0. The interval is the fit's only. The expansion in 1 / n needs more samples than
    features: `BadInput` when a third of them is not above d.
    """
    a, b = as_pair(real, fake)
    most, d = min(len(a), len(b)), a.shape[1]
    least = most // 3
    if points < 3 or least <= d:
        raise BadInput(
            f"extrapolation: {most} samples of {d} features; it needs 3 points and more than {3 * d} samples, else the"
            " bias is no line in 1 / n: give more samples, or read kd, which has no bias"
        )
    rng = torch.Generator().manual_seed(seed)
    found: list[tuple[int, float]] = []
    for share in torch.linspace(1 / least, 1 / most, points, dtype=torch.float64).tolist():
        n = round(1 / share)
        rows = [x[torch.randperm(len(x), generator=rng)[:n]] for x in (a, b)]
        found.append((n, frechet_distance(rows[0], rows[1])))
    n, y = torch.tensor(found, dtype=torch.float64).T
    value, spread = _intercept(1 / n, y, n)
    reach = t975(points - 2) * spread
    return Extrapolation(value, value - reach, value + reach, tuple(found))


def _intercept(x: torch.Tensor, y: torch.Tensor, weight: torch.Tensor) -> tuple[float, float]:
    """Weighted least squares: the line's value at 0 and its standard error."""
    weight = weight / weight.sum()
    mean_x, mean_y = (weight * x).sum(), (weight * y).sum()
    across = (weight * (x - mean_x).square()).sum()
    slope = (weight * (x - mean_x) * (y - mean_y)).sum() / across
    left = y - mean_y - slope * (x - mean_x)
    variance = (weight * left.square()).sum() * len(x) / (len(x) - 2)
    error = (variance / len(x) * (1 + mean_x.square() / across)).sqrt()
    return float(mean_y - slope * mean_x), float(error)
