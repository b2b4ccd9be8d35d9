"""Read texts and labels from tables: CSV, TSV, JSON lines, and a JSON array of objects."""

import csv
import io
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from ganloom.core import csv_text
from ganloom.core.errors import BadInput, did_you_mean
from ganloom.texts.texts import LONGEST, SPLITS, Texts, too_long

TEXT_COLUMNS = (
    "text", "sentence", "content", "review", "description", "body", "comment", "message", "tweet", "document", "caption", "title",
)  # fmt: skip
LABEL_COLUMNS = ("label", "labels", "class", "category", "target", "section", "sentiment", "topic", "class_name", "y")
ENDINGS = (".csv", ".tsv", ".jsonl", ".ndjson", ".json")


@dataclass(frozen=True)
class Columns:
    """Which columns to use.

    Attributes:
        text: The column of texts; None: by its name.
        label: The column of labels; None: by its name; "none": no labels.
    """

    text: str | None = None
    label: str | None = None


Row = tuple[int, dict[str, Any]]
"""A line number, and column -> value."""


def read_table(content: str, ending: str, name: str, columns: Columns) -> Texts:
    """Read a table.

    Args:
        content: The text of the file.
        ending: The file's suffix, one of ``ENDINGS``.
        name: The file, for messages.
        columns: Which columns to use.

    Raises:
        BadInput: The table is damaged, or the columns are missing.
    """
    rows = list(_csv_rows(content, ending, name) if ending in (".csv", ".tsv") else _json_rows(content, name))
    if not rows:
        raise BadInput(f"{name} has a header but no rows; give one text a row")
    known = list(dict.fromkeys(key for _, row in rows for key in row))
    text, label = _text_column(columns, known, rows, name), _label_column(columns, known, name)
    if label == text:
        raise BadInput(f'{name}: the column "{text}" cannot be both text and label; give --text and --label')
    found = _texts(rows, text, label, known, name)
    if label is None and columns.label is None and len(known) > 1:
        found.notes.append(f"no labels: the columns are {_listed(known)}; --label COLUMN uses one")
    return found


# -------------------------------------------------------------------------------------------------------------- rows


def table_text(rows: Sequence[dict[str, str]], ending: str) -> str:
    """Rows as the text of a table.

    Args:
        rows: At least one row, column -> cell; all have the same columns.
        ending: ".csv" or ".jsonl".
    """
    if ending == ".jsonl":
        return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    file = io.StringIO()
    writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return file.getvalue()


def _csv_rows(content: str, ending: str, name: str) -> Iterator[Row]:
    header = content.split("\n", 1)[0]
    delimiter = "\t" if ending == ".tsv" else max(",;\t|", key=header.count)
    reader = csv_text.reader(io.StringIO(content), delimiter=delimiter, strict=True)
    try:
        titles = [title.strip() for title in next(reader)]
        twice = next((title for title in titles if titles.count(title) > 1), None)
        if twice is not None:
            raise BadInput(f'{name}: two columns are named "{twice}"; rename one')
        for values in reader:
            if not values:
                continue
            if len(values) != len(titles):
                raise BadInput(
                    f"{name} line {reader.line_num}: {len(values)} values, but the header has {len(titles)}; "
                    "put texts that contain the separator in double quotes"
                )
            yield reader.line_num, dict(zip(titles, values, strict=True))
    except csv.Error as error:
        raise BadInput(f"{name} line {reader.line_num}: not valid CSV ({error}); check the double quotes") from error


def _json_rows(content: str, name: str) -> Iterator[Row]:
    if content.lstrip().startswith("["):
        try:
            values = json.loads(content)
        except (ValueError, RecursionError) as error:
            raise BadInput(f"{name} is not valid JSON ({str(error)[:100]}); give one object a line (.jsonl)") from error
        for i, value in enumerate(values):
            yield _object(value, i + 1, "item", name)
        return
    for number, line in enumerate(content.split("\n"), 1):
        if line.strip():
            try:
                value = json.loads(line)
            except (ValueError, RecursionError) as error:
                raise BadInput(f"{name} line {number} is not valid JSON ({str(error)[:100]})") from error
            yield _object(value, number, "line", name)


