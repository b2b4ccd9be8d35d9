"""Read a .npy file so that a change of the file during a training does no harm.

A memory-mapped file that another program truncates kills the process (SIGBUS), and one that is written to is trained on
unnoticed. So a small file is read into RAM. A larger one is copied to a file without a name, which only this process can
reach and which the system removes with the process, and the copy is mapped.
"""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from ganloom.core.errors import BadInput
from ganloom.data import cache

_PART = 2**26
_HEADER = 2**20
"""More bytes than the header of a .npy file has."""


def read_npy(path: str) -> NDArray[Any]:
    """Read a .npy file into RAM, or map a private copy of it if it is larger than ``cache.MEMORY_LIMIT``.

    Args:
        path: The file.

    Returns:
        The array. Nothing that happens to the file afterwards changes it.

    Raises:
        BadInput: The file changed while it was read, or there is no space for the copy.
        OSError, ValueError, EOFError: The file cannot be read, or is no .npy file of plain values.
    """
    with open(path, "rb") as file:
        before = os.fstat(file.fileno())
        if before.st_size <= cache.MEMORY_LIMIT + _HEADER:
            array: NDArray[Any] = np.lib.format.read_array(file, allow_pickle=False)
        else:
            array = _mapped_copy(file, before.st_size, path)
        after = os.fstat(file.fileno())
    if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns):
        raise BadInput(f"{path} was changed while it was read. Wait until it is complete, then start again")
    return array


def _mapped_copy(file: BinaryIO, size: int, path: str) -> NDArray[Any]:
    """Map a copy of the file. On POSIX systems, the copy has no name, so no other process can change it."""
    failures = []
    for folder in _folders():
        try:
            folder.mkdir(parents=True, exist_ok=True)
            handle, name = tempfile.mkstemp(prefix=".npy.", suffix=".tmp", dir=folder)
        except OSError as error:
            failures.append(f"{folder}: {error.strerror}")
            continue
        try:
            with open(handle, "r+b") as copy:
                if hasattr(os, "posix_fallocate"):  # a full disk is an error now, and not a SIGBUS later
                    os.posix_fallocate(copy.fileno(), 0, size)
                file.seek(0)
                while part := file.read(_PART):
                    copy.write(part)
            if os.path.getsize(name) != size:
                raise BadInput(f"{path} was changed while it was read. Wait until it is complete, then start again")
            # Copy on write: torch needs writable memory, and nothing writes to the file.
            array: NDArray[Any] = np.lib.format.open_memmap(name, mode="c")
        except OSError as error:
            failures.append(f"{folder}: {error.strerror or error}")
            continue
        finally:
            if os.name != "nt":  # Windows removes no file that is open; ``cache.sweep`` removes it later
                os.unlink(name)
        return array
    raise BadInput(
        f"no space for a copy of {path} ({size / 2**30:.1f} GiB; {'; '.join(failures)}). Set GANLOOM_CACHE to a folder on "
        "a larger disk"
    )


def _folders() -> Iterator[Path]:
    root = cache.root()
    if root is not None:
        yield root
    yield Path(tempfile.gettempdir())
