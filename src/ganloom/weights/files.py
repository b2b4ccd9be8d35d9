"""A file of weights to a flat table of tensors: safetensors, or torch's format without any pickled code.

torch's own ``weights_only`` runs nothing of a file, but makes what it asks for, whatever its size: so a file's parts and the
names in it are looked over first, and its tensors afterwards.
"""

import argparse
import json
import pickletools
import re
import warnings
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import torch
from torch import Tensor

from ganloom.errors import BadInput

STATES = ("state_dict", "model_state_dict", "G_ema", "g_ema", "generator", "model")
"""Keys under which programs put a network's weights into a checkpoint, the first that is there counts."""

DEEPEST = 4
"""Tables within tables."""
MOST_TENSORS, MOST_AXES, LONGEST_NAME = 20_000, 6, 300
"""Of a network: tensors, axes of one, letters of its name. The largest published has 2,000, 5 and 80."""
MOST_STEPS = 10_000_000
"""Instructions of a file's pickle, optimizers and all; each tensor takes 30."""
FLOATS = (torch.float32, torch.float16, torch.bfloat16, torch.float64)
NAMES = re.compile(
    r"torch\.((cuda\.)?\w+Storage|storage\.(Untyped|Typed)Storage|Size|device|nn\.parameter\.Parameter|(b?float|u?int|complex)\d+|"
    r"bool|_utils\._rebuild_(tensor(_v2)?|parameter(_with_state)?)|_tensor\._rebuild_from_type_v2)|"
    r"collections\.(OrderedDict|defaultdict|Counter)|(builtins|__builtin__)\.(set|dict|list|int|float|complex)|"
    r"argparse\.Namespace|_codecs\.encode|numpy\.(dtype|ndarray|dtypes\.\w+)|numpy\._?core\.multiarray\.(scalar|_reconstruct)"
)
"""What a program's checkpoint may name; whether it may be made is then torch's to say."""


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
        _look_over(path)
        with torch.serialization.safe_globals([argparse.Namespace]), warnings.catch_warnings():  # a program's arguments
            warnings.simplefilter("ignore")
            return torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise
    except BadInput as error:
        reason = str(error)
    except Exception as error:
        strange = "Unsupported" in str(error) or "Weights only" in str(error)
        reason = "it holds pickled objects that are not weights" if strange else "damaged, or no weights"
    raise BadInput(
        f"{path} cannot be read as weights ({reason}): ganloom runs no code of a file; save its state_dict() alone"
    )


def _look_over(path: Path) -> None:
    """Refuses a file of torch's that would unfold to more than it holds, or that names what is no weight."""
    if not zipfile.is_zipfile(path):
        with open(path, "rb") as file:
            if file.read(1) == b"\x80":  # torch's older format: five pickles, the numbers behind them
                file.seek(0)
                for _ in range(5):
                    _check_names(file)
        return
    with zipfile.ZipFile(path) as archive:
        parts = archive.infolist()
        if any(part.compress_type != zipfile.ZIP_STORED for part in parts):
            raise BadInput("its parts are compressed, which torch never does")
        if sum(part.file_size for part in parts) > path.stat().st_size:
            raise BadInput("its parts overlap")
        for part in parts:
            if part.filename.endswith(".pkl"):
                with archive.open(part) as file:
                    _check_names(file)


def _check_names(file: IO[bytes]) -> None:
    for name in _names(file):
        if not NAMES.fullmatch(name):
            raise BadInput(f"it holds pickled objects that are not weights: {ascii(name)[:80]}")


def _names(file: IO[bytes]) -> Iterator[str]:
    """The names that one pickle of protocol 2 asks for; later protocols name by the stack, which torch refuses."""
    for steps, (op, arg, _) in enumerate(pickletools.genops(file)):
        if steps > MOST_STEPS:
            raise BadInput(f"more than {MOST_STEPS} instructions")
        if op.name == "GLOBAL":
            yield str(arg).replace(" ", ".", 1)
        elif isinstance(arg, int) and arg.bit_length() > 64 and arg != torch.serialization.MAGIC_NUMBER:
            raise BadInput(f"a number of {arg.bit_length()} bits")


def sound(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """The tensors, bare of what training hangs on them; BadInput names the first that no network has."""
    if len(state) > MOST_TENSORS:
        raise BadInput(f"{len(state)} tensors, more than any network has")
    found = {}
    for name, t in state.items():
        if len(name) > LONGEST_NAME or not name.isprintable():
            raise BadInput(f"a tensor whose name is none: {shown(name)}")
        if t.layout != torch.strided or t.is_nested or t.is_quantized or t.device.type != "cpu":
            raise BadInput(f"{name} is no plain tensor")
        if t.dim() > MOST_AXES or not t.numel() or t.numel() * t.element_size() > t.untyped_storage().nbytes():
            raise BadInput(f"{name} of shape {list(t.shape)[:MOST_AXES]} has other numbers than its shape says")
        if t.dtype not in FLOATS and t.dtype not in (torch.int64, torch.int32):
            raise BadInput(f"{name} is of type {str(t.dtype).removeprefix('torch.')}, which no weight is")
        if t.is_floating_point() and not bool(t.isfinite().all()):
            raise BadInput(f"{name} holds NaN or infinity: the network was broken when it was saved")
        found[name] = t.detach()
    return found


def shown(name: object) -> str:
    """A name of a file, short and without what a terminal would obey."""
    return ascii(str(name)[:60])[1:-1][:60]


def table(value: Any, path: Path) -> dict[str, Tensor]:
    """The table of tensors within what a file holds, names bare."""
    state = _bare(_state(value, path, 0))
    try:
        return sound(state)
    except BadInput as error:
        raise BadInput(f"{path}: {error}") from None


def _state(value: Any, path: Path, depth: int) -> dict[str, Tensor]:
    """The table of tensors within what a file holds. By dict's own methods: a file can hang others on its tables."""
    if isinstance(value, dict) and depth <= DEEPEST:
        tensors = {str(name): t for name, t in dict.items(value) if isinstance(t, Tensor)}
        if tensors:
            return tensors
        for name in STATES:
            if isinstance(found := dict.get(value, name), dict):
                return _state(found, path, depth + 1)
        if set(dict.keys(value)) == {"a", "b"} and not depth:  # two networks, one a domain
            sides = {side: _bare(_state(dict.get(value, side), path, 1)) for side in ("a", "b")}
            return {f"{side}.{name}": t for side, state in sides.items() for name, t in state.items()}
    kind = type(value).__name__
    keys = ", ".join(map(shown, list(dict.keys(value))[:5])) if isinstance(value, dict) else ""
    found = f"the keys {keys}" if keys else kind
    raise BadInput(f"{path} holds no table of weights, but {found}: save the network's state_dict()")


def _bare(state: dict[str, Tensor]) -> dict[str, Tensor]:
    while state and all(name.startswith("module.") for name in state):
        state = {name.removeprefix("module."): t for name, t in state.items()}
    return state


def looks_like(state: dict[str, Tensor]) -> str:
    """A file's first names and shapes, for a message."""
    names = [f"{name} {json.dumps(list(t.shape))}" for name, t in list(state.items())[:3]]
    return f"{len(state)} tensors, the first of them {', '.join(names)}"
