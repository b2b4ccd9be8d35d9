"""How well the distributions and the dependences of synthetic rows agree with those of real ones. 1 is best, 0 is worst."""

import itertools
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ganloom.tables.column import Column
from ganloom.tables.schema import Frame

BINS = 10
"""Bins of a column of numbers in pairs with a category."""
MOST_PAIRS = 1000
"""Pairs of columns that are compared; of more pairs, a random choice."""


@dataclass(frozen=True)
class Quality:
    """The agreement of two tables.

    Attributes:
        columns: Agreement of each column: 1 - Kolmogorov-Smirnov distance for numbers and times, 1 - total variation for
            categories; missing cells count as a value.
        pairs: Agreement of each pair: of the rank correlation for two numbers, else of the common table of counts.
    """

    columns: dict[str, float]
    pairs: dict[tuple[str, str], float]

    @property
    def shape(self) -> float:
        """The mean over the columns."""
        return float(np.mean(list(self.columns.values()))) if self.columns else 1.0

    @property
    def dependence(self) -> float:
        """The mean over the pairs."""
        return float(np.mean(list(self.pairs.values()))) if self.pairs else 1.0


def compare(columns: list[Column], real: Frame, synthetic: Frame) -> Quality:
    """Compare two tables.

    Args:
        columns: The columns.
        real: Real rows.
        synthetic: Synthetic rows.
    """
    single = {c.name: column_agreement(c, real[c.name], synthetic[c.name]) for c in columns}
    every = list(itertools.combinations(columns, 2))
    if len(every) > MOST_PAIRS:
        chosen = np.random.default_rng(0).choice(len(every), MOST_PAIRS, replace=False)
        every = [every[i] for i in sorted(chosen)]
    pairs = {(a.name, b.name): pair_agreement(a, b, real, synthetic) for a, b in every}
    return Quality(single, pairs)


def column_agreement(column: Column, real: NDArray[np.float64], synthetic: NDArray[np.float64]) -> float:
    """1 - the distance of two distributions of a column."""
    if column.discrete:
        return 1 - _variation(real, synthetic)
    present, made = real[~np.isnan(real)], synthetic[~np.isnan(synthetic)]
    gaps = abs(np.isnan(real).mean() - np.isnan(synthetic).mean())
    if not len(present) or not len(made):
        return 1 - float(gaps)
    return float(max(0.0, 1 - kolmogorov(present, made) - gaps))


def kolmogorov(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    """The largest difference of two distribution functions."""
    a, b = np.sort(a), np.sort(b)
    points = np.concatenate([a, b])
    return float(
        np.abs(np.searchsorted(a, points, "right") / len(a) - np.searchsorted(b, points, "right") / len(b)).max()
    )


def _variation(a: NDArray[Any], b: NDArray[Any]) -> float:
    lowest = min(a.min(), b.min())
    size = int(max(a.max(), b.max()) - lowest) + 1
    counts = [np.bincount((v - lowest).astype(np.int64), minlength=size) / len(v) for v in (a, b)]
    return float(np.abs(counts[0] - counts[1]).sum() / 2)


def pair_agreement(first: Column, second: Column, real: Frame, synthetic: Frame) -> float:
    """1 - the difference of the dependence of two columns, halved for correlations, so that it is between 0 and 1."""
    if first.continuous and second.continuous:
        difference = correlation(real[first.name], real[second.name]) - correlation(
            synthetic[first.name], synthetic[second.name]
        )
        return 1 - abs(difference) / 2
    codes = [_binned(c, real[c.name], synthetic[c.name]) for c in (first, second)]
    width = int(max(codes[1][0].max(), codes[1][1].max())) + 1
    return 1 - _variation(codes[0][0] * width + codes[1][0], codes[0][1] * width + codes[1][1])


def correlation(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    """The rank correlation of two columns; 0 where one is constant."""
    both = ~(np.isnan(a) | np.isnan(b))
    if both.sum() < 3:
        return 0.0
    ranks = [_ranks(values[both]) for values in (a, b)]
    if min(r.std() for r in ranks) == 0:
        return 0.0
    return float(np.corrcoef(ranks[0], ranks[1])[0, 1])


def _ranks(values: NDArray[np.float64]) -> NDArray[np.float64]:
    ordered = np.sort(values)
    return (np.searchsorted(ordered, values, "left") + np.searchsorted(ordered, values, "right")) / 2.0


def _binned(
    column: Column, real: NDArray[np.float64], synthetic: NDArray[np.float64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The values of both tables as codes from 0: categories, or bins of equal numbers of real rows; missing is a code."""
    if column.discrete:
        return (real + 1).astype(np.int64), (synthetic + 1).astype(np.int64)
    present = real[~np.isnan(real)]
    edges = np.unique(np.quantile(present, np.linspace(0, 1, BINS + 1)[1:-1])) if len(present) else np.zeros(0)
    coded = [np.where(np.isnan(v), 0, np.searchsorted(edges, np.nan_to_num(v), "right") + 1) for v in (real, synthetic)]
    return coded[0].astype(np.int64), coded[1].astype(np.int64)
