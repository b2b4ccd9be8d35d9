"""Kernel distance (KID): an unbiased squared maximum mean discrepancy with a cubic kernel.

Binkowski et al. 2018, "Demystifying MMD GANs" (arXiv:1801.01401): k(x, y) = (x . y / d + 1)^3.
"""

import torch
from torch import Tensor

from ganloom.errors import BadInput
from ganloom.metrics.rows import Features, as_pair, chunks


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
    values = []
    for _ in range(subsets):
        rows_a = torch.randperm(len(a), generator=rng)[:size]
        rows_b = torch.randperm(len(b), generator=rng)[:size]
        values.append(squared_mmd(a[rows_a], b[rows_b]))
    result = torch.tensor(values, dtype=torch.float64)
    return result.mean().item(), result.std(correction=0).item()


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
