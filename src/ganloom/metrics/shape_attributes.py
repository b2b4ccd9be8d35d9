"""Read colour, shape, size and place from images like those of ``shapes``, by comparison with renderings.

The attributes of an image are those of the nearest rendering, pixel by pixel, among all 1,296 combinations with nine jitters of
the centre each. The distance to it measures how clear the image is.
"""

import itertools

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from ganloom.data import shapes
from ganloom.imaging import levels

COUNTS = tuple(map(len, shapes.WORDS.values()))
"""Number of values of each attribute, in the order of ``shapes.WORDS``."""
JITTERS = (-0.02, 0.0, 0.02)
"""The centres of the thirds of the jitter's range, along each side."""
SIDE = 32
"""Images whose shorter side is longer are reduced to this many pixels before they are compared."""
PART = 1000
"""Number of images to compare at once."""


class ShapeReader:
    """Reads the attributes of images.

    Args:
        shape: (C, H, W) of the images; C must be 3.

    Attributes:
        combinations: Of each rendering the number of its combination, see ``shapes.combination``.
    """

    def __init__(self, shape: tuple[int, int, int] = shapes.SHAPE) -> None:
        channels, height, width = shape
        if channels != 3:
            raise ValueError(f"the colours can be read from 3 channels, not from {channels}")
        scale = min(1.0, SIDE / min(height, width))
        self.size = max(1, round(height * scale)), max(1, round(width * scale))
        every = np.array(list(itertools.product(*map(range, COUNTS), JITTERS, JITTERS)))
        factors: dict[str, NDArray[np.generic]] = {
            name: every[:, i].astype(np.int64) for i, name in enumerate(shapes.WORDS)
        }
        factors |= {"dx": every[:, 4], "dy": every[:, 5]}
        self.combinations = torch.from_numpy(shapes.combination(factors))
        self._images = levels.from_uint8(shapes.render(factors, (channels, *self.size))).flatten(1)
        self._norms = self._images.square().sum(1)

    def __call__(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Read images.

        Args:
            x: (N, 3, H, W) float in [-1, 1].

        Returns:
            (the combination of each image, int64 (N,); minus its mean squared distance to the rendering, (N,)).
        """
        read, clear = [], []
        for rows in self._reduced(x).split(PART):
            # without the images' norms, which do not change the order
            distance = self._norms - 2 * rows @ self._images.T
            near, which = distance.min(1)
            read.append(self.combinations[which])
            clear.append(-(near + rows.square().sum(1)) / rows.shape[1])
        return torch.cat(read), torch.cat(clear)

    def _reduced(self, x: Tensor) -> Tensor:
        """The images at the reader's size, flattened (N, values)."""
        if tuple(x.shape[2:]) != self.size:
            x = F.interpolate(x, self.size, mode="bilinear", antialias=True, align_corners=False)
        return x.flatten(1)


def right(read: Tensor, wanted: Tensor) -> dict[str, Tensor]:
    """Compare combinations.

    Args:
        read: int64 (N,) combinations that were read.
        wanted: int64 (N,) those of the captions.

    Returns:
        "joint" and each attribute -> bool (N,), whether it is right.
    """
    parts = [np.unravel_index(numbers.numpy(), COUNTS) for numbers in (read, wanted)]
    own = {name: torch.from_numpy(a == b) for name, a, b in zip(shapes.WORDS, *parts, strict=True)}
    return {"joint": read == wanted, **own}


def centres(x: Tensor) -> Tensor:
    """Measure the centres of mass of what differs from the background.

    Args:
        x: (N, C, H, W) float in [-1, 1], C at least 3.

    Returns:
        (N, 2): x and y in pixels.
    """
    ground = levels.from_levels(torch.tensor(shapes.BACKGROUND))[:, None, None]
    mass = (x[:, :3] - ground).abs().mean(1)
    mass = mass * (mass > 0.25 * mass.flatten(1).amax(1)[:, None, None])  # a faint noise elsewhere does not count
    total = mass.flatten(1).sum(1).clamp_min(1e-6)
    columns, rows = torch.arange(x.shape[3]) + 0.5, torch.arange(x.shape[2]) + 0.5
    return torch.stack([(mass.sum(1) * columns).sum(1) / total, (mass.sum(2) * rows).sum(1) / total], 1)
