"""What the applications of 3D models share: the model of a run, and the objects of its seeds."""

from pathlib import Path

import torch
from torch import Tensor

from ganloom import sampling
from ganloom.api import load
from ganloom.core.device import choose_device
from ganloom.core.errors import BadInput
from ganloom.core.output_files import new_folder
from ganloom.gan import GAN
from ganloom.recipes.base.volumetric import Volumetric
from ganloom.report.progress import Report, stage


def model_of(
    run: Path,
    n: int,
    truncation: float,
    out: str | Path | None,
    *,
    checkpoint: str,
    device: str,
    overwrite: bool,
    progress: Report,
) -> Volumetric:
    """Check the arguments that all applications have, and load the model.

    Raises:
        BadInput: If an argument cannot be used, or the run's recipe makes no 3D objects.
    """
    if n < 1:
        raise BadInput(f"--n must be at least 1, got {n}")
    if not truncation >= 0:
        raise BadInput(f"--truncation must not be negative, got {truncation}")
    if out is not None:
        new_folder(out, overwrite=overwrite)
    stage(progress, "loading the model")
    return volumetric(load(run, checkpoint=checkpoint, device=choose_device(device)), run)


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
