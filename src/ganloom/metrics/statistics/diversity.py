"""How varied a set is: effective number of different samples, distance between pairs, distances within each class."""

import torch
from torch import Tensor

from ganloom.core.errors import BadInput
from ganloom.metrics.statistics.frechet import frechet_distance
from ganloom.metrics.statistics.kernel import squared_mmd
from ganloom.metrics.statistics.rows import Features, as_pair, as_rows, chunks


def vendi_score(x: Features) -> float:
    """Effective number of different rows of (N, d): exp of the entropy of the eigenvalues of their similarity over N.

    Friedman and Dieng 2022 (arXiv:2210.02410), cosine similarity: 1 when all rows are alike, at most min(N, d). It
    looks at one set only: noise scores high, so read it beside the real images' own. It grows with N: compare equal
    counts. Raises `BadInput` on NaN, Inf or a row of zeros.
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
    lengths = x.double().norm(dim=1, keepdim=True)
    if not bool((lengths > 0).all()):
        raise BadInput("features: a row of zeros has no direction; cosine similarity needs another feature net")
    unit: Tensor = x.double() / lengths
    return unit


def pair_distance(x: Features, *, pairs: int = 10_000, seed: int = 0) -> float:
    """Mean distance between two different rows of (N, d), each scaled by the root of d.

    The diversity that LPIPS is used for (Zhu et al. 2017, arXiv:1711.11586), over whichever feature net: divide by the
    real images' own. ``pairs`` random pairs, keyed by ``seed``; all pairs where there are fewer.
    """
    rows = as_rows(x, "features")
    n = len(rows)
    if n * (n - 1) // 2 <= pairs:
        first, second = torch.triu_indices(n, n, 1)
    else:
        rng = torch.Generator().manual_seed(seed)
        first = torch.randint(n, (pairs,), generator=rng)
        second = (first + torch.randint(1, n, (pairs,), generator=rng)) % n
    total = sum(
        float((rows[i].double() - rows[j].double()).norm(dim=1).sum())
        for i, j in zip(first.split(4096), second.split(4096), strict=True)
    )
    return float(total / (len(first) * rows.shape[1] ** 0.5))


def intra_class_distance(
    real: Features, real_labels: Tensor, fake: Features, fake_labels: Tensor, *, metric: str = "kd"
) -> dict[int, float]:
    """Distance within each class: label -> "fd" (Intra-FID, Miyato and Koyama 2018, arXiv:1802.05637) or "kd".

    A conditional model that ignores its label has a good overall distance and bad ones here. Classes are small, so the
    default is the kernel distance, which has no bias by count. Labels are integers (N,). Classes with fewer than two
    rows on either side are left out; `BadInput` when none is left.
    """
    a, b = as_pair(real, fake)
    if metric not in ("fd", "kd"):
        raise BadInput(f"metric: {metric!r}; intra-class distances are fd or kd")
    if len(real_labels) != len(a) or len(fake_labels) != len(b):
        raise BadInput(f"labels: {len(real_labels)} and {len(fake_labels)} labels for {len(a)} and {len(b)} rows")
    found = {}
    for label in sorted(set(real_labels.tolist()) & set(fake_labels.tolist())):
        x, y = a[real_labels == label], b[fake_labels == label]
        if min(len(x), len(y)) >= 2:
            found[int(label)] = frechet_distance(x, y) if metric == "fd" else squared_mmd(x, y)
    if not found:
        raise BadInput("labels: no class has two rows on both sides; give more samples")
    return found
