"""Inpainting models by name: the one that is part of the package, a classical fill, files of LaMa, and runs."""

import json
import os
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch

from ganloom import recipes, weights
from ganloom.api import load
from ganloom.core import config
from ganloom.core.device import choose_device
from ganloom.core.errors import BadInput, did_you_mean
from ganloom.core.names import as_path
from ganloom.metrics.extractors.task import cache_folder
from ganloom.training.state import load_strict
from ganloom.weights.shipped import FOLDER

SHIPPED = FOLDER / "inpaint_photographs.safetensors"
"""Weights of the package's own inpainter, trained by tools/train_inpainter.py."""
PUBLISHED = {
    "big-lama": ("big-lama/models/best.ckpt", "best.ckpt", "big-lama.ckpt", "big-lama.pt"),
    "lama-fourier": ("lama-fourier/models/best.ckpt", "lama-fourier.ckpt", "lama-fourier.pt"),
}
"""File names of published weights, below ``$GANLOOM_WEIGHTS`` or the cache of ganloom."""
CLASSICAL = "biharmonic"
NAMES = ("photographs", CLASSICAL, *PUBLISHED)


def folders() -> list[Path]:
    """The folders in which published weights are looked for: ``$GANLOOM_WEIGHTS``, then the cache of ganloom."""
    own = os.environ.get("GANLOOM_WEIGHTS")
    return [*([Path(own)] if own else []), cache_folder() / "weights"]


def open_model(model: str | Path = "photographs", *, checkpoint: str = "latest", device: str = "auto") -> Any:
    """Open a model that fills holes.

    Args:
        model: "photographs" (part of the package), "biharmonic" (a classical fill), "big-lama" or "lama-fourier" (see
            ``folders``), a run or model/ folder of an inpainting recipe, or a file of LaMa.
        checkpoint: Of a run: "latest", "best", or the name of a checkpoint.
        device: "auto", "cpu", "cuda" or "mps".

    Returns:
        A GAN with the method ``inpaint``, in eval mode; None for "biharmonic".

    Raises:
        BadInput: There is no such model, or it does not fill holes.
    """
    name = str(model)
    if name == CLASSICAL:
        return None
    target = choose_device(device)
    path = as_path(model)
    if name == "photographs" and not path.exists():
        return shipped().to(target)
    if name in PUBLISHED and not path.exists():
        return _checked(weights.read(published(name)), name).to(target)
    if path.is_dir():
        return _checked(load(path, checkpoint=checkpoint, device=target), name)
    if path.is_file():
        return _checked(weights.read(path), name).to(target)
    raise BadInput(
        f"--model {name}: no such file or folder, and no name of a model{did_you_mean(name, NAMES)}. Names: "
        f"{', '.join(NAMES)}"
    )


def shipped(path: Path = SHIPPED) -> Any:
    """Load the inpainter that is part of the package; see its settings in docs/inpainting.md."""
    with safetensors.safe_open(path, "pt") as file:
        described = json.loads((file.metadata() or {})["config"])
    module = recipes.RECIPES["lama"]
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(0)
        gan: Any = module.MODEL(config.from_dict(module.Config, described))
    own = {name: t for name, t in gan.state_dict().items() if not name.startswith("G.")}
    saved = safetensors.torch.load_file(path).items()
    trained = {f"G.{name}": t.float() if t.is_floating_point() else t for name, t in saved}
    load_strict(gan, own | trained, "the inpainter of the package")
    return gan.eval().requires_grad_(False)


def published(name: str) -> Path:
    """Return the file of a published model.

    Raises:
        BadInput: It is not there; the message says which file belongs where.
    """
    for folder in folders():
        for file in PUBLISHED[name]:
            if (folder / file).is_file():
                return folder / file
    first = PUBLISHED[name][0]
    raise BadInput(
        f"--model {name}: no package on PyPI holds these weights. Put the authors' archive or file at "
        f"{folders()[0] / first} (also read: {', '.join(PUBLISHED[name][1:])} in the same folder), or give the file itself "
        "as --model FILE"
    )


def _checked(gan: Any, name: str) -> Any:
    if not hasattr(gan, "inpaint"):
        raise BadInput(f"--model {name} does not fill holes: train one with `ganloom train lama DATA`")
    return gan
