"""Find the type of a column of numbers: integers, floats, identifiers; its bounds, decimals, step and levels."""

import dataclasses
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ganloom.core.errors import BadInput
from ganloom.tables import numbers
from ganloom.tables.column import Column, Kind
from ganloom.tables.text import pattern_of

FEW_LEVELS, ROWS_PER_LEVEL = 40, 5
"""A column of numbers with at most this many values, each in so many rows on average, has only these values."""
ID_NAME = re.compile(
    r"(^|[_\W])(id|ids|uuid|guid|key|ssn|iban|e-?mail|phone|tel|passport|url|identifier)([_\W]|\d*$)|[a-z]ID$|number$|_no$", re.I
)  # fmt: skip
EXACT = 2**53
"""Whole numbers beyond this are not exact as float64: they are identifiers or categories, not quantities."""
FEWEST_FOR_ID = 10
"""Whole numbers are identifiers only in tables of at least this many rows."""

Values = NDArray[Any]
"""float64 (n,) with NaN for continuous columns, int64 (n,) codes with -1 for discrete ones, empty for others."""


@dataclass(frozen=True)
class Found:
    """A column, its values, and what the user should know."""

    column: Column
    values: Values
    notes: tuple[str, ...] = ()


def of_numbers(base: Column, values: NDArray[np.float64], wanted: Kind | None, whole: bool) -> Found:
    """A column of numbers: integers, floats, identifiers or, where the user says so, categories."""
    infinite = np.isinf(values)
    notes = (f"{base.name}: {int(infinite.sum())} infinite values are treated as missing",) if infinite.any() else ()
    values = np.where(infinite, np.nan, values)
    present = values[~np.isnan(values)]
    if not len(present):
        return Found(dataclasses.replace(base, missing=len(values)), np.empty(0), notes)
    whole = whole_numbers(base, values, whole)
    if wanted == "id" or (wanted is None and whole and _is_identifier(base.name, present, len(values))):
        return number_ids(base, values, present, notes)
    kind: Kind = "integer" if whole else "float"
    if wanted == "integer" and not whole:
        raise BadInput(
            f"--types {base.name}=integer: the column has decimals, such as {present[present % 1 != 0][0]:g}. Use float"
        )
    kind = wanted if wanted in ("float", "duration") else kind
    found = numeric(base, values, kind, wanted)
    return Found(found.column, found.values, (*notes, *found.notes))


def whole_numbers(base: Column, values: NDArray[np.float64], whole: bool) -> bool:
    """Whether all numbers of a column are whole."""
    present = values[np.isfinite(values)]
    return whole or bool((present == np.round(present)).all() and not base.as_text)


def _is_identifier(name: str, present: NDArray[np.float64], rows: int) -> bool:
    if len(present) < FEWEST_FOR_ID or len(present) < rows or len(np.unique(present)) < len(present):
        return False
    consecutive = present.max() - present.min() == len(present) - 1
    return (
        bool(consecutive and (np.diff(present) == 1).all()) or bool(ID_NAME.search(name)) or abs(present).max() > EXACT
    )


def number_ids(
    base: Column, values: NDArray[np.float64], present: NDArray[np.float64], notes: tuple[str, ...],
    exact: Sequence[int] | None = None,
) -> Found:  # fmt: skip
    """A column of identifiers that are numbers.

    Args:
        base: What is known of the column.
        values: Its numbers, NaN where they are missing.
        present: Those that are not missing.
        notes: What the user should know.
        exact: The same as Python integers, where float64 is not exact.
    """
    low, high = float(present.min()), float(present.max())
    rising = bool((np.diff(present) == 1).all()) and len(present) > 1
    pattern = pattern_of([str(int(v)) for v in (present if exact is None else exact)], free_text=False)
    column = dataclasses.replace(
        base, kind="id", missing=int(np.isnan(values).sum()), low=low, high=high, unit="sequence" if rising else "random",
        pattern=pattern, decimals=0,
    )  # fmt: skip
    return Found(column, np.empty(0), notes)


def numeric(base: Column, values: NDArray[np.float64], kind: Kind, wanted: Kind | None = None) -> Found:
    """A continuous column with its bounds, decimals, step and levels."""
    present = values[~np.isnan(values)]
    missing = len(values) - len(present)
    if wanted in ("category", "id", "text"):
        raise BadInput(
            f"--types {base.name}={wanted}: convert the column to text first; it holds values of type {base.dtype}"
        )
    distinct = np.unique(present)
    if len(distinct) == 1 and not missing and wanted is None:
        constant = dataclasses.replace(base, kind="constant", values=(float(distinct[0]),), unit=kind)
        return Found(constant, np.empty(0))
    decimals = base.decimals
    if not base.as_text and base.dtype != "object:Decimal":
        decimals = 0 if kind in ("integer", "date") else numbers.decimals_of(distinct)
        if base.dtype == "float32" and decimals is None:
            decimals = numbers.decimals_of(np.array([float(str(np.float32(v))) for v in distinct]))
    levels: tuple[float, ...] = ()
    if len(distinct) <= FEW_LEVELS and len(present) >= ROWS_PER_LEVEL * len(distinct):
        levels = tuple(distinct.tolist())
    step = numbers.step_of(distinct, decimals) if len(distinct) >= 8 else 0.0
    column = dataclasses.replace(
        base, kind=kind, missing=missing, low=float(distinct[0]), high=float(distinct[-1]), decimals=decimals, step=step,
        levels=levels,
    )  # fmt: skip
    return Found(column, values)
