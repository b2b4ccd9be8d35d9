"""Directions in w along which images change in one way, from the weights (SeFa) or from the distribution of w (PCA).

For models without styles the directions are in z; see ``directions_z``.

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
from ganloom.apps.directions_z import find_in_z
from ganloom.apps.latent import Class, Drawn, drawn, has_styles, latents, layers_of, styled, styles
from ganloom.core.errors import BadInput
from ganloom.core.output_files import new_file, write_new
from ganloom.gan import GAN
from ganloom.imaging import grid

SAMPLES = 10_000


@dataclass(frozen=True)
class Directions:
    """Directions in w, or in z for a model without styles."""

    vectors: Tensor
    """(n, w_dim or z_dim), of length 1, the strongest first."""
    deviations: Tensor
    """(n,): the standard deviation of w or z along each direction."""
    layers: tuple[int, ...]
    """The layers to edit; none in z."""
    seconds: float = 0.0
    """How long the search took."""
    space: str = "w"
    """"w" or "z"."""
    method: str = ""
    """How they were found: "sefa", "jacobian" or "pca"."""

    def edit(self, ws: Tensor, index: int, strength: float) -> Tensor:
        """Move ws along one direction.

        Args:
            ws: Styles (N, layers, w_dim); latents (N, z_dim) if ``space`` is "z".
            index: Which direction.
            strength: How far, in standard deviations of w or z.

        Returns:
            New styles or latents, of the same shape.
        """
        if not 0 <= index < len(self.vectors):
            raise BadInput(f"direction {index}: there are 0 to {len(self.vectors) - 1}")
        moved = ws.clone()
        step = strength * self.deviations[index] * self.vectors[index]
        if self.space == "z":
            return moved + step
        moved[:, list(self.layers)] += step
        return moved


@torch.no_grad()
def many_w(gan: GAN, n: int = SAMPLES, seed: int = 0) -> Tensor:
    """Draw w (n, w_dim) from random latents, and from random labels if the model has them."""
    with sampling.unchanged(gan):
        torch.default_generator.manual_seed(seed)
        ws: Tensor = styled(gan).mapping(gan.z(n), gan.c(n))
    return ws[:, 0]


def find(
    gan: GAN, method: str = "auto", n: int = 5, layers: str = "all", seed: int = 0, *, c: Class = None
) -> Directions:
    """Find the strongest directions.

    Args:
        gan: A model that makes images from latents.
        method: "sefa" or "pca" in w; "jacobian" or "pca" in z, for a model without styles. "auto": the first of the two.
        n: Number of directions.
        layers: Layers: "0-3", "0,2,5" or "all"; in z only "all".
        seed: Seed of the latents from which the distribution of w, or the change of the images, is estimated.
        c: The class for which directions in z are searched. None: all classes.

    Returns:
        The directions.

    Raises:
        BadInput: The model has no latents, or an argument cannot be used.
    """
    began = time.perf_counter()
    if not has_styles(gan):
        if layers != "all":
            raise BadInput(f"--layers {layers}: {type(gan).__name__} has no styles, and z has no layers: leave it out")
        method = "jacobian" if method == "auto" else method
        vectors, deviations = find_in_z(gan, method, n, seed, c)
        return Directions(_signed(vectors), deviations, (), time.perf_counter() - began, "z", method)
    model, method = styled(gan), "sefa" if method == "auto" else method
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
    vectors = _signed(torch.linalg.eigh(matrix).eigenvectors.T.flip(0)[:n].to(w))
    return Directions(vectors, (w @ vectors.T).std(0), tuple(chosen), time.perf_counter() - began, "w", method)


def _signed(vectors: Tensor) -> Tensor:
    """Make the largest entry of each vector positive: the sign of an eigenvector is arbitrary."""
    return vectors * vectors.gather(1, vectors.abs().argmax(1, keepdim=True)).sign()


def draw(
    gan: GAN,
    out: str | Path | None,
    *,
    method: str = "auto",
    n: int = 5,
    layers: str = "all",
    seed: int = 0,
    strength: float = 3.0,
    steps: int = 7,
    truncation: float = 1.0,
    c: Class = None,
    folder: str | Path = ".",
    overwrite: bool = False,
) -> tuple[Drawn, Directions]:
    """Draw directions as a grid, and write the vectors to a .safetensors file with the same name.

    Args:
        gan: A model with styles.
        out: The new .png file. None: METHOD.png in ``folder``.
        method: "sefa" or "pca".
        n: Number of directions, a row for each.
        layers: Layers to edit: "0-3", "0,2,5" or "all".
        seed: Seed of the image to edit.
        strength: The columns go from -strength to +strength standard deviations of w or z.
        steps: Number of columns.
        truncation: Truncation of the image.
        c: The class, by name or number. None: by the seed.
        folder: Where the file goes without ``out``.
        overwrite: Replace existing files.

    Returns:
        (what was written, the directions).

    Raises:
        BadInput: An argument cannot be used, or a file exists.
    """
    name = method if method != "auto" else "sefa" if has_styles(gan) else "jacobian"
    path = new_file(out or Path(folder) / f"{name}.png", (".png",), overwrite=overwrite)
    vectors_file = new_file(path.with_suffix(".safetensors"), overwrite=overwrite)
    if steps < 2:
        raise BadInput(f"--steps must be at least 2, got {steps}")
    z, label = latents(gan, [seed], c)  # raises for an unknown class before the slow part
    result = find(gan, method, n, layers, seed=0, c=c)
    place = z if result.space == "z" else styles(gan, [seed], c, truncation)
    strengths = torch.linspace(-strength, strength, steps).tolist()
    rows = torch.cat([result.edit(place, i, s) for i in range(n) for s in strengths])
    if result.space == "z":
        x = gan.generate(z=rows, c=None if label is None else label.expand(len(rows)), truncation=truncation).cpu()
    else:
        x = drawn(gan, rows)
    grid.save_png(grid.grid(x, columns=steps), path, overwrite=overwrite)
    tensors = {"vectors": result.vectors.contiguous(), "deviations": result.deviations.contiguous()}
    if result.space == "w":
        tensors["layers"] = torch.tensor(result.layers)
    write_new(vectors_file, safetensors.torch.save(tensors), overwrite=overwrite)
    return Drawn(path, len(x)), result
