"""Distances to the nearest neighbours in a set of rows."""

from collections.abc import Callable

import torch
from torch import Tensor

ROWS = 256
"""Rows that are compared at once. The last part is filled up, so that a distance does not depend on the other rows."""


def distances(bank: Tensor, x: Tensor, k: int = 5) -> Tensor:
    """Return the mean Euclidean distance of each row to its k nearest rows of a set.

    Args:
        bank: The set, (M, d).
        x: The rows, (N, d).
        k: Number of neighbours; at most M are used.

    Returns:
        (N,) float32.
    """
    return _blocks(bank, x, lambda d: d.topk(min(k, len(bank)), 1, largest=False)[0].mean(1))


def nearest(bank: Tensor, x: Tensor) -> Tensor:
    """Return the index of the nearest row of a set for each row: (M, d), (N, d) -> (N,) int64."""
    return _blocks(bank, x, lambda d: d.argmin(1))


def _blocks(bank: Tensor, x: Tensor, function: Callable[[Tensor], Tensor]) -> Tensor:
    results = []
    for start in range(0, len(x), ROWS):
        part = x[start : start + ROWS]
        filled = torch.cat([part, part.new_zeros(ROWS - len(part), part.shape[1])])
        results.append(function(torch.cdist(filled, bank))[: len(part)])
    return torch.cat(results) if results else x.new_zeros(0)
