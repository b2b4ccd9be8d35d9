"""The columns of a table, and its rows as numbers: ``Schema`` reads a table into a ``Frame`` and writes frames as tables."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ganloom.core import config
from ganloom.core.errors import BadInput, did_you_mean
from ganloom.tables import detect, reading
from ganloom.tables.column import TEXT, Column

Frame = dict[str, NDArray[Any]]
"""Column name -> float64 (n,) with NaN for missing cells, or int64 (n,) category codes with -1; modelled columns only."""


@dataclass(frozen=True)
class Schema:
    """The columns of a table and how its file is written."""

    columns: tuple[Column, ...]
    format: dict[str, Any] = field(default_factory=dict)
    rows: int = 0

    def __getitem__(self, name: str) -> Column:
        for column in self.columns:
            if column.name == name:
                return column
        raise BadInput(f'there is no column "{name}"{did_you_mean(name, self.names)}. Columns: {", ".join(self.names)}')

    @property
    def names(self) -> list[str]:
        """The names of all columns."""
        return [column.name for column in self.columns]

    @property
    def modelled(self) -> list[Column]:
        """The columns that a model learns."""
        return [column for column in self.columns if column.modelled]

    @property
    def headers(self) -> tuple[str, ...]:
        """The names as they are in the file."""
        return tuple(column.header for column in self.columns)

    # ---- reading and writing
    def read(self, source: reading.Source) -> Frame:
        """Read another table with the same columns as numbers, such as held-out rows or a synthetic table.

        Categories that this schema does not have become -1.

        Raises:
            BadInput: A column is missing, or its cells cannot be read as the column's type.
        """
        frame: Frame = {}
        for column in self.modelled:
            if column.name not in source.frame.columns:
                near = did_you_mean(column.name, list(map(str, source.frame.columns)))
                raise BadInput(
                    f'{source.name} has no column "{column.name}"{near}. It must have the columns of the table'
                )
            dtype = source.dtypes[list(source.frame.columns).index(column.name)]
            frame[column.name] = _values_like(column, source.frame[column.name], dtype, source)
        return frame

    def table(self, frame: Frame, n: int, rng: np.random.Generator) -> Any:
        """Return a frame as a pandas frame with all columns; identifiers, texts and constants are made.

        Args:
            frame: Values of all modelled columns.
            n: Number of rows.
            rng: Source of random numbers for identifiers and texts.
        """
        pd = reading.pandas()
        series = []
        for column in self.columns:
            cells = column.cells(frame[column.name]) if column.modelled else generated(column, n, rng)
            if column.as_text:
                gone = column.missing_text or ("" if column.dtype == TEXT else None)
                cells = [gone if cell is None else cell for cell in cells]
            series.append(column.series(cells, pd))
        table = pd.concat(series, axis=1) if series else pd.DataFrame()
        table.columns = self.format.get("labels") or list(self.headers)
        return table

    # ---- as JSON
    def to_dict(self) -> dict[str, Any]:
        """Return the schema as JSON values."""
        return {
            "columns": [config.to_dict(column) for column in self.columns],
            "format": self.format,
            "rows": self.rows,
        }

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "Schema":
        """Read what ``to_dict`` returned. Raises BadInput if it is damaged."""
        columns = tuple(config.from_dict(Column, item, "column") for item in values["columns"])
        return cls(columns, dict(values["format"]), int(values["rows"]))


def learn(source: reading.Source, types: str | Mapping[str, str] | None = None) -> tuple[Schema, Frame, list[str]]:
    """Find the columns of a table.

    Args:
        source: The table.
        types: Corrections of the types; see ``detect.parse_types``.

    Returns:
        The schema, its rows as numbers, and notes for the user.

    Raises:
        BadInput: A corrected column does not exist, or its cells cannot be read as its type.
    """
    wanted = detect.parse_types(types)
    names = list(map(str, source.frame.columns))
    for name in wanted:
        if name not in names:
            raise BadInput(f'--types names the column "{name}"{did_you_mean(name, names)}. Columns: {", ".join(names)}')
    columns, frame, notes = [], {}, list(source.notes)
    for name, header, dtype in zip(names, source.headers, source.dtypes, strict=True):
        found = detect.find(name, header, source.frame[name], dtype, wanted.get(name), _comma(source))
        columns.append(found.column)
        notes += found.notes
        if found.column.modelled:
            frame[name] = found.values
    return Schema(tuple(columns), dict(source.format), len(source.frame)), frame, notes


def _comma(source: reading.Source) -> bool:
    return bool(source.format.get("decimal_comma"))


def _values_like(column: Column, series: Any, dtype: str, source: reading.Source) -> NDArray[Any]:
    """The values of a column of another table, read as the type of this one."""
    wanted = column.kind
    if dtype != TEXT and column.as_text:  # such as a pandas frame beside a CSV file
        series, dtype = series.map(lambda cell: "" if cell is None or cell != cell else str(cell)), TEXT
    try:
        found = detect.find(
            column.name, column.header, series, dtype, wanted if dtype == TEXT else None, _comma(source)
        )
    except BadInput as error:
        why = str(error).partition(": ")[2]
        raise BadInput(
            f'{source.name}: the column "{column.name}" is of type {wanted} in the real table, but {why}'
        ) from None
    if column.discrete:
        if found.column.modelled and found.column.discrete:
            place = {(type(v).__name__, v): i for i, v in enumerate(column.values)}
            codes = [place.get((type(v).__name__, v), -1) for v in found.column.values]
            return np.array([*codes, -1], np.int64)[found.values]
        constant = found.column.values[0] if found.column.kind == "constant" else None
        code = column.values.index(constant) if constant in column.values else -1
        return np.full(len(series), code, np.int64)
    if found.column.continuous:
        return found.values
    if found.column.kind == "constant" and isinstance(found.column.values[0], int | float):
        return np.full(len(series), float(found.column.values[0]))
    if found.column.kind == "empty":
        return np.full(len(series), np.nan)
    if found.column.kind == "id" and dtype != TEXT:
        return np.asarray(series.to_numpy(dtype=float, na_value=np.nan))
    raise BadInput(f'{source.name}: the column "{column.name}" does not hold values of the type {column.kind}')


def generated(column: Column, n: int, rng: np.random.Generator) -> list[Any]:
    """The cells of a column that no model learns; missing ones are None.

    Args:
        column: A constant, an identifier, a text or an empty column.
        n: Number of rows.
        rng: Source of random numbers.
    """
    if column.kind == "empty":
        return [None] * n
    if column.kind == "constant":
        value = column.values[0]
        if column.unit:  # a number of a typed column
            cell = Column(column.name, column.header, column.unit, column.dtype, decimals=column.decimals)._cell(value)  # type: ignore[arg-type]
            return [cell] * n
        return [value] * n
    cells = _number_ids(column, n, rng) if column.unit else _texts(column, n, rng)
    if column.missing:
        gone = rng.random(n) < column.missing / max(column.rows, 1)
        cells = [None if lost else cell for cell, lost in zip(cells, gone, strict=True)]
    return cells


def _texts(column: Column, n: int, rng: np.random.Generator) -> list[Any]:
    assert column.pattern is not None
    return list(column.pattern.make(n, rng))


def _number_ids(column: Column, n: int, rng: np.random.Generator) -> list[Any]:
    """Whole numbers that are none of the originals: after the last one, or random ones as long as they are."""
    assert column.low is not None and column.high is not None
    if column.unit == "sequence":
        numbers = [int(column.high) + 1 + i for i in range(n)]
    else:
        assert column.pattern is not None
        made = column.pattern.make(4 * n + 20, rng)
        kept = [int(text) for text in dict.fromkeys(made) if text.lstrip("-") and not text.lstrip("-").startswith("0")]
        kept = [number for number in kept if column.low <= number <= column.high][:n]
        numbers = kept + [int(column.high) + 1 + i for i in range(n - len(kept))]
    if not column.as_text:
        most = _largest(column.dtype)
        if max(numbers) > most:
            raise BadInput(
                f'column "{column.name}": identifiers of the type {column.dtype} end at {most}, and {n} new ones do not fit. '
                "Convert the column to int64 or text, and fit again"
            )
        return list(numbers)
    written = column.number
    return [str(number) if written is None else written.write(number, 0) for number in numbers]


def _largest(dtype: str) -> float:
    """The largest number of an integer dtype of numpy or pandas; infinite for others."""
    name = dtype.lower()
    return int(np.iinfo(name).max) if name.startswith(("int", "uint")) else np.inf
