"""Kernel distance (KID): an unbiased squared maximum mean discrepancy with a cubic kernel.

Binkowski et al. 2018, "Demystifying MMD GANs" (arXiv:1801.01401): k(x, y) = (x . y / d + 1)^3.
"""

import torch
from torch import Tensor

from ganloom.core.errors import BadInput
from ganloom.metrics.statistics.intervals import DistanceSpread, half_samples, random_subsets
from ganloom.metrics.statistics.rows import Features, as_pair, chunks

TABLE_ROWS = 4096
"""Largest set whose table of all pairs is kept (3 x 134 MB). For larger sets each subset is computed by itself."""
SUBSETS = 100
_HALF = 1000


def kernel_distance(
    real: Features, fake: Features, *, subsets: int = SUBSETS, subset_size: int = 1000, seed: int = 0
) -> tuple[float, float]:
    """Compute the mean and the standard deviation over subsets of the unbiased MMD^2.

    The mean is 0 on average for equal distributions at any sample count (single values may be negative), so two counts
    can be compared. The deviation is the spread between subsets, as published. It is not the error of the mean: see
    `mmd_spread`. It is 0 if a subset is the whole of both sets.

    Args:
        real: (N, d) features.
        fake: (M, d) features.
        subsets: number of subsets.
        subset_size: rows of each set in a subset, drawn without replacement (at most min(N, M)).
        seed: keys the subsets.

    Returns:
        (mean, standard deviation).

    Raises:
        BadInput: NaN or Inf, different d, fewer than 2 rows, or a size below 2.
    """
    a, b = as_pair(real, fake)
    if subsets < 1 or subset_size < 2:
        raise BadInput(f"subsets {subsets}, subset_size {subset_size}: needs 1 subset of 2 samples or more")
    size = min(subset_size, len(a), len(b))
    if size == len(a) == len(b):
        return squared_mmd(a, b), 0.0
    rng = torch.Generator().manual_seed(seed)
    table = Kernels(a, b) if max(len(a), len(b)) <= TABLE_ROWS and subsets * size > len(a) + len(b) else None
    values = []
    for _ in range(subsets):
        rows_a = torch.randperm(len(a), generator=rng)[:size]
        rows_b = torch.randperm(len(b), generator=rng)[:size]
        values.append(table.squared_mmd(rows_a, rows_b) if table else squared_mmd(a[rows_a], b[rows_b]))
    result = torch.tensor(values, dtype=torch.float64)
    return result.mean().item(), result.std(correction=0).item()


def mmd_spread(a: Tensor, b: Tensor, *, seed: int = 0) -> DistanceSpread:
    """Estimate how much the unbiased MMD^2 varies over the draw of both sets, from half-samples of at most 1,000 rows.

    Args:
        a: (N, d) checked rows, N >= 4.
        b: (M, d) checked rows, M >= 4.
        seed: keys the half-samples.

    Returns:
        The variances at N and M.
    """
    x, y, share = random_subsets(a, b, _HALF, seed)
    table = Kernels(x, y)
    halves = half_samples(lambda i, j: {"kd": table.squared_mmd(i, j)}, (len(x), len(y)), seed=seed, share=share)
    return DistanceSpread.of(halves, "kd", _diagonal_excess(table.aa) / len(a) + _diagonal_excess(table.bb) / len(b))


def _diagonal_excess(table: Tensor) -> float:
    """Mean of the diagonal minus the mean of the other entries."""
    n, diagonal = len(table), table.diagonal().sum()
    return float(diagonal / n - (table.sum() - diagonal) / (n * (n - 1)))


class Kernels:
    """The kernel of all pairs within and between two sets, for the metric of many of their subsets: 3 N^2 float64."""

    def __init__(self, a: Tensor, b: Tensor) -> None:
        x, y = a.double(), b.double()
        self.aa, self.bb, self.ab = (_kernel(u, v) for u, v in ((x, x), (y, y), (x, y)))

    def squared_mmd(self, i: Tensor, j: Tensor) -> float:
        """`squared_mmd` of rows ``i`` of the first set and ``j`` of the second."""
        n, m = len(i), len(j)
        within_a = (_block(self.aa, i, i).sum() - self.aa.diagonal()[i].sum()) / (n * (n - 1))
        within_b = (_block(self.bb, j, j).sum() - self.bb.diagonal()[j].sum()) / (m * (m - 1))
        return float(within_a + within_b - 2 * _block(self.ab, i, j).mean())


def _block(table: Tensor, i: Tensor, j: Tensor) -> Tensor:
    """Rows ``i`` and columns ``j`` of a table."""
    return table[i][:, j]


def _kernel(x: Tensor, y: Tensor) -> Tensor:
    """The kernel of all pairs of rows."""
    return torch.addmm(torch.ones((), dtype=x.dtype), x, y.T, alpha=1 / x.shape[1]).pow_(3)


def squared_mmd(x: Tensor, y: Tensor) -> float:
    """Unbiased MMD^2 of checked rows (N, d) and (M, d), in float64 and in chunks: O(N + M) memory."""
    x, y = x.double(), y.double()
    n, m = len(x), len(y)
    within_x = (_kernel_sum(x, x) - _self_kernel_sum(x)) / (n * (n - 1))
    within_y = (_kernel_sum(y, y) - _self_kernel_sum(y)) / (m * (m - 1))
    return within_x + within_y - 2 * _kernel_sum(x, y) / (n * m)


def _kernel_sum(x: Tensor, y: Tensor) -> float:
    """Sum of the kernel over all pairs."""
    total = 0.0
    for part in chunks(x, len(y)):
        base = torch.addmm(torch.ones((), dtype=x.dtype), part, y.T, alpha=1 / x.shape[1])
        total += base.square().ravel().dot(base.ravel()).item()  # sum of cubes in two passes
    return total


def _self_kernel_sum(x: Tensor) -> float:
    """Sum of k(x_i, x_i), the diagonal, which the unbiased estimate excludes."""
    return float((x.square().sum(1) / x.shape[1] + 1).pow(3).sum())
