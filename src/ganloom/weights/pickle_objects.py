"""What the descriptions in a pickle (``pickled``) come to: tensors, and numbers that a network says of itself, all bounded."""

import io
import math
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ganloom.weights.pickle_reader import Machine, Made, Name, Refused

STORAGE_STEPS = 100
"""Instructions of each of the five pickles before a storage's numbers."""
MOST_TENSORS = 4000
"""Of a file. The largest published has 500."""
MOST_AXES, LONGEST = 8, 1 << 40
"""Axes of a tensor, and the most that a size, a stride or an offset may be: what is checked before it is multiplied."""
STORAGES = {
    "torch.FloatStorage": np.dtype("<f4"), "torch.DoubleStorage": np.dtype("<f8"), "torch.HalfStorage": np.dtype("<f2"),
    "torch.LongStorage": np.dtype("<i8"), "torch.IntStorage": np.dtype("<i4"), "torch.ByteStorage": np.dtype("u1"),
    "torch.BoolStorage": np.dtype("?"),
}  # fmt: skip


class Room:
    """How many tensors, and bytes of numbers, a file may still come to: a storage that is named often is copied often."""

    def __init__(self, size: int) -> None:
        self.left, self.tensors = 2 * size + (1 << 20), MOST_TENSORS

    def take(self, size: int) -> None:
        """A tensor of so many bytes, if there is room for it."""
        self.left -= size
        self.tensors -= 1
        if self.left < 0:
            raise Refused("more numbers than its bytes can hold")
        if self.tensors < 0:
            raise Refused("more tensors than any network has")


def array(value: Any, room: Room) -> Tensor:
    """The tensor that a ``Made`` describes: torch's tensors and parameters, numpy's arrays and scalars."""
    if not isinstance(value, Made):
        raise Refused(f"a {type(value).__name__} where a tensor is due")
    if value.name == "torch._utils._rebuild_parameter":
        return array(value.args[0], room)
    if value.name == "torch._utils._rebuild_tensor_v2":
        return _tensor(value, room)
    if value.name.endswith("multiarray._reconstruct"):
        return _array(value, room)
    raise Refused(f"{value.name} where a tensor is due")


def number(value: Any, low: float, high: float, what: str) -> Any:
    """A number that a network says of itself, within bounds; a text, a list, NaN or infinity is refused."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
        raise Refused(f"{what} of no such number")
    return value


def clamp_of(value: Any) -> float | None:
    """What a file says of the bound of its activations; None and infinity: unbounded."""
    return None if value is None or value == math.inf else float(number(value, 1e-6, 1e9, "a clamp"))


def rate_of(value: Any) -> float:
    """What a file says of its mapping network's rate."""
    return float(number(value, 1e-6, 10.0, "a rate"))


def _counts(values: Any) -> list[int]:
    """Sizes or strides, checked before anything is computed of them."""
    if not isinstance(values, tuple | list) or len(values) > MOST_AXES:
        raise Refused("a tensor of no shape")
    if any(not isinstance(n, int) or isinstance(n, bool) or not 0 <= n < LONGEST for n in values):
        raise Refused("a tensor of no shape")
    return list(values)


def _tensor(value: Made, room: Room) -> Tensor:
    stored, offset, size, stride = value.args[:4]
    if not isinstance(stored, Made) or stored.name != "torch.storage._load_from_bytes":
        raise Refused("a tensor without its numbers")
    numbers = stored.state  # found once, however often the file names it
    if numbers is None or not isinstance(numbers, np.ndarray):
        numbers = stored.state = _storage(*stored.args)
    size, stride, (offset,) = _counts(size), _counts(stride), _counts((offset,))
    if len(size) != len(stride):
        raise Refused("a tensor of no shape")
    last = offset + sum((n - 1) * step for n, step in zip(size, stride, strict=True))
    count: int = math.prod(size)
    if count > len(numbers) or (count and last >= len(numbers)):
        raise Refused(f"a tensor of shape {size} with {len(numbers)} numbers")
    room.take(count * int(numbers.itemsize))
    steps = [n * numbers.itemsize for n in stride]
    return torch.from_numpy(np.lib.stride_tricks.as_strided(numbers[offset:], size, steps, writeable=False).copy())


def _storage(blob: Any) -> Any:
    """The numbers of a storage, not copied. It stands as torch saves it alone: five pickles, the number of values, the values."""
    if not isinstance(blob, bytes):
        raise Refused("a storage that is no bytes")
    file = io.BytesIO(blob)
    made = None
    for place in range(5):
        value = Machine(frozenset(STORAGES), stored=True, most=STORAGE_STEPS).run(file)
        made = value if place == 3 else made
    if not isinstance(made, Made) or made.name != "storage" or not isinstance(made.args[1], Name):
        raise Refused("a storage of another kind")
    kind: Any = STORAGES[made.args[1].full]
    at = file.tell()
    n = int.from_bytes(blob[at : at + 8], "little")
    if n * kind.itemsize != len(blob) - at - 8:
        raise Refused("a storage of another length than it says")
    return np.frombuffer(blob, kind, n, at + 8)


def _array(value: Made, room: Room) -> Tensor:
    """numpy's array: state (version, shape, dtype, Fortran order, bytes)."""
    if not isinstance(value.state, tuple) or len(value.state) != 5:
        raise Refused("an array without its numbers")
    _, shape, dtype, fortran, data = value.state
    kinds = {"f2", "f4", "f8", "i4", "i8", "u1"}
    if (
        not isinstance(dtype, Made)
        or dtype.name != "numpy.dtype"
        or dtype.args[0] not in kinds
        or not isinstance(data, bytes)
    ):
        raise Refused("an array of other things than numbers")
    order = dtype.state[1] if isinstance(dtype.state, tuple) and dtype.state[1] in ("<", ">", "|") else "<"
    kind: Any = np.dtype(order.replace("|", "") + dtype.args[0])
    shape = _counts(shape)
    if math.prod(shape) * kind.itemsize != len(data):
        raise Refused(f"an array of shape {shape} with {len(data)} bytes")
    room.take(len(data))
    found = np.frombuffer(data, kind).reshape(shape, order="F" if fortran else "C")
    return torch.from_numpy(np.ascontiguousarray(found.astype(kind.newbyteorder("="))))
