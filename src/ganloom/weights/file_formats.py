"""Read a file of weights as one table of tensors: safetensors, or PyTorch's formats without running pickled code."""

import json
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ganloom.core.errors import BadInput
from ganloom.weights import torch_file
from ganloom.weights.pickle_reader import Refused, Stub
from ganloom.weights.training_wrappers import Candidate, candidates

MAX_TENSORS, MAX_AXES, MAX_NAME = 20_000, 6, 300
"""Limits of a network: tensors, axes of a tensor, letters of a name. The largest published has 2,000, 5 and 80."""
FLOATS = (torch.float32, torch.float16, torch.bfloat16, torch.float64)


def open_file(path: Path) -> dict[str, Tensor]:
    """Read the weights of one network.

    Args:
        path: A .pth, .pt, .bin or .safetensors file.

    Returns:
        Tensors on the CPU by name, without what training loops add (see `training_wrappers`). Everything else in a
        checkpoint (optimizer, step, arguments) is left out.

    Raises:
        BadInput: The file does not hold weights.
    """
    return table(open_value(path), path)


def open_value(path: Path) -> Any:
    """Read everything in a file: tables of tensors and plain values. Raises BadInput for a file without weights."""
    if not path.is_file():
        raise BadInput(f"no file {path}: give a .pth, .pt, .bin, .pkl or .safetensors file of weights")
    if path.suffix == ".safetensors":
        import safetensors.torch

        try:
            return safetensors.torch.load_file(path)
        except Exception as error:
            raise BadInput(f"{path} is not a whole safetensors file ({type(error).__name__})") from error
    try:
        return torch_file.read(path)
    except FileNotFoundError:
        raise
    except Refused as error:
        reason = f"it holds pickled objects that are not weights: {error}"
    except Exception:
        reason = "damaged, or no weights"
    raise BadInput(
        f"{path} cannot be read as weights ({reason}): ganloom runs no code in a file; save only the network's state_dict()"
    )


def sound(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return the tensors without gradients. Raises BadInput that names the first tensor that no network has."""
    if len(state) > MAX_TENSORS:
        raise BadInput(f"{len(state)} tensors, more than any network has")
    for name, t in state.items():
        if len(name) > MAX_NAME or not name.isprintable():
            raise BadInput(f"a tensor with an unusable name: {shown(name)}")
        if t.layout != torch.strided or t.is_nested or t.is_quantized or t.device.type != "cpu":
            raise BadInput(f"{name} is not a plain tensor")
        if t.dim() > MAX_AXES or not t.numel() or t.numel() * t.element_size() > t.untyped_storage().nbytes():
            raise BadInput(f"{name} of shape {list(t.shape)[:MAX_AXES]} has other numbers than its shape says")
        if t.dtype not in FLOATS and t.dtype not in (torch.int64, torch.int32):
            raise BadInput(f"{name} is of type {str(t.dtype).removeprefix('torch.')}, which no weight is")
        if t.is_floating_point() and not bool(t.isfinite().all()):
            raise BadInput(f"{name} holds NaN or infinity: the network was broken when it was saved")
    return {name: t.detach() for name, t in state.items()}


def shown(name: object) -> str:
    """Return a name from a file in at most 60 ASCII letters, without control characters for a terminal."""
    return ascii(str(name)[:60])[1:-1][:60]


def table(value: Any, path: Path) -> dict[str, Tensor]:
    """Return the best table of tensors in ``value``, which `open_value` read from ``path``. Raises BadInput without one."""
    return checked(tables(value, path)[0].state, path)


def tables(value: Any, path: Path, network: str = "G") -> list[Candidate]:
    """Return the tables of tensors in ``value``, the best for this network first. Raises BadInput without one."""
    found = candidates(value, network)
    if found:
        return found
    content = shown(value.name) if isinstance(value, Stub) else type(value).__name__
    if isinstance(value, dict) and value:
        content = f"the keys {', '.join(map(shown, list(value)[:5]))}"
    raise BadInput(f"{path} holds no table of weights, but {content}: save the network's state_dict()")


def checked(state: dict[str, Tensor], path: Path) -> dict[str, Tensor]:
    """Return `sound` of a table. Raises BadInput that names the file."""
    try:
        return sound(state)
    except BadInput as error:
        raise BadInput(f"{path}: {error}") from None


def looks_like(state: dict[str, Tensor]) -> str:
    """Return the number of tensors and the first names and shapes, for a message."""
    names = [f"{name} {json.dumps(list(t.shape))}" for name, t in list(state.items())[:3]]
    return f"{len(state)} tensors, the first of them {', '.join(names)}"
