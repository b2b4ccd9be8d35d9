"""Count the modes of ``shapes``: 8 colours x 6 shapes x 3 sizes x 9 places, classified by comparison with renderings.

The mode of a sample is that of the nearest rendering, pixel by pixel, among all 1,296 combinations with nine jitters each. The
distance to it measures how clear the sample is.
"""

import itertools

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ganloom.bench.modes.counted_images import Setup, Task
from ganloom.data import shapes
from ganloom.imaging import levels

COUNTS = (len(shapes.COLOURS), len(shapes.KINDS), len(shapes.SIZES), len(shapes.PLACES))
MODES = int(np.prod(COUNTS))
JITTERS = (-0.02, 0.0, 0.02)
"""The centres of the thirds of the jitter's range, along each side."""
PART = 1000
"""Number of samples to compare at once."""


def mode_of(factors: dict[str, NDArray[np.generic]]) -> NDArray[np.int64]:
    """Convert factors (colour, shape, size, place; arrays (N,)) to modes (N,) in [0, 1296)."""
    parts = [factors[name].astype(np.int64) for name in ("colour", "shape", "size", "place")]
    modes: NDArray[np.int64] = np.ravel_multi_index(tuple(parts), COUNTS).astype(np.int64)
    return modes


class Renderings:
    """Classifies images by the nearest rendering."""

    def __init__(self) -> None:
        every = np.array(list(itertools.product(*map(range, COUNTS), JITTERS, JITTERS)))
        names = ("colour", "shape", "size", "place")
        factors: dict[str, NDArray[np.generic]] = {name: every[:, i].astype(np.int64) for i, name in enumerate(names)}
        factors |= {"dx": every[:, 4], "dy": every[:, 5]}
        self.modes = torch.from_numpy(mode_of(factors))
        self.images = levels.from_uint8(shapes.render(factors)).flatten(1)
        self.norms = self.images.square().sum(1)

    def __call__(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """From images (N, 3, 32, 32) in [-1, 1] to (modes (N,), minus the mean squared distances to the renderings (N,))."""
        read, clear = [], []
        for rows in x.flatten(1).split(PART):
            distance = (
                self.norms - 2 * rows @ self.images.T
            )  # without the norms of the samples, which do not change the order
            near, which = distance.min(1)
            read.append(self.modes[which])
            clear.append(-(near + rows.square().sum(1)) / rows.shape[1])
        return torch.cat(read), torch.cat(clear)


def known(n: int) -> tuple[Tensor, Tensor, bool]:
    """Draw n new images; see ``Task.known``."""
    factors = shapes.factors(n, seed=1)
    return levels.from_uint8(shapes.render(factors)), torch.from_numpy(mode_of(factors)), True


TASK = Task(
    "shapes",
    "Shapes with known factors",
    MODES,
    26_000,
    {
        "recommended": Setup("non-saturating, R1, minibatch standard deviation", "default", 100.0, {"n_classes": 0}),
        "dcgan": Setup("DCGAN", "dcgan", 100.0, {"width": 32, "batch_size": 64}),
    },
    Renderings,
    known,
)