def _object(value: Any, number: int, what: str, name: str) -> Row:
    if isinstance(value, str):
        return number, {"text": value}
    if not isinstance(value, dict):
        raise BadInput(f'{name} {what} {number} is no JSON object; write each as {{"text": ..., "label": ...}}')
    return number, value


# ----------------------------------------------------------------------------------------------------------- columns


def _text_column(columns: Columns, known: Sequence[str], rows: Sequence[Row], name: str) -> str:
    if columns.text is not None:
        return _named(columns.text, known, "--text", name)
    usual = [column for wanted in TEXT_COLUMNS for column in known if column.lower() == wanted]
    if usual:
        return usual[0]
    others = [column for column in known if column.lower() not in LABEL_COLUMNS and column != columns.label]
    wordy = [column for column in others if _has_words(column, rows)]
    if len(wordy) == 1:
        return wordy[0]
    raise BadInput(f"{name}: no column of texts among {_listed(known)}; name it with --text COLUMN")


def _has_words(column: str, rows: Sequence[Row]) -> bool:
    """Whether most values of a column have several words."""
    values = [row.get(column) for _, row in rows[:200]]
    return 2 * sum(isinstance(value, str) and len(value.split()) > 1 for value in values) > len(values)


def _label_column(columns: Columns, known: Sequence[str], name: str) -> str | None:
    if columns.label == "none":
        return None
    if columns.label is not None:
        return _named(columns.label, known, "--label", name)
    return next((column for wanted in LABEL_COLUMNS for column in known if column.lower() == wanted), None)


def _named(column: str, known: Sequence[str], flag: str, name: str) -> str:
    if column not in known:
        raise BadInput(f"{flag} {column}: {name} has the columns {_listed(known)}{did_you_mean(column, known)}")
    return column


def _listed(known: Sequence[str]) -> str:
    names = [column if len(column) <= 40 else f"{column[:37]}..." for column in known]
    return ", ".join(names[:10]) + (f" and {len(names) - 10} more" if len(names) > 10 else "")


# ------------------------------------------------------------------------------------------------------------ values


def _texts(rows: Sequence[Row], text: str, label: str | None, known: Sequence[str], name: str) -> Texts:
    kept: list[tuple[str, str, str, str]] = []
    no_text = no_label = 0
    group, split = "group" if "group" in known else None, _split_column(rows, known, (text, label))
    for number, row in rows:
        value = row.get(text)
        if value is not None and not isinstance(value, str):
            raise BadInput(f'{name} line {number}: "{text}" is no text but {json.dumps(value)[:60]}')
        if value is None or not value.strip():
            no_text += 1
        elif len(value) > LONGEST:
            raise BadInput(f"{too_long(f'{name} line {number}', len(value))}. Split it into sentences or paragraphs")
        elif label is not None and _word(row.get(label)) == "":
            no_label += 1
        else:
            of = [_word(row.get(column)) if column else "" for column in (label, group, split)]
            kept.append((value.strip(), of[0], of[1], of[2]))
    notes = [f"{no_text} rows without a text were left out"] if no_text else []
    notes += [f'{no_label} rows without a label in "{label}" were left out'] if no_label else []
    if not kept:
        raise BadInput(f'{name}: no row has a text in "{text}"' + (f' and a label in "{label}"' if label else ""))
    columns = list(zip(*kept, strict=True))
    return Texts(
        columns[0],
        columns[1] if label else None,
        columns[2] if group else None,
        columns[3] if split else None,
        name,
        notes,
    )


def _split_column(rows: Sequence[Row], known: Sequence[str], used: Sequence[str | None]) -> str | None:
    if "split" not in known or "split" in used or any(row.get("split") not in SPLITS for _, row in rows):
        return None
    return "split"


def _word(value: Any) -> str:
    """A label as text: numbers, true and false as JSON writes them."""
    if value is None:
        return ""
    return value.strip() if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
