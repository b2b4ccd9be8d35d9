"""Read PyTorch's checkpoint files (.pth, .pt, .bin, .ckpt) without ``torch.load``: the zip archive and the older format.

A TorchScript file is a zip archive too. Its modules become one table of tensors, and its program is not read.

Both hold a pickle and the numbers of its tensors. The pickle is read by `pickle_reader`, so nothing in it is run. Each
storage is read once, and tensors are views of it: a file cannot take more memory than its own size.
"""

import io
import math
import mmap
import re
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ganloom.weights.pickle_reader import MAX_STEPS, Name, Refused, Stub, Table, Unpickler

NAMES = re.compile(
    r"torch\.((cuda\.)?\w+Storage|storage\.(Untyped|Typed)Storage|Size|device|nn\.parameter\.Parameter|(b?float|u?int|complex)\d+|"
    r"bool|_utils\._rebuild_(tensor(_v2)?|parameter))|"
    r"collections\.(OrderedDict|defaultdict|Counter)|(builtins|__builtin__)\.(set|dict|list|int|float|complex)|"
    r"__torch__(\.\w+)+|torch\.jit\._pickle\.\w+|(pytorch_)?lightning(_fabric)?(\.\w+)+|omegaconf(\.\w+)+|typing\.\w+|"
    r"argparse\.Namespace|_codecs\.encode|numpy\.(dtype|ndarray|dtypes\.\w+)|numpy\._?core\.multiarray\.(scalar|_reconstruct)"
)
"""Names that a program's checkpoint may hold. None of them is imported."""
DTYPES = {
    "FloatStorage": torch.float32, "DoubleStorage": torch.float64, "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16, "LongStorage": torch.int64, "IntStorage": torch.int32, "ShortStorage": torch.int16,
    "CharStorage": torch.int8, "ByteStorage": torch.uint8, "UntypedStorage": torch.uint8, "BoolStorage": torch.bool,
    "ComplexFloatStorage": torch.complex64, "ComplexDoubleStorage": torch.complex128,
}  # fmt: skip
MAGIC = 0x1950A86A20F9469CFC6C
"""The first value of a file in the older format."""
MAX_AXES, MAX_COUNT = 8, 1 << 40
"""Most axes of a tensor, and the bound of a size, a stride, an offset and the number of values."""
SCRIPTED = "__torch__."
"""How the names of TorchScript's modules begin."""
MAX_MODULES, MAX_PREFIX = 20_000, 300
"""Most modules in a TorchScript file, and most letters of the names above a module."""
MAX_TENSORS = 100_000
"""Most tensors in a checkpoint. The optimizer of a large network has about 4,000."""


class Storage:
    """The numbers that tensors share: ``size`` values of type ``dtype``, read later into the 1-D tensor ``numbers``."""

    __slots__ = ("dtype", "key", "numbers", "size")

    def __init__(self, pid: Any) -> None:
        """Check a persistent id: ("storage", type, key, device, number of values[, view])."""
        if not isinstance(pid, tuple) or len(pid) not in (5, 6) or pid[0] != "storage" or any(pid[5:]):
            raise Refused("a persistent id that is not a storage")
        _, kind, key, _, size = pid[:5]
        dtype = DTYPES.get(kind.full.rpartition(".")[2]) if isinstance(kind, Name) else None
        if dtype is None or not isinstance(key, str) or isinstance(size, bool) or not isinstance(size, int):
            raise Refused("a storage of an unknown kind")
        self.dtype, self.key, self.size = dtype, key, size
        self.numbers: Tensor | None = None

    @property
    def nbytes(self) -> int:
        """Bytes of its values."""
        return self.size * int(self.dtype.itemsize)

    def fill(self, content: bytearray) -> None:
        """Take the values from little-endian bytes. Raises Refused where their number is another one."""
        if len(content) != self.nbytes:
            raise Refused("a storage of another length than it claims")
        self.numbers = torch.frombuffer(content, dtype=self.dtype) if content else torch.empty(0, dtype=self.dtype)

    def view(self, offset: Any, size: Any, stride: Any) -> Tensor:
        """Return a tensor on these values. Raises Refused for a shape that they cannot have."""
        shape, steps, (start,) = counts(size), counts(stride), counts((offset,))
        if self.numbers is None or len(shape) != len(steps):
            raise Refused("a tensor without numbers or shape")
        last = start + sum((n - 1) * step for n, step in zip(shape, steps, strict=True))
        if math.prod(shape) and (last >= len(self.numbers) or math.prod(shape) >= MAX_COUNT):
            raise Refused(f"a tensor of shape {shape} with {len(self.numbers)} numbers")
        return self.numbers.as_strided(shape, steps, start)


