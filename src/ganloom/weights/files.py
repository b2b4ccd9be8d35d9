"""A file of weights to a flat table of tensors: safetensors, or torch's format without any pickled code.

torch's own ``weights_only`` runs nothing of a file, but makes what it asks for, whatever its size: so a file's parts and the
names in it are looked over first, in a trial run that makes nothing (``pickled``), and its tensors afterwards.
"""

import argparse
import json
import re
import struct
import warnings
import zipfile
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ganloom.core.errors import BadInput
from ganloom.weights.pickle_reader import Machine, Made, Name, Refused

STATES = ("state_dict", "model_state_dict", "G_ema", "g_ema", "generator", "model")
"""Keys under which programs put a network's weights into a checkpoint, the first that is there counts."""

DEEPEST = 4
"""Tables within tables."""
MOST_TENSORS, MOST_AXES, LONGEST_NAME = 20_000, 6, 300
"""Of a network: tensors, axes of one, letters of its name. The largest published has 2,000, 5 and 80."""
MOST_COPIED = 1_000_000
"""Entries that a file's calls may be given; a tensor's takes 10."""
FLOATS = (torch.float32, torch.float16, torch.bfloat16, torch.float64)
NAMES = re.compile(
    r"torch\.((cuda\.)?\w+Storage|storage\.(Untyped|Typed)Storage|Size|device|nn\.parameter\.Parameter|(b?float|u?int|complex)\d+|"
    r"bool|_utils\._rebuild_(tensor(_v2)?|parameter))|"
    r"collections\.(OrderedDict|defaultdict|Counter)|(builtins|__builtin__)\.(set|dict|list|int|float|complex)|"
    r"argparse\.Namespace|_codecs\.encode|numpy\.(dtype|ndarray|dtypes\.\w+)|numpy\._?core\.multiarray\.(scalar|_reconstruct)"
)
"""What a program's checkpoint may name; whether it may be made is then torch's to say."""
TABLES = re.compile(r"collections\.(OrderedDict|defaultdict|Counter)|(builtins|__builtin__)\.dict")
LISTS = re.compile(r"(builtins|__builtin__)\.(set|list)")


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
    except Refused as error:
        reason = f"it holds pickled objects that are not weights: {error}"
    except Exception as error:
        strange = "Unsupported" in str(error) or "Weights only" in str(error)
        reason = "it holds pickled objects that are not weights" if strange else "damaged, or no weights"
    raise BadInput(
        f"{path} cannot be read as weights ({reason}): ganloom runs no code of a file; save its state_dict() alone"
    )


def _look_over(path: Path) -> None:
    """Refuses a file of torch's that would unfold to more than it holds, or that names what is no weight."""
    with open(path, "rb") as file:
        if file.read(4) != b"PK\x03\x04":  # torch's older format, or none: five pickles, the numbers behind them
            file.seek(0)
            for _ in range(5):
                _Trial().run(file)
            return
    with zipfile.ZipFile(path) as archive:
        parts = archive.infolist()
        if any(part.compress_type != zipfile.ZIP_STORED for part in parts):
            raise Refused("compressed parts, which torch never writes")
        if sum(part.file_size for part in parts) > path.stat().st_size:
            raise Refused("parts that overlap")
        if archive.start_dir != _directory(path):
            raise Refused("two directories of its parts")
        for part in parts:
            if part.filename.lower().endswith(".pkl"):
                with archive.open(part) as file:
                    _Trial().run(file)


def _directory(path: Path) -> int:
    """Where a zip file says that its directory stands; other readers may look elsewhere where something is put before it."""
    with open(path, "rb") as file:
        file.seek(max(path.stat().st_size - 98, 0))
        end = file.read()
    here: Any = struct.unpack("<4s4H2LH", end[-22:])
    if here[0] != b"PK\x05\x06":
        raise Refused("something behind its end")
    if here[6] != 0xFFFFFFFF:
        return int(here[6])
    return int(struct.unpack("<4sQ2H2L4Q", end[-98:-42])[-1])  # a file of more than 4 GB


class _Known:
    """The names that a file of torch's may mention."""

    def __contains__(self, name: object) -> bool:
        return NAMES.fullmatch(str(name)) is not None


class _Trial(Machine):
    """A pickle of torch's run without making anything: its names are known, and what its calls copy is counted."""

    def __init__(self) -> None:
        super().__init__(_Known())
        self.pairs = MOST_COPIED

    def make(self) -> None:
        """A call: a table or list is begun empty, all else stays a description."""
        args, name = self.pop(), self.pop()
        if not isinstance(name, Name) or not isinstance(args, tuple):
            raise Refused(f"a call of what is no name ({type(name).__name__})")
        self.pairs -= sum(len(arg) for arg in args if isinstance(arg, list | dict | tuple | str))
        if self.pairs < 0:
            raise Refused(f"calls that copy more than {MOST_COPIED} entries")
        if name.full == "_codecs.encode" and args[1:] != ("latin1",):
            raise Refused("bytes in another code than latin1")
        if TABLES.fullmatch(name.full):
            self.push({})
        else:
            self.push([] if LISTS.fullmatch(name.full) else Made(name.full, args))

    def storage(self) -> None:
        """A storage, by its number or by what it is."""
        self.push(Made("storage", (self.pop(),)))

    def key(self, key: object) -> bool:
        """Older optimizers count their parameters by addresses."""
        return isinstance(key, str | float | None) or (isinstance(key, int) and abs(key) < 1 << 63)


def sound(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """The tensors, bare of what training hangs on them; BadInput names the first that no network has."""
    if len(state) > MOST_TENSORS:
        raise BadInput(f"{len(state)} tensors, more than any network has")
    found = {}
    storages: dict[int, int] = {}
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
        storages[t.untyped_storage().data_ptr()] = t.untyped_storage().nbytes()
    if sum(t.nbytes for t in found.values()) > 2 * sum(storages.values()) + (1 << 20):
        raise BadInput("its tensors are many names for the same numbers")
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
