"""Kernel distance (KID): an unbiased squared maximum mean discrepancy with a cubic kernel.

Binkowski et al. 2018, "Demystifying MMD GANs" (arXiv:1801.01401): k(x, y) = (x . y / d + 1)^3.
"""

import torch
from torch import Tensor

from ganloom.core.errors import BadInput
from ganloom.metrics.statistics.rows import Features, as_pair, chunks

TABLE_ROWS = 4096
"""Up to so many rows a set, the table of all pairs is kept (3 x 134 MB); beyond, each subset is computed anew."""


def kernel_distance(
    real: Features, fake: Features, *, subsets: int = 100, subset_size: int = 1000, seed: int = 0
) -> tuple[float, float]:
    """Mean and standard deviation over ``subsets`` of the unbiased MMD^2 between (N, d) ``real`` and (M, d) ``fake``.

    Zero on average for equal distributions at any sample count (single values may be negative), so two counts can be
    compared. Each subset draws ``subset_size`` rows (at most min(N, M)) of either set without replacement, keyed by
    ``seed``. The deviation is the spread between subsets as published, not the error of the mean: for that see
    `bootstrap`. Where a subset is the whole of both sets the deviation is 0. Raises `BadInput` as `frechet_distance`.
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


class Kernels:
    """The kernel of all pairs within and between two sets, for statistics over many of their subsets: 3 N^2 float64."""

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
    return table[i][:, j]


def _kernel(x: Tensor, y: Tensor) -> Tensor:
    return torch.addmm(torch.ones((), dtype=x.dtype), x, y.T, alpha=1 / x.shape[1]).pow_(3)


def squared_mmd(x: Tensor, y: Tensor) -> float:
    """Unbiased MMD^2 of checked rows (N, d) and (M, d), cubic kernel, float64, chunked: O(N + M) memory."""
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
    """Sum of k(x_i, x_i), the diagonal that the unbiased estimate leaves out."""
    return float((x.square().sum(1) / x.shape[1] + 1).pow(3).sum())
