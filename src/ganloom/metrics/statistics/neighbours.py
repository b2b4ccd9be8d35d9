"""Precision, recall, density and coverage: does each fake lie among reals, and each real among fakes?

Precision, recall: Kynkaanniemi et al. 2019 (arXiv:1904.06991). Density, coverage: Naeem et al. 2020
(arXiv:2002.09797). A ball around each sample reaches to its k-th nearest neighbour in its own set.
"""

import torch
from torch import Tensor

from ganloom.core.errors import BadInput
from ganloom.metrics.statistics.rows import Features, as_pair, chunks

_ROUND_OFF = 1e-11


def prdc(real: Features, fake: Features, k: int = 5) -> dict[str, float]:
    """Four numbers for (N, d) ``real`` and (M, d) ``fake`` features, equal to the published definitions.

    ``precision``: share of fakes inside some real's ball. ``recall``: share of reals inside some fake's ball.
    ``density``: reals' balls around a fake, over ``k``, averaged (may exceed 1). ``coverage``: share of reals whose
    ball holds a fake; `expected_coverage` is its value for a perfect model. "Inside" is strictly less, computed in
    float64 with a margin for round-off, so copies count as distance 0 and a tie is outside. Memory grows with N + M.
    Raises `BadInput` when ``k`` is not below N and M, and as `frechet_distance`.
    """
    a, b = as_pair(real, fake)
    if not 1 <= k < min(len(a), len(b)):
        raise BadInput(f"k: {k} neighbours need more than {k} rows in each set, got {len(a)} real and {len(b)} fake")
    centre = a.double().mean(0)  # near the data the squared distances lose no digits
    a, b = a.double() - centre, b.double() - centre
    a_reach, b_reach = radii(a, k), radii(b, k)
    in_real = covers = 0
    recalled = torch.zeros(len(a), dtype=torch.bool)
    covered = torch.zeros(len(a), dtype=torch.bool)
    start = 0
    for rows in chunks(b, len(a)):
        reach = b_reach[start : start + len(rows)]
        start += len(rows)
        distance = squared_distances(rows, a)
        inside = distance < a_reach
        in_real += int(inside.any(1).sum())
        covers += int(inside.sum())
        covered |= inside.any(0)
        recalled |= (distance < reach[:, None]).any(0)
    return {
        "precision": in_real / len(b),
        "recall": recalled.double().mean().item(),
        "density": covers / (k * len(b)),
        "coverage": covered.double().mean().item(),
    }


class Distances:
    """Squared distances of all pairs within and between two sets, for `prdc` over many of their subsets."""

    def __init__(self, real: Tensor, fake: Tensor) -> None:
        centre = real.double().mean(0)
        a, b = real.double() - centre, fake.double() - centre
        self.aa, self.bb, self.ab = (squared_distances(u, v) for u, v in ((a, a), (b, b), (a, b)))

    def prdc(self, i: Tensor, j: Tensor, k: int) -> dict[str, float]:
        """`prdc` of rows ``i`` of the reals and ``j`` of the fakes."""
        reach_a, reach_b = (
            table[rows][:, rows].topk(k + 1, largest=False).values[:, k] * (1 - _ROUND_OFF)
            for table, rows in ((self.aa, i), (self.bb, j))
        )
        between = self.ab[i][:, j]
        inside = between < reach_a[:, None]
        return {
            "precision": inside.any(0).double().mean().item(),
            "recall": (between < reach_b).any(1).double().mean().item(),
            "density": inside.sum().item() / (k * len(j)),
            "coverage": inside.any(1).double().mean().item(),
        }


def improved_precision_recall(real: Features, fake: Features, k: int = 3) -> tuple[float, float]:
    """(precision, recall) as Kynkaanniemi et al. 2019 publish them: k = 3, a point on a ball's rim is inside.

    `prdc` follows Naeem et al.: k = 5, the rim is outside. Between samples without ties only k tells them apart; with
    copies the rim decides, so name which one you report. Raises `BadInput` as `prdc`.
    """
    a, b = as_pair(real, fake)
    if not 1 <= k < min(len(a), len(b)):
        raise BadInput(f"k: {k} neighbours need more than {k} rows in each set, got {len(a)} real and {len(b)} fake")
    centre = a.double().mean(0)
    a, b = a.double() - centre, b.double() - centre
    rim = (1 + _ROUND_OFF) / (1 - _ROUND_OFF)
    a_reach, b_reach = radii(a, k) * rim, radii(b, k) * rim
    recalled, precise, start = torch.zeros(len(a), dtype=torch.bool), 0, 0
    for rows in chunks(b, len(a)):
        reach = b_reach[start : start + len(rows)]
        start += len(rows)
        distance = squared_distances(rows, a)
        precise += int((distance <= a_reach).any(1).sum())
        recalled |= (distance <= reach[:, None]).any(0)
    return precise / len(b), recalled.double().mean().item()


def nearest(x: Tensor, y: Tensor, *, itself: bool = False) -> tuple[Tensor, Tensor]:
    """Squared distance (N,) from each row of ``x`` to its nearest row of ``y``, and that row's index (N,).

    ``itself``: ``x`` and ``y`` are one set, and a row is not its own neighbour. Float64 rows; memory N + M.
    """
    distances, indices, start = [], [], 0
    for part in chunks(x, len(y)):
        found = squared_distances(part, y)
        if itself:
            found[torch.arange(len(part)), torch.arange(start, start + len(part))] = float("inf")
        start += len(part)
        least = found.min(1)
        distances.append(least.values)
        indices.append(least.indices)
    return torch.cat(distances), torch.cat(indices)


def expected_coverage(n: int, k: int, n_fake: int | None = None) -> float:
    """Coverage expected when ``n`` real and ``n_fake`` (default ``n``) fake samples share one distribution.

    1 - prod_{i=1..k} (n - i) / (n + n_fake - i), near 1 - 2^-k for equal counts (Naeem et al. 2020, section 3.3).
    """
    m = n if n_fake is None else n_fake
    if not 1 <= k < n or m < 1:
        raise BadInput(f"k: expected coverage of {n} real and {m} fake samples needs 1 <= k < n, got {k}")
    missed = 1.0
    for i in range(1, k + 1):
        missed *= (n - i) / (n + m - i)
    return 1 - missed


def radii(x: Tensor, k: int) -> Tensor:
    """Squared distance (N,) from each row of ``x`` (N, d) float64 to its k-th nearest other row, less the round-off."""
    found = [squared_distances(part, x).topk(k + 1, largest=False).values[:, k] for part in chunks(x, len(x))]
    return torch.cat(found) * (1 - _ROUND_OFF)


def squared_distances(x: Tensor, y: Tensor) -> Tensor:
    """(n, m) squared Euclidean distances by one matrix product; what is below its round-off is exactly 0."""
    scale = x.square().sum(1)[:, None] + y.square().sum(1)
    distance = torch.addmm(scale, x, y.T, alpha=-2)
    return distance.masked_fill_(distance < scale.mul_(_ROUND_OFF), 0.0)
