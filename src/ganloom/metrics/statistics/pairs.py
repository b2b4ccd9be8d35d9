"""Means over random pairs of rows, and how uncertain they are."""

import torch
from torch import Tensor


def pair_variance(values: Tensor, first: Tensor, second: Tensor, groups: Tensor | None = None) -> float:
    """Estimate the variance of a mean over random pairs of rows, over the draw of the rows and of the pairs.

    Pairs that share a row are correlated. The estimate adds their products to the variance of independent pairs: the
    dyadic-robust variance (Aronow, Samii and Assenova 2015, arXiv:1312.3398). It is kept between its bounds, the
    variance s^2 / P of P independent pairs and s^2 (1 / P + 2 / N) for N rows (Hoeffding 1948).

    Args:
        values: (P,) one value for each pair.
        first: (P,) index of the first row of each pair.
        second: (P,) index of the second row.
        groups: (P,) group of each pair, if both rows come from one group. Default: one group.

    Returns:
        The variance of ``values.mean()``.
    """
    x, count = values.double(), len(values)
    total = float((x - x.mean()).square().mean()) / max(1, count - 1)  # of independent pairs
    _, group = torch.zeros(count).unique(return_inverse=True) if groups is None else groups.unique(return_inverse=True)
    residual = x - _sums(x, group)[group] / _sums(torch.ones_like(x), group)[group]
    _, rows = torch.cat([first, second]).unique(return_inverse=True)
    _, pair = torch.stack([first.minimum(second), first.maximum(second)], 1).unique(dim=0, return_inverse=True)
    own = float(residual.square().sum())
    repeated = float(_sums(residual, pair).square().sum()) - own  # such pairs share two rows but count once
    shared = float(_sums(residual.repeat(2), rows).square().sum()) - 2 * own - repeated
    # The residuals are around the mean of their group, which makes the products of pairs that share a row too small.
    products = float(_sums(torch.ones_like(x).repeat(2), rows).square().sum()) - 2 * count
    missing = min(0.5, products * (int(group.max()) + 1) / count**2)
    n_rows = int(rows.max()) + 1
    return min(max(total, total + shared / count**2 / (1 - missing)), total + total * 2 * count / n_rows)


def _sums(values: Tensor, index: Tensor) -> Tensor:
    """Sums of the values with equal index."""
    return torch.zeros(int(index.max()) + 1, dtype=values.dtype).index_add_(0, index, values)
