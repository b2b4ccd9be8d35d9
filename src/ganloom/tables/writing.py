"""Write a table in the format of the file that it was learned from, or by the ending of the name."""

import csv
import io
import os
from pathlib import Path
from typing import Any

from ganloom.core.errors import BadInput, need
from ganloom.core.names import as_path
from ganloom.core.output_files import written
from ganloom.tables import EXTRA
from ganloom.tables.reading import PARQUET

OTHER = (
    ".json",
    ".jsonl",
    ".xlsx",
    ".xls",
    ".ods",
    ".html",
    ".xml",
    ".feather",
    ".pkl",
    ".gz",
    ".zip",
    ".db",
    ".sqlite",
)
"""Endings of files that are neither text nor Parquet."""


def write(
    frame: Any,
    path: str | os.PathLike[str],
    format: dict[str, Any],
    headers: tuple[str, ...],
    *,
    overwrite: bool = False,
) -> Path:
    """Write a pandas frame.

    Args:
        frame: The frame.
        path: The new file; .parquet is Parquet, all else is text.
        format: How the source was written; see ``reading.Source``. A text file is written like it.
        headers: The names of the columns.
        overwrite: Replace an existing file.

    Returns:
        The path.

    Raises:
        BadInput: The file exists, cannot be written, or has the ending of another format.
    """
    target = as_path(path)
    check_ending(target)
    try:
        with written(target, overwrite=overwrite) as temporary:
            if target.suffix.lower() in PARQUET:
                need("pyarrow", EXTRA)
                frame.to_parquet(temporary, index=False)
            else:
                temporary.write_bytes(text_of(frame, format, headers))
    except OSError as error:
        raise BadInput(f"cannot write {target}: {error.strerror or error}") from None
    return target


def check_ending(path: Path) -> None:
    """Refuse the ending of a format in which tables are not written."""
    if path.suffix.lower() in OTHER:
        raise BadInput(f"{path}: tables are written as text (.csv) or Parquet (.parquet). Choose one of these endings")


def text_of(frame: Any, format: dict[str, Any], headers: tuple[str, ...]) -> bytes:
    """The frame as the bytes of a text file; missing cells are empty, cells that are text already are written as they are."""
    text = io.StringIO()
    separator = format.get("separator", ",")
    writer = csv.writer(text, delimiter=separator, lineterminator=format.get("newline", "\n"))
    if format.get("has_header", True):
        writer.writerow(headers)
    columns = [[_cell(value) for value in frame.iloc[:, i].tolist()] for i in range(frame.shape[1])]
    for row in zip(*columns, strict=True):
        if len(row) == 1 and row[0] == "":
            text.write('""' + format.get("newline", "\n"))
            continue
        writer.writerow(row)
    encoding = format.get("encoding", "utf-8")
    content = text.getvalue()
    try:
        return content.encode(encoding)
    except UnicodeEncodeError:
        return content.encode("utf-8")


def _cell(value: Any) -> str:
    if value is None or value != value or str(value) in ("NaT", "<NA>"):
        return ""
    return str(value)
