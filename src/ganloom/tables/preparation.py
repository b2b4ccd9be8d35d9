"""From a table to what a model learns, and from what it draws back to valid rows: types, constraints, conditions."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ganloom.core import config
from ganloom.core.errors import BadInput
from ganloom.tables import conditions as where_conditions
from ganloom.tables import constraint_search, reading, schema
from ganloom.tables import constraints as rules
from ganloom.tables.column import Column
from ganloom.tables.conditions import Condition
from ganloom.tables.constraints import Constraint
from ganloom.tables.schema import Frame, Schema

Draw = Callable[[int, np.random.Generator, dict[str, Any]], Frame]
"""Draws rows of the learned columns: (number, source of random numbers, values that conditions ask for)."""
MOST_ROUNDS = 40
"""Rounds in which rows that break a constraint or a condition are drawn again."""
MOST_AT_ONCE = 100_000
DONORS = 200
"""Training rows from which the columns of a broken constraint are taken if drawing again does not help."""


@dataclass
class Preparation:
    """The schema of a table and the constraints that hold in it.

    Attributes:
        schema: The columns.
        constraints: The constraints.
        donors: Values of constrained columns of some training rows.
        notes: What the user should know.
    """

    schema: Schema
    constraints: list[Constraint]
    donors: Frame
    notes: list[str] = field(default_factory=list)

    @property
    def learned(self) -> list[Column]:
        """The columns that a model learns: not those that constraints compute."""
        gone = {constraint.derived for constraint in self.constraints}
        return [column for column in self.schema.modelled if column.name not in gone]

    def reduced(self, frame: Frame) -> Frame:
        """The learned columns of a frame."""
        return {column.name: frame[column.name] for column in self.learned}

    def valid(self, frame: Frame) -> Frame:
        """Bring drawn values into the bounds, decimals and steps of their columns."""
        return {c.name: c.valid(frame[c.name]) if c.continuous else frame[c.name] for c in self.learned}

    def draw(self, n: int, draw: Draw, where: where_conditions.Where, rng: np.random.Generator) -> Frame:
        """Draw n complete rows that keep all constraints and conditions.

        Raises:
            BadInput: A condition is fulfilled by hardly any row.
        """
        wanted = where_conditions.parse(self.schema, where)
        where_conditions.check(wanted, self.schema)
        given = where_conditions.given(wanted, self.schema)
        good: list[Frame] = []
        bad: list[Frame] = []
        found = spare = drawn = 0
        for _ in range(MOST_ROUNDS):
            if found >= n:
                break
            rate = max(found / drawn, 0.002) if drawn else 1.0
            count = int(min((n - found) / rate * 1.1 + 10, MOST_AT_ONCE))
            drawn += count
            frame = rules.complete(self.constraints, self.valid(draw(count, rng, given)), self.schema)
            fitting = _all(wanted, frame, count)
            kept = rules.holds(self.constraints, frame, self.schema)
            good.append(_rows(frame, fitting & kept))
            bad.append(_rows(frame, fitting & ~kept))
            found, spare = found + int((fitting & kept).sum()), spare + int((fitting & ~kept).sum())
        if found < n and spare:
            good.append(self._repaired(good, bad, wanted))
        rows = _joined(good, self.schema)
        count = _length(rows)
        if count < n:
            texts = " and ".join(condition.text for condition in wanted) or "the constraints"
            raise BadInput(
                f"only {count} of {n} rows with {texts} came in {drawn} draws. Ask for fewer rows, or a wider condition"
            )
        return _rows(rows, slice(0, n))

    def _repaired(self, good: list[Frame], bad: list[Frame], wanted: list[Condition]) -> Frame:
        """Broken rows, with the columns of broken constraints taken from drawn rows that keep them, or from training rows."""
        broken, kept = _joined(bad, self.schema), _joined(good, self.schema)
        donors = kept if _length(kept) >= 20 else {**kept, **self.donors}
        fixed = rules.repair(self.constraints, broken, self.schema, donors)
        return _rows(fixed, _all(wanted, fixed, _length(fixed)) & rules.holds(self.constraints, fixed, self.schema))

    # ---- as JSON
    def to_dict(self) -> dict[str, Any]:
        """Return everything but the donors as JSON values."""
        listed = [config.to_dict(constraint) for constraint in self.constraints]
        return {"schema": self.schema.to_dict(), "constraints": listed, "notes": self.notes}

    @classmethod
    def from_dict(cls, values: dict[str, Any], donors: Frame) -> "Preparation":
        """Read what ``to_dict`` returned."""
        found = [config.from_dict(Constraint, item, "constraint") for item in values["constraints"]]
        return cls(Schema.from_dict(values["schema"]), found, donors, list(values["notes"]))


def prepare(
    source: reading.Source,
    types: str | Mapping[str, str] | None = None,
    target: str | None = None,
    constraints: bool = True,
) -> tuple[Preparation, Frame]:
    """Find the types and the constraints of a table.

    Args:
        source: The table.
        types: Corrections of the types.
        target: A column that is learned in any case, and never computed from others.
        constraints: Whether constraints are looked for.

    Returns:
        What was found, and all rows as numbers.
    """
    columns, frame, notes = schema.learn(source, types)
    found = constraint_search.find(columns, frame) if constraints else []
    found = [c for c in found if target is None or c.derived != target]
    tied = {name for constraint in found for name in constraint.columns}
    donors = {name: values[:DONORS] for name, values in frame.items() if name in tied}
    return Preparation(columns, found, donors, notes), frame


def _all(wanted: list[Condition], frame: Frame, count: int) -> NDArray[np.bool_]:
    fitting = np.ones(count, bool)
    for condition in wanted:
        fitting &= condition.holds(frame)
    return fitting


def _rows(frame: Frame, rows: Any) -> Frame:
    return {name: values[rows] for name, values in frame.items()}


def _joined(frames: list[Frame], columns: Schema) -> Frame:
    return {c.name: np.concatenate([frame[c.name] for frame in frames]) for c in columns.modelled} if frames else {}


def _length(frame: Frame) -> int:
    return len(next(iter(frame.values()))) if frame else 0