def counts(values: Any) -> list[int]:
    """Return sizes or strides as a list. Raises Refused unless they are a few integers in [0, `MAX_COUNT`)."""
    if not isinstance(values, tuple | list) or len(values) > MAX_AXES:
        raise Refused("a tensor of no shape")
    if any(not isinstance(n, int) or isinstance(n, bool) or not 0 <= n < MAX_COUNT for n in values):
        raise Refused("a tensor of no shape")
    return list(values)


def read(path: Path) -> Any:
    """Read a checkpoint.

    Args:
        path: A file that ``torch.save`` wrote, in either format.

    Returns:
        Its value. Tables, and tables within them, hold tensors on the CPU; all other objects are `Stub`.

    Raises:
        Refused: The file holds what no checkpoint of weights needs.
        Exception: Any other, where the file is damaged.
    """
    with open(path, "rb") as file:
        if file.read(4) == b"PK\x03\x04":
            value = module_table(_read_zip(path))
        else:
            with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
                value = read_older(mapped)
    return _with_tensors(value)


def module_table(value: Any) -> Any:
    """Return the tensors of a TorchScript module and the modules in it as one table; any other value unchanged."""
    if not isinstance(value, Stub) or not value.name.startswith(SCRIPTED):
        return value
    table, todo, count = Table(), [("", value)], 0
    while todo:
        prefix, module = todo.pop()
        count += 1
        if count > MAX_MODULES or len(prefix) > MAX_PREFIX:
            raise Refused(f"more than {MAX_MODULES} modules, or a module that holds itself")
        for name, entry in module.state.items() if isinstance(module.state, Table) else ():
            if isinstance(entry, Stub) and entry.name.startswith(SCRIPTED):
                todo.append((f"{prefix}{name}.", entry))
            elif isinstance(entry, Stub) and is_tensor(entry):
                table[f"{prefix}{name}"] = entry
    return table


def _with_tensors(value: Any) -> Any:
    """Put tensors in place of their stubs in a table and the tables within it; a table may hold itself."""
    if isinstance(value, Stub) and is_tensor(value):
        return tensor(value)
    done, todo, count = set(), [value], 0
    while todo:
        table = todo.pop()
        if not isinstance(table, Table) or id(table) in done:
            continue
        done.add(id(table))
        stubs = {name: entry for name, entry in table.items() if isinstance(entry, Stub) and is_tensor(entry)}
        count += len(stubs)
        if count > MAX_TENSORS:
            raise Refused(f"more than {MAX_TENSORS} tensors")
        table.update(_tensors(stubs))
        todo += table.values()
    return value


def _tensors(stubs: dict[Any, Stub]) -> dict[Any, Tensor]:
    """Return the tensors of one table. Raises Refused where they repeat the same numbers more than twice over."""
    tensors = {name: tensor(stub) for name, stub in stubs.items()}
    storages = {id(storage): storage.nbytes for storage in map(_storage_of, stubs.values())}
    total = sum(t.nbytes for t in tensors.values() if t.nbytes <= t.untyped_storage().nbytes())
    if total > 2 * sum(storages.values()) + (1 << 20):
        raise Refused("many names for the same numbers")
    return tensors


def is_tensor(stub: Stub) -> bool:
    """Return whether the stub describes a tensor or a parameter."""
    return stub.name.startswith("torch._utils._rebuild_") or stub.name == "torch.nn.parameter.Parameter"


def tensor(stub: Stub) -> Tensor:
    """Return the tensor that a stub describes, a view of its storage. Raises Refused where it describes none."""
    _, offset, size, stride = _arguments(stub)
    return _storage_of(stub).view(offset, size, stride)


