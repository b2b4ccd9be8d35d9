"""Read a table: CSV files of any encoding and separator, Parquet files, and pandas data frames."""

import csv
import io
import os
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ganloom.core import csv_text
from ganloom.core.errors import BadInput, need
from ganloom.core.names import as_path, shown
from ganloom.tables import EXTRA, numbers, times
from ganloom.tables.column import TEXT
from ganloom.tables.decoding import decode, is_json, unpacked

SEPARATORS = (",", ";", "\t", "|", ":", " ")
PARQUET = (".parquet", ".pq", ".parq")


@dataclass(frozen=True)
class Source:
    """A table as it was read.

    Attributes:
        frame: The pandas frame with a unique name for each column; cells of text files are strings.
        headers: The names of the columns in the file, which may repeat.
        dtypes: ``column.TEXT`` for text files, else the pandas dtype of each column.
        format: How a text file was written: encoding, separator, newline, quote; {"kind": "parquet"} or {"kind": "frame"}.
        notes: What the user should know.
    """

    frame: Any
    headers: tuple[str, ...]
    dtypes: tuple[str, ...]
    format: dict[str, Any]
    name: str
    notes: tuple[str, ...] = field(default=())

    @property
    def comma(self) -> bool:
        """Whether the file separates its cells by a mark that leaves the comma to decimals."""
        return self.format.get("separator") in (";", "\t", "|") and self.format.get("decimal_comma", False)


def pandas() -> Any:
    """Import pandas. Raises MissingExtra if it is not installed."""
    return need("pandas", EXTRA)


def read(source: Any) -> Source:
    """Read a table.

    Args:
        source: The path of a text or Parquet file, a pandas frame, or anything that ``pandas.DataFrame`` takes.

    Raises:
        BadInput: The file does not exist, or is no table.
        MissingExtra: pandas or pyarrow is not installed.
    """
    if isinstance(source, Source):
        return source
    if isinstance(source, str | os.PathLike):
        return _read_file(as_path(os.path.expanduser(os.fspath(source))))
    pd = pandas()
    if not isinstance(source, pd.DataFrame) and hasattr(source, "to_pandas"):  # polars, pyarrow
        source = source.to_pandas()
    try:
        frame = source if isinstance(source, pd.DataFrame) else pd.DataFrame(source)
    except (ValueError, TypeError) as error:
        raise BadInput(f"this is no table: {error}. Give a path, a pandas frame or a dictionary of columns") from None
    if frame.columns.nlevels > 1:
        raise BadInput(
            f"the columns of the frame have {frame.columns.nlevels} levels. Give each column one name, such as "
            'frame.columns = ["_".join(map(str, names)) for names in frame.columns]'
        )
    labels = [int(x) if isinstance(x, int | np.integer) else str(x) for x in frame.columns]
    return _of_frame(frame, {"kind": "frame", "labels": labels}, "the frame")


def _read_file(path: Path) -> Source:
    if path.is_dir():
        raise BadInput(f"{path} is a folder. Give a CSV or Parquet file")
    if not path.exists():
        raise BadInput(f"there is no file {path}. Give a CSV or Parquet file")
    if path.suffix.lower() in PARQUET or _starts_with(path, b"PAR1"):
        pd = pandas()
        need("pyarrow", EXTRA)
        try:
            frame = pd.read_parquet(path, engine="pyarrow")
        except Exception as error:
            raise BadInput(f"cannot read {path} as Parquet: {' '.join(str(error).split())[:150]}") from None
        return _of_frame(frame, {"kind": "parquet"}, path.name)
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise BadInput(f"cannot read {path}: {error.strerror or error}") from None
    raw = unpacked(raw, path)
    if raw.startswith(b"PK\x03\x04") or path.suffix.lower() in (".xlsx", ".xls", ".ods"):
        raise BadInput(f"{path} is a spreadsheet or an archive. Save the table as CSV or Parquet")
    return _of_text(raw, path)


def _starts_with(path: Path, mark: bytes) -> bool:
    try:
        with open(path, "rb") as file:
            return file.read(len(mark)) == mark
    except OSError:
        return False


