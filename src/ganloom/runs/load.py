"""Load the trained model of a run folder or of a model/ folder."""

import os
import sys
from pathlib import Path

import safetensors.torch
import torch

from ganloom.core.device import choose_device
from ganloom.core.errors import BadInput
from ganloom.core.names import as_path
from ganloom.gan import GAN
from ganloom.runs import checkpoint as checkpoints
from ganloom.runs import manifest
from ganloom.runs.folder import Folder
from ganloom.training.ema import with_pending
from ganloom.training.memory_format import channels_last
from ganloom.training.state import load_strict


def load(
    path: str | os.PathLike[str], *, checkpoint: str = "latest", gan: GAN | None = None, device: str = "cpu"
) -> GAN:
    """Load a trained model: EMA weights, eval mode, no gradients.

    Args:
        path: A run folder, a model/ folder, or a ``Run``.
        checkpoint: "latest", "best", or the name of a checkpoint, such as "kimg-000200".
        gan: A fresh model, for a run of a GAN class of your own.
        device: "cpu", "cuda", "cuda:1", "mps" or "auto".

    Returns:
        The model on ``device``. Its ``kimg`` is the number of images seen in training, in thousands.

    Raises:
        BadInput: There is no run or model folder at ``path``, or its files do not fit the model.
    """
    folder = Folder(as_path(path))
    if not folder.path.is_dir():
        raise BadInput(f"no run at {folder.path}: give a run folder, or its model/ folder")
    if (folder.path / "table.json").is_file():
        raise BadInput(f"{folder.path} is a learned table. Use `ganloom table sample`, or ganloom.Table.load")
    folder.require()
    described = folder.read("config.json")
    seed = int(described.get("train", {}).get("seed", 0))
    gan = manifest.composed(gan or manifest.gan_of(described, seed, folder.path), described, seed, folder.path)
    described_by = f"the model that {folder.path / 'config.json'} describes"
    if folder.checkpoints.is_dir():
        loaded = _checkpoint(folder, checkpoint)
        load_strict(gan, loaded.tensors["gan"] | with_pending(loaded.tensors, loaded.state), described_by)
        gan.kimg = loaded.nimg / 1000
    else:
        weights = _weights(folder.path / "G.safetensors")
        load_strict(gan, {**gan.state_dict(), **weights}, described_by)
        kimg = described.get("kimg")
        gan.kimg = float("inf") if kimg is None else float(kimg)
    gan = gan.to(choose_device(device)).eval().requires_grad_(False)
    channels_last(gan)
    return gan


def refuse_tables(gan: GAN, path: str | os.PathLike[str]) -> None:
    """Raise BadInput for a model that learned a table or texts and not images."""
    if gan.learns == "table":
        raise BadInput(
            f"{as_path(path)} learned rows of a table, not images. Use `ganloom table sample` and `ganloom table report`"
        )
    if gan.learns == "texts":
        raise BadInput(
            f"{as_path(path)} learned texts, not images. Use `ganloom text sample` and `ganloom text evaluate`"
        )


def _checkpoint(folder: Folder, which: str) -> checkpoints.Loaded:
    """The tensors of a checkpoint without the optimizers; print a warning for each damaged one that is skipped."""
    loaded = checkpoints.load(folder.checkpoints, which, only=lambda part: part != "optim")
    for line in loaded.skipped:
        print(f"warning: {line}; using {loaded.path.name} instead", file=sys.stderr)
    return loaded


def _weights(path: Path) -> dict[str, torch.Tensor]:
    """The tensors of a model folder's G.safetensors."""
    try:
        return safetensors.torch.load_file(path)
    except FileNotFoundError as error:
        raise BadInput(f"{path.parent} is not a run or a model folder (it has no G.safetensors)") from error
    except Exception as error:
        raise BadInput(f"{path} is damaged ({type(error).__name__})") from error
