"""Constraints that hold in every row of a table: say them, and keep them in synthetic rows; ``constraint_search`` finds them.

order: a <= b (or a < b), between numbers or times of one kind whose ranges overlap.
sum: a + b = c. equal: b = factor * a + offset. fixed: the value of b follows from the value of a.

The last three take a column out of the model: it is computed from the others. An order is kept by drawing rows again, and in
the few rows where that does not help, by correcting b.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ganloom.tables.column import Column
from ganloom.tables.schema import Frame, Schema

GONE = 1e300
"""Stands for a missing number among the keys of "fixed"."""


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
            out[names[2]] = rounded(schema[names[2]], out[names[0]] + out[names[1]])
        elif constraint.kind == "equal":
            out[names[1]] = rounded(schema[names[1]], constraint.factor * out[names[0]] + constraint.offset)
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


def _looked_up(constraint: Constraint, a: NDArray[Any], column: Column) -> NDArray[Any]:
    keys = np.array(constraint.keys)
    answers = np.array([np.nan if v is None else v for v in constraint.answers])
    order = np.argsort(keys)
    asked = np.where(np.isnan(a), GONE, a) if a.dtype.kind == "f" else a.astype(float)
    place = np.clip(np.searchsorted(keys[order], asked), 0, len(keys) - 1)
    below = np.clip(place - 1, 0, None)  # an unknown value of a takes the answer of the nearest one
    near = np.where(np.abs(keys[order][below] - asked) < np.abs(keys[order][place] - asked), below, place)
    values = answers[order][near]
    return values.astype(np.int64) if column.discrete else values


def rounded(column: Column, values: NDArray[np.float64]) -> NDArray[np.float64]:
    return values if column.decimals is None else np.round(values, column.decimals)
