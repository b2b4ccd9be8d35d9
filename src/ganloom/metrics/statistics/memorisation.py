"""Has a model learnt its training images by heart? Nearest neighbours, near duplicates, authenticity, and a test.

Every figure is computed for a held-out set too, which cannot have been copied: that is what the model is read against,
not an absolute number. Authenticity: Alaa et al. 2022 (arXiv:2102.08921). C_T: Meehan, Chaudhuri and Dasgupta 2020
(arXiv:2004.05675), here over the whole space as one cell.
"""

import math
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from ganloom.core.errors import BadInput
from ganloom.metrics.statistics.neighbours import nearest, squared_distances
from ganloom.metrics.statistics.rows import Features, as_pair
from ganloom.metrics.statistics.value import Value

DUPLICATE_QUANTILE = 0.01
"""A sample is a near duplicate when it lies nearer to a training row than all but this share of training rows do."""
_PROBE = 2000


@dataclass(frozen=True)
class Copies:
    """What one set's nearest training rows tell.

    ``distance``: (N,) distance to the nearest training row, ``index`` (N,) which one. ``duplicates``: share of near
    duplicates. ``authentic``: share that lies farther from its nearest training row than that row does from its own
    nearest fellow: low means copies. ``median``: of ``distance``.
    """

    distance: Tensor
    index: Tensor
    duplicates: Value
    authentic: Value
    median: float


@dataclass(frozen=True)
class Memorisation:
    """``generated`` and, where images were held out, ``held_out`` to compare with, and ``c_t`` between them.

    ``threshold``: the distance below which a sample counts as a near duplicate. ``c_t``: z-score of the Mann-Whitney
    test of the generated samples' distances against the held-out ones': below -3 is copying, above 3 is staying away
    from the data. ``verdict``: one sentence. ``suspects``: generated samples by how near their training row is
    relative to that row's own neighbour, the most suspicious first.
    """

    generated: Copies
    held_out: Copies | None
    threshold: float
    c_t: float | None
    verdict: str
    suspects: list[int] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers and strings."""
        result: dict[str, Any] = {"threshold": self.threshold, "c_t": self.c_t, "verdict": self.verdict}
        for name, copies in (("generated", self.generated), ("held_out", self.held_out)):
            if copies is not None:
                result[name] = {
                    "near_duplicates": vars(copies.duplicates) | {},
                    "authentic": vars(copies.authentic) | {},
                    "median_distance": copies.median,
                }
        return result

    def lines(self) -> list[str]:
        """A small table and the verdict."""
        found = []
        for name, copies in (("generated", self.generated), ("held out", self.held_out)):
            if copies is not None:
                found.append(
                    f"{name:<10} near duplicates of training images {copies.duplicates}, authentic {copies.authentic},"
                    f" median distance {copies.median:.3g}"
                )
        return [*found, self.verdict]


def memorisation(train: Features, fake: Features, held_out: Features | None = None, *, seed: int = 0) -> Memorisation:
    """Compare ``fake`` (N, d) and ``held_out`` (M, d) with the (T, d) features that the model was trained on.

    Without ``held_out`` the figures stand alone and the verdict says so: near duplicates depend on how dense the data
    is. Intervals are Wilson's, 95 %. Raises `BadInput` as `frechet_distance`, and for fewer than 3 training rows.
    """
    rows, made = as_pair(train, fake, least=3)
    centre = rows.double().mean(0)
    t, x = rows.double() - centre, made.double() - centre
    probe = torch.randperm(len(t), generator=torch.Generator().manual_seed(seed))[:_PROBE]
    own = _own_distance(t, probe)
    threshold = float(torch.quantile(own, DUPLICATE_QUANTILE))
    generated, ratio = _copies(t, x, threshold)
    suspects = ratio.argsort().tolist()
    if held_out is None:
        verdict = "nothing was held out: give images that training never saw, else there is no saying what is normal"
        return Memorisation(generated, None, threshold, None, verdict, suspects)
    _, other = as_pair(train, held_out, least=3)
    kept, _ = _copies(t, other.double() - centre, threshold)
    z = mann_whitney(generated.distance, kept.distance)
    return Memorisation(generated, kept, threshold, z, _verdict(generated, kept, z), suspects)


def mann_whitney(x: Tensor, y: Tensor) -> float:
    """z-score of the rank test that values of ``x`` (N,) are as large as those of ``y`` (M,); negative: x is smaller.

    Ties count one half, and the deviation is corrected for them.
    """
    n, m = len(x), len(y)
    values, inverse, counts = torch.cat([x, y]).double().unique(return_inverse=True, return_counts=True)
    last = counts.cumsum(0).double()
    ranks = (last - (counts - 1) / 2)[inverse]
    u = float(ranks[:n].sum()) - n * (n + 1) / 2
    ties = float((counts.double() ** 3 - counts).sum()) / ((n + m) * (n + m - 1))
    variance = n * m / 12 * (n + m + 1 - ties)
    return (u - n * m / 2) / math.sqrt(variance) if variance > 0 else 0.0


def share(count: int, n: int) -> Value:
    """A share and Wilson's 95 % interval."""
    p, z = count / n, 1.96
    middle = (p + z**2 / (2 * n)) / (1 + z**2 / n)
    reach = z / (1 + z**2 / n) * math.sqrt(p * (1 - p) / n + z**2 / (4 * n**2))
    return Value(p, max(0.0, min(p, middle - reach)), min(1.0, max(p, middle + reach)))