# ---- frames
def _of_frame(frame: Any, written: dict[str, Any], name: str) -> Source:
    notes = []
    index = frame.index
    if frame.shape[1] == 0 or not len(frame):
        raise BadInput(f"{name} has {len(frame)} rows and {frame.shape[1]} columns: give at least one of each")
    if index.name is not None or index.nlevels > 1:
        notes.append(f"the index {shown(str(index.names))} is not part of the table; call reset_index() to include it")
    headers = tuple(str(header) for header in frame.columns)
    names = unique_names(headers)
    frame = frame.copy(deep=False).reset_index(drop=True)
    frame.columns = names
    notes += _repeated(headers, names)
    return Source(frame, headers, tuple(_dtype(frame[column]) for column in names), written, name, tuple(notes))


def _dtype(series: Any) -> str:
    name = str(series.dtype)
    return name if name != TEXT else "object"


def unique_names(headers: tuple[str, ...]) -> list[str]:
    """Names that differ: a header that comes again gets a number; one without text is named by its place."""
    names: list[str] = []
    for place, header in enumerate(headers):
        base = header.strip() or f"column_{place + 1}"
        name, number = base, 2
        while name in names or (name != base and name in headers):
            name, number = f"{base}_{number}", number + 1
        names.append(name)
    return names


def _repeated(headers: tuple[str, ...], names: list[str]) -> list[str]:
    changed = [f'"{h}" is called {n} here' for h, n in zip(headers, names, strict=True) if h.strip() != n]
    return (
        [f"header names repeat or are empty: {', '.join(changed[:5])}; the output keeps the header"] if changed else []
    )


# ---- text files
def _of_text(raw: bytes, path: Path) -> Source:
    encoding, text, notes = decode(raw, path)
    if not text.strip():
        raise BadInput(f"{path} is empty")
    if "\0" in text[:10_000]:
        raise BadInput(f"{path} is not a text file. Give a CSV or Parquet file")
    if is_json(text):
        raise BadInput(
            f"{path} is JSON. Save the table as CSV or Parquet, for example with pandas.read_json(FILE).to_csv"
        )
    newline = "\r\n" if "\r\n" in text else "\n"
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    skipped = 0
    separator = ""
    first = text.split("\n", 1)[0].strip().lower()
    if first.startswith("sep=") and len(first) == 5:  # written by a spreadsheet program
        separator, skipped, text = first[4], 1, text.split("\n", 1)[1]
    separator = separator or _separator(text)
    rows, lines = _rows(text, separator, path)
    header, body = rows[0], rows[1:]
    if _is_number_row(header) and body and not any(_is_word(cell) for row in body[:20] for cell in row):
        header, body, lines = [f"column_{i + 1}" for i in range(len(header))], rows, [0, *lines]
        notes.append(
            "the first line holds numbers only: it is read as data, and the columns are called column_1, column_2, ..."
        )
    elif header is rows[0]:
        body, lines, more = _without_headers(header, body, lines, skipped)
        notes += more
    if not body:
        raise BadInput(f"{path} has a header, but no rows")
    width = len(header)
    for row, line in zip(body, lines[1:], strict=True):
        if len(row) != width:
            raise BadInput(
                f"{path}, line {line + skipped}: {len(row)} cells, but the header has {width} (separator {separator!r}). "
                "Correct the line, or quote cells that contain the separator"
            )
    pd = pandas()
    headers = tuple(header)
    names = unique_names(headers)
    notes += _repeated(headers, names)
    columns = list(zip(*body, strict=True))
    if header is rows[0] and (
        like := [cell for cell, cells in zip(header, columns, strict=True) if _is_data(cell, cells)]
    ):
        notes.append(
            f"the first line looks like a row ({', '.join(shown(cell) for cell in like[:3])}), but is read as the header: each "
            "synthetic file will begin with it. If the file has no header, add one"
        )
    frame = pd.DataFrame(
        {name: pd.Series(list(cells), dtype=object) for name, cells in zip(names, columns, strict=True)}
    )
    written = {
        "kind": "text", "encoding": encoding, "separator": separator, "newline": newline,
        "quoted": text.count('"') > len(body), "decimal_comma": _decimal_comma(body, separator),
        "has_header": header is rows[0],
    }  # fmt: skip
    return Source(frame, headers, (TEXT,) * width, written, path.name, tuple(notes))


