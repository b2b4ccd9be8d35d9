"""Conditions on synthetic rows, such as income=high, age>=30 or note= (missing)."""

import math
import operator
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ganloom.core.errors import BadInput, did_you_mean
from ganloom.tables import durations, numbers, times
from ganloom.tables.column import Column
from ganloom.tables.schema import Frame, Schema

_SIGNS = {
    "<=": operator.le, ">=": operator.ge, "!=": operator.ne, "<": operator.lt, ">": operator.gt, "=": operator.eq,
}  # fmt: skip
MISSING_CODE = -1
"""The code of a missing category."""
Where = str | Sequence[str] | Mapping[str, Any] | None
"""What users give: "income=high", a list of such texts, or {"income": "high"}. "income=" asks for missing
cells."""


@dataclass(frozen=True)
class Condition:
    """One condition: the column, the sign and the values, of which one must fulfil it."""

    column: str
    sign: str
    values: tuple[float, ...]
    """Numbers, or codes of categories; a missing cell is NaN or ``MISSING_CODE``."""
    text: str

    def holds(self, frame: Frame) -> NDArray[np.bool_]:
        """Which rows fulfil it. A missing number fulfils only "!=" and what asks for missing cells."""
        found = [self._fulfils(frame[self.column], value) for value in self.values]
        return np.asarray(np.logical_and.reduce(found) if self.sign == "!=" else np.logical_or.reduce(found))

    def _fulfils(self, values: NDArray[Any], value: float) -> NDArray[np.bool_]:
        if math.isnan(value):
            return np.asarray(np.isnan(values) if self.sign == "=" else ~np.isnan(values))
        return np.asarray(_SIGNS[self.sign](values, value))


def parse(schema: Schema, where: Where) -> list[Condition]:
    """Read conditions.

    Args:
        schema: The columns.
        where: See ``Where``. In a text, "a|b" means a or b.

    Raises:
        BadInput: A column or a category does not exist, or a value does not fit the column.
    """
    if where is None:
        return []
    if isinstance(where, Mapping):
        return [_condition(schema, str(name), "=", _listed(value), f"{name}={value}") for name, value in where.items()]
    texts = [where] if isinstance(where, str) else list(where)
    found = []
    for text in texts:
        parts = _split(schema, text)
        if parts is None:
            raise BadInput(f'--where {text}: write COLUMN=VALUE, or one of <= >= != < > instead of "="')
        name, sign, value = parts
        found.append(_condition(schema, name, "=" if sign == "==" else sign, value.split("|"), text))
    return found


def _split(schema: Schema, text: str) -> tuple[str, str, str] | None:
    """The column, the sign and the value; None without a sign. The column is the longest of the table that fits."""
    found = [
        (text[: sign.start()].strip(), sign[0], text[sign.end() :].strip())
        for sign in re.finditer(r"<=|>=|!=|==|<|>|=", text)
    ]
    found = [parts for parts in found if parts[0]]
    return next((parts for parts in reversed(found) if parts[0] in schema.names), found[0] if found else None)


def _listed(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list | tuple | set) else [value]


def _condition(schema: Schema, name: str, sign: str, values: Sequence[Any], text: str) -> Condition:
    column = schema[name]
    if not column.modelled:
        reason = {"constant": "all its cells are equal", "empty": "all its cells are missing"}
        said = reason.get(column.kind, f"no method learns columns of type {column.kind}")
        raise BadInput(f"--where {text}: {name} cannot be asked for, because {said}. Use another column")
    if column.discrete and sign not in ("=", "!="):
        raise BadInput(f"--where {text}: {name} holds categories. Use = or !=")
    return Condition(name, sign, tuple(_value(column, sign, value, text) for value in values), text)


def _value(column: Column, sign: str, value: Any, text: str) -> float:
    if value is None or str(value).strip() in ("", column.missing_text if column.missing else ""):
        if "" in column.values:
            return float(column.values.index(""))
        if not column.missing or sign not in ("=", "!="):
            raise BadInput(
                f"--where {text}: no value is given" + "; the column has no missing cells" * (not column.missing)
            )
        return float(MISSING_CODE) if column.discrete else math.nan
    if column.discrete:
        for code, known in enumerate(column.values):
            if known == value or str(known).strip() == str(value).strip():
                return float(code)
        hint = did_you_mean(str(value), [str(item) for item in column.values])
        raise BadInput(f'--where {text}: no row has {column.name} "{value}"{hint}. {_values(column.values)}')
    found = _number(column, value)
    if found is None:
        raise BadInput(f'--where {text}: "{value}" is no {column.kind}')
    return found


