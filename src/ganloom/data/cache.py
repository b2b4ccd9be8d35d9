"""Decoded stores kept on disk, so that a second run on the same files starts at once.

One folder a store, ``$GANLOOM_CACHE/stores/<key>/`` or ``~/.cache/ganloom/stores/<key>/``: ``rows.npy`` and
``meta.json``. It may be deleted at any time. A store that cannot be read is made again; a place that cannot be written
means no cache, never an error.
"""

import json
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ganloom.data.images import rows_sha256

MEMORY_LIMIT = 2**30
"""A store of more bytes is a mapped file instead of memory."""

VERIFY_LIMIT = 2**28
"""A store of at most this many bytes is checked against its SHA-256 when read: it costs less than a second."""


class Store(NamedTuple):
    """uint8 (N, H, W, C), its SHA-256, and the JSON notes kept with it."""

    rows: NDArray[np.uint8]
    sha256: str
    notes: dict[str, Any]


def root() -> Path | None:
    """The folder of stores, or None where there is no home."""
    try:
        top = os.environ.get("GANLOOM_CACHE")
        return (Path(top) if top else Path.home() / ".cache" / "ganloom") / "stores"
    except RuntimeError:
        return None


def load(key: str) -> Store | None:
    """A store kept under ``key``, or None when there is none or it does not prove whole."""
    folder = root()
    return None if folder is None else read(folder / key)


def read(folder: Path) -> Store | None:
    """The store in ``folder``, or None."""
    try:
        meta = json.loads((folder / "meta.json").read_text("utf-8"))
        count, sha256 = int(meta["count"]), str(meta["sha256"])
        # Copy on write: torch wants writable memory, and nothing ever writes to the file.
        rows: NDArray[np.uint8] = np.lib.format.open_memmap(folder / "rows.npy", mode="c")
        if rows.dtype != np.uint8 or rows.ndim != 4 or not 0 < count <= len(rows):
            return None
        rows = rows[:count]
        if rows.nbytes <= MEMORY_LIMIT:
            rows = np.array(rows)
        if rows.nbytes <= VERIFY_LIMIT and rows_sha256(rows) != sha256:
            return None
        return Store(rows, sha256, dict(meta["notes"]))
    except (OSError, ValueError, KeyError, TypeError, EOFError):
        return None


def begin(key: str) -> Path | None:
    """A fresh folder beside the store's place, to be filled and passed to ``commit``; None where none can be made."""
    folder = root()
    if folder is None:
        return None
    try:
        folder.mkdir(parents=True, exist_ok=True)
        return Path(tempfile.mkdtemp(prefix=f".{key[:16]}.", suffix=".tmp", dir=folder))
    except OSError:
        return None


def write(folder: Path, rows: NDArray[np.uint8] | None, count: int, sha256: str, notes: dict[str, Any]) -> None:
    """Write the notes, and the rows unless they are there already (``rows`` None). Raises OSError."""
    if rows is not None:
        np.save(folder / "rows.npy", rows[:count], allow_pickle=False)
    meta = {"count": count, "sha256": sha256, "notes": notes}
    (folder / "meta.json").write_text(json.dumps(meta), "utf-8")


def commit(folder: Path, key: str) -> Path:
    """Move a filled folder to its place in one step; the folder where the store now is. Raises OSError."""
    target = folder.parent / key
    if target.exists():  # unreadable, or another process was faster: ours is as good
        old = folder.with_name(folder.name + ".old")
        target.rename(old)
        shutil.rmtree(old, ignore_errors=True)
    folder.rename(target)
    return target


def discard(folder: Path | None) -> None:
    """Remove what ``begin`` made."""
    if folder is not None:
        shutil.rmtree(folder, ignore_errors=True)