def _separator(text: str) -> str:
    """The separator that splits the first lines into the same number of cells, at least two."""
    sample = "\n".join(text.split("\n")[:300])
    best, score = ",", 0.0
    for separator in SEPARATORS:
        try:
            rows = [row for row in csv_text.reader(io.StringIO(sample), delimiter=separator) if row]
        except csv.Error:
            continue
        widths = Counter(map(len, rows[:-1] or rows))
        width, count = widths.most_common(1)[0]
        if width < 2 or len(rows[0]) != width:
            continue
        share = count / sum(widths.values())
        found = share - 0.05 * SEPARATORS.index(separator) - (0.3 if separator in ": " else 0.0)
        if found > score:
            best, score = separator, found
    return best


def _rows(text: str, separator: str, path: Path) -> tuple[list[list[str]], list[int]]:
    """The rows and the number of the line on which each ends. Empty lines are no rows, except in a table of one column."""
    reader = csv_text.reader(io.StringIO(text), delimiter=separator, skipinitialspace=separator == " ")
    rows, lines = [], []
    try:
        for row in reader:
            if row:
                rows.append(row)
                lines.append(reader.line_num)
            elif rows and len(rows[0]) == 1:
                rows.append([""])
                lines.append(reader.line_num)
    except csv.Error as error:
        raise BadInput(f"{path}, line {reader.line_num}: {error}. Correct the quotes of the line") from None
    while rows and len(rows[0]) == 1 and rows[-1] == [""]:
        rows.pop()
        lines.pop()
    return rows, lines


def _without_headers(
    header: list[str], body: list[list[str]], lines: list[int], skipped: int
) -> tuple[list[list[str]], list[int], list[str]]:
    """The rows without those that repeat the header, as in joined files; their lines with that of the header; and a note."""
    if all(numbers.read([cell]) is not None for cell in header if cell.strip()):
        return body, lines, []
    again = [line + skipped for row, line in zip(body, lines[1:], strict=True) if row == header]
    if not again or len(again) == len(body):
        return body, lines, []
    kept = [(row, line) for row, line in zip(body, lines[1:], strict=True) if row != header]
    where = f"line{'s' * (len(again) > 1)} {', '.join(map(str, again[:5]))}{' and more' * (len(again) > 5)}"
    note = f"{where} repeat{'s' * (len(again) == 1)} the header and {'is' if len(again) == 1 else 'are'} left out"
    return [row for row, _ in kept], [lines[0], *(line for _, line in kept)], [note]


def _is_data(cell: str, cells: Sequence[str]) -> bool:
    """Whether a cell of the header is a decimal number or a date, as all of its column are."""
    some = [other for other in cells[:200] if other.strip()]
    if not cell.strip() or len(some) < 2:
        return False
    if re.search(r"\d[.,]\d", cell) and numbers.read([cell]) is not None:
        return numbers.read(some) is not None
    return times.read([cell]) is not None and times.read(some) is not None


def _is_number_row(cells: list[str]) -> bool:
    return all(cell.strip() and numbers.read([cell]) is not None for cell in cells)


def _is_word(cell: str) -> bool:
    return bool(cell.strip()) and numbers.read([cell]) is None


def _decimal_comma(body: list[list[str]], separator: str) -> bool:
    """Whether some number can only be read with a decimal comma, and none only with a decimal point."""
    comma = re.compile(
        r"[^\d]{0,4}[-−]?(?:\d{1,3}(?:[. \u00a0\u202f]\d{3})+,\d+|\d+,\d{1,2}|\d+,\d{4,}|0,\d+)[^\d]{0,4}"
    )
    point = re.compile(r"[^\d]{0,4}[-−]?(?:\d{1,3}(?:,\d{3})+\.\d+|\d+\.\d{1,2}|\d+\.\d{4,}|0\.\d+)[^\d]{0,4}")
    commas = points = 0
    for row in body[:500]:
        commas += sum(bool(comma.fullmatch(cell.strip())) for cell in row)
        points += sum(bool(point.fullmatch(cell.strip())) for cell in row)
    return commas > points
