"""MAUVE: how far the distribution of generated texts is from that of people's texts, in one number from 0 to 1.

Pillutla et al. 2021, "MAUVE: Measuring the Gap Between Neural Text and Human Text using Divergence Frontiers" (arXiv:2102.01454),
section 3 and appendix; written from the paper. Features of both sets are scaled to length 1, reduced by PCA to 90 % of their
variance, and quantised together by k-means into n / 10 clusters. With the histograms P and Q, the mixtures R = w P + (1 - w) Q
give the divergence curve (exp(-c KL(P|R)), exp(-c KL(Q|R))), c = 5. MAUVE is the area under it.

The package ``mauve-text`` clusters with faiss. ``kmeans`` begins from the same rows as faiss does with the same seed, so the
value is that of the package. A clustering with another seed gives a value that differs by about 0.02; ``repeats`` averages
several. The value depends on the number of texts (more clusters), so compare only values of equal counts, and beside the
value of real texts against real texts.
"""

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from ganloom.core.errors import BadInput
from ganloom.metrics.statistics.rows import Features, as_pair

SCALE = 5.0
"""c in the paper."""
CURVE = 25
"""Mixtures on the divergence curve."""
VARIANCE = 0.9
SEED = 25
"""The seed of the package."""
ITERATIONS = 500
RESTARTS = 5


def mauve(real: Features, fake: Features, *, clusters: int | None = None, seed: int = SEED, repeats: int = 1) -> float:
    """Compute MAUVE: 1 for equal distributions, near 0 for sets without overlap.

    Args:
        real: (N, d) features of people's texts.
        fake: (M, d) features of generated texts.
        clusters: Number of clusters. None: a tenth of the smaller set, at least 2.
        seed: Seed of the first clustering. The default is that of ``mauve_text.compute_mauve``.
        repeats: Number of clusterings to average over, with the seeds from ``seed`` on.

    Returns:
        The area under the divergence curve, a mean over clusterings.

    Raises:
        BadInput: NaN or Inf, different d, or fewer than 20 rows in a set.
    """
    a, b = as_pair(real, fake)
    smaller = min(len(a), len(b))
    if smaller < 20:
        raise BadInput(f"MAUVE needs at least 20 texts in each set, got {smaller}")
    count = max(2, round(smaller / 10)) if clusters is None else clusters
    if not 2 <= count <= len(a) + len(b):
        raise BadInput(f"clusters={count}: give 2 to {len(a) + len(b)}, the number of all texts")
    rows = _reduced(torch.cat([b, a]).double()).float()
    total = 0.0
    for repeat in range(repeats):
        cluster = kmeans(rows, count, seed=seed + repeat)
        q = torch.bincount(cluster[: len(b)], minlength=count).double() / len(b)
        p = torch.bincount(cluster[len(b) :], minlength=count).double() / len(a)
        total += area(p, q)
    return total / repeats


def divergence_curve(p: Tensor, q: Tensor, *, scale: float = SCALE, points: int = CURVE) -> Tensor:
    """Compute the divergence curve of two histograms.

    Args:
        p: (k,) histogram of the real texts; it sums to 1.
        q: (k,) histogram of the generated texts.
        scale: c in the paper.
        points: Number of mixtures.

    Returns:
        (points + 2, 2) with the end points (0, 1) and (1, 0), in the order of growing weight of P.
    """
    weights = torch.linspace(1e-6, 1 - 1e-6, points, dtype=torch.float64)
    curve = [(0.0, 1.0)]
    for weight in weights:
        r = weight * p + (1 - weight) * q
        curve.append((float(torch.exp(-scale * _kl(p, r))), float(torch.exp(-scale * _kl(q, r)))))
    return torch.tensor([*curve, (1.0, 0.0)], dtype=torch.float64)


