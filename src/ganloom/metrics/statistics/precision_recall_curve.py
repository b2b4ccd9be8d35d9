"""Precision-recall curve of distributions (PRD): how much of each distribution can be made from the other?

Sajjadi et al. 2018, "Assessing Generative Models via Precision and Recall" (arXiv:1806.00035). Both sets are clustered together.
For the shares p (real) and q (fake) of the clusters and a slope l: precision(l) = sum min(l p, q), recall(l) = precision(l) / l.
F8 weights recall, F1/8 weights precision.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from ganloom.core.errors import BadInput
from ganloom.metrics.statistics.neighbours import nearest
from ganloom.metrics.statistics.rows import Features, as_pair

CLUSTERS, ANGLES, RUNS = 20, 1001, 10
_STEPS = 30


@dataclass(frozen=True)
class PrecisionRecallCurve:
    """A curve from (precision 0, recall 1) to (precision 1, recall 0), for a perfect model through (1, 1).

    Attributes:
        precision: (angles,).
        recall: (angles,).
    """

    precision: Tensor
    recall: Tensor

    def f_score(self, beta: float) -> float:
        """The largest F score: (1 + beta^2) precision recall / (beta^2 precision + recall)."""
        p, r = self.precision, self.recall
        return float(((1 + beta**2) * p * r / (beta**2 * p + r).clamp(min=1e-12)).max())

    @property
    def f8(self) -> float:
        """Mostly recall."""
        return self.f_score(8)

    @property
    def f1_8(self) -> float:
        """Mostly precision."""
        return self.f_score(1 / 8)


def curve_of_shares(real: Tensor, fake: Tensor, angles: int = ANGLES) -> PrecisionRecallCurve:
    """Compute the curve of two discrete distributions.

    Args:
        real: (k,) shares that sum to 1.
        fake: (k,) shares that sum to 1.
        angles: number of points.

    Returns:
        The curve.
    """
    slope = torch.linspace(1e-6, math.pi / 2 - 1e-6, angles, dtype=torch.float64).tan()[:, None]
    precision = torch.minimum(slope * real.double(), fake.double()).sum(1)
    return PrecisionRecallCurve(precision.clamp(max=1), (precision / slope[:, 0]).clamp(max=1))


def precision_recall_curve(
    real: Features, fake: Features, *, clusters: int = CLUSTERS, runs: int = RUNS, seed: int = 0
) -> PrecisionRecallCurve:
    """Compute the curve of two sets of features: the mean over several clusterings.

    The sets are cut to equal counts, because else the clusters follow the larger one.

    Args:
        real: (N, d) features.
        fake: (M, d) features.
        clusters: number of clusters, at most the number of rows of the smaller set.
        runs: number of clusterings.
        seed: keys the choice of rows and the first centres.

    Returns:
        The curve.

    Raises:
        BadInput: too many clusters, NaN or Inf, or different d.
    """
    a, b = (x.double() for x in as_pair(real, fake))
    n = min(len(a), len(b))
    if not 1 <= clusters <= n or runs < 1:
        raise BadInput(f"clusters {clusters}, runs {runs}: needs 1 to {n} clusters (rows of the smaller set) and 1 run")
    rng = torch.Generator().manual_seed(seed)
    both = torch.cat([x[torch.randperm(len(x), generator=rng)[:n]] for x in (a, b)])
    both = both - both.mean(0)
    curves = []
    for _ in range(runs):
        labels = _k_means(both, clusters, rng)
        shares = [labels[part].bincount(minlength=clusters) / n for part in (slice(n), slice(n, None))]
        curves.append(curve_of_shares(shares[0], shares[1]))
    return PrecisionRecallCurve(
        torch.stack([c.precision for c in curves]).mean(0), torch.stack([c.recall for c in curves]).mean(0)
    )


def _k_means(x: Tensor, k: int, rng: torch.Generator) -> Tensor:
    """Labels (n,) by Lloyd's algorithm, with first centres of k-means++ (Arthur and Vassilvitskii 2007)."""
    centres = x[torch.randint(len(x), (1,), generator=rng)]
    while len(centres) < k:
        squared, _ = nearest(x, centres)
        if not float(squared.sum()) > 0:  # fewer different rows than clusters
            break
        centres = torch.cat([centres, x[torch.multinomial(squared, 1, generator=rng)]])
    labels = nearest(x, centres)[1]
    for _ in range(_STEPS):
        counts = labels.bincount(minlength=len(centres)).double()[:, None]
        sums = torch.zeros_like(centres).index_add_(0, labels, x)
        centres = torch.where(counts > 0, sums / counts.clamp(min=1), centres)
        before, labels = labels, nearest(x, centres)[1]
        if torch.equal(before, labels):
            break
    return labels
