"""The distribution of one column, and of independent columns: draw values, and turn values into normal scores."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ganloom.tables.column import Column
from ganloom.tables.schema import Frame

_SMALL = 1e-9
SMOOTHED = 1_000
"""Columns with at most this many values are drawn from a smoothed distribution; with more, smoothing makes no difference."""
MOST_EQUAL = 0.15
"""A value that more than this share of the rows has is kept as it is: the column is not smoothed."""
STEPS = 2_000
"""Points at which the smoothed distribution function is computed."""
GRID = 4
"""Points of the smoothed distribution for each value."""


@dataclass(frozen=True)
class Marginal:
    """The distribution of a column among some rows.

    Attributes:
        numbers: Sorted values of a continuous column without missing ones, float64; empty for others.
        stepped: Only these values are drawn, none between them.
        codes: Category codes in the order of the normal scores, int64; for a continuous column empty.
        shares: The share of each code.
        missing: The share of missing cells of a continuous column.
        quantiles: Evenly spaced quantiles of the smoothed distribution, from which numbers are drawn; empty: not smoothed.
    """

    numbers: NDArray[np.float64]
    stepped: bool
    codes: NDArray[np.int64]
    shares: NDArray[np.float64]
    missing: float
    quantiles: NDArray[np.float64] = field(default_factory=lambda: np.empty(0))

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
        values = self.quantiles if len(self.quantiles) else self.numbers
        return np.interp(u * len(values) - 0.5, np.arange(len(values)), values)

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
    stepped, missing = bool(column.levels), 1 - len(present) / max(len(values), 1)
    quantiles = np.empty(0) if stepped else _inside(_smoothed(present), column)
    return Marginal(present, stepped, np.empty(0, np.int64), np.empty(0), missing, quantiles)


def _smoothed(numbers: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return evenly spaced quantiles of a kernel density estimate with the variance of the values (Silverman 1986, sec. 6.4).

    Without it, each drawn number lies between two neighbours among the learned ones, so that rows drawn from a small group are
    too near to the learned rows. Empty where smoothing would change the kind of the column: few values, or one that is common.
    """
    count = len(numbers)
    if not 4 <= count <= SMOOTHED or np.unique(numbers, return_counts=True)[1].max() > max(MOST_EQUAL * count, 2):
        return np.empty(0)
    low, high = np.quantile(numbers, [0.25, 0.75])
    spread = min(float(numbers.std()), float(high - low) / 1.34)
    if not spread > 0:
        return np.empty(0)
    width = 0.9 * spread * count**-0.2
    centres = numbers.mean() + (numbers - numbers.mean()) / np.sqrt(1 + width**2 / numbers.var())
    grid = np.linspace(centres[0] - 4 * width, centres[-1] + 4 * width, STEPS)
    below = np.zeros(len(grid))
    for centre in centres:
        below += normal_cdf((grid - centre) / width)
    wanted = (np.arange(GRID * count) + 0.5) / (GRID * count)
    return np.interp(wanted, below / count, grid)


def _inside(quantiles: NDArray[np.float64], column: Column) -> NDArray[np.float64]:
    """Mirror quantiles beyond the bounds of a column at the bounds: cut off there, the extreme values would be too common."""
    if column.low is None or column.high is None or not column.low < column.high:
        return quantiles
    inside = np.where(quantiles < column.low, 2 * column.low - quantiles, quantiles)
    inside = np.where(inside > column.high, 2 * column.high - inside, inside)
    return np.sort(np.clip(inside, column.low, column.high))


def normal_cdf(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """The distribution function of the standard normal distribution."""
    import torch

    return np.asarray(torch.special.ndtr(torch.from_numpy(np.ascontiguousarray(x))).numpy())


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