def _storage_of(stub: Stub) -> Storage:
    storage = _arguments(stub)[0]
    if not isinstance(storage, Storage):
        raise Refused("a tensor without its numbers")
    return storage


def _arguments(stub: Any) -> tuple[Any, ...]:
    """Return (storage, offset, size, stride) of a tensor or of the tensor in a parameter."""
    if isinstance(stub, Stub) and stub.name in ("torch._utils._rebuild_parameter", "torch.nn.parameter.Parameter"):
        stub = stub.args[0]
    if not isinstance(stub, Stub) or not stub.name.startswith("torch._utils._rebuild_tensor"):
        raise Refused(f"a {type(stub).__name__} instead of a tensor")
    return stub.args[:4]


# ------------------------------------------------------------------------------------------------------ older format


def read_older(file: Any, allowed: Callable[[str], object] = NAMES.fullmatch, max_steps: int = MAX_STEPS) -> Any:
    """Read the format before PyTorch 1.6: five pickles (magic number, version, system, value, keys), then the numbers.

    Args:
        file: A ``mmap`` or ``BytesIO`` at the first pickle.
        allowed: Whether a full name may occur.
        max_steps: Most instructions in each pickle.

    Returns:
        The fourth value, with its storages filled.
    """
    storages: dict[str, Storage] = {}

    def storage(pid: Any) -> Storage:
        new = Storage(pid)
        return _same(storages.setdefault(new.key, new), new)

    values = [Unpickler(file, allowed, storage, max_steps).load() for _ in range(5)]
    if values[0] != MAGIC or not isinstance(values[4], list):
        raise ValueError("not a file of PyTorch")
    for key in values[4]:
        entry = storages.pop(key)
        if int.from_bytes(file.read(8), "little") != entry.size:
            raise Refused("a storage of another length than it claims")
        entry.fill(bytearray(file.read(entry.nbytes)))
    return values[3]


def _same(known: Storage, new: Storage) -> Storage:
    if (known.dtype, known.size) != (new.dtype, new.size):
        raise Refused("one storage under two types")
    return known


# --------------------------------------------------------------------------------------------------------------- zip


def _read_zip(path: Path) -> Any:
    with zipfile.ZipFile(path) as archive:
        _check_archive(archive, path)
        (main,) = [part for part in archive.infolist() if part.filename.lower().endswith("data.pkl")]
        root = main.filename[: -len("data.pkl")]
        big_endian = f"{root}byteorder" in archive.namelist() and archive.read(f"{root}byteorder") == b"big"
        storages: dict[str, Storage] = {}

        def storage(pid: Any) -> Storage:
            new = Storage(pid)
            if new.key in storages:
                return _same(storages[new.key], new)
            content = bytearray(archive.read(f"{root}data/{new.key}"))
            if big_endian and content:
                content = bytearray(np.frombuffer(content, np.uint8).reshape(-1, new.dtype.itemsize)[:, ::-1].tobytes())
            new.fill(content)
            storages[new.key] = new
            return new

        return Unpickler(io.BytesIO(archive.read(main)), NAMES.fullmatch, storage).load()


def _check_archive(archive: zipfile.ZipFile, path: Path) -> None:
    """Refuse an archive that unpacks to more than it holds, or that two programs can read in two ways."""
    parts = [part for part in archive.infolist() if not re.search(r"/(ts_)?code/", part.filename)]  # not read
    if any(part.compress_type != zipfile.ZIP_STORED for part in parts):
        raise Refused("compressed parts, which torch never writes")
    if sum(part.file_size for part in parts) > path.stat().st_size:
        raise Refused("parts that overlap")
    if archive.start_dir != _directory(path):
        raise Refused("two directories of its parts")


def _directory(path: Path) -> int:
    """Return where a zip file says that its directory starts. Something put before the file moves the true place."""
    with open(path, "rb") as file:
        file.seek(max(path.stat().st_size - 98, 0))
        end = file.read()
    record: Any = struct.unpack("<4s4H2LH", end[-22:])
    if record[0] != b"PK\x05\x06":
        raise Refused("something behind its end")
    if record[6] != 0xFFFFFFFF:
        return int(record[6])
    return int(struct.unpack("<4sQ2H2L4Q", end[-98:-42])[-1])  # a file of more than 4 GB
