"""Distances to the nearest neighbours in a set of rows."""

from collections.abc import Callable

import torch
from torch import Tensor

ROWS = 256
"""Rows that are compared at once."""


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
    return in_parts(x, lambda part: function(torch.cdist(part, bank))) if len(x) else x.new_zeros(0)


def in_parts(
    x: Tensor,
    function: Callable[[Tensor], Tensor],
    rows: int = ROWS,
    each: Callable[[int, int], None] | None = None,
) -> Tensor:
    """Apply a function to samples in parts of a fixed size. The last part is filled up, so that no result depends on the others.

    Args:
        x: Samples (N, *shape), N at least 1.
        function: From samples (rows, *shape) to (rows, ...).
        rows: Samples at once.
        each: Called with (samples done, N) before each part.
    """
    results = []
    for start in range(0, len(x), rows):
        if each is not None:
            each(start, len(x))
        part = x[start : start + rows]
        filled = torch.cat([part, part.new_zeros(rows - len(part), *part.shape[1:])])
        results.append(function(filled)[: len(part)])
    return torch.cat(results)
