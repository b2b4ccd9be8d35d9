"""What files of labels and files of captions have in common: columns of file names, forms of a name, JSON lines and tables."""

import io
from collections.abc import Iterator
from typing import Any

from ganloom.core import csv_text, json_files

FILE_COLUMNS = (
    "file_name", "filename", "file", "image", "image_name", "img", "path", "filepath", "file_path", "image_path", "name",
    "image_id", "id",
)  # fmt: skip
"""Names of a column of file names, in lower case, in order of priority."""


def whole(name: str) -> str:
    """A path with "/" between its parts, without "./" or "/" at its beginning."""
    return name.replace("\\", "/").removeprefix("./").lstrip("/")


def base_of(name: str) -> str:
    """The last part of a path with either kind of slash."""
    return name.replace("\\", "/").rsplit("/", 1)[-1]


def lines_of(text: str) -> Iterator[str]:
    """The lines of a text without their ends, which are those of files alone: a text in a line may hold U+2028 or U+0085."""
    return (line.removesuffix("\n") for line in io.StringIO(text, newline=None))


def json_objects(text: str) -> Iterator[dict[str, Any]]:
    """The object on each line that is not blank.

    Raises:
        ValueError: a line is damaged, or is no object; the message has its number.
    """
    for number, line in enumerate(lines_of(text), 1):
        if not line.strip():
            continue
        try:
            row = json_files.parse(line)
        except ValueError as error:
            raise ValueError(f"line {number}: {error}") from None
        if not isinstance(row, dict):
            raise ValueError(f"line {number} is not a JSON object")
        yield row


def table_rows(text: str, delimiters: str, **options: Any) -> tuple[str, Iterator[tuple[int, list[str]]]]:
    """Read the rows of a table, of which a quoted cell may hold line breaks.

    Args:
        text: The text of the file.
        delimiters: The possible delimiters; the one that the first line has most often is used.
        options: Options of ``csv.reader``.

    Returns:
        The delimiter, and (the number of the row's last line, cells) of each row.

    Raises:
        ValueError: the text holds a NUL byte.
        csv.Error: a quote is not closed; raised by the iterator.
    """
    if "\0" in text:
        raise ValueError("it holds bytes that are not text")
    first = next((line for line in lines_of(text) if line.strip()), "")
    delimiter = max(delimiters, key=first.count)
    reader = csv_text.reader(io.StringIO(text, newline=None), delimiter=delimiter, strict=True, **options)
    return delimiter, ((reader.line_num, row) for row in reader)