def _number(column: Column, value: Any) -> float | None:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    if column.kind in ("date", "time", "datetime"):
        if hasattr(value, "year"):
            return times.number_of(value, column.kind) if hasattr(value, "hour") else times.of_date(value)
        read = times.read([str(value)], compact=True)
        if read is None or (read.kind == "time") != (column.kind == "time"):
            return None
        return float(read.values[0]) * (86400 if (read.kind, column.kind) == ("date", "datetime") else 1)
    if column.kind == "duration":
        lasted = durations.read([str(value)])
        if lasted is not None:
            return float(lasted.values[0])
    comma = column.as_text and column.number is not None and column.number.decimal == ","
    plain = numbers.read([str(value)], comma)
    return None if plain is None else float(plain.values[0])


def given(conditions: Sequence[Condition], schema: Schema) -> dict[str, Any]:
    """Column -> value of the conditions that ask for one value of a category or of a number with few values."""
    found: dict[str, Any] = {}
    for condition in conditions:
        column = schema[condition.column]
        if condition.sign != "=" or len(condition.values) != 1:
            continue
        value = condition.values[0]
        if column.discrete and value != MISSING_CODE:
            found[condition.column] = int(value)
        elif column.levels and not math.isnan(value):
            found[condition.column] = value
    return found


def check(conditions: Sequence[Condition], schema: Schema) -> None:
    """Refuse conditions that no row can fulfil, alone or together with others on the same column.

    Raises:
        BadInput: The column never has such a value.
    """
    for name in dict.fromkeys(condition.column for condition in conditions):
        asked = [condition for condition in conditions if condition.column == name]
        column = schema[name]
        frame = {name: _candidates(column, [value for condition in asked for value in condition.values])}
        kept = np.stack([condition.holds(frame) for condition in asked])
        for condition, holds in zip(asked, kept, strict=True):
            if not holds.any():
                raise BadInput(f"--where {condition.text}: {name} never has such a value. {_range(column)}")
        if not kept.all(0).any():
            texts = " and ".join(condition.text for condition in asked)
            several = all(condition.sign == "=" for condition in asked)
            hint = f'. To ask for one of several values, write "{name}=A|B"' if several else ""
            raise BadInput(f"--where {texts}: no value of {name} fulfils all of these{hint}")


def _candidates(column: Column, asked: Sequence[float]) -> NDArray[Any]:
    """Values of a column, among which is one for each set of conditions with the numbers ``asked`` that can be fulfilled."""
    missing = column.missing > 0
    if column.discrete:
        return np.arange(MISSING_CODE if missing else 0, len(column.values))
    ends = [end for end in (column.low, column.high) if end is not None]
    marks = np.unique([*(value for value in asked if not math.isnan(value)), *ends])
    apart = [0.0, column.step, 10.0 ** -(column.decimals or 0)]
    near = [marks + sign * distance for distance in apart for sign in (-1, 1)]
    beside = [np.nextafter(marks, -np.inf), np.nextafter(marks, np.inf), (marks[1:] + marks[:-1]) / 2]
    found = np.array(column.levels) if column.levels else column.valid(np.concatenate([*near, *beside]))
    return np.append(found, np.nan) if missing else found


def _range(column: Column) -> str:
    """Which values a column has, in a sentence."""
    if column.discrete:
        return _values(column.values)
    if column.levels:
        return _values([column.text_of(level) for level in column.levels])
    if column.low is None or column.high is None:
        return "All its cells are missing"
    grid = ", without decimals" if column.kind == "integer" else ""
    if column.step and column.kind in ("integer", "float"):
        grid = f", in steps of {column.step:g}"
    return f"It lies between {column.text_of(column.low)} and {column.text_of(column.high)}{grid}"


def _values(values: Sequence[Any]) -> str:
    return f"Values: {', '.join(map(str, values[:10]))}{', ...' * (len(values) > 10)}"
