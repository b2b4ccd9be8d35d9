"""Whether synthetic rows give away training rows: distances to the closest record, exact copies, membership inference.

The distance of two rows is the mean over the columns of |a - b| divided by the range from the 5 % to the 95 % quantile (at most
1) for numbers and times, and 0 or 1 for categories.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ganloom.tables.column import Column
from ganloom.tables.schema import Frame
from ganloom.tables.utility import area

MOST_ROWS = 3_000
"""Rows of each table whose distances are computed."""


@dataclass(frozen=True)
class Privacy:
    """What synthetic rows give away.

    Attributes:
        nearer: The share of synthetic rows that are nearer to a training row than to any held-out row, with as many rows of
            both; 0.5 is ideal. NaN without held-out rows.
        copies: The share of synthetic rows that equal a training row in all columns; without held-out rows, any real row.
        expected_copies: The share of held-out rows that do; NaN without held-out rows.
        membership: AUC of an attacker who takes real rows near a synthetic one for training rows; 0.5 is ideal.
        distance: Median distance of a synthetic row to its closest training row.
        real_distance: The same of held-out rows, or of training rows to other training rows.
    """

    nearer: float
    copies: float
    expected_copies: float
    membership: float
    distance: float
    real_distance: float
    rows: int = 0
    """How many learned rows, and as many held-out ones, ``nearer`` and ``membership`` are computed from."""

    @property
    def noise(self) -> float:
        """Twice the standard error of ``nearer`` and ``membership``, roughly: they depend on ``rows`` rows only."""
        return 1 / math.sqrt(self.rows) if self.rows else 0.0


def measure(
    columns: list[Column], train: Frame, synthetic: Frame, held: Frame | None, seed: int = 0, known: Frame | None = None
) -> Privacy:
    """Measure what synthetic rows give away.

    Args:
        columns: The columns.
        train: The rows that the method learned from.
        synthetic: Synthetic rows.
        held: Real rows that it did not learn from; None if there are none.
        seed: Seed of the choice of rows.
        known: The rows among which exact copies are looked for. None: ``train``.
    """
    rng = np.random.default_rng(seed)
    given = {"train": train, "synthetic": synthetic, "known": known, "held": held}
    frames = {name: frame for name, frame in given.items() if frame is not None}
    coded = dict(zip(frames, _coded(columns, train, list(frames.values())), strict=True))
    a, s = (_some(coded[name], MOST_ROWS, rng) for name in ("train", "synthetic"))
    to_train = closest(s, a, columns)
    nan = float("nan")
    copies = _copies(coded.get("known", coded["train"]), coded["synthetic"])
    if held is None:
        others = closest(a, a, columns, own=True) if len(a) > 1 else np.array([nan])
        return Privacy(nan, copies, nan, nan, float(np.median(to_train)), float(np.median(others)))
    h = _some(coded["held"], MOST_ROWS, rng)
    count = min(len(a), len(h))
    shares, attacks = [], []
    for _ in range(5 if len(a) != len(h) else 1):
        some_a, some_h = _some(a, count, rng), _some(h, count, rng)
        near, far = closest(s, some_a, columns), closest(s, some_h, columns)
        shares.append(float((near < far).mean() + (near == far).mean() / 2))
        score = -np.concatenate([closest(some_a, s, columns), closest(some_h, s, columns)])
        attacks.append(area(score, np.repeat([True, False], count)))
    real = closest(h, a, columns)
    return Privacy(
        float(np.mean(shares)), copies, _copies(coded["train"], coded["held"]), float(np.mean(attacks)),
        float(np.median(to_train)), float(np.median(real)), count,
    )  # fmt: skip


def closest(
    a: NDArray[np.float64], b: NDArray[np.float64], columns: list[Column], own: bool = False
) -> NDArray[np.float64]:
    """The distance of each row of ``a`` to its closest row of ``b``; with ``own``, to the closest other row."""
    found = np.empty(len(a))
    kinds = np.array([column.discrete for column in columns])
    step = max(1, 4_000_000 // max(len(b) * a.shape[1], 1))
    for start in range(0, len(a), step):
        difference = np.abs(a[start : start + step, None, :] - b[None, :, :])
        difference = np.where(kinds, difference > 0, np.minimum(difference, 1.0))
        distance = difference.mean(2)
        if own:
            rows = np.arange(len(distance))
            distance[rows, start + rows] = np.inf
        found[start : start + step] = distance.min(1)
    return found


def _coded(columns: list[Column], train: Frame, frames: list[Frame]) -> list[NDArray[np.float64]]:
    """Rows as numbers (n, columns), scaled by the training rows; a missing number is 9, far from all others."""
    parts: list[list[NDArray[Any]]] = [[] for _ in frames]
    for column in columns:
        base = train[column.name]
        if column.discrete:
            low, scale = 0.0, 1.0
        else:
            present = base[~np.isnan(base)]
            low, high = np.quantile(present, [0.05, 0.95]) if len(present) else (0.0, 1.0)
            scale = float(high - low) or float(present.max() - present.min() if len(present) else 0.0) or 1.0
        for part, frame in zip(parts, frames, strict=True):
            values = (frame[column.name] - low) / scale
            part.append(np.where(np.isnan(values), 9.0, values))
    return [np.stack(part, 1) for part in parts]


def _some(rows: NDArray[np.float64], count: int, rng: np.random.Generator) -> NDArray[np.float64]:
    return rows if len(rows) <= count else rows[np.sort(rng.choice(len(rows), count, replace=False))]


def _copies(train: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    known = {row.tobytes() for row in np.ascontiguousarray(np.round(train, 9) + 0.0)}
    rows = np.ascontiguousarray(np.round(other, 9) + 0.0)
    return float(np.mean([row.tobytes() in known for row in rows]))
