"""How varied one set of features is: effective number of different samples, distance between pairs."""

import torch
from torch import Tensor

from ganloom.core.errors import BadInput
from ganloom.metrics.statistics.rows import Features, as_rows, chunks

PAIRS = 10_000
"""Random pairs of the mean distance."""


def vendi_score(x: Features) -> float:
    """Compute the effective number of different rows: exp of the entropy of the eigenvalues of their similarity over N.

    Friedman and Dieng 2022 (arXiv:2210.02410), cosine similarity: 1 if all rows are alike, at most min(N, d). The score
    uses one set only. Noise scores high, so compare with the real images. It grows with N: compare equal counts.

    Args:
        x: (N, d) features.

    Returns:
        The score, between 1 and min(N, d).

    Raises:
        BadInput: NaN, Inf, or a row of zeros.
    """
    rows = as_rows(x, "features")
    n, d = rows.shape
    if d <= n:
        gram = torch.zeros(d, d, dtype=torch.float64)
        for part in chunks(rows):
            unit = _unit(part)
            gram.addmm_(unit.T, unit)
    else:
        unit = _unit(rows)
        gram = unit @ unit.T
    p = torch.linalg.eigvalsh(gram / n).clamp(min=0)
    p = p / p.sum()
    return float(torch.special.entr(p).sum().exp())


def _unit(x: Tensor) -> Tensor:
    """Rows scaled to length 1."""
    lengths = x.double().norm(dim=1, keepdim=True)
    if not bool((lengths > 0).all()):
        raise BadInput("features: a row of zeros has no direction. Cosine similarity needs another feature net")
    unit: Tensor = x.double() / lengths
    return unit


def pair_distance(x: Features, *, pairs: int = PAIRS, seed: int = 0) -> float:
    """Compute the mean distance between two different rows, divided by the root of d.

    This is the diversity that LPIPS is used for (Zhu et al. 2017, arXiv:1711.11586), with any feature net. Divide it by
    the value of the real images.

    Args:
        x: (N, d) features.
        pairs: number of random pairs. All pairs are used if there are fewer.
        seed: keys the pairs.

    Returns:
        The mean distance, 0 or more.

    Raises:
        BadInput: NaN or Inf, or fewer than 2 rows.
    """
    return float(pair_distances(x, pairs=pairs, seed=seed)[0].mean())


def pair_distances(x: Features, *, pairs: int = PAIRS, seed: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    """The distances that `pair_distance` averages, (P,) float64, and the indices (P,) of both rows of each pair."""
    rows = as_rows(x, "features")
    n = len(rows)
    if n * (n - 1) // 2 <= pairs:
        first, second = torch.triu_indices(n, n, 1)
    else:
        rng = torch.Generator().manual_seed(seed)
        first = torch.randint(n, (pairs,), generator=rng)
        second = (first + torch.randint(1, n, (pairs,), generator=rng)) % n
    parts = zip(first.split(4096), second.split(4096), strict=True)
    distances = torch.cat([(rows[i].double() - rows[j].double()).norm(dim=1) for i, j in parts])
    return distances / rows.shape[1] ** 0.5, first, second
