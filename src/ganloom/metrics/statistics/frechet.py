"""Frechet distance between two sets of features, each modelled as a Gaussian.

Heusel et al. 2017, "GANs Trained by a Two Time-Scale Update Rule" (arXiv:1706.08500); Dowson and Landau 1982:
|mu1 - mu2|^2 + tr(S1 + S2 - 2 (S1 S2)^(1/2)).
"""

import torch
from torch import Tensor

from ganloom.core.errors import BadInput
from ganloom.metrics.statistics.rows import Features, as_pair, as_rows, chunks

_BLOCK = 256


def frechet_distance(real: Features, fake: Features) -> float:
    """Compute the Frechet distance: 0 for equal sets, larger is worse.

    The estimate is biased upwards, like 1 / N. Compare only values of equal sample counts, and with a real-versus-real
    floor. Fewer samples than features are allowed (the covariance is then singular). 50,000 x 2,048 features need less
    than 1 GiB in addition to the input.

    Args:
        real: (N, d) features of any float type; the computation is in float64.
        fake: (M, d) features.

    Returns:
        The distance.

    Raises:
        BadInput: NaN or Inf, different d, or fewer than 2 rows.
    """
    a, b = as_pair(real, fake)
    if 2 * max(len(a), len(b)) <= a.shape[1]:
        return _from_few(a.double(), b.double())
    return frechet_from_stats(*moments(a), *moments(b))


def _from_few(a: Tensor, b: Tensor) -> float:
    """The distance for few rows of many features: tr((A'A B'B)^(1/2)) is the nuclear norm of AB' for centred A, B.

    One N x M decomposition replaces two d x d ones. It needs one square root less, so it is also more exact.
    """
    shift = (a.mean(0) - b.mean(0)).square().sum()
    a = (a - a.mean(0)) / (len(a) - 1) ** 0.5
    b = (b - b.mean(0)) / (len(b) - 1) ** 0.5
    distance = shift + a.square().sum() + b.square().sum() - 2 * torch.linalg.svdvals(a @ b.T).sum()
    return max(0.0, float(distance))


def moments(x: Tensor) -> tuple[Tensor, Tensor]:
    """Compute the mean (d,) and the unbiased covariance (d, d) of checked rows (N, d), in float64 and in chunks."""
    d = x.shape[1]
    mean, cov = torch.zeros(d, dtype=torch.float64), torch.zeros(d, d, dtype=torch.float64)
    for part in chunks(x):
        mean += part.double().sum(0)
    mean /= len(x)
    for part in chunks(x):
        centred = part.double() - mean
        for i in range(0, d, _BLOCK):  # the upper triangle: the lower one is its mirror image
            cov[i : i + _BLOCK, i:].addmm_(centred[:, i : i + _BLOCK].T, centred[:, i:])
    return mean, (cov.triu() + cov.triu(1).T) / (len(x) - 1)


class Moments:
    """Mean and covariance of rows that arrive in parts, in float64 and with d^2 memory.

    Use: ``Moments().add(part).add(part)``. Parts are merged by the pairwise update of Chan, Golub and LeVeque 1979, so the
    result does not depend on the parts, except for round-off.

    Attributes:
        n: number of rows.
        mean: (d,).
    """

    def __init__(self) -> None:
        self.n = 0
        self.mean = torch.zeros(0, dtype=torch.float64)
        self._scatter = torch.zeros(0, 0, dtype=torch.float64)

    def add(self, rows: Features) -> "Moments":
        """Add rows.

        Args:
            rows: (m, d), m >= 1.

        Returns:
            This object.

        Raises:
            BadInput: NaN, Inf or another d.
        """
        checked = as_rows(rows, "features", least=1)
        d = checked.shape[1]
        if not self.n:
            self.mean, self._scatter = torch.zeros(d, dtype=torch.float64), torch.zeros(d, d, dtype=torch.float64)
        if d != len(self.mean):
            raise BadInput(f"features: {d} a row after {len(self.mean)}; use the same extractor for all parts")
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
        """Unbiased covariance (d, d) of two rows or more; else `BadInput`."""
        if self.n < 2:
            raise BadInput(f"features: {self.n} rows, a covariance needs at least 2; give more samples")
        return (self._scatter.triu() + self._scatter.triu(1).T) / (self.n - 1)

    def distance(self, other: "Moments") -> float:
        """Frechet distance to another set's moments."""
        return frechet_from_stats(self.mean, self.cov, other.mean, other.cov)


def frechet_from_stats(mu1: Features, cov1: Features, mu2: Features, cov2: Features) -> float:
    """Compute the Frechet distance from means and covariances, for example from stored moments of a real set.

    tr((S1 S2)^(1/2)) is computed from the symmetric S1^(1/2) S2 S1^(1/2), which has the same eigenvalues. That needs
    neither complex numbers nor iteration. Negative round-off is clipped to 0.

    Args:
        mu1: (d,) mean.
        cov1: (d, d) covariance.
        mu2: (d,) mean of the other set.
        cov2: (d, d) its covariance.

    Returns:
        The distance.

    Raises:
        BadInput: wrong shapes, NaN or Inf.
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
