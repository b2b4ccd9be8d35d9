"""Turn the stubs of a network's pickle into tensors, and check the numbers that a network states about itself."""

import io
import math
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ganloom.weights.pickle_reader import Refused, Stub
from ganloom.weights.torch_file import DTYPES, Storage, counts, read_older

STORAGE_NAMES = frozenset(f"torch.{name}" for name in DTYPES)
STORAGE_STEPS = 100
"""Most instructions in each of the five pickles before the numbers of a storage."""
MAX_TENSORS = 4000
"""Most tensors in a file. The largest published file has 500."""


class Room:
    """Count the bytes that a file's storages and tensors take, because a file can name one storage many times.

    Args:
        size: Bytes of the file. Its storages may take this once, its tensors twice.
    """

    def __init__(self, size: int) -> None:
        self.left, self.tensors = 3 * size + (1 << 20), MAX_TENSORS

    def take(self, nbytes: int) -> None:
        """Count ``nbytes`` of numbers. Raises Refused where nothing is left."""
        self.left -= nbytes
        if self.left < 0:
            raise Refused("more numbers than its bytes can hold")

    def take_tensor(self, nbytes: int) -> None:
        """Count a tensor of ``nbytes``. Raises Refused where nothing is left."""
        self.take(nbytes)
        self.tensors -= 1
        if self.tensors < 0:
            raise Refused("more tensors than any network has")


def array(value: Any, room: Room) -> Tensor:
    """Return the tensor that a stub describes.

    Args:
        value: The `Stub` of a PyTorch tensor or parameter, or of a NumPy array.
        room: Counts what the tensor takes.

    Raises:
        Refused: The stub describes something else, or numbers that the file does not hold.
    """
    if isinstance(value, Stub) and value.name == "torch._utils._rebuild_parameter":
        value = value.args[0]
    if not isinstance(value, Stub):
        raise Refused(f"a {type(value).__name__} instead of a tensor")
    if value.name == "torch._utils._rebuild_tensor_v2":
        return _tensor(value, room)
    if value.name.endswith("multiarray._reconstruct"):
        return _array(value, room)
    raise Refused(f"{value.name} instead of a tensor")


def number(value: Any, low: float, high: float, what: str) -> Any:
    """Return a number that a network states about itself. Raises Refused unless it is a number in [low, high]."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
        raise Refused(f"{what} of no such number")
    return value


def clamp_of(value: Any) -> float | None:
    """Return the bound of a network's activations; None and infinity mean no bound."""
    return None if value is None or value == math.inf else float(number(value, 1e-6, 1e9, "a clamp"))


def rate_of(value: Any) -> float:
    """Return the learning rate multiplier of a mapping network."""
    return float(number(value, 1e-6, 10.0, "a rate"))


def _tensor(stub: Stub, room: Room) -> Tensor:
    blob, offset, size, stride = stub.args[:4]
    if not isinstance(blob, Stub) or blob.name != "torch.storage._load_from_bytes":
        raise Refused("a tensor without its numbers")
    storage = blob.state  # read once, however often the file names it
    if not isinstance(storage, Storage):
        storage = blob.state = _storage(blob.args[0], room)
    view = storage.view(offset, size, stride)
    if view.numel() > storage.size:
        raise Refused(f"a tensor of shape {list(view.shape)} with {storage.size} numbers")
    room.take_tensor(view.nbytes)
    return view


def _storage(content: Any, room: Room) -> Storage:
    """Read a storage from bytes in PyTorch's older format."""
    if not isinstance(content, bytes):
        raise Refused("a storage that is not bytes")
    room.take(len(content))
    file = io.BytesIO(content)
    storage = read_older(file, STORAGE_NAMES.__contains__, STORAGE_STEPS)
    if not isinstance(storage, Storage) or file.read(1):
        raise Refused("a storage of another kind")
    return storage


def _array(stub: Stub, room: Room) -> Tensor:
    """Return NumPy's array from its state (version, shape, dtype, Fortran order, bytes)."""
    if not isinstance(stub.state, tuple) or len(stub.state) != 5:
        raise Refused("an array without its numbers")
    _, shape, dtype, fortran, data = stub.state
    if not isinstance(dtype, Stub) or dtype.name != "numpy.dtype" or not isinstance(data, bytes):
        raise Refused("an array of other things than numbers")
    if dtype.args[0] not in ("f2", "f4", "f8", "i4", "i8", "u1"):
        raise Refused("an array of other things than numbers")
    order = dtype.state[1] if isinstance(dtype.state, tuple) and dtype.state[1] in ("<", ">", "|") else "<"
    kind: Any = np.dtype(order.replace("|", "") + dtype.args[0])
    shape = counts(shape)
    if math.prod(shape) * kind.itemsize != len(data):
        raise Refused(f"an array of shape {shape} with {len(data)} bytes")
    room.take_tensor(len(data))
    numbers = np.frombuffer(data, kind).reshape(shape, order="F" if fortran else "C")
    return torch.from_numpy(np.ascontiguousarray(numbers.astype(kind.newbyteorder("="))))
