"""Does a model memorise its training images? Nearest neighbours, near duplicates, authenticity, and a test.

Every number is also computed for a held-out set, which cannot have been copied. Compare the model with that, not with an
absolute number. Authenticity: Alaa et al. 2022 (arXiv:2102.08921). C_T: Meehan, Chaudhuri and Dasgupta 2020
(arXiv:2004.05675), here with the whole space as one cell.
"""

import math
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from ganloom.core.errors import BadInput
from ganloom.metrics.statistics.intervals import wilson
from ganloom.metrics.statistics.neighbours import nearest, squared_distances
from ganloom.metrics.statistics.rows import Features, as_pair
from ganloom.metrics.statistics.value import Value

DUPLICATE_QUANTILE = 0.01
"""A sample is a near duplicate if it is nearer to a training row than this quantile of the distances between training
rows and their nearest neighbours."""
_PROBE = 2000


@dataclass(frozen=True)
class Copies:
    """How near the samples of one set are to training rows.

    Attributes:
        distance: (N,) distance to the nearest training row.
        index: (N,) index of that row.
        duplicates: share of near duplicates.
        authentic: share of samples that are farther from their nearest training row than that row is from its own
            nearest neighbour. A low share means copies.
        median: median of ``distance``.
    """

    distance: Tensor
    index: Tensor
    duplicates: Value
    authentic: Value
    median: float


@dataclass(frozen=True)
class Memorisation:
    """The result for generated samples and for held-out images.

    Attributes:
        generated: of the generated samples.
        held_out: of the held-out images, None without them.
        threshold: distance below which a sample counts as a near duplicate.
        c_t: z-score of the Mann-Whitney test of the generated samples' distances against the held-out ones. Below -3:
            the model copies. Above 3: it stays away from the data.
        verdict: one sentence.
        suspects: indices of generated samples, sorted by the distance to their training row over the distance of that
            row to its own neighbour, smallest first.
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
        lines = []
        for name, copies in (("generated", self.generated), ("held out", self.held_out)):
            if copies is not None:
                lines.append(
                    f"{name:<10} near duplicates of training images {copies.duplicates}, authentic {copies.authentic},"
                    f" median distance {copies.median:.3g}"
                )
        return [*lines, self.verdict]


def memorisation(train: Features, fake: Features, held_out: Features | None = None, *, seed: int = 0) -> Memorisation:
    """Compare generated samples and held-out images with the training images.

    Near duplicates depend on how dense the data is. Without held-out images there is nothing to compare with, and the
    verdict says so. The 95 % intervals are Wilson's: over the draw of the samples, for these training images.

    Args:
        train: (T, d) features of the images that the model was trained on, T >= 3.
        fake: (N, d) features of generated samples.
        held_out: (M, d) features of images that the model was not trained on.
        seed: keys the training rows that the threshold is computed from.

    Returns:
        The shares of both sets, the test and a verdict.

    Raises:
        BadInput: NaN or Inf, different d, or too few rows.
    """
    rows, samples = as_pair(train, fake, least=3)
    centre = rows.double().mean(0)
    t, x = rows.double() - centre, samples.double() - centre
    probe = torch.randperm(len(t), generator=torch.Generator().manual_seed(seed))[:_PROBE]
    own = _own_distance(t, probe)
    threshold = float(torch.quantile(own, DUPLICATE_QUANTILE))
    generated, ratio = _copies(t, x, threshold)
    suspects = ratio.argsort().tolist()
    if held_out is None:
        verdict = "nothing was held out: without images that training never saw it is not known what is normal"
        return Memorisation(generated, None, threshold, None, verdict, suspects)
    _, other = as_pair(train, held_out, least=3)
    held, _ = _copies(t, other.double() - centre, threshold)
    z = mann_whitney(generated.distance, held.distance)
    return Memorisation(generated, held, threshold, z, _verdict(generated, held, z), suspects)


def mann_whitney(x: Tensor, y: Tensor) -> float:
    """Compute the z-score of the Mann-Whitney rank test. Ties count one half; the deviation is corrected for them.

    Args:
        x: (N,) values.
        y: (M,) values.

    Returns:
        The score. It is negative if the values of ``x`` are smaller.
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
    """``count`` of ``n`` as a share, with Wilson's 95 % interval."""
    return Value(count / n, *wilson(count / n, n))


def _own_distance(t: Tensor, picks: Tensor) -> Tensor:
    """Distance of the rows ``picks`` of ``t`` to their nearest other row of ``t``."""
    distances = []
    for part in picks.split(max(1, 4_000_000 // len(t))):
        squared = squared_distances(t[part], t)
        squared[torch.arange(len(part)), part] = math.inf
        distances.append(squared.amin(1).sqrt())
    return torch.cat(distances)


def _copies(t: Tensor, x: Tensor, threshold: float) -> tuple[Copies, Tensor]:
    """The result of ``x``, and the distance of each row over the distance of its training row to its own neighbour."""
    squared, index = nearest(x, t)
    distance = squared.sqrt()
    rows, inverse = index.unique(return_inverse=True)
    own = _own_distance(t, rows)[inverse]
    duplicates = share(int((distance < threshold).sum()) if threshold > 0 else int((distance == 0).sum()), len(x))
    authentic = share(int((distance > own).sum()), len(x))
    ratio = torch.where(own > 0, distance / own.clamp(min=1e-300), torch.where(distance > 0, math.inf, 1.0))
    return Copies(distance, index, duplicates, authentic, float(distance.median())), ratio


def _verdict(generated: Copies, held: Copies, z: float) -> str:
    """One sentence on the result."""
    fewer, more = _above(held.authentic, generated.authentic), _above(generated.duplicates, held.duplicates)
    if z < -3 and (fewer or more):
        return f"it copies: generated samples are nearer to training images than held-out ones (C_T {z:.1f})"
    if more:
        return "it repeats some training images: near duplicates are more frequent than among held-out images"
    if z < -3:
        return f"nearer to the training images than held-out ones (C_T {z:.1f}), without near duplicates: look at them"
    if z > 3:
        return f"no copying: generated samples are farther from training images than held-out ones (C_T {z:.1f})"
    return f"no copying found: as far from the training images as held-out ones (C_T {z:.1f})"


def _above(x: Value, y: Value) -> bool:
    """Whether the whole interval of ``x`` is above that of ``y``."""
    return x.low is not None and y.high is not None and x.low > y.high


def check_enough(n: int, what: str) -> None:
    """Raise `BadInput` if ``n`` images are too few for a share that differs from 0."""
    if n < 50:
        raise BadInput(f"{what}: {n} images are too few to measure copying; give 50 or more")
