"""Decode images in parallel and in order, into RAM or a memory-mapped file."""

import errno
import os
import shutil
import tempfile
import weakref
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from ganloom.core import memory
from ganloom.core.errors import BadInput
from ganloom.data import cache
from ganloom.data.decode import BadImage, quiet
from ganloom.data.images import rows_sha256
from ganloom.data.resize import Shape

T = TypeVar("T")
RAM_SHARE = 0.5
"""Largest share of the free memory that a store may take if no disk has space for it."""
Progress = Callable[[int, int], None] | None
"""Called with (images done, total)."""


class Filled(NamedTuple):
    """A store, the indices of the images that became its rows, and (index, reason) of those left out."""

    store: cache.Store
    good: list[int]
    bad: list[tuple[int, str]]


def each(work: Callable[[int], T], count: int, progress: Progress = None) -> Iterator[tuple[int, T | BadImage]]:
    """Compute ``work(index)`` for index 0 .. count - 1 on all cores. Memory does not grow with ``count``.

    Args:
        work: computes one result; a ``BadImage`` that it raises counts as its result.
        count: number of results.
        progress: called with (done, total).

    Yields:
        (index, result), in order.
    """
    workers = os.cpu_count() or 1
    waiting: deque[Future[T]] = deque()
    with quiet(), ThreadPoolExecutor(workers, "ganloom-decode") as pool:
        try:
            for index in range(count + 4 * workers):
                if index < count:
                    waiting.append(pool.submit(work, index))
                done = index - 4 * workers
                if done < 0 or not waiting:
                    continue
                result: T | BadImage
                try:
                    result = waiting.popleft().result()
                except BadImage as error:
                    result = error
                yield done, result
                if progress is not None:
                    progress(done + 1, count)
        finally:
            for future in waiting:  # if the caller stops early, do not compute the rest
                future.cancel()


def fill(
    work: Callable[[int], NDArray[np.uint8]],
    count: int,
    shape: Shape,
    key: str | None = None,
    notes: Callable[[list[int], list[tuple[int, str]]], dict[str, Any]] | None = None,
    progress: Progress = None,
) -> Filled:
    """Build a store from the images that ``work`` returns.

    A store larger than ``cache.MEMORY_LIMIT`` is a memory-mapped file, in the cache or else in a temporary folder that
    is removed together with the array. If neither disk has space, the store is in RAM, if it fits.

    Args:
        work: index -> uint8 (H, W, C); images that raise ``BadImage`` are left out.
        count: number of images.
        shape: (C, H, W) of every image.
        key: keep the store in the cache under this key; None: do not.
        notes: (good indices, (index, reason) of those left out) -> JSON notes that are kept with the store.
        progress: called with (done, total).

    Raises:
        BadInput: there is not enough memory or disk space.
    """
    channels, height, width = shape
    mapped = count * channels * height * width > cache.MEMORY_LIMIT
    folder = cache.begin(key) if key is not None else None
    cached = folder is not None
    try:
        if mapped:
            rows, folder, cached = _allocate_mapped((count, height, width, channels), folder)
            mapped = folder is not None
        else:
            rows = _in_memory((count, height, width, channels))
        good: list[int] = []
        bad: list[tuple[int, str]] = []
        for index, result in each(work, count, progress):
            if isinstance(result, BadImage):
                bad.append((index, str(result)))
            else:
                rows[len(good)] = result
                good.append(index)
        store = cache.Store(rows[: len(good)], "", notes(good, bad) if notes else {})
        if good:
            store = store._replace(sha256=rows_sha256(store.rows))
            store = _move_to_cache(store, folder, key if cached else None, mapped)
        else:
            cache.discard(folder)
    except BaseException:
        cache.discard(folder)
        raise
    return Filled(store, good, bad)


def _in_memory(shape: tuple[int, ...], failures: tuple[str, ...] = ()) -> NDArray[np.uint8]:
    """An empty array in RAM."""
    try:
        return np.empty(shape, np.uint8)
    except MemoryError as error:
        reason = "; ".join((*failures, str(error)))
        raise BadInput(
            f"no space for {_gib(shape)} of images ({reason}); set GANLOOM_CACHE to a folder on a larger disk"
        ) from None


def _allocate_mapped(shape: tuple[int, ...], folder: Path | None) -> tuple[NDArray[np.uint8], Path | None, bool]:
    """An empty array mapped to ``rows.npy``, in the folder of the cache, else in a temporary folder; else in RAM.

    Returns:
        (the array, its folder or None, whether the folder is in the cache).

    Raises:
        BadInput: There is no space anywhere.
    """
    failures: list[str] = []
    for in_cache in (True, False):
        if in_cache and folder is None:
            continue
        try:
            place = folder if in_cache and folder is not None else Path(tempfile.mkdtemp(prefix="ganloom-"))
        except OSError as error:
            failures.append(f"{tempfile.gettempdir()}: {error.strerror or error}")
            continue
        try:
            return _mapped(shape, place), place, in_cache
        except OSError as error:
            failures.append(f"{place.parent}: {error.strerror or error}")
            cache.discard(place)
    if np.prod(shape) > RAM_SHARE * memory.available():
        raise BadInput(
            f"no space for {_gib(shape)} of images ({'; '.join(failures)}); set GANLOOM_CACHE to a folder on a larger disk"
        )
    return _in_memory(shape, tuple(failures)), None, False


def _mapped(shape: tuple[int, ...], folder: Path) -> NDArray[np.uint8]:
    """An array mapped to a new file whose space on the disk is reserved. Raises OSError on a full disk."""
    # Writing to a mapped file on a full disk would kill the process, so the space is checked, and then reserved.
    if shutil.disk_usage(folder).free < np.prod(shape):
        raise OSError(errno.ENOSPC, "the disk is full")
    rows: NDArray[np.uint8] = np.lib.format.open_memmap(folder / "rows.npy", mode="w+", dtype=np.uint8, shape=shape)
    if hasattr(os, "posix_fallocate"):
        with open(folder / "rows.npy", "rb+") as file:
            os.posix_fallocate(file.fileno(), 0, os.fstat(file.fileno()).st_size)
    return rows


def _gib(shape: tuple[int, ...]) -> str:
    return f"{np.prod(shape) / 2**30:.1f} GiB"


def _move_to_cache(store: cache.Store, folder: Path | None, key: str | None, mapped: bool) -> cache.Store:
    """Move a filled store into the cache, if it has a key. A full disk is no error: the store is just not cached."""
    if folder is None:
        return store
    target = folder
    try:
        cache.write(folder, None if mapped else store.rows, len(store.rows), store.sha256, store.notes)
        if key is not None:
            target = cache.commit(folder, key)
    except OSError:
        if not mapped:
            cache.discard(folder)
    if not mapped:
        return store
    mapped_store = cache.read(target) or store
    if target == folder:  # not in the cache: remove the file together with the array
        weakref.finalize(mapped_store.rows, shutil.rmtree, folder, ignore_errors=True)
    return mapped_store
