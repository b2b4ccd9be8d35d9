"""Directions in z along which images change in one way, for models without styles.

``jacobian``: the directions that change the images most. They are the eigenvectors of the mean of J^T J, where J is the
derivative of the image by z. SeFa (Shen & Zhou 2020, arXiv:2007.06600) takes the first layer's weights in place of J; this is
the same question for the whole generator, of any kind (compare Wang & Ponce 2021, arXiv:2101.06006). J^T v for random v
estimates the mean without ever computing J. ``pca``: the latents that belong to the principal components of the images, as
in GANSpace (Harkonen et al. 2020, arXiv:2004.02546, eq. 4), which takes the features of a layer.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from ganloom import sampling
from ganloom.apps.latent import Class
from ganloom.apps.projection_z import BATCH, check_z
from ganloom.core.errors import BadInput
from ganloom.gan import GAN

JACOBIANS, IMAGES = 512, 1024
"""Latents for each of the two methods."""
SIDE = 32
"""Images are reduced to about this side before their principal components are computed."""
METHODS = ("jacobian", "pca")


def find_in_z(gan: GAN, method: str, n: int, seed: int, c: Class = None) -> tuple[Tensor, Tensor]:
    """Find the strongest directions in z.

    Args:
        gan: A model whose samples are a differentiable function of z (N, z_dim).
        method: "jacobian" or "pca".
        n: Number of directions.
        seed: Seed of the latents.
        c: The class of the images; None: random classes.

    Returns:
        (directions (n, z_dim) of length 1, the strongest first; the standard deviation of z along each, (n,)).

    Raises:
        BadInput: The model has no such latents, or an argument cannot be used.
    """
    if method not in METHODS:
        raise BadInput(f'--method must be {" or ".join(METHODS)} for a model without styles, got "{method}"')
    with sampling.unchanged(gan):
        torch.default_generator.manual_seed(seed)
        check_z(gan)
        count = JACOBIANS if method == "jacobian" else IMAGES
        z = gan.z(count)
        labels = gan.c(count) if c is None else gan.conditions(count, c)
        if not 1 <= n <= z.shape[1]:
            raise BadInput(f"--n must be in 1..{z.shape[1]}, the length of z, got {n}")
        vectors = _jacobian(gan, z, labels) if method == "jacobian" else _components(gan, z, labels, n)
    vectors = vectors[:n].to(z)
    return vectors, (z @ vectors.T).std(0)


def _jacobian(gan: GAN, z: Tensor, c: Tensor | None) -> Tensor:
    """The eigenvectors of the mean of J^T J, the largest eigenvalue first, (z_dim, z_dim)."""
    total = torch.zeros(z.shape[1], z.shape[1], dtype=torch.float64)
    for first in range(0, len(z), BATCH):
        rows = slice(first, first + BATCH)
        part = z[rows].detach().requires_grad_(True)
        with torch.enable_grad():
            x = gan.sample(part, None if c is None else c[rows])
            (slope,) = torch.autograd.grad((x * torch.randn_like(x)).sum(), part)
        slope = slope.double().cpu()
        total += slope.T @ slope
    vectors: Tensor = torch.linalg.eigh(total).eigenvectors.T.flip(0)
    return vectors


@torch.no_grad()
def _components(gan: GAN, z: Tensor, c: Tensor | None, n: int) -> Tensor:
    """For each principal component of the images the direction of z that goes with it, (n, z_dim)."""
    parts = []
    for first in range(0, len(z), BATCH):
        rows = slice(first, first + BATCH)
        x = gan.sample(z[rows], None if c is None else c[rows])
        parts.append(_reduced(x).flatten(1).double().cpu())
    images = torch.cat(parts)
    images = images - images.mean(0)
    coordinates = torch.linalg.svd(images, full_matrices=False).U[:, :n]
    centred = (z - z.mean(0)).double().cpu()
    return F.normalize(coordinates.T @ centred, dim=1)


def _reduced(x: Tensor) -> Tensor:
    """Images of at most about ``SIDE`` pixels a side; points are unchanged."""
    if x.dim() == 4 and max(x.shape[2:]) > SIDE:
        scale = SIDE / max(x.shape[2:])
        return F.adaptive_avg_pool2d(x, (max(1, round(x.shape[2] * scale)), max(1, round(x.shape[3] * scale))))
    return x
