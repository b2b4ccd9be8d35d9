"""Data sets of points, and two toy distributions with known modes, on which mode collapse is measured.

ring: 8 Gaussians on a circle of radius 1, sd 0.01. grid: 25 Gaussians at {-4, -2, 0, 2, 4}^2, sd 0.05. Both from
Lin, Khetan, Fanti, Oh, "PacGAN: The power of two samples in generative adversarial networks", 2018, arXiv:1712.04086.
"""

import math
import os
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ganloom.data.dataset import Data, Facts
from ganloom.data.images import rows_sha256
from ganloom.data.npz_writer import write_npz

SIZE = 100_000
"""Points by default."""


class Points(Data):
    """N points in d dimensions, float32 (N, d), not scaled to [-1, 1].

    Args:
        rows: the points, (N, d).
        facts: what is known about them; labels are the index of each point's mode.
        modes: float32 (K, d), the centres of the Gaussians; None if unknown.
        sd: standard deviation of the Gaussians; None if unknown.
    """

    kind = "points"
    unit = "points"

    def __init__(
        self, rows: NDArray[np.float32], facts: Facts, modes: Tensor | None = None, sd: float | None = None
    ) -> None:
        super().__init__(len(rows), facts)
        self.rows, self.modes, self.sd = np.ascontiguousarray(rows, np.float32), modes, sd
        self.shape = (rows.shape[1],)
        self._tensor = torch.from_numpy(self.rows)

    @property
    def n_classes(self) -> int:
        """Number of modes, including those without points; 0 without labels."""
        if self.labels is None or self.modes is None:
            return super().n_classes
        return len(self.modes)

    def to(self, device: torch.device | str) -> Self:
        """Keep and deliver the points on ``device``. Returns the data set itself."""
        super().to(device)
        self._tensor = torch.from_numpy(self.rows).to(self.device)
        return self

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write an .npz file from which ``open(path)`` reads equal points. Raises BadInput if it cannot be written."""
        meta = {"version": 1, "kind": "points", "name": self.name, "sd": self.sd}
        arrays: dict[str, NDArray[Any]] = {"points": self.rows}
        if self.modes is not None:
            arrays["modes"] = self.modes.numpy()
        if self.labels is not None:
            arrays["labels"] = self.labels
        write_npz(path, meta, arrays)

    def _rows_sha256(self) -> str:
        return rows_sha256(self.rows)

    def _gather(self, picks: Tensor, flips: Tensor | None) -> Tensor:
        return self._tensor.index_select(0, picks.to(self._tensor.device))

    def _take(self, rows: NDArray[np.int64], facts: Facts) -> Self:
        return type(self)(self.rows[rows], facts, self.modes, self.sd)


def _sample(modes: NDArray[np.float64], sd: float, facts: Facts, size: int, seed: int) -> Points:
    """Sample a mixture of Gaussians of equal weight."""
    random = np.random.default_rng(seed)
    facts.labels = random.integers(len(modes), size=size)
    points = modes[facts.labels] + sd * random.standard_normal((size, modes.shape[1]))
    return Points(points.astype(np.float32), facts, torch.tensor(modes, dtype=torch.float32), sd)


def ring(size: int = SIZE, seed: int = 0) -> Points:
    """Sample ``size`` points of 8 Gaussian modes on the unit circle, sd 0.01; a function of (size, seed)."""
    angles = np.arange(8) * (2 * math.pi / 8)
    return _sample(np.stack([np.cos(angles), np.sin(angles)], 1), 0.01, Facts("ring"), size, seed)


def grid(size: int = SIZE, seed: int = 0) -> Points:
    """Sample ``size`` points of 25 Gaussian modes at {-4, -2, 0, 2, 4}^2, sd 0.05; a function of (size, seed)."""
    side = np.arange(-4.0, 5.0, 2.0)
    return _sample(np.stack(np.meshgrid(side, side), -1).reshape(-1, 2), 0.05, Facts("grid"), size, seed)
