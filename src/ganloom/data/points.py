"""Toy distributions in the plane whose modes are known: what mode collapse is measured on.

ring: 8 Gaussians on a circle of radius 1, sd 0.01. grid: 25 Gaussians at {-4, -2, 0, 2, 4}^2, sd 0.05. Both as in
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
from ganloom.data.images import rows_sha256, write_npz

SIZE = 100_000


class Points(Data):
    """N points (N, d) float32, as they are (not scaled to [-1, 1]).

    ``modes`` (K, d) float32 are the centres they scatter about with standard deviation ``sd``; labels are the index of
    a point's mode. Both are None for points of other origin.
    """

    kind = "points"

    def __init__(
        self, rows: NDArray[np.float32], facts: Facts, modes: Tensor | None = None, sd: float | None = None
    ) -> None:
        super().__init__(len(rows), facts)
        self.rows, self.modes, self.sd = np.ascontiguousarray(rows, np.float32), modes, sd
        self.shape = (rows.shape[1],)
        self._tensor = torch.from_numpy(self.rows)

    @property
    def n_classes(self) -> int:
        """Number of modes, even where few points leave one empty; 0 without labels."""
        if self.labels is None or self.modes is None:
            return super().n_classes
        return len(self.modes)

    def to(self, device: torch.device | str) -> Self:
        """Keep and deliver the points on ``device``. Returns itself."""
        super().to(device)
        self._tensor = torch.from_numpy(self.rows).to(self.device)
        return self

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write an .npz from which ``open(path)`` gives equal points."""
        meta = {"version": 1, "kind": "points", "name": self.name, "sd": self.sd}
        parts: dict[str, NDArray[Any]] = {"points": self.rows}
        if self.modes is not None:
            parts["modes"] = self.modes.numpy()
        if self.labels is not None:
            parts["labels"] = self.labels
        write_npz(path, meta, parts)

    def _rows_sha256(self) -> str:
        return rows_sha256(self.rows)

    def _gather(self, picks: Tensor, flips: Tensor | None) -> Tensor:
        return self._tensor.index_select(0, picks.to(self._tensor.device))

    def _take(self, rows: NDArray[np.int64], facts: Facts) -> Self:
        return type(self)(self.rows[rows], facts, self.modes, self.sd)


def _scatter(modes: NDArray[np.float64], sd: float, facts: Facts, size: int, seed: int) -> Points:
    random = np.random.default_rng(seed)
    facts.labels = random.integers(len(modes), size=size)
    points = modes[facts.labels] + sd * random.standard_normal((size, modes.shape[1]))
    return Points(points.astype(np.float32), facts, torch.tensor(modes, dtype=torch.float32), sd)


def ring(size: int = SIZE, seed: int = 0) -> Points:
    """8 modes on the unit circle, sd 0.01; a function of (size, seed)."""
    angles = np.arange(8) * (2 * math.pi / 8)
    return _scatter(np.stack([np.cos(angles), np.sin(angles)], 1), 0.01, Facts("ring"), size, seed)


def grid(size: int = SIZE, seed: int = 0) -> Points:
    """25 modes at {-4, -2, 0, 2, 4}^2, sd 0.05; a function of (size, seed)."""
    side = np.arange(-4.0, 5.0, 2.0)
    return _scatter(np.stack(np.meshgrid(side, side), -1).reshape(-1, 2), 0.05, Facts("grid"), size, seed)
