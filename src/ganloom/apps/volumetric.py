"""What the applications of 3D models share: the model of a run, and the objects of its seeds."""

from pathlib import Path

import torch
from torch import Tensor

from ganloom import sampling
from ganloom.api import load
from ganloom.core.device import choose_device
from ganloom.core.errors import BadInput
from ganloom.core.names import as_path
from ganloom.gan import GAN
from ganloom.recipes.base.volumetric import Volumetric


def model_of(run: str | Path, checkpoint: str = "latest", device: str = "auto") -> Volumetric:
    """Load a model of 3D objects. Raises BadInput if the run's recipe makes none."""
    path = as_path(run)
    return volumetric(load(path, checkpoint=checkpoint, device=choose_device(device)), path)


def volumetric(gan: GAN, path: str | Path) -> Volumetric:
    """Return the model, or raise BadInput if it makes no 3D objects."""
    if not isinstance(gan, Volumetric):
        raise BadInput(
            f"{path}: {type(gan).__name__} makes images, not 3D objects: train prgan (silhouettes), gan3d (voxels) or eg3d"
        )
    return gan


def object_codes(gan: Volumetric, n: int, seed: int, truncation: float = 1.0) -> Tensor:
    """Return the codes (n, k) of the objects of the seeds ``seed``, ``seed + 1``, ..., as ``generate`` draws them."""
    with torch.no_grad(), sampling.unchanged(gan):
        z, _ = sampling.latents(gan, n, seed, None, None)
        return gan.codes(z, truncation)
