"""A cache of decoded images on disk, so that a second run on the same files starts at once.

Each store of images has one folder, ``$GANLOOM_CACHE/stores/<key>/`` or ``~/.cache/ganloom/stores/<key>/``, with
``rows.npy`` and ``meta.json``. The cache may be deleted at any time. A store that cannot be read is built again; if the
cache cannot be written, there is no cache, but no error either.
"""

import contextlib
import hashlib
import json
import os
import shutil
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple, TypedDict

import numpy as np
from numpy.typing import NDArray

from ganloom.core import json_files
from ganloom.data.images import rows_sha256

MEMORY_LIMIT = 2**30
"""A larger store, in bytes, is a memory-mapped file and not in RAM."""

VERIFY_LIMIT = 2**28
"""A store of at most this many bytes is checked against its SHA-256 when read, which takes less than a second."""


class Meta(TypedDict):
    """meta.json of a store."""

    count: int
    sha256: str
    notes: dict[str, Any]
    digest: str
    """SHA-256 of the other keys: a damaged label must not be trained on."""


ORPHANED = 86_400.0
"""Age in seconds from which a temporary file of the cache belongs to no running process: one day."""


class Store(NamedTuple):
    """Decoded images uint8 (N, H, W, C), their SHA-256, and JSON notes about them."""

    rows: NDArray[np.uint8]
    sha256: str
    notes: dict[str, Any]


def root() -> Path | None:
    """Return the folder of all stores, or None if there is no home folder."""
    try:
        top = os.environ.get("GANLOOM_CACHE")
        return (Path(top) if top else Path.home() / ".cache" / "ganloom") / "stores"
    except RuntimeError:
        return None


def load(key: str) -> Store | None:
    """Return the store of a key, or None if it is missing or damaged."""
    folder = root()
    return None if folder is None else read(folder / key)


def read(folder: Path) -> Store | None:
    """Return the store in a folder, or None if it is missing or damaged."""
    try:
        meta = json_files.read(folder / "meta.json", Meta)
        count, sha256 = meta["count"], meta["sha256"]
        if meta["digest"] != _digest(count, sha256, meta["notes"]):
            return None
        # Copy on write: torch needs writable memory, and nothing writes to the file.
        rows: NDArray[np.uint8] = np.lib.format.open_memmap(folder / "rows.npy", mode="c")
        if rows.dtype != np.uint8 or rows.ndim != 4 or not 0 < count <= len(rows):
            return None
        rows = rows[:count]
        if rows.nbytes <= MEMORY_LIMIT:
            rows = np.array(rows)
        if rows.nbytes <= VERIFY_LIMIT and rows_sha256(rows) != sha256:
            return None
        return Store(rows, sha256, meta["notes"])
    except (OSError, ValueError, KeyError, TypeError, EOFError, OverflowError):
        return None


def begin(key: str) -> Path | None:
    """Create a temporary folder for a new store; fill it and pass it to ``commit``. None if it cannot be created."""
    folder = root()
    if folder is None:
        return None
    try:
        folder.mkdir(parents=True, exist_ok=True)
        sweep(folder)
        return Path(tempfile.mkdtemp(prefix=f".{key[:16]}.", suffix=".tmp", dir=folder))
    except OSError:
        return None


def sweep(folder: Path) -> None:
    """Remove what killed processes left in a folder of the cache: temporary files and folders older than ``ORPHANED``."""
    for path in folder.glob(".*"):
        if not path.name.endswith((".tmp", ".old")):
            continue
        with contextlib.suppress(OSError):
            inside = list(path.iterdir()) if path.is_dir() and not path.is_symlink() else []
            if time.time() - max(file.lstat().st_mtime for file in (path, *inside)) < ORPHANED:
                continue
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink()


def write(folder: Path, rows: NDArray[np.uint8] | None, count: int, sha256: str, notes: dict[str, Any]) -> None:
    """Write a store into a folder.

    Args:
        folder: the folder from ``begin``.
        rows: uint8 (N, H, W, C); None if ``rows.npy`` is written already.
        count: number of rows that are used.
        sha256: SHA-256 of those rows.
        notes: JSON values.

    Raises:
        OSError: the folder cannot be written.
    """
    if rows is not None:
        np.save(folder / "rows.npy", rows[:count], allow_pickle=False)
    meta = {"count": count, "sha256": sha256, "notes": notes, "digest": _digest(count, sha256, notes)}
    (folder / "meta.json").write_text(json.dumps(meta), "utf-8")


def _digest(count: int, sha256: str, notes: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps([count, sha256, notes], sort_keys=True).encode()).hexdigest()


def commit(folder: Path, key: str) -> Path:
    """Move a filled folder into the cache in one step.

    Returns:
        The folder in which the store is now.

    Raises:
        OSError: the folder cannot be moved.
    """
    target = folder.parent / key
    if target.exists():  # it is damaged, or another process was faster: replace it
        old = folder.with_name(folder.name + ".old")
        target.rename(old)
        shutil.rmtree(old, ignore_errors=True)
    folder.rename(target)
    return target


def discard(folder: Path | None) -> None:
    """Remove a folder from ``begin``."""
    if folder is not None:
        shutil.rmtree(folder, ignore_errors=True)
