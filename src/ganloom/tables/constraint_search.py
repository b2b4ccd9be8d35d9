"""Find the constraints that hold in every row of a table."""

import itertools
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ganloom.tables.column import Column
from ganloom.tables.constraints import GONE, Constraint, rounded
from ganloom.tables.schema import Frame, Schema

FEWEST_ROWS = 20
"""With fewer rows, almost anything holds by chance."""
FIRST = 1000
"""Rows that decide first whether a constraint can hold."""
MOST_COLUMNS = 60
"""Sums of three columns are searched in tables with at most this many numeric columns."""


def find(schema: Schema, frame: Frame) -> list[Constraint]:
    """Find the constraints of a table.

    Args:
        schema: Its columns.
        frame: Its rows.

    Returns:
        Constraints in the order in which ``complete`` computes columns: no column is computed from a later one.
    """
    rows = len(next(iter(frame.values()))) if frame else 0
    if rows < FEWEST_ROWS:
        return []
    numeric = [column for column in schema.modelled if column.continuous]
    found: list[Constraint] = []
    gone: set[str] = set()
    for constraint in itertools.chain(_equal(numeric, frame), _sums(numeric, frame), _fixed(schema, frame)):
        if not gone & set(constraint.columns):
            found.append(constraint)
            gone.add(constraint.derived)
    orders = _orders([column for column in numeric if column.name not in gone], frame)
    # A column that is computed may be the source of an earlier constraint only if that one comes later: reverse the order.
    return [*found[::-1], *orders]


def _equal(numeric: list[Column], frame: Frame) -> list[Constraint]:
    """Columns that are a linear function of another one, within their rounding."""
    found = []
    for i, second in enumerate(numeric):
        for first in numeric[:i]:
            a, b = frame[first.name], frame[second.name]
            if first.kind != second.kind and not {first.kind, second.kind} <= {"integer", "float"}:
                continue
            if (np.isnan(a) != np.isnan(b)).any() or not _in_line(a[:FIRST], b[:FIRST]):
                continue
            if len(np.unique(a[~np.isnan(a)])) < 5:
                continue
            line = _line(second, a[~np.isnan(a)], b[~np.isnan(b)])
            if line is not None:
                found.append(Constraint("equal", (first.name, second.name), *line))
                break
    return found


def _in_line(a: NDArray[np.float64], b: NDArray[np.float64]) -> bool:
    """Whether the first rows do not already show that b is no linear function of a."""
    a, b = a[~np.isnan(a)], b[~np.isnan(b)]
    if len(a) < 3 or not a.std() or not b.std():
        return True
    return bool(abs(np.corrcoef(a, b)[0, 1]) > 0.9999)


def _line(column: Column, a: NDArray[np.float64], b: NDArray[np.float64]) -> tuple[float, float] | None:
    """(factor, offset) if b is a linear function of a, exactly after rounding."""
    if np.array_equal(a, b):
        return 1.0, 0.0
    spread = a.std()
    if not spread or abs(np.corrcoef(a, b)[0, 1]) < 0.999999:
        return None
    factor = float(((a - a.mean()) * (b - b.mean())).mean() / spread**2)
    factor = float(f"{factor:.7g}")
    offset = float(f"{(b - factor * a).mean():.7g}")
    tolerance = 1e-9 * max(abs(b).max(), 1.0)
    exact = np.abs(rounded(column, factor * a + offset) - b).max() <= tolerance
    return (factor, offset) if exact else None


def _sums(numeric: list[Column], frame: Frame) -> list[Constraint]:
    """Triples a + b = c of columns without a constant share."""
    usable = [c for c in numeric if c.kind in ("integer", "float", "duration") and not np.isnan(frame[c.name]).any()]
    if len(usable) > MOST_COLUMNS:
        return []
    found = []
    for third in reversed(usable):
        c = frame[third.name]
        scale = 1e-9 * max(abs(c).max(), 1.0)
        for first, second in itertools.combinations([column for column in usable if column is not third], 2):
            a, b = frame[first.name], frame[second.name]
            if abs(a[:5] + b[:5] - c[:5]).max() > scale or abs(a + b - c).max() > scale:
                continue
            if np.unique(a).size > 2 and np.unique(b).size > 2 and third.decimals is not None:
                found.append(Constraint("sum", (first.name, second.name, third.name)))
                break
    return found


def _fixed(schema: Schema, frame: Frame) -> list[Constraint]:
    """Categories, or numbers with few values, that fix the value of another column."""
    rows = len(next(iter(frame.values())))
    keys = [c for c in schema.modelled if c.discrete or c.levels]
    found = []
    for second in reversed(schema.modelled):
        b = frame[second.name]
        answers = _coded(b)
        if answers.max() < 1:
            continue
        for first in keys:
            a = _coded(frame[first.name])
            count = int(a.max()) + 1
            if first is second or count > rows / 2 or (count < 3 and answers.max() + 1 < count):
                continue
            pairs = np.unique(np.stack([a, answers]), axis=1)
            if pairs.shape[1] != count or count < int(answers.max()) + 1:
                continue
            # One value of b for almost every value of a by chance: most values of a must have been seen several times.
            often = np.bincount(a)
            if (often < 2).mean() > 0.2 or (count <= 3 and (often < 5).any()):
                continue
            first_rows = np.unique(a, return_index=True)[1].tolist()
            found.append(
                Constraint(
                    "fixed", (first.name, second.name),
                    keys=tuple(_number(frame[first.name][row]) for row in first_rows),
                    answers=tuple(_optional(b[row]) for row in first_rows),
                )
            )  # fmt: skip
            break
    return found


def _orders(numeric: list[Column], frame: Frame) -> list[Constraint]:
    """Pairs a <= b whose ranges overlap, without those that follow from others."""
    pairs: dict[tuple[str, str], Constraint] = {}
    for first, second in itertools.permutations(numeric, 2):
        if _family(first) != _family(second) or (first.levels and second.levels and len(first.levels) < 5):
            continue
        a, b = frame[first.name], frame[second.name]
        if (a[:FIRST] > b[:FIRST]).any():
            continue
        both = ~(np.isnan(a) | np.isnan(b))
        if both.sum() < FEWEST_ROWS or not (a[both] <= b[both]).all() or (a[both] == b[both]).all():
            continue
        # The ranges must overlap so much that the order would not hold between shuffled columns.
        shuffled = np.searchsorted(np.sort(b[both]), a[both], side="left") / both.sum()
        if shuffled.mean() * both.sum() < 10:
            continue
        strict = bool((a[both] < b[both]).all()) and first.decimals == second.decimals
        pairs[first.name, second.name] = Constraint("strict order" if strict else "order", (first.name, second.name))
    implied = {
        (a, c) for (a, b) in pairs for (b2, c) in pairs if b == b2 and (a, c) in pairs and (c, a) not in pairs
    }  # fmt: skip
    return [constraint for pair, constraint in pairs.items() if pair not in implied]


def _family(column: Column) -> str:
    return "number" if column.kind in ("integer", "float") else column.kind


def _coded(values: NDArray[Any]) -> NDArray[np.int64]:
    """Values as codes from 0; NaN is a value too."""
    _, codes = np.unique(values, return_inverse=True)
    return codes.astype(np.int64)


def _number(value: Any) -> float:
    return float(value) if value == value else GONE


def _optional(value: Any) -> float | None:
    return float(value) if value == value else None
