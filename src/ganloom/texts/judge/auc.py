"""Area under the ROC curve, with an interval."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Auc:
    """The probability that a generated text scores higher than a real one; 0.5 is chance.

    Attributes:
        value: The area.
        low: Lower end of the 95 % interval.
        high: Upper end.
    """

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.3f} [{self.low:.2f}, {self.high:.2f}]"


def auc(real: Tensor, generated: Tensor) -> Auc:
    """Compute the area from scores; ties count one half.

    The interval is that of Hanley and McNeil 1982. It covers the draw of the texts, not the randomness of a training.

    Args:
        real: (N,) scores of real texts.
        generated: (M,) scores of generated texts.
    """
    both = torch.cat([real, generated]).double()
    _, index, counts = both.unique(return_inverse=True, return_counts=True)
    ends = counts.cumsum(0)
    ranks = (ends - (counts - 1) / 2)[index]  # the mean rank of equal scores
    n, m = len(real), len(generated)
    area = float((ranks[n:].sum() - m * (m + 1) / 2) / (n * m))
    q1, q2 = area / (2 - area), 2 * area**2 / (1 + area)
    variance = (area * (1 - area) + (m - 1) * (q1 - area**2) + (n - 1) * (q2 - area**2)) / (n * m)
    half = 1.96 * math.sqrt(max(0.0, variance))
    return Auc(area, max(0.0, area - half), min(1.0, area + half))
