"""Constraints that hold in every row of a table: find them, say them, and keep them in synthetic rows.

order: a <= b (or a < b), between numbers or times of one kind whose ranges overlap.
sum: a + b = c. equal: b = factor * a + offset. fixed: the value of b follows from the value of a.

The last three take a column out of the model: it is computed from the others. An order is kept by drawing rows again, and in
the few rows where that does not help, by correcting b.
"""

import itertools
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ganloom.tables.column import Column
from ganloom.tables.schema import Frame, Schema

FEWEST_ROWS = 20
"""With fewer rows, almost anything holds by chance."""
_GONE = 1e300
"""Stands for a missing number among the keys of "fixed"."""
MOST_COLUMNS = 60
"""Sums of three columns are searched in tables with at most this many numeric columns."""


@dataclass(frozen=True)
class Constraint:
    """One constraint."""

    kind: str
    """"order", "strict order", "sum", "equal" or "fixed"."""
    columns: tuple[str, ...]
    """order: (a, b); sum: (a, b, c); equal and fixed: (a, b) where b follows from a."""
    factor: float = 1.0
    offset: float = 0.0
    keys: tuple[float, ...] = ()
    """fixed: the values of a: category codes or numbers."""
    answers: tuple[float | None, ...] = ()
    """fixed: the value of b for each value of a."""

    @property
    def text(self) -> str:
        """The constraint in words."""
        names = self.columns
        if self.kind == "order":
            return f"{names[0]} <= {names[1]}"
        if self.kind == "strict order":
            return f"{names[0]} < {names[1]}"
        if self.kind == "sum":
            return f"{names[0]} + {names[1]} = {names[2]}"
        if self.kind == "equal":
            if self.factor == 1 and self.offset == 0:
                return f"{names[1]} = {names[0]}"
            offset = "" if self.offset == 0 else f" {'+' if self.offset > 0 else '-'} {abs(self.offset):g}"
            return f"{names[1]} = {self.factor:g} * {names[0]}{offset}"
        return f"{names[0]} fixes {names[1]} ({len(self.keys)} pairs)"

    @property
    def derived(self) -> str:
        """The column that is computed from the others; empty for an order."""
        return self.columns[-1] if self.kind in ("sum", "equal", "fixed") else ""


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


def complete(constraints: list[Constraint], frame: Frame, schema: Schema) -> Frame:
    """Compute the columns that the model does not learn.

    Args:
        constraints: From ``find``.
        frame: Valid values of the other columns.
        schema: The columns.
    """
    out = dict(frame)
    for constraint in constraints:
        names = constraint.columns
        if constraint.kind == "sum":
            out[names[2]] = _rounded(schema[names[2]], out[names[0]] + out[names[1]])
        elif constraint.kind == "equal":
            out[names[1]] = _rounded(schema[names[1]], constraint.factor * out[names[0]] + constraint.offset)
        elif constraint.kind == "fixed":
            out[names[1]] = _looked_up(constraint, out[names[0]], schema[names[1]])
    return {column.name: out[column.name] for column in schema.modelled}


def holds(constraints: list[Constraint], frame: Frame, schema: Schema) -> NDArray[np.bool_]:
    """Which rows keep all orders and the bounds of computed columns."""
    rows = len(next(iter(frame.values())))
    good = np.ones(rows, bool)
    for constraint in constraints:
        if constraint.kind in ("order", "strict order"):
            a, b = (frame[name] for name in constraint.columns)
            broken = a >= b if constraint.kind == "strict order" else a > b
            good &= ~broken
        elif constraint.kind in ("sum", "equal"):
            column, values = schema[constraint.derived], frame[constraint.derived]
            assert column.low is not None and column.high is not None
            slack = 1e-9 * max(abs(column.low), abs(column.high), 1.0)
            good &= np.isnan(values) | ((values >= column.low - slack) & (values <= column.high + slack))
    return good


def repair(constraints: list[Constraint], frame: Frame, schema: Schema, donor: Frame) -> Frame:
    """Correct rows that break a constraint.

    Args:
        constraints: From ``find``.
        frame: Complete rows, of which some break a constraint.
        schema: The columns.
        donor: Complete rows that keep all constraints, at least as many as ``frame`` has, or fewer, which are used again.

    Returns:
        The rows; the columns of a broken constraint are those of a row of ``donor``.
    """
    out = {name: values.copy() for name, values in frame.items()}
    groups = _groups(constraints)
    for group in groups:
        concerned = [c for c in constraints if set(c.columns) & group]
        broken = np.flatnonzero(~holds(concerned, out, schema))
        if not len(broken):
            continue
        available = len(next(iter(donor.values())))
        rows = np.resize(np.arange(available), len(broken))
        for name in group:
            out[name][broken] = donor[name][rows]
    return out


def _groups(constraints: list[Constraint]) -> list[set[str]]:
    """The columns that constraints tie together."""
    groups: list[set[str]] = []
    for constraint in constraints:
        joined = set(constraint.columns)
        rest = []
        for group in groups:
            if group & joined:
                joined |= group
            else:
                rest.append(group)
        groups = [*rest, joined]
    return groups


# ---- finding
def _equal(numeric: list[Column], frame: Frame) -> list[Constraint]:
    """Columns that are a linear function of another one, within their rounding."""
    found = []
    for i, second in enumerate(numeric):
        for first in numeric[:i]:
            a, b = frame[first.name], frame[second.name]
            if first.kind != second.kind and not {first.kind, second.kind} <= {"integer", "float"}:
                continue
            if (np.isnan(a) != np.isnan(b)).any() or len(np.unique(a[~np.isnan(a)])) < 5:
                continue
            line = _line(second, a[~np.isnan(a)], b[~np.isnan(b)])
            if line is not None:
                found.append(Constraint("equal", (first.name, second.name), *line))
                break
    return found


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
    exact = np.abs(_rounded(column, factor * a + offset) - b).max() <= tolerance
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
            first_rows = [int(np.flatnonzero(a == k)[0]) for k in range(count)]
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
    return float(value) if value == value else _GONE


def _optional(value: Any) -> float | None:
    return float(value) if value == value else None


def _looked_up(constraint: Constraint, a: NDArray[Any], column: Column) -> NDArray[Any]:
    keys = np.array(constraint.keys)
    answers = np.array([np.nan if v is None else v for v in constraint.answers])
    order = np.argsort(keys)
    asked = np.where(np.isnan(a), _GONE, a) if a.dtype.kind == "f" else a.astype(float)
    place = np.clip(np.searchsorted(keys[order], asked), 0, len(keys) - 1)
    below = np.clip(place - 1, 0, None)  # an unknown value of a takes the answer of the nearest one
    near = np.where(np.abs(keys[order][below] - asked) < np.abs(keys[order][place] - asked), below, place)
    values = answers[order][near]
    return values.astype(np.int64) if column.discrete else values


def _rounded(column: Column, values: NDArray[np.float64]) -> NDArray[np.float64]:
    return values if column.decimals is None else np.round(values, column.decimals)
