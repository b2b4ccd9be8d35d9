"""The built-in sets ``silhouettes`` and ``primitives3d``: views of rendered 3D objects, whose shape and camera are known.

Each object has ``VIEWS`` images from random sides. A training sees images only; ``factors`` hold the number of the object, from
which ``volumes.objects`` builds it, and the camera's azimuth and elevation in degrees.
"""

import functools
import hashlib
import threading
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ganloom.data import cache, store
from ganloom.data.dataset import Facts
from ganloom.data.resize import Shape
from ganloom.imaging.grid import alike, to_uint8
from ganloom.volumes import objects, rendering
from ganloom.volumes.cameras import Cameras
from ganloom.volumes.objects import Thing

VIEWS = 8
"""Images of each object."""
_VERSION = 1


@dataclass(frozen=True)
class Set:
    """What a set shows.

    Attributes:
        thing: Returns an object by its number.
        classes: Names of the classes.
        cameras: The range of the views.
        shape: (C, H, W) by default.
        size: Images by default.
        coloured: Whether images are perspective and coloured, on white; otherwise orthographic silhouettes, white on black.
    """

    thing: Callable[[int], Thing]
    classes: tuple[str, ...]
    cameras: Cameras
    shape: Shape
    size: int
    coloured: bool


SETS = {
    "silhouettes": Set(objects.furniture, objects.FURNITURE, Cameras(elevation=(0.0, 40.0)), (1, 32, 32), 9_600, False),
    "primitives3d": Set(objects.primitive, objects.PRIMITIVES, Cameras(elevation=(5.0, 40.0)), (3, 32, 32), 12_000, True),
}  # fmt: skip


def views(name: str, number: int, azimuth: Tensor, elevation: Tensor, shape: Shape) -> Tensor:
    """Render views of an object of a set.

    Args:
        name: The set.
        number: The object.
        azimuth: Radians (N,).
        elevation: Radians (N,).
        shape: (C, H, W). Grey is the luma of the colour; alpha is opaque.

    Returns:
        (N, C, H, W) in [-1, 1].
    """
    one = SETS[name]
    thing = one.thing(number)
    if one.coloured:
        images = rendering.colours(thing, azimuth, elevation, *shape[1:])
    else:
        images = rendering.silhouettes(thing.solids, azimuth, elevation, *shape[1:])
    return alike(images * 2 - 1, shape[0])


def cameras_of(name: str, number: int) -> NDArray[np.float64]:
    """Return azimuth and elevation of the ``VIEWS`` images of an object, in degrees, (VIEWS, 2)."""
    drawn = SETS[name].cameras
    low, high = np.array([drawn.azimuth, drawn.elevation]).T
    angles: NDArray[np.float64] = np.random.default_rng([11, number]).uniform(low, high, (VIEWS, 2))
    return angles


def facts_of(name: str, size: int, first: int = 0) -> Facts:
    """Return the facts of ``size`` images of the objects from number ``first`` on."""
    numbers = first + np.arange(size) // VIEWS
    angles = np.concatenate([cameras_of(name, n) for n in range(first, first - (-size // VIEWS))])[:size]
    return Facts(
        name, labels=(numbers % len(SETS[name].classes)).astype(np.int64), classes=list(SETS[name].classes),
        factors={"object": numbers, "azimuth": angles[:, 0], "elevation": angles[:, 1]},
    )  # fmt: skip


def images(
    name: str, size: int, shape: Shape, progress: store.Progress = None, first: int = 0
) -> tuple[NDArray[np.uint8], Facts]:
    """Render the images of a set; they are kept in the cache.

    Args:
        name: The set.
        size: Number of images.
        shape: (C, H, W).
        progress: Called with (done, total).
        first: Number of the first object; those from ``objects.HELD_OUT`` on are for measurements.

    Returns:
        uint8 (N, H, W, C), and facts with labels and factors.
    """
    facts = facts_of(name, size, first)
    key = hashlib.sha256(repr((name, size, shape, first, _VERSION)).encode()).hexdigest()[:40]
    stored = cache.load(key)
    if stored is None:
        lock = threading.Lock()

        @functools.lru_cache(maxsize=16)
        def drawn(number: int) -> NDArray[np.uint8]:
            """All views of an object."""
            angles = torch.deg2rad(torch.from_numpy(cameras_of(name, number)).float())
            return to_uint8(views(name, number, angles[:, 0], angles[:, 1], shape))

        def draw_row(index: int) -> NDArray[np.uint8]:
            with lock:  # several threads ask for views of one object
                image: NDArray[np.uint8] = drawn(first + index // VIEWS)[index % VIEWS]
            return image

        stored = store.fill(draw_row, size, shape, key, progress=progress).store
    return stored.rows, facts
