"""Data sets of volumes: voxels of objects, each with a silhouette from a random side as its image.

The images are what grids and evaluations show and compare; a recipe that learns volumes gets them as ``y`` of a batch.
"""

import hashlib
import os
from dataclasses import replace
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ganloom.core.batch import Batch
from ganloom.core.errors import BadInput
from ganloom.data import cache, solid_objects, store
from ganloom.data.dataset import Facts
from ganloom.data.images import Images, rows_sha256
from ganloom.data.npz_reader import DAMAGE
from ganloom.data.npz_writer import write_npz
from ganloom.data.private_copy import read_npy
from ganloom.data.resize import Shape
from ganloom.imaging.grid import alike, to_uint8
from ganloom.volumes import rendering

SIZE = 1200
"""Volumes of the built-in set, by default."""
SIDE = 32
"""Side of the volumes of the built-in set."""
LARGEST = 128
_VERSION = 1


class Volumes(Images):
    """N volumes, each with a silhouette.

    Args:
        rows: The silhouettes, uint8 (N, H, W, C).
        volumes: uint8 (N, S, S, S), 255 inside, with the index [z, y, x].
        facts: What is known about them.
    """

    d_judges_images = False

    def __init__(self, rows: NDArray[np.uint8], volumes: NDArray[np.uint8], facts: Facts) -> None:
        super().__init__(rows, facts)
        self.volumes = volumes
        self._voxels = torch.from_numpy(volumes)

    def to(self, device: torch.device | str) -> Self:
        """Deliver on ``device``. Returns the data set itself."""
        super().to(device)
        self._voxels = torch.from_numpy(self.volumes).to(self.device)
        return self

    def draw(self, n: int, rng: torch.Generator, alike: int = 1) -> Batch:
        """Draw a batch: silhouettes ``x``, labels ``c`` or None, and volumes ``y``, float32 (n, 1, S, S, S) in [0, 1]."""
        picks, _ = self._next_rows(n, rng)
        volumes = self._voxels.index_select(0, picks.to(self._voxels.device))[:, None].float() / 255
        return Batch(self._gather(picks, None), self._labels_of(picks), volumes)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write an .npz file with ``voxels``, from which ``open(path, inputs="volumes")`` reads equal volumes."""
        write_npz(
            path,
            {"version": 1, "kind": "volumes", "name": self.name},
            {"voxels": self.volumes, "silhouettes": self.rows},
        )

    def _rows_sha256(self) -> str:
        return hashlib.sha256(f"{super()._rows_sha256()} volumes {rows_sha256(self.volumes)}".encode()).hexdigest()

    def with_facts(self, facts: Facts) -> "Volumes":
        """Return a data set of the same rows, which are not copied, with other facts."""
        return Volumes(self.rows, self.volumes, facts)

    def _take(self, rows: NDArray[np.int64], facts: Facts) -> Self:
        return type(self)(self.rows[rows], self.volumes[rows], facts)


def open_volumes(source: Any, shape: Shape | None, flip: bool, progress: store.Progress = None) -> Volumes:
    """Open volumes.

    Args:
        source: ``silhouettes`` or ``silhouettes:N`` (the true voxels of N of its objects), a .npy file, a .npz file with an array
            ``voxels``, or an array: (N, S, S, S) with the index [z, y, x], of truth values, or of numbers in 0..1 or 0..255.
        shape: (C, H, W) of the silhouettes; None: 1 x S x S.
        flip: Must be off: a mirrored silhouette would not fit its volume.
        progress: Called with (done, total).

    Raises:
        BadInput: The source cannot be used.
    """
    if isinstance(source, Volumes):
        if shape is None or shape == source.shape:
            return source
        facts = replace(source.facts, source=source.facts.source | {"shape": list(shape)})
        return Volumes(_silhouettes(source.volumes, shape), source.volumes, facts)
    if flip:
        raise BadInput("--flip mirrors images, not volumes: leave it out")
    options = {"source": None, "inputs": "volumes", "shape": None if shape is None else list(shape)}
    rows = None
    if isinstance(source, str) and source.split(":")[0] == "silhouettes":
        volumes, name = _built_in(source, progress), "silhouettes"
        options["source"] = source
    elif isinstance(source, str | os.PathLike):
        (volumes, rows), name = _read(os.fspath(source)), os.path.basename(os.fspath(source))
        options["source"] = os.path.abspath(os.path.expanduser(os.fspath(source)))
    else:
        volumes, name = _checked(np.asarray(source), "the array"), "volumes"
    facts = Facts(name, source=options, native=True)
    if name == "silhouettes":
        classes = solid_objects.SETS[name].classes
        facts.labels, facts.classes = np.arange(len(volumes)) % len(classes), list(classes)
    if rows is None or shape not in (None, (rows.shape[3], *rows.shape[1:3])):
        rows = _silhouettes(volumes, shape or (1, *volumes.shape[2:]))
    return Volumes(rows, volumes, facts)


def _built_in(source: str, progress: store.Progress) -> NDArray[np.uint8]:
    """The voxels of the first objects of the set; they are kept in the cache."""
    _, colon, argument = source.partition(":")
    if colon and not (argument.isdecimal() and 0 < int(argument[:9]) <= 100_000):
        raise BadInput(f"{source}: after the colon give a number of volumes from 1 to 100000")
    count = int(argument) if colon else SIZE
    key = hashlib.sha256(repr(("voxels", count, SIDE, _VERSION)).encode()).hexdigest()[:40]
    stored = cache.load(key)
    if stored is None:

        def draw(index: int) -> NDArray[np.uint8]:
            solid = rendering.voxels(solid_objects.SETS["silhouettes"].thing(index).solids, SIDE)
            image: NDArray[np.uint8] = (solid.numpy() * np.uint8(255)).reshape(SIDE * SIDE, SIDE, 1)
            return image

        stored = store.fill(draw, count, (1, SIDE * SIDE, SIDE), key, progress=progress).store
    return np.ascontiguousarray(stored.rows).reshape(-1, SIDE, SIDE, SIDE)


def _read(path: str) -> tuple[NDArray[np.uint8], NDArray[np.uint8] | None]:
    """The volumes of a .npy or .npz file, and their silhouettes if ganloom saved the file."""
    where = os.path.expanduser(path)
    if not where.lower().endswith((".npy", ".npz")):
        raise BadInput(f"{path}: volumes are read from a .npy or .npz file, or from the built-in set silhouettes")
    try:
        if where.lower().endswith(".npy"):
            return _checked(read_npy(where), path), None
        with open(where, "rb") as file, np.lib.npyio.NpzFile(file, allow_pickle=False) as archive:
            if "voxels" not in archive.files:
                raise BadInput(f"{path} has no array voxels (it has {', '.join(archive.files) or 'none'})")
            saved = {"ganloom", "silhouettes"} <= set(archive.files)
            return _checked(archive["voxels"], path), archive["silhouettes"] if saved else None
    except DAMAGE as error:
        if isinstance(error, BadInput):
            raise
        raise BadInput(f"{path} cannot be read as volumes ({error})") from None


def _checked(array: NDArray[Any], name: str) -> NDArray[np.uint8]:
    """Volumes as uint8. Raises BadInput for other shapes or numbers."""
    if array.ndim != 4 or len(set(array.shape[1:])) != 1 or not 8 <= array.shape[1] <= LARGEST or not len(array):
        raise BadInput(
            f"{name} has the shape {array.shape}: volumes are (N, S, S, S) with S of 8 to {LARGEST}; check the axes"
        )
    if array.dtype == bool:
        return array.astype(np.uint8) * np.uint8(255)
    if array.dtype.kind not in "uif" or not np.isfinite(array).all():
        raise BadInput(f"{name} holds {array.dtype} or NaN: volumes hold truth values, or numbers in 0..1 or 0..255")
    low, high = float(array.min()), float(array.max())
    if low < 0 or high > 255:
        raise BadInput(
            f"{name} holds numbers from {low:g} to {high:g}: volumes hold truth values, or numbers in 0..1 or 0..255"
        )
    scale = 255.0 if high <= 1 else 1.0
    return np.rint(array * scale).astype(np.uint8)


def _silhouettes(volumes: NDArray[np.uint8], shape: Shape) -> NDArray[np.uint8]:
    """A silhouette of each volume from a random side, uint8 (N, H, W, C)."""
    parts = []
    cameras = solid_objects.SETS["silhouettes"].cameras
    codes = torch.from_numpy(np.random.default_rng(0).uniform(-1, 1, (len(volumes), 2))).float()
    for start in range(0, len(volumes), 32):
        some = torch.from_numpy(volumes[start : start + 32])[:, None].float() / 255
        azimuth, elevation = cameras.of_code(codes[start : start + 32])
        seen: Tensor = rendering.project(some, azimuth, elevation, *shape[1:])
        parts.append(to_uint8(alike(seen * 2 - 1, shape[0])))
    return np.concatenate(parts)
