"""One column of a table: its type, its bounds and how its cells are written; conversion of cells to numbers and back."""

import datetime as dt
import decimal
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ganloom.core.errors import BadInput
from ganloom.tables import times
from ganloom.tables.durations import DurationFormat
from ganloom.tables.numbers import NumberFormat
from ganloom.tables.text import TextPattern
from ganloom.tables.times import TimeFormat

Kind = Literal[
    "integer", "float", "boolean", "category", "date", "time", "datetime", "duration", "constant", "id", "text", "empty"
]
KINDS: tuple[Kind, ...] = (
    "integer", "float", "boolean", "category", "date", "time", "datetime", "duration", "constant", "id", "text", "empty",
)  # fmt: skip
CONTINUOUS = ("integer", "float", "date", "time", "datetime", "duration")
TIMES = {"date": "%Y-%m-%d", "time": "%H:%M:%S", "datetime": "%Y-%m-%d %H:%M:%S"}
"""The types with a calendar or a clock, and their form in messages."""
DISCRETE = ("boolean", "category")
GENERATED = ("constant", "id", "text", "empty")
"""Columns that no model learns: constants are repeated, identifiers and texts are made anew."""
TEXT = "text"
"""The dtype of a column that was read from a text file."""
OBJECT_TEXT = "object:text"
"""The dtype of a pandas column of texts that are read as numbers, dates or times, such as "$1,200.50" or "24.12.2024"."""

CATEGORIES, ORDERED = "category", "category:ordered"
"""The dtypes of pandas categories without and with an order."""


def kind_named(name: str) -> Kind:
    """The type with this name, one of ``KINDS``."""
    return next(kind for kind in KINDS if kind == name)


