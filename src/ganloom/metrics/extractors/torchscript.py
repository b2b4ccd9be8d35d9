"""Reads the tensors out of a TorchScript file without running or even compiling what is in it.

A TorchScript file is a zip: data.pkl describes the modules, data/N hold the bytes of the tensors, code/ the program.
Only data.pkl is read, by an unpickler that knows tensors and plain containers and turns each module into a dict.
"""

import collections
import pickle
import zipfile
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ganloom.core.errors import BadInput

_DTYPES = {
    "FloatStorage": torch.float32, "HalfStorage": torch.float16, "DoubleStorage": torch.float64,
    "BFloat16Storage": torch.bfloat16, "LongStorage": torch.int64, "IntStorage": torch.int32, "BoolStorage": torch.bool,
}  # fmt: skip


class _Module(dict[str, Any]):
    """Stands for any class of the file; keeps what its state sets."""

    def __setstate__(self, state: object) -> None:
        if isinstance(state, dict):
            self.update(state)


class _Storage:
    """Names a type of storage."""

    def __init__(self, dtype: torch.dtype) -> None:
        self.dtype = dtype


class _Reader(pickle.Unpickler):
    def __init__(self, archive: zipfile.ZipFile, root: str) -> None:
        super().__init__(archive.open(f"{root}/data.pkl"))
        self.archive, self.root = archive, root

    def find_class(self, module: str, name: str) -> Any:
        if module.startswith("__torch__"):
            return _Module
        if module in ("torch", "torch.storage") and name in _DTYPES:
            return _Storage(_DTYPES[name])
        known = {
            ("torch._utils", "_rebuild_tensor_v2"): _tensor,
            ("torch._utils", "_rebuild_parameter"): lambda data, *rest: data,
            ("collections", "OrderedDict"): collections.OrderedDict,
            ("torch.jit._pickle", "build_intlist"): list, ("torch.jit._pickle", "build_doublelist"): list,
            ("torch.jit._pickle", "build_boollist"): list, ("torch.jit._pickle", "build_tensorlist"): list,
            ("torch.jit._pickle", "restore_type_tag"): lambda value, tag: value,
        }  # fmt: skip
        if (module, name) not in known:
            raise pickle.UnpicklingError(f"{module}.{name}")
        return known[module, name]

    def persistent_load(self, pid: Any) -> Tensor:
        _, kind, key, _, count = pid
        content = bytearray(self.archive.read(f"{self.root}/data/{key}"))
        flat = torch.frombuffer(content, dtype=kind.dtype) if content else torch.empty(0, dtype=kind.dtype)
        if len(flat) < count:
            raise pickle.UnpicklingError(f"data/{key} is cut short")
        return flat


def _tensor(storage: Tensor, offset: int, size: Any, stride: Any, *rest: object) -> Tensor:
    """A tensor over its storage; a size that reaches past the end is an error of torch's."""
    return storage.as_strided(tuple(size), tuple(stride), offset)


def read_tensors(path: Path) -> dict[str, Tensor]:
    """Dotted name -> tensor of each parameter and buffer of a TorchScript file, as its state_dict has them.

    Raises `BadInput` for anything that is no whole TorchScript file.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            pickles = [n for n in archive.namelist() if n.endswith("/data.pkl") and n.count("/") == 1]
            if len(pickles) != 1:
                raise BadInput(f"{path}: no TorchScript file (it has no data.pkl)")
            top = _Reader(archive, pickles[0].removesuffix("/data.pkl")).load()
    except BadInput:
        raise
    except Exception as error:  # whatever a broken or foreign pickle can raise
        raise BadInput(
            f"{path}: cannot be read as TorchScript ({type(error).__name__}: {error}); fetch it anew"
        ) from None
    found: dict[str, Tensor] = {}
    _collect(top, "", found)
    return found


def _collect(value: object, prefix: str, found: dict[str, Tensor]) -> None:
    if isinstance(value, Tensor):
        found[prefix] = value
    elif isinstance(value, dict):
        for key, inner in value.items():
            _collect(inner, f"{prefix}.{key}" if prefix else str(key), found)
