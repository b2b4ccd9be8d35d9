"""The distribution of one column, and of independent columns: draw values, and turn values into normal scores."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ganloom.tables.column import Column
from ganloom.tables.schema import Frame

_SMALL = 1e-9


@dataclass(frozen=True)
class Marginal:
    """The distribution of a column among some rows.

    Attributes:
        numbers: Sorted values of a continuous column without missing ones, float64; empty for others.
        stepped: Only these values are drawn, none between them.
        codes: Category codes in the order of the normal scores, int64; for a continuous column empty.
        shares: The share of each code.
        missing: The share of missing cells of a continuous column.
    """

    numbers: NDArray[np.float64]
    stepped: bool
    codes: NDArray[np.int64]
    shares: NDArray[np.float64]
    missing: float

    def draw(self, u: NDArray[np.float64]) -> NDArray[Any]:
        """Values for uniform numbers in (0, 1): the inverse of the distribution function, without missing ones."""
        if len(self.codes):
            place = np.searchsorted(np.cumsum(self.shares)[:-1], u, side="right")
            return self.codes[place]
        count = len(self.numbers)
        if not count:
            return np.full(len(u), np.nan)
        if self.stepped or count == 1:
            return self.numbers[np.minimum((u * count).astype(np.int64), count - 1)]
        return np.interp(u * count - 0.5, np.arange(count), self.numbers)

    def ranks(self, values: NDArray[Any]) -> NDArray[np.float64]:
        """Values as uniform numbers in (0, 1): the middle of the interval that each value takes; NaN where it is missing."""
        if len(self.codes):
            ends = np.cumsum(self.shares)
            middles = ends - self.shares / 2
            place = np.zeros(int(max(self.codes.max(), values.max())) + 2, np.int64)
            place[self.codes] = np.arange(len(self.codes))
            return np.asarray(np.clip(middles[place[values]], _SMALL, 1 - _SMALL))
        count = len(self.numbers)
        if not count:
            return np.full(len(values), np.nan)
        low = np.searchsorted(self.numbers, values, side="left")
        high = np.searchsorted(self.numbers, values, side="right")
        u = np.clip((low + high) / (2 * count), 0.5 / count, 1 - 0.5 / count)
        return np.where(np.isnan(values), np.nan, u)


def of(column: Column, values: NDArray[Any], order: NDArray[np.int64] | None = None) -> Marginal:
    """The distribution of a column.

    Args:
        column: The column.
        values: Its values.
        order: Category codes in the order of their normal scores; None: as they are.
    """
    if column.discrete:
        found, counts = np.unique(values, return_counts=True)
        if order is not None:
            place = {int(code): i for i, code in enumerate(order)}
            sorting = np.argsort([place.get(int(code), len(place)) for code in found])
            found, counts = found[sorting], counts[sorting]
        return Marginal(np.empty(0), True, found.astype(np.int64), counts / counts.sum(), 0.0)
    present = np.sort(values[~np.isnan(values)])
    return Marginal(
        present, bool(column.levels), np.empty(0, np.int64), np.empty(0), 1 - len(present) / max(len(values), 1)
    )


class Marginals:
    """Independent columns: each has its own distribution, and nothing connects them. A trivial method, for comparison."""

    name = "marginals"

    def __init__(self, columns: list[Column]) -> None:
        self.columns = columns
        self.marginals: dict[str, Marginal] = {}

    def fit(self, frame: Frame, target: str | None = None, seed: int = 0) -> "Marginals":
        """Learn the distribution of each column."""
        self.marginals = {column.name: of(column, frame[column.name]) for column in self.columns}
        return self

    def sample(self, n: int, rng: np.random.Generator, given: dict[str, Any] | None = None) -> Frame:
        """Draw n rows; ``given`` has no effect."""
        out: Frame = {}
        for column in self.columns:
            marginal = self.marginals[column.name]
            values = marginal.draw(rng.random(n))
            out[column.name] = values if column.discrete else np.where(rng.random(n) < marginal.missing, np.nan, values)
        return out


class Bootstrap:
    """Rows of the training data, drawn with replacement. It copies them: a bound for quality, and no privacy at all."""

    name = "bootstrap"

    def __init__(self, columns: list[Column]) -> None:
        self.columns = columns
        self.frame: Frame = {}

    def fit(self, frame: Frame, target: str | None = None, seed: int = 0) -> "Bootstrap":
        """Keep the rows."""
        self.frame = frame
        return self

    def sample(self, n: int, rng: np.random.Generator, given: dict[str, Any] | None = None) -> Frame:
        """Draw n rows; ``given`` has no effect."""
        count = len(next(iter(self.frame.values())))
        rows = rng.integers(count, size=n)
        return {name: values[rows] for name, values in self.frame.items()}
