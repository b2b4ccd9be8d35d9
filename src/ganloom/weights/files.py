"""A file of weights to a flat table of tensors: safetensors, or torch's format without any pickled code."""

import argparse
import json
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ganloom.errors import BadInput

STATES = ("state_dict", "model_state_dict", "G_ema", "g_ema", "generator", "model")
"""Keys under which programs put a network's weights into a checkpoint, the first that is there counts."""


def open_file(path: Path) -> dict[str, Tensor]:
    """The weights of one network by name, on the CPU. Raises BadInput on what is no file of weights.

    What a program keeps beside them (optimizer, step, arguments) is left out, and the ``module.`` that DataParallel puts
    before each name.
    """
    return table(open_value(path), path)


def open_value(path: Path) -> Any:
    """What a file holds: tables of tensors and plain values. Raises BadInput on what is no file of weights."""
    if not path.is_file():
        raise BadInput(f"no file {path}: give a .pth, .pt, .bin, .pkl or .safetensors file of weights")
    if path.suffix == ".safetensors":
        import safetensors.torch

        try:
            return safetensors.torch.load_file(path)
        except Exception as error:
            raise BadInput(f"{path} is not a whole safetensors file ({type(error).__name__})") from error
    try:
        with torch.serialization.safe_globals([argparse.Namespace]):  # a bag of a program's arguments
            return torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise
    except Exception as error:
        reason = (
            "it holds pickled objects that are not weights" if "Unsupported" in str(error) else "damaged, or no weights"
        )
        raise BadInput(
            f"{path} cannot be read as weights ({reason}): ganloom runs no code of a file; save its state_dict() alone"
        ) from error


def table(value: Any, path: Path) -> dict[str, Tensor]:
    """The table of tensors within what a file holds, names bare."""
    return _bare(_state(value, path))


def _state(value: Any, path: Path) -> dict[str, Tensor]:
    """The table of tensors within what a file holds."""
    if isinstance(value, dict):
        tensors = {str(name): t for name, t in value.items() if isinstance(t, Tensor)}
        if tensors:
            return tensors
        for name in STATES:
            if isinstance(value.get(name), dict):
                return _state(value[name], path)
        if set(value) == {"a", "b"}:  # two networks, one a domain
            return {f"{side}.{name}": t for side in value for name, t in _bare(_state(value[side], path)).items()}
    found = f"the keys {', '.join(map(str, list(value)[:5]))}" if isinstance(value, dict) else type(value).__name__
    raise BadInput(f"{path} holds no table of weights, but {found}: save the network's state_dict()")


def _bare(state: dict[str, Tensor]) -> dict[str, Tensor]:
    while state and all(name.startswith("module.") for name in state):
        state = {name.removeprefix("module."): t for name, t in state.items()}
    return state


def looks_like(state: dict[str, Tensor]) -> str:
    """A file's first names and shapes, for a message."""
    names = [f"{name} {json.dumps(list(t.shape))}" for name, t in list(state.items())[:3]]
    return f"{len(state)} tensors, the first of them {', '.join(names)}"
