"""Perceptual path length: how far the image moves when the latent moves a little.

Karras et al. 2019, "A Style-Based Generator Architecture" (arXiv:1812.04948), section 4.1: E[d(G(a), G(b)) / eps^2] for
latents a, b at the distance eps on the path between two random ones. The paper's d is a learned distance over VGG
features. Here it is the squared distance of the features of any net, so the name of the net belongs to the number.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from ganloom.core.errors import BadInput
from ganloom.metrics.extractors.extractor import Extractor
from ganloom.metrics.statistics.trimmed import trimmed_mean

Make = Callable[[Tensor, int], Tensor]
"""Latents (n, z) and the index of the first one -> images (n, C, H, W) in [-1, 1]. All other randomness of the generator
depends on the index only."""


@dataclass(frozen=True)
class PathLength:
    """A mean path length.

    Attributes:
        value: mean over the paths, without the lowest and the highest percent.
        low: lower end of the 95 % interval over the draw of the paths.
        high: upper end.
        kept: number of paths that the mean is over.
    """

    value: float
    low: float
    high: float
    kept: int


def path_length(
    make: Make,
    start: Tensor,
    end: Tensor,
    extractor: Extractor,
    *,
    spherical: bool = True,
    epsilon: float = 1e-3,
    whole: bool = True,
    trim: float = 0.01,
    batch: int = 64,
    seed: int = 0,
) -> PathLength:
    """Compute the mean path length between latents.

    Lower is smoother. A generator that ignores z has the path length 0, so never read it alone.

    Args:
        make: the generator.
        start: (N, z) latents, N >= 4.
        end: (N, z) latents.
        extractor: makes the features.
        spherical: True: paths along great circles, for normal z. False: straight paths, for the w of a mapping network.
        epsilon: size of the step, between 0 and 0.5. A float32 net needs 1e-3 where the paper has 1e-4.
        whole: True: a random place on each path. False: its start (the paper's "end").
        trim: share left out at each end, as in the paper's code; from 0 to below 0.5.
        batch: paths at a time.
        seed: keys the places.

    Returns:
        The mean, its interval and the number of paths.

    Raises:
        BadInput: an argument out of range, or the standard Inception features (they round images to 8 bits).
    """
    if start.shape != end.shape or start.ndim != 2 or len(start) < 4:
        raise BadInput(
            f"latents {tuple(start.shape)} and {tuple(end.shape)}: give two equal (N, z) with N of 4 or more"
        )
    if not 0 < epsilon < 0.5 or not 0 <= trim < 0.5:
        raise BadInput(f"epsilon {epsilon}, trim {trim}: both must be between 0 and 0.5")
    if extractor.standard:
        raise BadInput("path length: Inception rounds images to 8 bits, which hides small steps; choose effnet")
    rng = torch.Generator().manual_seed(seed)
    place = torch.rand(len(start), 1, generator=rng, dtype=torch.float64) * (1 - epsilon) * whole
    between = _great_circle if spherical else torch.lerp
    lengths = []
    for i in range(0, len(start), batch):
        a, b, t = start[i : i + batch].double(), end[i : i + batch].double(), place[i : i + batch]
        near, far = (
            extractor(make(between(a, b, at.expand_as(a)).to(start.dtype), i)).double() for at in (t, t + epsilon)
        )
        lengths.append((near - far).square().sum(1) / epsilon**2)
    mean, low, high, count = trimmed_mean(torch.cat(lengths), trim)
    return PathLength(mean, max(0.0, low), high, count)


def _great_circle(a: Tensor, b: Tensor, t: Tensor) -> Tensor:
    """Point between the directions of a (t = 0) and b (t = 1). The length is interpolated linearly."""
    length_a, length_b = a.norm(dim=1, keepdim=True), b.norm(dim=1, keepdim=True)
    u, v = a / length_a, b / length_b
    angle = (u * v).sum(1, keepdim=True).clamp(-1, 1).arccos()
    sine = angle.sin().clamp(min=1e-12)
    direction = ((1 - t) * angle).sin() / sine * u + (t * angle).sin() / sine * v
    point: Tensor = direction * torch.lerp(length_a, length_b, t[:, :1])
    return point
