"""Receiver operating characteristic: the area under the curve, its interval, and the difference of two scores.

The area (AUROC) is the probability that an anomaly has a higher score than a normal sample; ties count half. Its variance is
that of DeLong et al. 1988, doi:10.2307/2531595, which also covers two scores of the same samples.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Z95 = 1.959964
Array = NDArray[np.float64]


@dataclass(frozen=True)
class Interval:
    """A value with its 95 % interval."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.3f} [{self.low:.3f}, {self.high:.3f}]"


def ranks(values: Array) -> Array:
    """Return the ranks of values from 1; equal values share their mean rank."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    shared: Array = (ends - (counts - 1) / 2)[inverse]
    return shared


def placements(scores: Array, anomalous: NDArray[np.bool_]) -> tuple[Array, Array]:
    """Return for each anomaly the share of normal samples below it, and for each normal sample that of anomalies above it."""
    high, low = scores[anomalous], scores[~anomalous]
    joint = ranks(np.concatenate([high, low]))
    above = (joint[: len(high)] - ranks(high)) / len(low)
    below = 1 - (joint[len(high) :] - ranks(low)) / len(high)
    return above, below


def auroc(scores: Array, anomalous: NDArray[np.bool_]) -> float:
    """Return the area under the curve.

    Args:
        scores: (N,), higher for more unusual samples.
        anomalous: (N,), which samples are anomalies; both kinds must occur.
    """
    return float(placements(np.asarray(scores, np.float64), anomalous)[0].mean())


def interval(scores: Array, anomalous: NDArray[np.bool_]) -> Interval:
    """Return the area with its 95 % interval, on the logit scale so that it stays in 0..1.

    Args:
        scores: See ``auroc``.
        anomalous: See ``auroc``.
    """
    above, below = placements(np.asarray(scores, np.float64), anomalous)
    area = float(above.mean())
    variance = _variance(above) + _variance(below)
    if not 0 < area < 1:  # no pair is in the wrong order: the exact bound of a share of independent anomalies
        n = min(len(above), len(below))
        bound = 1 - 0.05 ** (1 / n)
        return Interval(area, area - bound if area == 1 else 0.0, bound if area == 0 else 1.0)
    half = Z95 * math.sqrt(variance) / (area * (1 - area))
    logit = math.log(area / (1 - area))
    return Interval(area, _sigmoid(logit - half), _sigmoid(logit + half))


def difference(first: Array, second: Array, anomalous: NDArray[np.bool_]) -> Interval:
    """Return the difference of the areas of two scores of the same samples, first minus second, with its 95 % interval."""
    pairs = zip(placements(np.asarray(first, np.float64), anomalous),
                placements(np.asarray(second, np.float64), anomalous), strict=True)  # fmt: skip
    differences = [a - b for a, b in pairs]
    value = float(differences[0].mean())
    half = Z95 * math.sqrt(sum(_variance(d) for d in differences))
    return Interval(value, value - half, value + half)


def average_precision(scores: Array, anomalous: NDArray[np.bool_]) -> float:
    """Return the mean precision over the anomalies, from the highest score down; equal scores are taken together."""
    values, inverse = np.unique(-np.asarray(scores, np.float64), return_inverse=True)
    found = np.cumsum(np.bincount(inverse, anomalous, len(values)))
    taken = np.cumsum(np.bincount(inverse, minlength=len(values)))
    new = np.diff(found, prepend=0.0)
    return float((new * found / taken).sum() / found[-1])


def curve(scores: Array, anomalous: NDArray[np.bool_], most: int = 200) -> list[tuple[float, float]]:
    """Return points (share of normal samples, share of anomalies) above falling thresholds, from (0, 0) to (1, 1).

    Args:
        scores: See ``auroc``.
        anomalous: See ``auroc``.
        most: Most points; of more, evenly spaced ones are kept.
    """
    values, inverse = np.unique(-np.asarray(scores, np.float64), return_inverse=True)
    found = np.cumsum(np.bincount(inverse, anomalous, len(values))) / anomalous.sum()
    false = np.cumsum(np.bincount(inverse, ~anomalous, len(values))) / (~anomalous).sum()
    kept = np.unique(np.linspace(0, len(values) - 1, min(most, len(values))).round().astype(int))
    return [(0.0, 0.0), *((float(false[i]), float(found[i])) for i in kept)]


def _variance(values: Array) -> float:
    """Return the variance of the mean of independent values; one value says nothing, so it counts as the largest one."""
    return float(values.var(ddof=1)) / len(values) if len(values) > 1 else 0.25


def _sigmoid(value: float) -> float:
    return 1 / (1 + math.exp(-value))
