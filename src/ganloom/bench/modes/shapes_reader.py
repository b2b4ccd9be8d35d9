"""``shapes``, whose factors are known: 8 colours x 6 shapes x 3 sizes x 9 places, read by comparing with renderings.

A sample is read as the rendering that is nearest to it pixel by pixel, out of all 1,296 combinations at nine jitters
each; how far it is from that one says how clearly it shows anything.
"""

import itertools

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ganloom.bench.modes.counted_images import Setup, Task, rows_of
from ganloom.data import shapes

COUNTS = (len(shapes.COLOURS), len(shapes.KINDS), len(shapes.SIZES), len(shapes.PLACES))
MODES = int(np.prod(COUNTS))
JITTERS = (-0.02, 0.0, 0.02)
"""Thirds of the jitter's range, at their centres, along each side."""
PART = 1000
"""Samples that are compared at once."""


def mode_of(made: dict[str, NDArray[np.generic]]) -> NDArray[np.int64]:
    """The combination of colour, shape, size and place as one number in [0, 1296)."""
    parts = [made[name].astype(np.int64) for name in ("colour", "shape", "size", "place")]
    modes: NDArray[np.int64] = np.ravel_multi_index(tuple(parts), COUNTS).astype(np.int64)
    return modes


class Renderings:
    """Reads by the nearest rendering."""

    def __init__(self) -> None:
        every = np.array(list(itertools.product(*map(range, COUNTS), JITTERS, JITTERS)))
        names = ("colour", "shape", "size", "place")
        made: dict[str, NDArray[np.generic]] = {name: every[:, i].astype(np.int64) for i, name in enumerate(names)}
        made |= {"dx": every[:, 4], "dy": every[:, 5]}
        self.modes = torch.from_numpy(mode_of(made))
        self.images = rows_of(torch.from_numpy(shapes.render(made))).flatten(1)
        self.norms = self.images.square().sum(1)

    def __call__(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Images (N, 3, 32, 32) in [-1, 1] to (mode (N,), minus the mean squared distance to its rendering (N,))."""
        read, clear = [], []
        for rows in x.flatten(1).split(PART):
            distance = self.norms - 2 * rows @ self.images.T  # the samples' own norms change no order
            near, which = distance.min(1)
            read.append(self.modes[which])
            clear.append(-(near + rows.square().sum(1)) / rows.shape[1])
        return torch.cat(read), torch.cat(clear)


def known(n: int) -> tuple[Tensor, Tensor, bool]:
    """n fresh images and their modes."""
    made = shapes.factors(n, seed=1)
    return rows_of(torch.from_numpy(shapes.render(made))), torch.from_numpy(mode_of(made)), True


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