def area(p: Tensor, q: Tensor, *, scale: float = SCALE) -> float:
    """Compute the area under the divergence curve of two histograms by the trapezoid rule."""
    curve = divergence_curve(p, q, scale=scale)
    x, y = curve[:, 0], curve[:, 1]
    return float(((x[1:] - x[:-1]) * (y[1:] + y[:-1]) / 2).sum())


def _kl(p: Tensor, q: Tensor) -> Tensor:
    """KL(P|Q), where Q is positive wherever P is."""
    inside = p > 0
    divergence: Tensor = (p[inside] * (p[inside] / q[inside]).log()).sum()
    return divergence


def _reduced(rows: Tensor) -> Tensor:
    """Rows of length 1, on the principal components that hold ``VARIANCE`` of the variance."""
    rows = rows / rows.norm(dim=1, keepdim=True).clamp(min=1e-12)
    centred = rows - rows.mean(0)
    values, vectors = torch.linalg.eigh(centred.T @ centred)
    values, vectors = values.flip(0).clamp(min=0), vectors.flip(1)
    if float(values.sum()) <= 0:
        return rows
    kept = int((values.cumsum(0) / values.sum() < VARIANCE).sum()) + 1
    reduced: Tensor = centred @ vectors[:, :kept]
    return reduced


def kmeans(
    rows: Tensor, count: int, *, seed: int = SEED, restarts: int = RESTARTS, iterations: int = ITERATIONS
) -> Tensor:
    """Cluster rows by Lloyd's algorithm; the best of several starts from random rows.

    Args:
        rows: (N, d).
        count: Number of clusters. An empty one takes half of a random other one, as in faiss.
        seed: Seed of the starts.
        restarts: Number of starts.
        iterations: Most iterations of a start; it ends earlier when no row moves.

    Returns:
        (N,) int64, the cluster of each row.
    """
    best, least = torch.zeros(len(rows), dtype=torch.int64), float("inf")
    for start in range(restarts):
        centres = rows[_permutation(len(rows), seed + 3 + start * 15_486_557)[:count]].clone()
        cluster = torch.full((len(rows),), -1)
        for _ in range(iterations):
            nearest, now = torch.cdist(rows, centres).min(1)
            if bool((now == cluster).all()):
                break
            cluster = now
            sizes = torch.bincount(cluster, minlength=count)
            sums = torch.zeros_like(centres).index_add_(0, cluster, rows)
            centres = sums / sizes.clamp(min=1)[:, None]
            _split(centres, sizes)
        loss = float(nearest.square().sum())
        if loss < least:
            best, least = cluster, loss
    return best


def _random(seed: int) -> Iterator[int]:
    """The outputs of the Mersenne twister ``mt19937``."""
    twister = np.random.RandomState(seed % 2**32)
    while True:
        yield from twister.randint(0, 2**32, 4096, dtype=np.uint32).tolist()


def _permutation(count: int, seed: int) -> list[int]:
    """The random permutation of 0 ... count - 1 with which faiss chooses rows."""
    order = list(range(count))
    for i, number in zip(range(count - 1), _random(seed), strict=False):
        j = i + number % (count - i)
        order[i], order[j] = order[j], order[i]
    return order


def _split(centres: Tensor, sizes: Tensor) -> None:
    """Give each empty cluster half of another one, which is drawn by its size, in place.

    Both centres move a little apart, by 1/1024 of each coordinate, in opposite directions.
    """
    counts = sizes.tolist()
    spare = sum(counts) - len(counts)
    if all(counts) or spare <= 0:
        return
    sign = 1.0 - 2.0 * (torch.arange(centres.shape[1]) % 2)
    numbers = _random(1234)
    for empty in [i for i, size in enumerate(counts) if not size]:
        chosen = 0
        while next(numbers) / (2**32 - 1) >= (counts[chosen] - 1) / spare:
            chosen = (chosen + 1) % len(counts)
        half = centres[chosen].clone()
        centres[empty], centres[chosen] = half * (1 + sign / 1024), half * (1 - sign / 1024)
        counts[empty] = counts[chosen] // 2
        counts[chosen] -= counts[empty]
