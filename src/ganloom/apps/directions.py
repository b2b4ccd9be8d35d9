"""Directions of w along which images change in one way: by the weights (SeFa) or by the spread of w (PCA).

SeFa (Shen & Zhou 2020, arXiv:2007.06600): those that move the styles most, the eigenvectors of A^T A, where A has the rows,
brought to length 1, of the affine maps from w to styles of the chosen layers. PCA (Harkonen et al. 2020, arXiv:2004.02546):
the principal components of w. An edit is w + strength x deviation x direction in the chosen layers, the deviation being that
of w along the direction.
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
from ganloom.gan import GAN
from ganloom.imaging import grid
from ganloom.runs import checkpoint
from ganloom.runs.folder import check_new

SAMPLES = 10_000


@dataclass(frozen=True)
class Directions:
    """``vectors`` (n, w_dim) of length 1, strongest first; ``deviations`` (n,) of w along them; the layers they belong to;
    how long the search took."""

    vectors: Tensor
    deviations: Tensor
    layers: tuple[int, ...]
    seconds: float = 0.0

    def edit(self, ws: Tensor, index: int, strength: float) -> Tensor:
        """ws (N, layers, w_dim) moved along one direction, in deviations."""
        if not 0 <= index < len(self.vectors):
            raise BadInput(f"direction {index}: there are 0 to {len(self.vectors) - 1}")
        moved = ws.clone()
        moved[:, list(self.layers)] += strength * self.deviations[index] * self.vectors[index]
        return moved


@torch.no_grad()
def many_w(gan: GAN, n: int = SAMPLES, seed: int = 0) -> Tensor:
    """w (n, w_dim) of random latents, and of random labels where there are some."""
    with sampling.unchanged(gan):
        torch.default_generator.manual_seed(seed)
        ws: Tensor = styled(gan).mapping(gan.z(n), gan.c(n))
    return ws[:, 0]


def find(gan: GAN, method: str = "sefa", n: int = 5, layers: str = "all", seed: int = 0) -> Directions:
    """The n strongest directions for these layers."""
    began = time.perf_counter()
    model = styled(gan)
    affines = model.G.affines()
    chosen = layers_of(layers, len(affines))
    w = many_w(gan, seed=seed)
    if not 1 <= n <= w.shape[1]:
        raise BadInput(f"--n must lie in 1..{w.shape[1]}, the numbers of w, got {n}")
    if method == "sefa":
        rows = [affine.weight.detach() for i in chosen for affine in affines[i]]
        if not rows:
            raise BadInput(f"--layers {layers}: no convolution takes its styles there")
        a = torch.nn.functional.normalize(torch.cat(rows).double(), dim=1)
        matrix = a.T @ a
    elif method == "pca":
        away = w.double() - w.double().mean(0)
        matrix = away.T @ away / len(w)
    else:
        raise BadInput(f'--method must be sefa or pca, got "{method}"')
    vectors = torch.linalg.eigh(matrix).eigenvectors.T.flip(0)[:n].to(w)
    largest = vectors.gather(1, vectors.abs().argmax(1, keepdim=True))
    vectors = vectors * largest.sign()  # a direction has no sense of its own: the largest number is made positive
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
) -> tuple[Drawn, Directions]:
    """A grid with a row a direction, from -strength to +strength deviations; the vectors beside it as .safetensors."""
    path = check_new(out, (".png",))
    beside = check_new(path.with_suffix(".safetensors"), (".safetensors",))
    if steps < 2:
        raise BadInput(f"--steps must be at least 2, got {steps}")
    found = find(gan, method, n, layers, seed=0)
    latents(gan, [seed], c)  # a label that is none of the model's is said before work begins
    ws = styles(gan, [seed], c, truncation)
    strengths = torch.linspace(-strength, strength, steps).tolist()
    rows = [found.edit(ws, i, s) for i in range(n) for s in strengths]
    x = drawn(gan, torch.cat(rows))
    grid.save_png(grid.grid(x, columns=steps), path)
    tensors = {"vectors": found.vectors.contiguous(), "deviations": found.deviations.contiguous()}
    tensors["layers"] = torch.tensor(found.layers)
    checkpoint.replace_file(beside, safetensors.torch.save(tensors))
    return Drawn(path, len(x)), found
