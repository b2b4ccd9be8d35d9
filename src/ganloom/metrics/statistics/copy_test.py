"""How many samples are copies of training images? A test against images that are known not to be copies.

The figure of a sample is d1 / d8, the distance to its nearest training image over the distance to its 8th nearest (the ratio
test of Lowe 2004): near 1 for a new image, near 0 for a copy. A sample that is merely smooth is near to all images, and its
ratio is near 1 too. The same figure of "normal" images, which nothing has copied, shows what occurs by chance: held-out
images, and training images against the other training images.

If the samples are drawn like the normal images, all orders of both sets are equally likely. So the number of samples below
the r-th smallest normal figure has a known distribution (negative hypergeometric), and the p-value is exact.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ganloom.core.errors import BadInput
from ganloom.metrics.statistics.intervals import wilson
from ganloom.metrics.statistics.value import Value

NEIGHBOURS = 8
"""The distance to this neighbour is the scale of a distance."""
LEVELS = (0.0, 0.0025, 0.005, 0.01, 0.02, 0.03, 0.045, 0.065, 0.1, 0.15)
"""Shares of the normal images below a threshold; the first means the smallest of them. Each is a
threshold of the test. There are many, because data may have natural near duplicates (emoji do), and the threshold that finds
copies best depends on how many there are."""
P_VALUE = 1e-3
"""Samples are called copies below this p-value, over all thresholds and spaces together."""


@dataclass(frozen=True)
class Space:
    """The figures of samples and of normal images in one space, such as the features of one net.

    Attributes:
        name: for the reader.
        samples: (n,) ratios of distances.
        normal: (m,) ratios of images that are not copies.
    """

    name: str
    samples: Tensor
    normal: Tensor


@dataclass(frozen=True)
class CopyTest:
    """The result for several spaces.

    Attributes:
        share: estimated share of copies among the samples, in the space and at the threshold with the strongest evidence.
        p_value: of no copies, corrected for the number of tests.
        space: name of that space.
        threshold: figure below which a sample counts as a copy there.
        order: indices of the samples, the most suspicious first.
        normal: number of normal images.
    """

    share: Value
    p_value: float
    space: str
    threshold: float
    order: Tensor
    normal: int

    @property
    def copies(self) -> bool:
        """Whether the samples contain copies."""
        return self.p_value < P_VALUE


def distance_ratios(distances: Tensor) -> Tensor:
    """Divide the smallest distance by that of the 8th neighbour.

    Args:
        distances: (n, k) distances to training images, in ascending order.

    Returns:
        (n,) in [0, 1]. A row of zeros, which is repeated in the training images, gives 1.
    """
    first, last = distances[:, 0].double(), distances[:, min(NEIGHBOURS, distances.shape[1]) - 1].double()
    return torch.where(last > 0, first / last.clamp(min=1e-300), 1.0)


def copy_test(spaces: Sequence[Space]) -> CopyTest:
    """Test whether more samples have small ratios than normal images do.

    Args:
        spaces: one or more.

    Returns:
        The evidence of the space with the smallest p-value.
    """
    best, tests = None, 0
    for space in spaces:
        normal, samples = space.normal.double().sort().values, space.samples.double()
        ranks = sorted({max(1, round(level * len(normal))) for level in LEVELS})
        tests += len(ranks)
        for rank in ranks:
            threshold = float(normal[rank - 1])
            count = int((samples < threshold).sum())
            log_p = _log_tail(count, len(samples), rank, len(normal))
            if best is None or log_p < best[0]:
                best = log_p, space, rank, threshold, count
    if best is None:
        raise BadInput("copies: no space was given to search in")
    log_p, space, rank, threshold, count = best
    return CopyTest(
        _share(count, len(space.samples), rank, len(space.normal)),
        min(1.0, math.exp(log_p) * tests),
        space.name,
        threshold,
        space.samples.argsort(),
        len(space.normal),
    )


def _share(count: int, n: int, rank: int, m: int) -> Value:
    """The share of copies if ``count`` of ``n`` are below the threshold, and ``rank`` of ``m`` normal ones are by chance."""
    observed, chance = count / n, rank / (m + 1)
    both = observed * (1 - observed) / n + chance**2 / rank  # variances of the count and of the chance
    effective = observed * (1 - observed) / both if 0 < observed < 1 else n
    low, high = wilson(observed, effective)
    return Value(*(max(0.0, (x - chance) / (1 - chance)) for x in (observed, low, high)))


def _log_tail(count: int, n: int, rank: int, m: int) -> float:
    """Log probability that ``count`` or more of n samples are below the ``rank``-th smallest of m normal values.

    That is the case if fewer than ``rank`` of the ``count + rank - 1`` smallest values of both sets are normal.
    """
    if count == 0:
        return 0.0
    drawn = count + rank - 1
    terms = [
        _log_choose(m, j) + _log_choose(n, drawn - j) - _log_choose(n + m, drawn)
        for j in range(max(0, drawn - n), rank)
    ]
    largest = max(terms)
    return min(0.0, largest + math.log(sum(math.exp(term - largest) for term in terms)))


def _log_choose(n: int, k: int) -> float:
    return math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)
