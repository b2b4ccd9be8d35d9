"""Distances within each class: a conditional model that ignores its label has good overall distances and bad ones here."""

from torch import Tensor

from ganloom.core.errors import BadInput
from ganloom.metrics.statistics.frechet import frechet_distance
from ganloom.metrics.statistics.intervals import DistanceSpread
from ganloom.metrics.statistics.kernel import mmd_spread, squared_mmd
from ganloom.metrics.statistics.rows import Features, as_pair
from ganloom.metrics.statistics.value import Value


def intra_class_distance(
    real: Features, real_labels: Tensor, fake: Features, fake_labels: Tensor, *, metric: str = "kd"
) -> dict[int, float]:
    """Compute a distance within each class.

    Classes are small, so the default is the kernel distance, whose bias is 0 at any count. Classes with fewer than two
    rows on either side are left out.

    Args:
        real: (N, d) features.
        real_labels: (N,) integers.
        fake: (M, d) features.
        fake_labels: (M,) integers.
        metric: "fd" (Intra-FID, Miyato and Koyama 2018, arXiv:1802.05637) or "kd".

    Returns:
        Label -> distance.

    Raises:
        BadInput: another metric, labels of another length, or no class with two rows on both sides.
    """
    if metric not in ("fd", "kd"):
        raise BadInput(f"metric: {metric!r}; intra-class distances are fd or kd")
    distance = frechet_distance if metric == "fd" else squared_mmd
    return {label: distance(x, y) for label, (x, y) in _classes(real, real_labels, fake, fake_labels).items()}


def mean_intra_class_distance(
    real: Features, real_labels: Tensor, fake: Features, fake_labels: Tensor, *, seed: int = 0
) -> Value:
    """Compute the mean over classes of the kernel distance within the class, with its 95 % interval.

    The classes are independent samples, so the variance of the mean is the sum of the variances over the square of
    their number. A class with fewer than four rows on either side has no variance; then there is no interval.

    Args:
        real: (N, d) features.
        real_labels: (N,) integers.
        fake: (M, d) features.
        fake_labels: (M,) integers.
        seed: keys the half-samples.

    Returns:
        The mean and its interval over the draw of the samples, at these labels.

    Raises:
        BadInput: as `intra_class_distance`.
    """
    classes = _classes(real, real_labels, fake, fake_labels)
    distances = [squared_mmd(x, y) for x, y in classes.values()]
    mean = sum(distances) / len(distances)
    if min(min(len(x), len(y)) for x, y in classes.values()) < 4:
        return Value(mean)
    spreads = [mmd_spread(x, y, seed=seed) for x, y in classes.values()]
    k = len(spreads)
    spread = DistanceSpread(
        sum(s.variance for s in spreads) / k**2,
        sum(s.quadratic for s in spreads) / k**2,
        sum(s.bias for s in spreads) / k,
        sum(s.dof for s in spreads),
    )
    return Value(mean, *spread.interval(mean))


def _classes(
    real: Features, real_labels: Tensor, fake: Features, fake_labels: Tensor
) -> dict[int, tuple[Tensor, Tensor]]:
    """Label -> rows of both sets, for the classes with two rows or more on both sides."""
    a, b = as_pair(real, fake)
    if len(real_labels) != len(a) or len(fake_labels) != len(b):
        raise BadInput(f"labels: {len(real_labels)} and {len(fake_labels)} labels for {len(a)} and {len(b)} rows")
    labels = sorted(set(real_labels.tolist()) & set(fake_labels.tolist()))
    classes = {int(label): (a[real_labels == label], b[fake_labels == label]) for label in labels}
    classes = {label: (x, y) for label, (x, y) in classes.items() if min(len(x), len(y)) >= 2}
    if not classes:
        raise BadInput("labels: no class has two rows on both sides. Give more samples")
    return classes
