"""95 % intervals of statistics of samples, by complementary half-samples.

An interval covers the mean of the statistic over repeated draws of the samples, at the same sample counts. It is not an
interval for infinitely many samples (a Frechet distance is biased at any count), and it does not include the randomness
of training.

Method. The classical bootstrap draws rows with replacement. About 37 % of its rows are copies, which breaks every
statistic of nearest neighbours. Here the rows are split at random into two halves without replacement, and the
statistic T is computed on both (half-sampling: McCarthy 1969; delete-half jackknife: Shao and Wu 1989; subsampling:
Politis and Romano 1994). The halves T1, T2 are independent samples of half the size, so E[(T1 - T2)^2] / 4 is half the
variance of T at half the count. How that becomes the variance at the full count depends on the kind of statistic:

- ``Halves.variance``: the variance falls as 1/n (means, roots of distances): the value is right as it is.
- ``Halves.smooth_variance``: T is a smooth function of the two distributions. It has a linear term (variance L, falls as
  1/n) and a quadratic term (variance Q, falls as 1/n^2; between equal distributions L = 0). Then E[(T1 - T2)^2] / 4 =
  L + 2 Q, and the variance of (T1 + T2) / 2 over random splits is Q, because the linear terms of the halves cancel.
  The variance in use is L + 2 Q, which is right if the distributions differ. Between equal distributions the interval is
  1.41 times too wide.
- `DistanceSpread`: a squared distance between distributions is skewed. Its root is less so, and gets the interval.
- ``Halves.design_effect``: T is a mean over rows whose values depend on each other (shares of nearest neighbours). The
  variance of a mean of independent rows is known at every count. The ratio of the two is measured on the halves.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ganloom.core.errors import BadInput
from ganloom.metrics.statistics.rows import Features, as_pair

Statistic = Callable[[Tensor, Tensor], float]
PAIRS = 20
"""Pairs of half-samples that an interval is computed from, unless the statistic is costly."""


@dataclass(frozen=True)
class Halves:
    """Values of several statistics on pairs of complementary half-samples.

    Attributes:
        values: name -> (pairs, 2) float64.
        share: rows in a pair over all rows: 1, or less if the rows were capped.
    """

    values: dict[str, Tensor]
    share: float

    @property
    def pairs(self) -> int:
        """Number of pairs: the degrees of freedom of the variances."""
        return len(next(iter(self.values.values())))

    def variance(self, name: str) -> float:
        """Variance at the full count of a statistic whose variance falls as 1/n."""
        return self._difference(name) * self.share

    def linear_and_quadratic(self, name: str) -> tuple[float, float]:
        """Variances L and Q at the full count of the linear and the quadratic term of a smooth statistic."""
        difference = self._difference(name)
        quadratic = float(self.values[name].mean(1).var()) if self.pairs > 1 else 0.0
        return max(0.0, difference - 2 * quadratic) * self.share, quadratic * self.share**2

    def smooth_variance(self, name: str) -> float:
        """Variance L + 2 Q at the full count of a smooth statistic."""
        linear, quadratic = self.linear_and_quadratic(name)
        return min(linear + 2 * quadratic, self.variance(name))

    def design_effect(self, name: str, row_variance: str) -> float:
        """Variance of a mean over dependent rows, divided by that of as many independent rows; at least 1.

        ``row_variance`` names the statistic that holds the variance of independent rows: variance of a row / rows.
        """
        independent = float(self.values[row_variance].mean()) / 2
        return max(1.0, self._difference(name) / independent) if independent > 0 else 1.0

    def _difference(self, name: str) -> float:
        """Mean of (T1 - T2)^2 / 4 over the splits."""
        return float((self.values[name].diff(dim=1) / 2).square().mean())


def half_samples(
    statistics: Callable[..., Mapping[str, float]],
    sizes: Sequence[int],
    *,
    pairs: int = PAIRS,
    seed: int = 0,
    share: float = 1.0,
) -> Halves:
    """Compute statistics on random splits of the rows into two halves.

    Args:
        statistics: takes one tensor of row indices for each set; returns name -> value.
        sizes: number of rows of each set, 4 or more.
        pairs: number of splits.
        seed: keys the splits.
        share: these rows over all rows, if `random_subsets` cut the sets.

    Returns:
        The values of both halves of every split.
    """
    rng = torch.Generator().manual_seed(seed)
    values = []
    for _ in range(pairs):
        halves = [torch.randperm(size, generator=rng)[: size // 2 * 2].chunk(2) for size in sizes]
        values.append([statistics(*(half[side] for half in halves)) for side in (0, 1)])
    names = values[0][0].keys()
    table = {name: [[half[name] for half in pair] for pair in values] for name in names}
    return Halves({name: torch.tensor(v, dtype=torch.float64) for name, v in table.items()}, share)


def random_subsets(a: Tensor, b: Tensor, most: int | None, seed: int = 0) -> tuple[Tensor, Tensor, float]:
    """Cut both sets by one share, to at most ``2 * most`` random rows each; return them and the share."""
    share = min(1.0, 2 * most / max(len(a), len(b))) if most else 1.0
    if share == 1:
        return a, b, share
    rng = torch.Generator().manual_seed(seed)
    a, b = (x[torch.randperm(len(x), generator=rng)[: max(4, round(share * len(x)))]] for x in (a, b))
    return a, b, share


def bootstrap(
    statistic: Statistic,
    real: Features,
    fake: Features,
    n: int = 40,
    seed: int = 0,
    *,
    most: int | None = None,
    bounds: tuple[float, float] = (-math.inf, math.inf),
) -> tuple[float, float]:
    """95 % interval of any statistic of two samples, by complementary half-samples (see the module's docstring).

    The interval is statistic(real, fake) +- t(0.975) * sd, for a statistic whose variance falls as 1/n. It is up to 1.41
    times too wide for a statistic whose variance falls faster, such as a Frechet or a kernel distance between equal
    distributions.

    Args:
        statistic: takes (n, d) and (m, d) rows, returns a number.
        real: (N, d) rows, N >= 4.
        fake: (M, d) rows, M >= 4.
        n: number of half-samples, 2 or more. They are drawn in pairs.
        seed: keys the half-samples.
        most: largest number of rows in a half-sample, to save time.
        bounds: possible range of the statistic. The interval is clipped to it.

    Returns:
        (low, high).

    Raises:
        BadInput: NaN or Inf, different d, fewer than 4 rows, or ``n`` below 2.
    """
    a, b = as_pair(real, fake, least=4)
    if n < 2:
        raise BadInput(f"n: {n} half-samples; an interval needs 2 or more")
    x, y, share = random_subsets(a, b, most, seed)
    sizes = len(x), len(y)
    halves = half_samples(lambda i, j: {"": statistic(x[i], y[j])}, sizes, pairs=n // 2, seed=seed, share=share)
    return interval(statistic(a, b), math.sqrt(halves.variance("")), n // 2 + 1, bounds)


def interval(
    value: float, spread: float, n: int, bounds: tuple[float, float] = (-math.inf, math.inf)
) -> tuple[float, float]:
    """``value`` +- t * ``spread`` with Student's t at ``n`` - 1 degrees of freedom, clipped to ``bounds``."""
    reach = t975(n - 1) * spread
    return max(bounds[0], value - reach), min(bounds[1], value + reach)


@dataclass(frozen=True)
class DistanceSpread:
    """How much a squared distance between two distributions varies.

    Attributes:
        variance: its variance.
        quadratic: the part of the quadratic term.
        bias: what the biased estimate of the distance has in addition to this one: it is a sum of squares.
        dof: degrees of freedom of the variance.
    """

    variance: float
    quadratic: float
    bias: float
    dof: int

    @classmethod
    def of(cls, halves: Halves, name: str, bias: float = 0.0) -> "DistanceSpread":
        """From half-samples of the distance."""
        return cls(halves.smooth_variance(name), halves.linear_and_quadratic(name)[1], bias, halves.pairs)

    def interval(self, value: float, subset_variance: float = 0.0) -> tuple[float, float]:
        """Interval (low, high) around ``value`` that is symmetric for the root of the biased estimate; at least -bias.

        The variance of the root is V / (4 (value + bias)). That is never more than the root of Q / 2: equality holds for
        one squared normal variable. The bound counts if the value is near 0 by chance. ``subset_variance`` is further
        variance, from a random choice of subsets.
        """
        total, most = max(0.0, value + self.bias), math.sqrt(self.quadratic / 2)
        root_variance = min(most, self.variance / (4 * total)) if total > 0 and self.dof > 1 else most
        if self.variance > 0:
            root_variance *= 1 + subset_variance / self.variance
        root, reach = math.sqrt(total), t975(self.dof) * math.sqrt(root_variance)
        return max(0.0, root - reach) ** 2 - self.bias, (root + reach) ** 2 - self.bias


def wilson(share: float, n: float, quantile: float = 1.96) -> tuple[float, float]:
    """Wilson's interval of a share of ``n`` rows: between 0 and 1, and not empty at a share of 0 or 1.

    Args:
        share: observed share.
        n: number of independent rows. For dependent rows: rows / design effect.
        quantile: of the normal distribution or of Student's t.

    Returns:
        (low, high).
    """
    z2 = quantile**2
    middle = (share + z2 / (2 * n)) / (1 + z2 / n)
    reach = quantile / (1 + z2 / n) * math.sqrt(share * (1 - share) / n + z2 / (4 * n**2))
    return max(0.0, min(share, middle - reach)), min(1.0, max(share, middle + reach))


def t975(dof: int) -> float:
    """97.5 % quantile of Student's t: exact for 1 and 2 degrees, else Cornish and Fisher's series (within 1 %)."""
    if dof <= 2:
        return (12.706, 4.303)[max(1, dof) - 1]
    z, v = 1.959964, float(dof)
    return (
        z
        + (z**3 + z) / (4 * v)
        + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * v**2)
        + (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / (384 * v**3)
    )
