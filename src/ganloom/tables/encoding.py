"""Encode rows for neural networks: numbers by the modes of a Gaussian mixture, categories as one-hot vectors."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ganloom.core.errors import BadInput, need
from ganloom.data.encoded_table import Layout
from ganloom.tables import EXTRA
from ganloom.tables.column import Column
from ganloom.tables.schema import Frame

MODES = 10
"""Most modes of a column."""
LEAST_WEIGHT = 0.005
"""A mode with a smaller share of the rows is left out."""
MOST_ROWS = 10_000
"""Rows from which the modes are estimated."""
MOST_CATEGORIES = 1_000
"""A column with more categories is refused: one-hot vectors of this length do not fit."""


@dataclass(frozen=True)
class Part:
    """How one column is encoded.

    Attributes:
        name: The column.
        values: The codes or the numbers of a "choice"; empty for a "value".
        means: Means of the modes of a "value".
        spreads: Standard deviations of the modes.
        gap: Whether a missing number is the last mode.
    """

    name: str
    values: NDArray[Any]
    means: NDArray[np.float64]
    spreads: NDArray[np.float64]
    gap: bool

    @property
    def layout(self) -> tuple[str, int]:
        """The part in the layout of a row."""
        return ("choice", len(self.values)) if len(self.values) else ("value", len(self.means) + self.gap)


class Encoding:
    """The encoding of a table's rows.

    Args:
        columns: The columns.
        parts: One for each column.
    """

    def __init__(self, columns: list[Column], parts: list[Part]) -> None:
        self.columns, self.parts = columns, parts

    @property
    def layout(self) -> Layout:
        """The layout of an encoded row."""
        return tuple(part.layout for part in self.parts)

    def encode(self, frame: Frame, seed: int) -> NDArray[np.float32]:
        """Encode rows, (n, d); the mode of a number is drawn by the probabilities of the modes, as CTGAN does."""
        rng = np.random.default_rng([seed, 5])
        parts = []
        for part in self.parts:
            values = frame[part.name]
            if len(part.values):
                parts.append(_one_hot(_places(values, part.values), len(part.values)))
                continue
            gone = np.isnan(values)
            filled = np.where(gone, part.means[0], values)
            mode = _draw_modes(filled, part, rng)
            place = np.clip((filled - part.means[mode]) / (4 * part.spreads[mode]), -0.99, 0.99)
            mode = np.where(gone, len(part.means), mode)
            parts += [np.where(gone, 0.0, place)[:, None].astype(np.float32), _one_hot(mode, part.layout[1])]
        return np.concatenate(parts, 1)

    def decode(self, rows: NDArray[np.float32]) -> Frame:
        """Decode rows (n, d); the largest of one-hot numbers counts."""
        out: Frame = {}
        start = 0
        for part in self.parts:
            if len(part.values):
                out[part.name] = part.values[rows[:, start : start + len(part.values)].argmax(1)]
                start += len(part.values)
                continue
            size = part.layout[1]
            mode = rows[:, start + 1 : start + 1 + size].argmax(1)
            gone = mode >= len(part.means)
            mode = np.minimum(mode, len(part.means) - 1)
            place = np.clip(rows[:, start].astype(np.float64), -1, 1)
            out[part.name] = np.where(gone, np.nan, part.means[mode] + 4 * part.spreads[mode] * place)
            start += 1 + size
        return out

    def condition(self, name: str, value: Any) -> int | None:
        """The number of a category among all categories of all choices; None if the column or the value has none."""
        first = 0
        for part in self.parts:
            if not len(part.values):
                continue
            if part.name == name:
                found = np.flatnonzero(part.values == value)
                return first + int(found[0]) if len(found) else None
            first += len(part.values)
        return None


def learn(columns: list[Column], frame: Frame, seed: int) -> Encoding:
    """Choose how columns are encoded.

    Categories, and numbers with few different values, are choices; all other numbers have modes.

    Args:
        columns: The columns.
        frame: The rows.
        seed: Seed of the mixtures.
    """
    parts = []
    none: NDArray[Any] = np.empty(0)
    for column in columns:
        values = frame[column.name]
        if column.discrete or column.levels:
            distinct = np.unique(values)
            _check_categories(column, len(distinct))
            parts.append(Part(column.name, distinct, none, none, False))
            continue
        present = values[~np.isnan(values)]
        means, spreads = _modes(present, seed)
        parts.append(Part(column.name, none, means, spreads, len(present) < len(values)))
    return Encoding(columns, parts)


def of_schema(columns: list[Column]) -> Encoding:
    """Choose how columns are encoded without looking at rows: evenly spaced modes between the bounds of a column.

    Args:
        columns: The columns; their bounds, values and missing cells are used.
    """
    parts = []
    none: NDArray[Any] = np.empty(0)
    for column in columns:
        gap = column.missing > 0
        if column.discrete:
            codes = np.arange(-1 if gap else 0, len(column.values))
            parts.append(Part(column.name, codes, none, none, False))
        elif column.levels:
            parts.append(Part(column.name, np.array([*column.levels, *([np.nan] * gap)]), none, none, False))
        else:
            assert column.low is not None and column.high is not None
            width = (column.high - column.low) / MODES or max(abs(column.low) * 1e-6, 1e-6)
            means = (column.low + width * (np.arange(MODES) + 0.5)).astype(np.float64)
            parts.append(Part(column.name, none, means, np.full(MODES, width / 2), gap))
        _check_categories(column, len(parts[-1].values))
    return Encoding(columns, parts)


def _check_categories(column: Column, count: int) -> None:
    if count > MOST_CATEGORIES:
        raise BadInput(
            f'column "{column.name}" has {count} categories, more than {MOST_CATEGORIES}: networks cannot learn '
            f"it. Use --method copula, or --types {column.name}=id"
        )


def _modes(values: NDArray[np.float64], seed: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Means and standard deviations of the modes of a column, by a variational Gaussian mixture (paper: sec. 4.2)."""
    import warnings

    rng = np.random.default_rng([seed, 4])
    some = values if len(values) <= MOST_ROWS else rng.choice(values, MOST_ROWS, replace=False)
    middle, scale = float(some.mean()), float(some.std())
    distinct = len(np.unique(some))
    if distinct < 3 or not scale:
        return np.array([middle]), np.array([max(scale, abs(middle) * 1e-6, 1e-6)])
    mixture = need("sklearn.mixture", EXTRA).BayesianGaussianMixture(
        n_components=min(MODES, distinct), weight_concentration_prior_type="dirichlet_process", weight_concentration_prior=0.001,
        n_init=1, random_state=seed,
    )  # fmt: skip
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it may stop before it has converged, which is good enough
        mixture.fit(((some - middle) / scale)[:, None])
    kept = mixture.weights_ > LEAST_WEIGHT
    means = mixture.means_[kept, 0] * scale + middle
    spreads = np.sqrt(mixture.covariances_[kept, 0, 0]) * scale
    order = np.argsort(means)
    return means[order], np.maximum(spreads[order], scale * 1e-6)


def _draw_modes(values: NDArray[np.float64], part: Part, rng: np.random.Generator) -> NDArray[np.int64]:
    distance = (values[:, None] - part.means) / part.spreads
    log_density = -(distance**2) / 2 - np.log(part.spreads)
    log_density += np.where(np.abs(distance) > 4, -50.0, 0.0)  # such a value would be cut off
    noise = -np.log(-np.log(rng.random(log_density.shape).clip(1e-12, 1 - 1e-12)))
    return np.asarray((log_density + noise).argmax(1))


def _places(values: NDArray[Any], distinct: NDArray[Any]) -> NDArray[np.int64]:
    """The place of each value among sorted ones; NaN is the last of them."""
    place = np.searchsorted(distinct, values)
    if distinct.dtype.kind == "f" and np.isnan(distinct[-1]):
        place = np.where(np.isnan(values), len(distinct) - 1, place)
    return np.minimum(place, len(distinct) - 1)


def _one_hot(codes: NDArray[Any], size: int) -> NDArray[np.float32]:
    return np.asarray(np.eye(size, dtype=np.float32)[codes])
