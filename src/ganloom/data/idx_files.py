"""Read IDX files, LeCun's format of arrays in which MNIST and its successors are published: gzipped or not."""

import gzip
import math
import zlib
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ganloom.core.errors import BadInput

_TYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
_MOST_DIMENSIONS = 4
_LARGEST_RATIO = 1100  # deflate cannot pack more bytes into one


class IdxHeader(NamedTuple):
    """The type of the numbers, and the size of each dimension."""

    dtype: np.dtype[Any]
    sizes: tuple[int, ...]


def idx_header(path: Path) -> IdxHeader | None:
    """Read the header of an IDX file: 0 0 type d, then d big-endian sizes.

    Returns:
        The header; None for a file of another format, or that cannot be read.
    """
    try:
        with _open(path) as file:
            return _header(file)
    except (OSError, EOFError, zlib.error):
        return None


def read_idx(path: Path) -> NDArray[Any]:
    """Read an array from an IDX file.

    Args:
        path: the file, gzipped or not, whatever its ending is.

    Returns:
        The array, in the byte order of this machine.

    Raises:
        BadInput: the file cannot be read, is of another format, or is not complete.
    """
    try:
        with _open(path) as file:
            header = _header(file)
            if header is None:
                raise BadInput(f"{path} is not an IDX file; download it again")
            size = math.prod(header.sizes) * header.dtype.itemsize
            if size > _LARGEST_RATIO * path.stat().st_size + 1024:
                raise BadInput(
                    f"{path} is not a complete IDX file: its header promises {size:,} bytes; download it again"
                )
            content = file.read(size + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise BadInput(f"cannot read {path} ({error}); download it again") from None
    if len(content) != size:
        shape = " x ".join(map(str, header.sizes))
        raise BadInput(f"{path} is not a complete IDX file of {shape} numbers; download it again")
    array = np.frombuffer(content, header.dtype).reshape(header.sizes)
    return array.astype(header.dtype.newbyteorder("="))


def _open(path: Path) -> BinaryIO:
    """Open a file, unpacked if it is gzipped."""
    with path.open("rb") as file:
        packed = file.read(2) == b"\x1f\x8b"
    return gzip.open(path, "rb") if packed else path.open("rb")  # type: ignore[return-value]


def _header(file: BinaryIO) -> IdxHeader | None:
    start = file.read(4)
    if len(start) < 4 or start[:2] != b"\0\0" or start[2] not in _TYPES or not 1 <= start[3] <= _MOST_DIMENSIONS:
        return None
    content = file.read(4 * start[3])
    if len(content) < 4 * start[3]:
        return None
    sizes = tuple(int.from_bytes(content[i : i + 4], "big") for i in range(0, len(content), 4))
    return IdxHeader(np.dtype(_TYPES[start[2]]), sizes)
