"""Perceptual path length: how far the image moves when the latent moves a little.

Karras et al. 2019, "A Style-Based Generator Architecture" (arXiv:1812.04948), section 4.1: E[d(G(a), G(b)) / eps^2] for
latents a, b that lie eps apart on the path between two random ones. The paper's d is a learned distance over VGG; here it
is the squared distance of any net's features, so the net's name belongs to the number.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from ganloom.core.errors import BadInput
from ganloom.metrics.extractors.extractor import Extractor

Make = Callable[[Tensor, int], Tensor]
"""Latents (n, z) and the index of the first -> images (n, C, H, W) in [-1, 1]; other noise equal for equal index."""


@dataclass(frozen=True)
class PathLength:
    """The mean over paths without the lowest and highest percent, its 95 % interval, and how many paths were kept."""

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
    """Path length over the paths from ``start`` (N, z) to ``end`` (N, z).

    ``spherical``: along the great circle, for normal z; False: straight, for a mapping network's w. ``whole``: at a
    random place of each path (keyed by ``seed``); False: at its start (the paper's "end"). ``trim``: share cut off at
    either end, as in the paper's code. ``epsilon`` is the step; float32 nets want 1e-3 rather than the paper's 1e-4.
    Lower is smoother, and a generator that ignores z scores 0: never read it alone. Raises `BadInput`.
    """
    if start.shape != end.shape or start.ndim != 2 or len(start) < 4:
        raise BadInput(
            f"latents {tuple(start.shape)} and {tuple(end.shape)}: give two equal (N, z) with N of 4 or more"
        )
    if not 0 < epsilon < 0.5 or not 0 <= trim < 0.5:
        raise BadInput(f"epsilon {epsilon}, trim {trim}: both must lie between 0 and 0.5")
    if extractor.standard:
        raise BadInput("path length: Inception's images are rounded to 8 bits, which hides small steps; choose effnet")
    rng = torch.Generator().manual_seed(seed)
    place = torch.rand(len(start), 1, generator=rng, dtype=torch.float64) * (1 - epsilon) * whole
    between = _great_circle if spherical else torch.lerp
    found = []
    for i in range(0, len(start), batch):
        a, b, t = start[i : i + batch].double(), end[i : i + batch].double(), place[i : i + batch]
        near, far = (
            extractor(make(between(a, b, at.expand_as(a)).to(start.dtype), i)).double() for at in (t, t + epsilon)
        )
        found.append((near - far).square().sum(1) / epsilon**2)
    lengths = torch.cat(found)
    cut = torch.quantile(lengths, torch.tensor([trim, 1 - trim], dtype=torch.float64))
    kept = lengths[(lengths >= cut[0]) & (lengths <= cut[1])]
    reach = 1.96 * float(kept.std()) / len(kept) ** 0.5 if len(kept) > 1 else 0.0
    value = float(kept.mean())
    return PathLength(value, max(0.0, value - reach), value + reach, len(kept))


def _great_circle(a: Tensor, b: Tensor, t: Tensor) -> Tensor:
    """Between the directions of a and b (the length goes along with them linearly): t = 0 is a, 1 is b."""
    length_a, length_b = a.norm(dim=1, keepdim=True), b.norm(dim=1, keepdim=True)
    u, v = a / length_a, b / length_b
    angle = (u * v).sum(1, keepdim=True).clamp(-1, 1).arccos()
    sine = angle.sin().clamp(min=1e-12)
    direction = ((1 - t) * angle).sin() / sine * u + (t * angle).sin() / sine * v
    point: Tensor = direction * torch.lerp(length_a, length_b, t[:, :1])
    return point
