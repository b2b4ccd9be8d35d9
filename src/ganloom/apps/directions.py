"""Directions in w along which images change in one way, from the weights (SeFa) or from the distribution of w (PCA).

SeFa (Shen & Zhou 2020, arXiv:2007.06600) finds the directions that change the styles most: the eigenvectors of A^T A. The
rows of A are the rows of the affine maps from w to the styles of the chosen layers, scaled to length 1. PCA (Harkonen et al.
2020, arXiv:2004.02546) finds the principal components of w. An edit is w + strength x deviation x direction in the chosen
layers, where deviation is the standard deviation of w along the direction.
"""

import time
from dataclasses import dataclass
from pathlib import Path

import safetensors.torch
import torch
from torch import Tensor

from ganloom import sampling
from ganloom.apps.latent import Drawn, drawn, latents, layers_of, styled, styles
from ganloom.core.errors import BadInput
from ganloom.core.output_files import new_file, write_new
from ganloom.gan import GAN
from ganloom.imaging import grid

SAMPLES = 10_000


@dataclass(frozen=True)
class Directions:
    """Directions in w."""

    vectors: Tensor
    """(n, w_dim), of length 1, the strongest first."""
    deviations: Tensor
    """(n,): the standard deviation of w along each direction."""
    layers: tuple[int, ...]
    """The layers to edit."""
    seconds: float = 0.0
    """How long the search took."""

    def edit(self, ws: Tensor, index: int, strength: float) -> Tensor:
        """Move ws along one direction.

        Args:
            ws: Styles (N, layers, w_dim).
            index: Which direction.
            strength: How far, in standard deviations of w.

        Returns:
            New styles (N, layers, w_dim).
        """
        if not 0 <= index < len(self.vectors):
            raise BadInput(f"direction {index}: there are 0 to {len(self.vectors) - 1}")
        moved = ws.clone()
        moved[:, list(self.layers)] += strength * self.deviations[index] * self.vectors[index]
        return moved


@torch.no_grad()
def many_w(gan: GAN, n: int = SAMPLES, seed: int = 0) -> Tensor:
    """Draw w (n, w_dim) from random latents, and from random labels if the model has them."""
    with sampling.unchanged(gan):
        torch.default_generator.manual_seed(seed)
        ws: Tensor = styled(gan).mapping(gan.z(n), gan.c(n))
    return ws[:, 0]


def find(gan: GAN, method: str = "sefa", n: int = 5, layers: str = "all", seed: int = 0) -> Directions:
    """Find the strongest directions.

    Args:
        gan: A model with styles.
        method: "sefa" or "pca".
        n: Number of directions.
        layers: Layers: "0-3", "0,2,5" or "all".
        seed: Seed of the latents from which the distribution of w is estimated.

    Returns:
        The directions.

    Raises:
        BadInput: The model has no styles, or an argument cannot be used.
    """
    began = time.perf_counter()
    model = styled(gan)
    affines = model.G.affines()
    chosen = layers_of(layers, len(affines))
    w = many_w(gan, seed=seed)
    if not 1 <= n <= w.shape[1]:
        raise BadInput(f"--n must be in 1..{w.shape[1]}, the size of w, got {n}")
    if method == "sefa":
        rows = [affine.weight.detach() for i in chosen for affine in affines[i]]
        if not rows:
            raise BadInput(f"--layers {layers}: no convolution of these layers has styles")
        a = torch.nn.functional.normalize(torch.cat(rows).double(), dim=1)
        matrix = a.T @ a
    elif method == "pca":
        centred = w.double() - w.double().mean(0)
        matrix = centred.T @ centred / len(w)
    else:
        raise BadInput(f'--method must be sefa or pca, got "{method}"')
    vectors = torch.linalg.eigh(matrix).eigenvectors.T.flip(0)[:n].to(w)
    largest = vectors.gather(1, vectors.abs().argmax(1, keepdim=True))
    vectors = vectors * largest.sign()  # the sign of an eigenvector is arbitrary: make its largest entry positive
    return Directions(vectors, (w @ vectors.T).std(0), tuple(chosen), time.perf_counter() - began)


def draw(
    gan: GAN,
    out: str | Path,
    *,
    method: str = "sefa",
    n: int = 5,
    layers: str = "all",
    seed: int = 0,
    strength: float = 3.0,
    steps: int = 7,
    truncation: float = 1.0,
    c: int | None = None,
    overwrite: bool = False,
) -> tuple[Drawn, Directions]:
    """Draw directions as a grid, and write the vectors to a .safetensors file with the same name.

    Args:
        gan: A model with styles.
        out: The new .png file.
        method: "sefa" or "pca".
        n: Number of directions, a row for each.
        layers: Layers to edit: "0-3", "0,2,5" or "all".
        seed: Seed of the image to edit.
        strength: The columns go from -strength to +strength standard deviations of w.
        steps: Number of columns.
        truncation: Truncation of the image.
        c: The class; None: by the seed.
        overwrite: Replace existing files.

    Returns:
        (what was written, the directions).

    Raises:
        BadInput: An argument cannot be used, or a file exists.
    """
    path = new_file(out, (".png",), overwrite=overwrite)
    vectors_file = new_file(path.with_suffix(".safetensors"), overwrite=overwrite)
    if steps < 2:
        raise BadInput(f"--steps must be at least 2, got {steps}")
    result = find(gan, method, n, layers, seed=0)
    latents(gan, [seed], c)  # raises for an unknown class before the slow part
    ws = styles(gan, [seed], c, truncation)
    strengths = torch.linspace(-strength, strength, steps).tolist()
    rows = [result.edit(ws, i, s) for i in range(n) for s in strengths]
    x = drawn(gan, torch.cat(rows))
    grid.save_png(grid.grid(x, columns=steps), path, overwrite=overwrite)
    tensors = {"vectors": result.vectors.contiguous(), "deviations": result.deviations.contiguous()}
    tensors["layers"] = torch.tensor(result.layers)
    write_new(vectors_file, safetensors.torch.save(tensors), overwrite=overwrite)
    return Drawn(path, len(x)), result
