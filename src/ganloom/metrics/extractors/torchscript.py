"""Read the tensors of a TorchScript file without running or compiling its program.

A TorchScript file is a zip: data.pkl describes the modules, data/N hold the bytes of the tensors, code/ the program.
Only data.pkl and the bytes are read, by an unpickler that knows tensors and plain containers. Modules become dicts.
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
    """Replaces any class of the file and holds its state."""

    def __setstate__(self, state: object) -> None:
        if isinstance(state, dict):
            self.update(state)


class _Storage:
    """A type of storage."""

    def __init__(self, dtype: torch.dtype) -> None:
        self.dtype = dtype


class _Reader(pickle.Unpickler):
    """Unpickler of data.pkl that constructs tensors and plain containers only."""

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
    """A tensor over its storage. torch raises an error if the size exceeds it."""
    return storage.as_strided(tuple(size), tuple(stride), offset)


def read_tensors(path: Path) -> dict[str, Tensor]:
    """Read the parameters and buffers of a TorchScript file.

    Args:
        path: the file.

    Returns:
        Dotted name -> tensor, as in the state_dict.

    Raises:
        BadInput: not a complete TorchScript file.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            pickles = [n for n in archive.namelist() if n.endswith("/data.pkl") and n.count("/") == 1]
            if len(pickles) != 1:
                raise BadInput(f"{path}: not a TorchScript file (it has no data.pkl)")
            top = _Reader(archive, pickles[0].removesuffix("/data.pkl")).load()
    except BadInput:
        raise
    except Exception as error:  # whatever a broken or foreign pickle can raise
        raise BadInput(
            f"{path}: cannot be read as TorchScript ({type(error).__name__}: {error}); get the file again"
        ) from None
    tensors: dict[str, Tensor] = {}
    _collect(top, "", tensors)
    return tensors


def _collect(value: object, prefix: str, tensors: dict[str, Tensor]) -> None:
    """Add the tensors of nested dicts under dotted names."""
    if isinstance(value, Tensor):
        tensors[prefix] = value
    elif isinstance(value, dict):
        for key, inner in value.items():
            _collect(inner, f"{prefix}.{key}" if prefix else str(key), tensors)
