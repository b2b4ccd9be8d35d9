"""Precision, recall, density and coverage: is each fake sample near real samples, and each real one near fakes?

Precision, recall: Kynkaanniemi et al. 2019 (arXiv:1904.06991). Density, coverage: Naeem et al. 2020
(arXiv:2002.09797). Each sample has a ball that reaches to its k-th nearest neighbour in its own set.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from ganloom.core.errors import BadInput
from ganloom.metrics.statistics.rows import Features, as_pair, chunks

_ROUND_OFF = 1e-11
_AT_THE_RIM = (1 + _ROUND_OFF) / (1 - _ROUND_OFF)


class _Found(NamedTuple):
    """What one pass over both sets finds."""

    rows: "RowValues"
    in_ball: Tensor
    """(N,) number of fakes in the ball of each real."""
    only_real: Tensor
    """(N,) number of fakes that are in the ball of this real only."""
    only_fake: Tensor
    """(M,) number of reals that are in the ball of this fake only."""


class RowValues(NamedTuple):
    """The four metrics as one float64 value for each row. A metric is the mean over its rows."""

    precision: Tensor
    """(M,) for each fake: 1 if it is inside a real ball, else 0."""
    recall: Tensor
    """(N,) for each real: 1 if it is inside a fake ball, else 0."""
    density: Tensor
    """(M,) for each fake: number of real balls around it, divided by k."""
    coverage: Tensor
    """(N,) for each real: 1 if its ball holds a fake, else 0."""

    def means(self) -> dict[str, float]:
        """Name -> metric."""
        return {name: float(values.mean()) for name, values in self._asdict().items()}

    def variances(self) -> dict[str, float]:
        """Name -> variance that the mean would have if the rows were independent."""
        return {name: float(values.var(correction=0)) / len(values) for name, values in self._asdict().items()}


def prdc(real: Features, fake: Features, k: int = 5) -> dict[str, float]:
    """Compute precision, recall, density and coverage as published.

    ``precision``: share of fakes inside a real ball. ``recall``: share of reals inside a fake ball. ``density``: number
    of real balls around a fake, divided by ``k``, averaged (may exceed 1). ``coverage``: share of reals whose ball holds
    a fake; `expected_coverage` is its value for a perfect model. "Inside" is strictly less than the radius, computed in
    float64 with a margin for round-off: copies are at distance 0, and a tie is outside. Memory grows with N + M.

    Args:
        real: (N, d) features.
        fake: (M, d) features.
        k: number of neighbours, below N and M.

    Returns:
        Name -> number.

    Raises:
        BadInput: ``k`` out of range, NaN or Inf, or different d.
    """
    return row_values(real, fake, k).means()


def improved_precision_recall(real: Features, fake: Features, k: int = 3) -> tuple[float, float]:
    """Compute precision and recall as Kynkaanniemi et al. 2019 publish them: a point on the rim of a ball is inside.

    `prdc` follows Naeem et al.: k = 5, and the rim is outside. Without ties only k makes a difference. With copies the
    rim decides, so name the definition that you report.

    Args:
        real: (N, d) features.
        fake: (M, d) features.
        k: number of neighbours, below N and M.

    Returns:
        (precision, recall).

    Raises:
        BadInput: as `prdc`.
    """
    means = row_values(real, fake, k, rim=True).means()
    return means["precision"], means["recall"]


def row_values(real: Features, fake: Features, k: int, *, rim: bool = False) -> RowValues:
    """Compute the metrics row by row, in chunks. ``rim``: a point on the rim of a ball is inside."""
    return _search(real, fake, k, rim).rows


def rows_and_ball_variances(
    real: Features, fake: Features, k: int, *, rim: bool = False
) -> tuple[RowValues, dict[str, float]]:
    """Compute the metrics row by row, and the variances over the draw of the points that the balls are around.

    With a weak generator, a few balls hold most of the rows, and the draw of their centres decides the metric.

    - The density is also a mean over real points: of the share of fakes in each ball.
    - Precision and recall lose, if a centre is left out, the rows that only its ball holds. Two such rows of one ball are
      lost together, which adds to the variance; a single one is counted by the variance over the rows. What balls of equal
      sizes would add by chance is left out.

    Args:
        real: (N, d) features.
        fake: (M, d) features.
        k: number of neighbours, below N and M.
        rim: a point on the rim of a ball is inside.

    Returns:
        The rows, and for density, precision and recall the variance that the draw of the centres adds to that over the rows.
    """
    found = _search(real, fake, k, rim)
    n, m = len(found.in_ball), len(found.rows.density)
    variance = float(found.in_ball.double().var()) * n / (k * m) ** 2
    both = float(found.rows.density.mean()) / (k * m)  # the part that the variance over the fakes holds as well

    def together(only: Tensor, rows: int) -> float:
        lost = only.double()
        by_chance = len(lost) * float(lost.mean()) ** 2
        return max(0.0, float((lost * (lost - 1)).sum()) - by_chance) / rows**2

    return found.rows, {
        "density": max(0.0, variance - both),
        "precision": together(found.only_real, m),
        "recall": together(found.only_fake, n),
    }


def _search(real: Features, fake: Features, k: int, rim: bool) -> _Found:
    """All that the metrics need, in chunks."""
    a, b = as_pair(real, fake)
    if not 1 <= k < min(len(a), len(b)):
        raise BadInput(f"k: {k} neighbours need more than {k} rows in each set, got {len(a)} real and {len(b)} fake")
    centre = a.double().mean(0)  # near the data the squared distances lose no digits
    a, b = a.double() - centre, b.double() - centre
    real_radii, fake_radii = radii(a, k), radii(b, k)
    covered = torch.zeros(len(a), dtype=torch.bool)
    in_ball, only_real, recalls, balls = (torch.zeros(len(a), dtype=torch.long) for _ in range(4))
    counts, start = [], 0
    for rows in chunks(b, len(a)):
        distance = squared_distances(rows, a)
        inside = _inside(distance, real_radii, rim)
        counts.append(inside.sum(1))
        in_ball += inside.sum(0)
        covered |= inside.any(0)
        only_real += inside[counts[-1] == 1].sum(0)
        recalling = _inside(distance, fake_radii[start : start + len(rows), None], rim)
        recalls += recalling.sum(0)
        balls = torch.where(
            recalling.any(0), recalling.byte().argmax(0) + start, balls
        )  # the ball, if it is the only one
        start += len(rows)
    only_fake = balls[recalls == 1].bincount(minlength=len(b))
    return _Found(_row_values(torch.cat(counts), recalls > 0, covered, k), in_ball, only_real, only_fake)


class Distances:
    """Squared distances of all pairs within and between two sets, for the metrics of many of their subsets."""

    def __init__(self, real: Tensor, fake: Tensor) -> None:
        centre = real.double().mean(0)
        a, b = real.double() - centre, fake.double() - centre
        self.aa, self.bb, self.ab = (squared_distances(u, v) for u, v in ((a, a), (b, b), (a, b)))

    def row_values(self, i: Tensor, j: Tensor, k: int, *, rim: bool = False) -> RowValues:
        """`row_values` of rows ``i`` of the reals and ``j`` of the fakes."""
        real_radii, fake_radii = (
            table[rows][:, rows].topk(k + 1, largest=False).values[:, k] * (1 - _ROUND_OFF)
            for table, rows in ((self.aa, i), (self.bb, j))
        )
        between = self.ab[i][:, j]
        inside = _inside(between, real_radii[:, None], rim)
        recalled = _inside(between, fake_radii, rim).any(1)
        return _row_values(inside.sum(0), recalled, inside.any(1), k)


def _inside(distance: Tensor, radius: Tensor, rim: bool) -> Tensor:
    return distance <= radius * _AT_THE_RIM if rim else distance < radius


def _row_values(counts: Tensor, recalled: Tensor, covered: Tensor, k: int) -> RowValues:
    return RowValues((counts > 0).double(), recalled.double(), counts.double() / k, covered.double())


def nearest(x: Tensor, y: Tensor, *, itself: bool = False) -> tuple[Tensor, Tensor]:
    """Find the nearest row of ``y`` for each row of ``x``, with N + M memory.

    Args:
        x: (N, d) float64.
        y: (M, d) float64.
        itself: ``x`` and ``y`` are one set, and a row is not its own neighbour.

    Returns:
        Squared distances (N,) and indices (N,).
    """
    distances, indices, start = [], [], 0
    for part in chunks(x, len(y)):
        squared = squared_distances(part, y)
        if itself:
            squared[torch.arange(len(part)), torch.arange(start, start + len(part))] = float("inf")
        start += len(part)
        least = squared.min(1)
        distances.append(least.values)
        indices.append(least.indices)
    return torch.cat(distances), torch.cat(indices)


def expected_coverage(n: int, k: int, n_fake: int | None = None) -> float:
    """Coverage that is expected when real and fake samples come from one distribution.

    1 - prod_{i=1..k} (n - i) / (n + n_fake - i), near 1 - 2^-k for equal counts (Naeem et al. 2020, section 3.3).

    Args:
        n: number of real samples.
        k: number of neighbours, from 1 to n - 1.
        n_fake: number of fake samples. Default: ``n``.

    Returns:
        A share.

    Raises:
        BadInput: a count out of range.
    """
    m = n if n_fake is None else n_fake
    if not 1 <= k < n or m < 1:
        raise BadInput(f"k: expected coverage of {n} real and {m} fake samples needs 1 <= k < n, got {k}")
    missed = 1.0
    for i in range(1, k + 1):
        missed *= (n - i) / (n + m - i)
    return 1 - missed


def radii(x: Tensor, k: int) -> Tensor:
    """Squared distance (N,) from each row of ``x`` (N, d) float64 to its k-th nearest other row, minus the round-off."""
    parts = [squared_distances(part, x).topk(k + 1, largest=False).values[:, k] for part in chunks(x, len(x))]
    return torch.cat(parts) * (1 - _ROUND_OFF)


def squared_distances(x: Tensor, y: Tensor) -> Tensor:
    """(n, m) squared Euclidean distances by one matrix product. Values below its round-off are set to exactly 0."""
    scale = x.square().sum(1)[:, None] + y.square().sum(1)
    distance = torch.addmm(scale, x, y.T, alpha=-2)
    return distance.masked_fill_(distance < scale.mul_(_ROUND_OFF), 0.0)
