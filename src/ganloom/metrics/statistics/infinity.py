"""Frechet distance without its bias: extrapolated to infinitely many samples.

Chong and Forsyth 2020, "Effectively Unbiased FID and Inception Score" (arXiv:1911.07023): the expected distance of n
samples is the true distance plus c / n. A line through the distances at several n, plotted over 1 / n, has the true
distance as its intercept.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from ganloom.core.errors import BadInput
from ganloom.metrics.statistics.frechet import frechet_distance
from ganloom.metrics.statistics.intervals import Halves, half_samples, interval
from ganloom.metrics.statistics.rows import Features, as_pair


@dataclass(frozen=True)
class Extrapolation:
    """A Frechet distance at infinitely many samples.

    Attributes:
        value: the intercept of the line. It may be below 0 if the true distance is near 0.
        low: lower end of the 95 % interval over the draw of both samples.
        high: upper end.
        points: the (n, distance) pairs that the line was fitted to.
    """

    value: float
    low: float
    high: float
    points: tuple[tuple[int, float], ...]


def frechet_infinity(real: Features, fake: Features, *, points: int = 15, seed: int = 0) -> Extrapolation:
    """Extrapolate `frechet_distance` from subsets between a third of the samples and all of them.

    Both sets are cut to n random rows. (The paper cuts the fakes only and draws them by a Sobol sequence. Here the
    reference is a sample too, and its bias is removed as well.) The line is weighted by n. The interval comes from
    `frechet_distance` of complementary half-samples, see `Line.variance`.

    Args:
        real: (N, d) features.
        fake: (M, d) features.
        points: number of subsets, 3 or more.
        seed: keys the subsets.

    Returns:
        The value, its interval and the points of the line.

    Raises:
        BadInput: a third of the samples is not more than d (the expansion in 1 / n needs more), NaN or Inf, or
            different d.
    """
    a, b = as_pair(real, fake)
    line = fit_line(a, b, points=points, seed=seed)
    most = min(len(a), len(b))  # the line uses as many rows of the larger set
    halves = half_samples(lambda i, j: {"fd": frechet_distance(a[i], b[j])}, (most, most), seed=seed)
    spread = math.sqrt(line.variance(halves, "fd"))
    return Extrapolation(line.intercept, *interval(line.intercept, spread, halves.pairs + 1), line.points)


@dataclass(frozen=True)
class Line:
    """A line through distances over 1 / n: intercept = sum of weight x distance over the points."""

    points: tuple[tuple[int, float], ...]
    weights: Tensor

    @property
    def intercept(self) -> float:
        """The value at infinitely many samples."""
        return float((self.weights * torch.tensor([y for _, y in self.points], dtype=torch.float64)).sum())

    def variance(self, halves: Halves, name: str) -> float:
        """Variance of the intercept over the draw of both samples, from half-samples of the distance at all samples.

        The distance at a random subset of m out of n samples has the variance L n/m + Q (n/m)^2, where L and Q are the
        variances of the linear and the quadratic term at n. Two subsets that are drawn independently share rows by
        chance and have the covariance L + Q.
        """
        most = self.points[-1][0]
        ratio = most / torch.tensor([n for n, _ in self.points], dtype=torch.float64)
        squares = self.weights.square()
        linear, quadratic = halves.linear_and_quadratic(name)
        of_linear, of_quadratic = 1 + (squares * (ratio - 1)).sum(), 1 + (squares * (ratio**2 - 1)).sum()
        return float(linear * of_linear + quadratic * of_quadratic)


def fit_line(a: Tensor, b: Tensor, *, points: int = 15, seed: int = 0) -> Line:
    """Fit the line of `frechet_infinity` to checked rows (N, d) and (M, d)."""
    most, d = min(len(a), len(b)), a.shape[1]
    least = most // 3
    if points < 3 or least <= d:
        raise BadInput(
            f"extrapolation: {most} samples of {d} features; it needs 3 points and more than {3 * d} samples, else the"
            " bias is not a line in 1 / n. Give more samples, or use kd, which has no bias"
        )
    rng = torch.Generator().manual_seed(seed)
    distances: list[tuple[int, float]] = []
    for inverse in torch.linspace(1 / least, 1 / most, points, dtype=torch.float64).tolist():
        n = round(1 / inverse)
        rows = [x[torch.randperm(len(x), generator=rng)[:n]] for x in (a, b)]
        distances.append((n, frechet_distance(rows[0], rows[1])))
    return Line(tuple(distances), _intercept_weights(torch.tensor([n for n, _ in distances], dtype=torch.float64)))


def _intercept_weights(n: Tensor) -> Tensor:
    """Weights (points,) of the values in the intercept of a least squares line over 1 / n, weighted by n."""
    x, weight = 1 / n, n / n.sum()
    mean = (weight * x).sum()
    across = (weight * (x - mean).square()).sum()
    return weight * (1 - mean * (x - mean) / across)
