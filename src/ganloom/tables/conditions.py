"""Conditions on synthetic rows, such as income=high or age>=30."""

import operator
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ganloom.core.errors import BadInput, did_you_mean
from ganloom.tables import numbers, times
from ganloom.tables.column import Column
from ganloom.tables.schema import Frame, Schema

_SIGNS = {
    "<=": operator.le, ">=": operator.ge, "!=": operator.ne, "<": operator.lt, ">": operator.gt, "=": operator.eq,
}  # fmt: skip
Where = str | Sequence[str] | Mapping[str, Any] | None
"""What users give: "income=high", a list of such texts, or {"income": "high"}."""


@dataclass(frozen=True)
class Condition:
    """One condition: the column, the sign and the values, of which one must fulfil it."""

    column: str
    sign: str
    values: tuple[float, ...]
    text: str

    def holds(self, frame: Frame) -> NDArray[np.bool_]:
        """Which rows fulfil it. A missing number fulfils none but "!="."""
        found = [_SIGNS[self.sign](frame[self.column], value) for value in self.values]
        return np.asarray(np.logical_and.reduce(found) if self.sign == "!=" else np.logical_or.reduce(found))


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
        match = re.fullmatch(r"\s*(.+?)\s*(<=|>=|!=|==|<|>|=)\s*(.*?)\s*", text, re.S)
        if match is None:
            raise BadInput(f'--where {text}: write COLUMN=VALUE, or one of <= >= != < > instead of "="')
        sign = "=" if match[2] == "==" else match[2]
        found.append(_condition(schema, match[1], sign, match[3].split("|"), text))
    return found


def _listed(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list | tuple | set) else [value]


def _condition(schema: Schema, name: str, sign: str, values: Sequence[Any], text: str) -> Condition:
    column = schema[name]
    if not column.modelled:
        raise BadInput(
            f"--where {text}: {name} is of type {column.kind}, which is made anew or constant. Use another column"
        )
    if column.discrete and sign not in ("=", "!="):
        raise BadInput(f"--where {text}: {name} holds categories. Use = or !=")
    return Condition(name, sign, tuple(_value(column, value, text) for value in values), text)


def _value(column: Column, value: Any, text: str) -> float:
    if column.discrete:
        for code, known in enumerate(column.values):
            if known == value or str(known).strip() == str(value).strip():
                return float(code)
        names = [str(item) for item in column.values]
        listed = ", ".join(names[:10]) + (", ..." if len(names) > 10 else "")
        raise BadInput(
            f'--where {text}: no row has {column.name} "{value}"{did_you_mean(str(value), names)}. Values: {listed}'
        )
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
    comma = column.as_text and column.number is not None and column.number.decimal == ","
    plain = numbers.read([str(value)], comma)
    return None if plain is None else float(plain.values[0])


def given(conditions: Sequence[Condition], schema: Schema) -> dict[str, Any]:
    """Column -> value of the conditions that ask for one value of a category or of a number with few values."""
    found: dict[str, Any] = {}
    for condition in conditions:
        column = schema[condition.column]
        if condition.sign == "=" and len(condition.values) == 1 and (column.discrete or column.levels):
            found[condition.column] = int(condition.values[0]) if column.discrete else condition.values[0]
    return found