def _own_distance(t: Tensor, picks: Tensor) -> Tensor:
    """Distance of rows ``picks`` of ``t`` to their nearest other row of ``t``."""
    found = []
    for part in picks.split(max(1, 4_000_000 // len(t))):
        squared = squared_distances(t[part], t)
        squared[torch.arange(len(part)), part] = math.inf
        found.append(squared.amin(1).sqrt())
    return torch.cat(found)


def _copies(t: Tensor, x: Tensor, threshold: float) -> tuple[Copies, Tensor]:
    """The figures of ``x``, and each row's distance over that of its training row to its own neighbour."""
    squared, index = nearest(x, t)
    distance = squared.sqrt()
    rows, inverse = index.unique(return_inverse=True)
    own = _own_distance(t, rows)[inverse]
    duplicates = share(int((distance < threshold).sum()) if threshold > 0 else int((distance == 0).sum()), len(x))
    authentic = share(int((distance > own).sum()), len(x))
    ratio = torch.where(own > 0, distance / own.clamp(min=1e-300), torch.where(distance > 0, math.inf, 1.0))
    return Copies(distance, index, duplicates, authentic, float(distance.median())), ratio


def _verdict(generated: Copies, kept: Copies, z: float) -> str:
    fewer, more = _above(kept.authentic, generated.authentic), _above(generated.duplicates, kept.duplicates)
    if z < -3 and (fewer or more):
        return f"it copies: generated samples lie nearer to training images than held-out ones do (C_T {z:.1f})"
    if more:
        return "it repeats some training images: near duplicates are more frequent than among held-out ones"
    if z < -3:
        return (
            f"nearer to the training images than held-out ones are (C_T {z:.1f}), without near duplicates: look at them"
        )
    if z > 3:
        return f"no copying: generated samples lie farther from training images than held-out ones do (C_T {z:.1f})"
    return f"no copying found: as far from the training images as held-out ones (C_T {z:.1f})"


def _above(x: Value, y: Value) -> bool:
    """Whether the intervals part, ``x`` being the larger."""
    return x.low is not None and y.high is not None and x.low > y.high


def check_enough(n: int, what: str) -> None:
    """`BadInput` where a share of ``n`` could not be told from 0."""
    if n < 50:
        raise BadInput(f"{what}: {n} images are too few to speak of copying; give 50 or more")
