"""Frechet distance between two sets of features, each taken as a Gaussian.

Heusel et al. 2017, "GANs Trained by a Two Time-Scale Update Rule" (arXiv:1706.08500); Dowson and Landau 1982:
|mu1 - mu2|^2 + tr(S1 + S2 - 2 (S1 S2)^(1/2)).
"""

import torch
from torch import Tensor

from ganloom.core.errors import BadInput
from ganloom.metrics.statistics.rows import Features, as_pair, as_rows, chunks

_BLOCK = 256


def frechet_distance(real: Features, fake: Features) -> float:
    """Frechet distance of (N, d) ``real`` and (M, d) ``fake`` features: 0 for equal sets, larger is worse.

    Any float type, float64 inside. Fewer samples than features is allowed (the covariance is then singular), but the
    estimate is biased upwards, like 1 / N: compare only values of one sample count, beside a real-versus-real floor.
    50,000 x 2,048 needs under 1 GiB beyond the input. Raises `BadInput` on NaN, Inf, different d, or fewer than 2 rows.
    """
    a, b = as_pair(real, fake)
    if 2 * max(len(a), len(b)) <= a.shape[1]:
        return _from_few(a.double(), b.double())
    return frechet_from_stats(*moments(a), *moments(b))


def _from_few(a: Tensor, b: Tensor) -> float:
    """The same for few rows of many features: of centred A and B, tr((A'A B'B)^(1/2)) is the nuclear norm of AB'.

    An N x M decomposition instead of two d x d ones, and one square root less, so it is also the more exact.
    """
    shift = (a.mean(0) - b.mean(0)).square().sum()
    a = (a - a.mean(0)) / (len(a) - 1) ** 0.5
    b = (b - b.mean(0)) / (len(b) - 1) ** 0.5
    distance = shift + a.square().sum() + b.square().sum() - 2 * torch.linalg.svdvals(a @ b.T).sum()
    return max(0.0, float(distance))


def moments(x: Tensor) -> tuple[Tensor, Tensor]:
    """Mean (d,) and unbiased covariance (d, d) in float64 of checked rows (N, d), one chunk in float64 at a time."""
    d = x.shape[1]
    mean, cov = torch.zeros(d, dtype=torch.float64), torch.zeros(d, d, dtype=torch.float64)
    for part in chunks(x):
        mean += part.double().sum(0)
    mean /= len(x)
    for part in chunks(x):
        centred = part.double() - mean
        for i in range(0, d, _BLOCK):  # on and right of the diagonal: the rest is its mirror image
            cov[i : i + _BLOCK, i:].addmm_(centred[:, i : i + _BLOCK].T, centred[:, i:])
    return mean, (cov.triu() + cov.triu(1).T) / (len(x) - 1)


class Moments:
    """Mean and covariance of rows that come in parts: float64, d^2 memory however many rows.

    ``Moments().add(part).add(part)``; ``mean`` (d,), ``cov`` (d, d) unbiased, ``n``. Parts are merged by the pairwise
    update of Chan, Golub and LeVeque 1979, so the result is the whole set's to round-off, whatever the parts.
    """

    def __init__(self) -> None:
        self.n = 0
        self.mean = torch.zeros(0, dtype=torch.float64)
        self._scatter = torch.zeros(0, 0, dtype=torch.float64)

    def add(self, rows: Features) -> "Moments":
        """Take (m, d) more rows; `BadInput` on NaN, Inf or another d."""
        checked = as_rows(rows, "features", least=1)
        d = checked.shape[1]
        if not self.n:
            self.mean, self._scatter = torch.zeros(d, dtype=torch.float64), torch.zeros(d, d, dtype=torch.float64)
        if d != len(self.mean):
            raise BadInput(f"features: {d} a row after {len(self.mean)}; use the same extractor for all")
        for part in chunks(checked):
            x = part.double()
            m, shift = len(x), x.mean(0) - self.mean
            x = x - x.mean(0)
            for i in range(0, d, _BLOCK):
                self._scatter[i : i + _BLOCK, i:].addmm_(x[:, i : i + _BLOCK].T, x[:, i:])
            self._scatter.addr_(shift, shift, alpha=self.n * m / (self.n + m))
            self.mean += shift * (m / (self.n + m))
            self.n += m
        return self

    @property
    def cov(self) -> Tensor:
        """Unbiased covariance (d, d); needs two rows."""
        if self.n < 2:
            raise BadInput(f"features: {self.n} rows, a covariance needs at least 2; give more samples")
        return (self._scatter.triu() + self._scatter.triu(1).T) / (self.n - 1)

    def distance(self, other: "Moments") -> float:
        """Frechet distance to another set's moments."""
        return frechet_from_stats(self.mean, self.cov, other.mean, other.cov)


def frechet_from_stats(mu1: Features, cov1: Features, mu2: Features, cov2: Features) -> float:
    """Frechet distance from means (d,) and covariances (d, d), so that a real set's moments can be kept.

    tr((S1 S2)^(1/2)) is taken from the symmetric S1^(1/2) S2 S1^(1/2), which has the same eigenvalues: no complex
    numbers, no iteration. Round-off below zero is clipped. Raises `BadInput` on wrong shapes, NaN or Inf.
    """
    m1, s1, m2, s2 = (torch.as_tensor(v).detach().cpu().double() for v in (mu1, cov1, mu2, cov2))
    d = m1.numel()
    if m1.shape != (d,) or m2.shape != (d,) or s1.shape != (d, d) or s2.shape != (d, d):
        raise BadInput(
            f"moments: shapes {tuple(m1.shape)}, {tuple(s1.shape)}, {tuple(m2.shape)}, {tuple(s2.shape)} do not fit;"
            " give means (d,) and covariances (d, d) of one d"
        )
    if not all(bool(v.isfinite().all()) for v in (m1, s1, m2, s2)):
        raise BadInput("moments: NaN or Inf in a mean or covariance; check the features they come from")
    values, vectors = torch.linalg.eigh(s1)
    root = (vectors * values.clamp(min=0).sqrt()) @ vectors.T
    product = root @ s2 @ root
    trace = torch.linalg.eigvalsh((product + product.T) / 2).clamp(min=0).sqrt().sum()
    distance = (m1 - m2).square().sum() + s1.trace() + s2.trace() - 2 * trace
    return max(0.0, float(distance))
