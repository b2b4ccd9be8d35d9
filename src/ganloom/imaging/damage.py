"""Estimate what is wrong with a photograph: JPEG blocks and noise."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

BLOCK = 8
LEAST_BLOCKING, LEAST_NOISE = 0.08, 2.8
"""From these values on an image counts as damaged: on photographs, JPEG of quality 85 and noise of 7, see docs/restoration.md."""
CERTAIN = 3.0
"""A rise at the borders of blocks counts if it is this many times the standard deviation at other columns."""
TRUSTED = 160
"""Pixels a side from which a rise is taken as it is; in smaller images chance makes one more easily."""
PART = 1024
"""Pixels a side of the part in the middle that is looked at."""


class Damage(NamedTuple):
    """What was found.

    Attributes:
        blocking: How much larger steps between pixels are at the borders of 8 x 8 blocks, as a share of the mean step.
        noise: Standard deviation of the noise in flat areas, of 255.
    """

    blocking: float
    noise: float

    @property
    def blocks(self) -> bool:
        """Whether there are blocks of JPEG."""
        return self.blocking >= LEAST_BLOCKING

    @property
    def noisy(self) -> bool:
        """Whether there is noise."""
        return self.noise >= LEAST_NOISE


def damage_of(pixels: NDArray[Any]) -> Damage:
    """Look at an image.

    Args:
        pixels: (H, W, 1 to 4), uint8 or uint16. Alpha is ignored.
    """
    colours = pixels[..., : 3 if pixels.shape[2] >= 3 else 1]
    top, left = (max(0, (side - PART) // 2) for side in pixels.shape[:2])
    part = colours[top : top + PART, left : left + PART]
    grey = part.astype(np.float32).mean(2) * (255.0 / float(np.iinfo(pixels.dtype).max))
    if min(grey.shape) < 4 * BLOCK:
        return Damage(0.0, 0.0)
    small = max(1.0, TRUSTED / min(grey.shape))
    return Damage(min(_blocking(grey), _blocking(grey.T)) / small, _noise(grey))


def _blocking(grey: NDArray[np.float32]) -> float:
    """Compare the steps at each eighth column with the steps beside them; a crop may have moved the blocks."""
    steps = np.abs(np.diff(grey, axis=1))
    excess = (steps[:, 1:-1] - (steps[:, :-2] + steps[:, 2:]) / 2).mean(0)
    excess = excess[: len(excess) // BLOCK * BLOCK].reshape(-1, BLOCK).mean(0)
    highest = int(excess.argmax())
    others = np.delete(excess, [highest, (highest - 1) % BLOCK, (highest + 1) % BLOCK])
    rise = excess[highest] - others.mean()
    return 0.0 if rise < CERTAIN * others.std() else float(rise / (steps.mean() + 0.5))


def _noise(grey: NDArray[np.float32]) -> float:
    """The noise in the flattest tenth of the image (Immerkaer 1996: the response of a difference of Laplacians)."""
    d = grey[:-2] - 2 * grey[1:-1] + grey[2:]
    response = np.abs(d[:, :-2] - 2 * d[:, 1:-1] + d[:, 2:])
    height, width = (side // BLOCK * BLOCK for side in response.shape)
    blocks = response[:height, :width].reshape(height // BLOCK, BLOCK, width // BLOCK, BLOCK).mean((1, 3))
    return float(np.quantile(blocks, 0.1) * np.sqrt(np.pi / 2) / 6)
