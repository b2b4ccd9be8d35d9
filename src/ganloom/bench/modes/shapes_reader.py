"""Count the modes of ``shapes``: 8 colours x 6 shapes x 3 sizes x 9 places, see ``metrics.shape_attributes``."""

import torch
from torch import Tensor

from ganloom.bench.modes.counted_images import Setup, Task
from ganloom.data import shapes
from ganloom.imaging import levels
from ganloom.metrics.shape_attributes import ShapeReader

MODES = shapes.COMBINATIONS


def known(n: int) -> tuple[Tensor, Tensor, bool]:
    """Draw n new images; see ``Task.known``."""
    factors = shapes.factors(n, seed=1)
    return levels.from_uint8(shapes.render(factors)), torch.from_numpy(shapes.combination(factors)), True


TASK = Task(
    "shapes",
    "Shapes with known factors",
    MODES,
    26_000,
    {
        "recommended": Setup("non-saturating, R1, minibatch standard deviation", "default", 100.0, {"n_classes": 0}),
        "dcgan": Setup("DCGAN", "dcgan", 100.0, {"width": 32, "batch_size": 64}),
    },
    ShapeReader,
    known,
)
