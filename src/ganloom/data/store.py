"""Decode images in parallel and in order, into RAM or a memory-mapped file."""

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

from ganloom.core.errors import BadInput
from ganloom.data import cache
from ganloom.data.decode import BadImage, quiet
from ganloom.data.images import rows_sha256
from ganloom.data.resize import Shape

T = TypeVar("T")
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
    is removed together with the array.

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
    if mapped and folder is None:
        folder = Path(tempfile.mkdtemp(prefix="ganloom-"))
    try:
        rows = _allocate((count, height, width, channels), folder if mapped else None)
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


def _allocate(shape: tuple[int, ...], folder: Path | None) -> NDArray[np.uint8]:
    """An empty array in RAM, or mapped to ``rows.npy`` in a folder."""
    try:
        if folder is None:
            return np.empty(shape, np.uint8)
        # Check first: writing to a mapped file on a full disk would kill the process.
        if shutil.disk_usage(folder).free < np.prod(shape):
            raise OSError(f"disk of {folder.parent} is full")
        return np.lib.format.open_memmap(folder / "rows.npy", mode="w+", dtype=np.uint8, shape=shape)
    except (OSError, MemoryError) as error:
        size = np.prod(shape) / 2**30
        raise BadInput(
            f"no space for {size:.1f} GiB of images ({error}); set GANLOOM_CACHE to a folder on a larger disk"
        ) from None


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
