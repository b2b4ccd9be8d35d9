"""Find the latent z whose image is most similar to a given image, for models without styles.

Adam on z, with decreasing noise, as in W (see ``apps.projection``). A z far from those that the model was trained on gives
images that it does not generate otherwise; so the length of z is kept near the usual length, and each number within the usual
range. The class is not optimized: it is the given one, or that of the best start.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ganloom.core.errors import BadInput
from ganloom.gan import GAN

CANDIDATES = 512
BATCH = 64
PRIOR = 0.1
"""Weight of the squared relative difference between the length of z and the usual length."""


@dataclass(frozen=True)
class ZSpace:
    """The latents of a model as a space to search in.

    Attributes:
        gan: The model.
        c: Labels (N,), or None.
        start: Latents (N, z_dim) to start from.
        deviation: The standard deviation of a number of z.
        length: The mean length of z.
        low: Smallest usual value.
        high: Largest usual value.
    """

    gan: GAN
    c: Tensor | None
    start: Tensor
    deviation: Tensor
    length: Tensor
    low: Tensor
    high: Tensor

    def images(self, z: Tensor) -> Tensor:
        """Generate images (N, C, H, W) with a gradient."""
        return self.gan.sample(z, self.c)

    def kept(self, z: Tensor) -> Tensor:
        """Return z with each number in the usual range."""
        return z.clamp(self.low, self.high)

    def unlikely(self, z: Tensor) -> Tensor:
        """Return a penalty (N,) for an unusual length of z."""
        penalty: Tensor = PRIOR * (z.norm(dim=1) / self.length - 1).square()
        return penalty


def check_z(gan: GAN) -> None:
    """Raise BadInput if the model has no latents (N, z_dim) of which its samples are a differentiable function."""
    name = type(gan).__name__
    if gan.conditions_on == "images":
        raise BadInput(f"{name} translates images and has no latents: use `ganloom translate`")
    z = gan.z(2)
    if z.dim() != 2 or not z.numel():
        raise BadInput(
            f"{name} has no latent vectors (its z has shape {tuple(z.shape[1:])}): use `ganloom sample --seed`"
        )
    z = z.requires_grad_(True)
    c = gan.c(2)
    with torch.enable_grad():
        try:
            torch.autograd.grad(gan.sample(z, c).sum(), z)
        except RuntimeError:
            raise BadInput(
                f"the samples of {name} are not a differentiable function of z: use `ganloom sample --seed`"
            ) from None


@torch.no_grad()
def nearest(gan: GAN, target: Tensor, c: Any, distance: Any) -> ZSpace:
    """Start from the best of many random latents.

    Args:
        gan: The model.
        target: Images (N, C, H, W).
        c: The class, or None for random ones.
        distance: Function of (images, images) that returns distances (N,).

    Returns:
        The space, with one start for each image.
    """
    z = gan.z(CANDIDATES)
    labels = gan.c(CANDIDATES) if c is None else gan.conditions(CANDIDATES, c)
    distances = []
    for first in range(0, CANDIDATES, BATCH):
        rows = slice(first, first + BATCH)
        x = gan.sample(z[rows], None if labels is None else labels[rows])
        distances.append(torch.stack([distance(x, image[None].expand_as(x)) for image in target]))
    best = torch.cat(distances, 1).argmin(1)
    deviation = z.std(0).mean().clamp_min(1e-6)
    return ZSpace(
        gan, None if labels is None else labels[best], z[best], deviation, z.norm(dim=1).mean(), z.min(), z.max()
    )