@dataclass(frozen=True)
class Column:
    """A column as it was found in the data, or as the user corrected it."""

    name: str
    """A name that no other column has."""
    header: str
    """The name in the file."""
    kind: Kind
    """The type."""
    dtype: str = TEXT
    """"text" for cells of a text file, else the dtype of the pandas column, with the Python type of objects: "object:date"."""
    rows: int = 0
    """Number of rows in the data."""
    missing: int = 0
    """Number of missing cells."""
    missing_text: str = ""
    """How a missing cell is written in a text file."""
    low: float | None = None
    """Smallest number."""
    high: float | None = None
    """Largest number."""
    decimals: int | None = None
    """Decimals of the numbers; None: significant digits."""
    step: float = 0.0
    """All numbers are whole multiples of this apart; 0: no step."""
    levels: tuple[float, ...] = ()
    """All numbers of a column that has only a few different ones; empty for others."""
    values: tuple[str | int | float | bool, ...] = ()
    """The categories, or the constant."""
    number: NumberFormat | None = None
    """How numbers are written, for text cells."""
    time: TimeFormat | None = None
    """How dates and times are written, for text cells."""
    duration: DurationFormat | None = None
    """How durations are written, for text cells; None: as numbers."""
    pattern: TextPattern | None = None
    """How identifiers and texts are made."""
    unit: str = ""
    """The numbers of an identifier column: "" for text, "sequence" or "random" for numbers."""

    @property
    def continuous(self) -> bool:
        """Whether the values are ordered numbers."""
        return self.kind in CONTINUOUS

    @property
    def discrete(self) -> bool:
        """Whether the values are categories."""
        return self.kind in DISCRETE

    @property
    def modelled(self) -> bool:
        """Whether a model learns the column."""
        return self.kind not in GENERATED

    @property
    def as_text(self) -> bool:
        """Whether numbers and times are written as text."""
        return self.dtype in (TEXT, OBJECT_TEXT) or self.dtype.startswith("period")

    # ---- numbers
    def valid(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Bring numbers into the bounds, to the decimals and to the step of the column; NaN stays."""
        if self.low is None or self.high is None:
            return values
        if self.levels:
            return nearest(values, np.array(self.levels))
        out = np.clip(values, self.low, self.high)
        if self.step:
            steps = np.round((out - self.low) / self.step)
            last = np.floor((self.high - self.low) / self.step + 1e-9)
            out = self.low + np.minimum(steps, last) * self.step
        if self.decimals is not None:
            out = np.round(out, self.decimals)
        elif self.as_text:
            out = np.array([float(f"{v:.15g}") for v in out])
        return np.clip(out, self.low, self.high)

    # ---- to cells
    def cells(self, values: NDArray[Any]) -> list[Any]:
        """Return the cells of valid numbers or of category codes; missing cells are None.

        Args:
            values: float64 (n,) with NaN for continuous columns; int64 (n,) codes with -1 for discrete ones.
        """
        if self.discrete:
            return [None if code < 0 else self.values[code] for code in values.tolist()]
        return [None if value != value else self._cell(value) for value in self.valid(values).tolist()]

    def text_of(self, value: float) -> str:
        """Return a number as text for messages: as it is written in the data, else as 2024-01-31 12:00:00 or 28:46:30."""
        if self.kind in TIMES and not self.as_text:
            return times.moment_of(value, self.kind).strftime(TIMES[self.kind])
        if self.dtype.startswith("timedelta64"):
            return DurationFormat().write(value)
        return str(self.cells(np.array([value]))[0])

    def _cell(self, value: float) -> Any:
        if self.as_text:
            if self.time is not None:
                return self.time.write(value, self.kind)
            if self.duration is not None:
                return self.duration.write(value)
            written = self.number or NumberFormat()
            return written.write(value, self.decimals)
        if self.kind == "integer":
            return round(value)
        if self.dtype == "object:Decimal":
            return decimal.Decimal(f"{value:.{self.decimals or 0}f}")
        if self.kind in ("date", "time", "datetime") and self.dtype.startswith("object:"):
            moment = times.moment_of(value, self.kind)
            made: Any = {"date": moment.date, "time": moment.time, "datetime": moment.replace}[self.kind]()
            return made.replace(tzinfo=None) if isinstance(made, dt.datetime) else made
        return value

    def series(self, cells: Sequence[Any], pandas: Any) -> Any:
        """Return cells as a pandas column of the original dtype."""
        dtype = self.dtype
        if dtype == TEXT or dtype.startswith("object"):
            return pandas.Series(list(cells), dtype=object)
        if dtype.startswith("datetime64"):
            moments = [None if v is None else times.moment_of(v, self.kind).replace(tzinfo=None) for v in cells]
            plain = pandas.Series(pandas.to_datetime(pandas.Series(moments, dtype=object)))
            if "," in dtype:
                unit, _, zone = dtype.partition(",")
                return plain.dt.tz_localize("UTC").dt.tz_convert(zone.strip(" ]")).astype(dtype)
            return plain.astype(dtype)
        if dtype.startswith("timedelta64"):
            return pandas.Series(pandas.to_timedelta(pandas.Series(cells, dtype="float64"), unit="s")).astype(dtype)
        if dtype in (CATEGORIES, ORDERED):
            ordered = dtype == ORDERED
            return pandas.Series(pandas.Categorical(list(cells), categories=list(self.values), ordered=ordered))
        if dtype.startswith("period"):
            return pandas.Series(pandas.PeriodIndex(list(cells), dtype=dtype))
        if self.kind == "empty" and dtype.startswith(("int", "uint", "bool")):
            return pandas.Series([0] * len(cells), dtype=dtype)
        if any(cell is None for cell in cells) and dtype.startswith(("int", "uint")):
            raise BadInput(f'column "{self.name}" of type {dtype} cannot have missing values')
        return pandas.Series(list(cells)).astype(dtype)


def nearest(values: NDArray[np.float64], levels: NDArray[np.float64]) -> NDArray[np.float64]:
    """The nearest of sorted levels for each value; NaN stays."""
    if len(levels) == 1:
        return np.where(np.isnan(values), np.nan, levels[0])
    middles = (levels[1:] + levels[:-1]) / 2
    found = levels[np.searchsorted(middles, np.nan_to_num(values))]
    return np.where(np.isnan(values), np.nan, found)
