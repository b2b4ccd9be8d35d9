"""Does a model memorise its training images? Copies, near duplicates, authenticity, and a test of all distances.

Every number is also computed for a held-out set, which cannot have been copied. Compare the model with that, not with an
absolute number. Copies: see `copy_test`. Authenticity: Alaa et al. 2022 (arXiv:2102.08921). C_T: Meehan, Chaudhuri and
Dasgupta 2020 (arXiv:2004.05675), here with the whole space as one cell.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from ganloom.core.errors import BadInput
from ganloom.metrics.statistics.copy_test import NEIGHBOURS, CopyTest, Space, copy_test, distance_ratios
from ganloom.metrics.statistics.intervals import wilson
from ganloom.metrics.statistics.neighbours import nearest, squared_distances
from ganloom.metrics.statistics.rows import Features, as_pair
from ganloom.metrics.statistics.value import Value

DUPLICATE_QUANTILE = 0.01
"""A sample is a near duplicate if it is nearer to a training row than this quantile of the distances between training
rows and their nearest neighbours."""
_PROBE = 2000
FAR = 3.5
"""Samples are far from all data if a z-score of their distances, against held-out images, is above this in any space."""


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
            samples are nearer to the training rows than held-out ones. Above 3: they stay away from the data.
        verdict: one sentence.
        copies: the test for copies of single training images.
        far: the largest z-score of all spaces, as ``c_t``; None without held-out images.
        suspects: indices of generated samples, the most suspicious first.
    """

    generated: Copies
    held_out: Copies | None
    threshold: float
    c_t: float | None
    verdict: str
    copies: CopyTest
    far: float | None = None
    suspects: list[int] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers and strings."""
        result: dict[str, Any] = {
            "threshold": self.threshold,
            "c_t": self.c_t,
            "verdict": self.verdict,
            "far": self.far,
        }
        test = self.copies
        result["copies"] = {
            "share": vars(test.share) | {}, "p_value": test.p_value, "space": test.space, "threshold": test.threshold,
            "normal": test.normal,
        }  # fmt: skip
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
        test = self.copies
        lines.append(
            f"copies     {test.share} of the samples in the space {test.space} (p = {test.p_value:.1g} for no copies,"
            f" from {test.normal} images that are not copies)"
        )
        return [*lines, self.verdict]


@dataclass(frozen=True)
class Searched:
    """A space of `copy_test`, and what was found in it.

    Attributes:
        space: the ratios.
        index: (n, k) indices of the training rows that are nearest to each sample.
        far: z-score of the samples' distances against those of held-out rows; None without held-out rows.
    """

    space: Space
    index: Tensor
    far: float | None


def memorisation(
    train: Features,
    fake: Features,
    held_out: Features | None = None,
    *,
    seed: int = 0,
    searched: Sequence[Searched] = (),
) -> Memorisation:
    """Compare generated samples and held-out images with the training images.

    Near duplicates depend on how dense the data is. Without held-out images there is nothing to compare with, and the
    verdict says so. The 95 % intervals are Wilson's: over the draw of the samples, for these training images.

    Args:
        train: (T, d) features of the images that the model was trained on, T >= 3.
        fake: (N, d) features of generated samples.
        held_out: (M, d) features of images that the model was not trained on.
        seed: keys the training rows that the threshold is computed from.
        searched: spaces in which copies were searched; empty: these features only.

    Returns:
        The shares of both sets, the tests and a verdict.

    Raises:
        BadInput: NaN or Inf, different d, or too few rows.
    """
    rows, samples = as_pair(train, fake, least=3)
    centre = rows.double().mean(0)
    t, x = rows.double() - centre, samples.double() - centre
    other = None if held_out is None else as_pair(train, held_out, least=3)[1].double() - centre
    probe = torch.randperm(len(t), generator=torch.Generator().manual_seed(seed))[:_PROBE]
    own = _own_distance(t, probe)
    threshold = float(torch.quantile(own, DUPLICATE_QUANTILE))
    generated = _copies(t, x, threshold)
    if not searched:
        itself = probe[: max(50, len(x))]
        normal = [([t[itself]], itself), *([] if other is None else [([other], None)])]
        searched = [search("features", t, [x], normal)]
    test = copy_test([one.space for one in searched])
    suspects = test.order.tolist()
    if other is None:
        return Memorisation(generated, None, threshold, None, _verdict_alone(test), test, None, suspects)
    held = _copies(t, other, threshold)
    z = mann_whitney(generated.distance, held.distance)
    far = max([z, *(one.far for one in searched if one.far is not None)])
    return Memorisation(generated, held, threshold, z, _verdict(test, z, far), test, far, suspects)


Variants = Sequence[Tensor]
"""Features (n, d) of the same images, as they are and transformed, such as flipped."""


def search(name: str, train: Tensor, samples: Variants, normal: Sequence[tuple[Variants, Tensor | None]]) -> Searched:
    """Search for copies among features.

    Args:
        name: of the space.
        train: (T, d) float64 features of the training images.
        samples: of the samples.
        normal: sets of images that are not copies: variants, and for training images their rows in ``train``, which do
            not count as their neighbours. The last set without rows is that of held-out images.

    Returns:
        The space, and the nearest training rows of each sample.
    """

    def found(variants: Variants, itself: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
        distances, index = _neighbours(train, variants, itself)
        return distances[:, 0], index, distance_ratios(distances)

    distance, index, figures = found(samples, None)
    others = [(*found(variants, itself), itself) for variants, itself in normal]
    held = [d for d, _, _, itself in others if itself is None]
    far = mann_whitney(distance, held[-1]) if held else None
    return Searched(Space(name, figures, torch.cat([other[2] for other in others])), index, far)


def _neighbours(train: Tensor, variants: Variants, itself: Tensor | None) -> tuple[Tensor, Tensor]:
    """Distances and rows (n, 8) of the nearest training rows, each at its nearest variant."""
    k = min(NEIGHBOURS, len(train) - (itself is not None))
    found = []
    for picks in torch.arange(len(variants[0])).split(max(1, 4_000_000 // len(train))):
        squared = squared_distances(variants[0][picks], train)
        for variant in variants[1:]:
            torch.minimum(squared, squared_distances(variant[picks], train), out=squared)
        if itself is not None:
            squared[torch.arange(len(picks)), itself[picks]] = math.inf
        found.append(squared.topk(k, largest=False))
    return torch.cat([part.values for part in found]).sqrt(), torch.cat([part.indices for part in found])


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


def _copies(t: Tensor, x: Tensor, threshold: float) -> Copies:
    """The near duplicates and the authentic rows of ``x``."""
    squared, index = nearest(x, t)
    distance = squared.sqrt()
    rows, inverse = index.unique(return_inverse=True)
    own = _own_distance(t, rows)[inverse]
    duplicates = share(int((distance < threshold).sum()) if threshold > 0 else int((distance == 0).sum()), len(x))
    authentic = share(int((distance > own).sum()), len(x))
    return Copies(distance, index, duplicates, authentic, float(distance.median()))


def _copied(test: CopyTest) -> str:
    """What the test for copies found, if it found any."""
    low, high = test.share.low or 0.0, test.share.high or 0.0
    what = "it copies" if test.share.value >= 0.5 else "it copies some training images"
    return (
        f"{what}: about {test.share.value:.1%} of the samples (95 % interval {low:.1%} to {high:.1%}) are much nearer to one"
        f" training image than images that were not copied ({test.space}, p = {test.p_value:.1g})"
    )


def _verdict(test: CopyTest, z: float, far: float) -> str:
    """One sentence on the result."""
    if test.copies:
        return _copied(test)
    if far > FAR or z > 3:
        return (
            f"samples are far from all data: farther from the training images than held-out images are (C_T"
            f" {max(z, far):.1f}). No copies were found, but the check is certain only for samples like the data"
        )
    if z < -3:
        return (
            f"nearer to the training images than held-out ones (C_T {z:.1f}), without copies of single images: look at"
            " the nearest training images"
        )
    return f"no copying found: as far from the training images as held-out ones (C_T {z:.1f})"


def _verdict_alone(test: CopyTest) -> str:
    """One sentence on the result without held-out images."""
    if test.copies:
        return _copied(test) + "; nothing was held out, so training images were compared with each other"
    return (
        "no copies of single images, but nothing was held out: without images that training never saw it is not known"
        " what is normal. Give --held-out"
    )


def check_enough(n: int, what: str) -> None:
    """Raise `BadInput` if ``n`` images are too few for a share that differs from 0."""
    if n < 50:
        raise BadInput(f"{what}: {n} images are too few to measure copying; give 50 or more")
