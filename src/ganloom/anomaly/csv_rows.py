"""Read a CSV file of numbers: one row per sample, a header or none, any usual separator."""

import csv
import io
import math
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ganloom.core import csv_text
from ganloom.core.errors import BadInput
from ganloom.core.names import shown

ENDINGS = (".csv", ".tsv")
SEPARATORS = ",;\t|"
_COMMA = re.compile(r"\s*[-+]?\d*,\d+(?:[eE][-+]?\d+)?\s*")


@dataclass(frozen=True)
class Table:
    """Rows of numbers.

    Attributes:
        rows: (N, d) float64.
        columns: d names; "1", "2", ... if the file has no header.
        named: Whether the file has a header.
    """

    rows: NDArray[np.float64]
    columns: list[str]
    named: bool


def is_table(path: object) -> bool:
    """Whether a path is that of a CSV file."""
    return isinstance(path, (str, Path)) and str(path).lower().endswith(ENDINGS) and Path(path).is_file()


def read(path: str | Path) -> Table:
    """Read a CSV file.

    Args:
        path: The file.

    Raises:
        BadInput: It holds no rows, a row has another number of values, or a value is not a finite number.
    """
    path = Path(path)
    numbered, comma = _lines(path)
    lines = [(i, [_point(cell, comma) for cell in row]) for i, row in numbered if any(cell.strip() for cell in row)]
    if not lines:
        raise BadInput(f"{path} is empty: give a CSV file with one row of numbers per sample")
    first = lines[0][1]
    named = not all(_is_number(cell) for cell in first)
    columns = [cell.strip() for cell in first] if named else [str(i + 1) for i in range(len(first))]
    twice = next((name for name in columns if columns.count(name) > 1), None)
    if named and twice is not None:
        raise BadInput(f"{path}: the header has the column {shown(twice)} twice. Rename one")
    rows = lines[1:] if named else lines
    if not rows:
        raise BadInput(f"{path} has a header and no rows")
    return Table(np.array([_numbers(path, i, row, columns) for i, row in rows], np.float64), columns, named)


def _point(cell: str, comma: bool) -> str:
    """A decimal comma as a point, in a file whose separator leaves the comma to decimals."""
    return cell.replace(",", ".") if comma and _COMMA.fullmatch(cell) else cell


def _lines(path: Path) -> tuple[list[tuple[int, list[str]]], bool]:
    """Return (line number, cells) of a file in UTF-8, UTF-16 with a mark or Latin-1, and whether a comma may be decimal."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise BadInput(f"cannot read {path}: {error.strerror or error}") from error
    encoding = "utf-16" if content[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError:
        text = content.decode("latin-1")
    head = next((line for line in text.splitlines() if line.strip()), "")
    separator = max(SEPARATORS, key=head.count)
    reader = csv_text.reader(io.StringIO(text, newline=""), delimiter=separator)
    try:
        return [(reader.line_num, row) for row in reader], separator != ","
    except csv.Error as error:
        raise BadInput(f"{path}, line {reader.line_num}: {error}") from error


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _numbers(path: Path, line: int, row: list[str], columns: list[str]) -> list[float]:
    if len(row) != len(columns):
        raise BadInput(f"{path}, line {line}: {len(row)} values, but the first line has {len(columns)}")
    values = []
    for cell, name in zip(row, columns, strict=True):
        value = float(cell) if _is_number(cell) else math.nan
        if not math.isfinite(value):
            what = f'"{shown(cell)}" is not a finite number' if cell.strip() else "the value is missing"
            raise BadInput(f"{path}, line {line}, column {shown(name)}: {what}. Fill it in, or leave the row out")
        values.append(value)
    return values
