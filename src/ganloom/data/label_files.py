"""Read files of labels beside images: dataset.json (NVlabs), metadata.csv, metadata.jsonl and labels.csv."""

import csv
import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

from ganloom.core import json_files
from ganloom.core.errors import BadInput
from ganloom.data.class_folders import stem
from ganloom.data.side_files import FILE_COLUMNS, base_of, json_objects, table_rows, whole

READ = ("dataset.json", "metadata.csv", "metadata.jsonl", "labels.csv")
"""The names of files of labels that are read, in order of priority."""

_ENDINGS = frozenset("txt csv tsv json jsonl xml mat npy npz pkl pickle parquet xls xlsx yml yaml".split())
_LOOKS = re.compile(
    r"(?:.*[-_. ])?(?:labels?|class(?:es)?|annotations?|targets?|categor(?:y|ies)|attr(?:ibutes?)?|metadata|train)"
    r"(?:[-_. ].*)?\.[a-z]+",
    re.IGNORECASE,
)
_LABEL_COLUMNS = ("label", "labels", "class", "class_name", "category", "target", "class_id", "cls")

_NUMBER = re.compile(r"0|-?[1-9][0-9]*")


class NotLabels(Exception):
    """A file holds no labels for these images; the message says why, for a note."""


class LabelTable(NamedTuple):
    """The content of a file of labels: (name of an image, label) in its order; None: it says that there are no labels."""

    pairs: list[tuple[str, Any]] | None


def looks_like_labels(name: str) -> bool:
    """Whether a file's name says that it may hold labels."""
    base = name.rsplit("/", 1)[-1]
    if base.startswith(".") or base.rpartition(".")[2].lower() not in _ENDINGS:
        return False
    return base.lower() in READ or _LOOKS.fullmatch(base) is not None


def parse(name: str, content: bytes, images: Sequence[str]) -> LabelTable:
    """Parse a file of labels.

    Args:
        name: its name, one of `READ`, without folders.
        content: its bytes.
        images: names of the images, to recognise a table without a header.

    Raises:
        NotLabels: it is intact, but holds no labels.
        BadInput: it is damaged; the message does not name the file.
    """
    try:
        if name.lower() == "dataset.json":
            return _dataset_json(json_files.parse(content))
        text = content.decode("utf-8-sig")
        if name.lower().endswith(".jsonl"):
            return _table(*_json_lines(text), False)
        return _table(*_csv_rows(text, images), name.lower().startswith("labels"))
    except UnicodeDecodeError:
        raise BadInput("it is not UTF-8 text") from None
    except (ValueError, csv.Error) as error:
        raise BadInput(" ".join(str(error).split())[:100]) from None


def match(pairs: Sequence[tuple[str, Any]], names: Sequence[str]) -> list[Any]:
    """The label of each image, by its name.

    Names are compared as they are; if that finds none, by their last part, then without endings.

    Args:
        pairs: (name of an image, label).
        names: names of the N images, relative to the file of labels.

    Returns:
        N labels.

    Raises:
        NotLabels: no image is named.
        BadInput: two labels for one image, or an image without a label; the message does not name the file.
    """
    exact = dict(pairs)
    if len(exact) == len(pairs) and all(
        exact.get(name) not in (None, "") for name in names
    ):  # the usual case, and fast
        return _as_numbers([exact[name] for name in names])
    best: tuple[int, dict[str, Any], list[str]] = (0, {}, [])
    for form in (whole, base_of, _whole_stem, _base_stem):
        own = [form(name) for name in names]
        if len(set(own)) < len(own):
            continue
        known = _known(pairs, form, set(own))
        found = sum(key in known for key in own)
        if found > best[0]:
            best = found, known, own
        if found == len(own):
            break
    found, known, own = best
    if not found:
        raise NotLabels("it names none of the images")
    missing = [name for name, key in zip(names, own, strict=True) if known.get(key) in (None, "")]
    if missing:
        raise BadInput(f"it has no label for {len(missing)} of {len(names)} images, such as {missing[0]}")
    return _as_numbers([known[key] for key in own])


def _as_numbers(labels: list[Any]) -> list[Any]:
    """Labels that are all whole numbers written as text, as numbers; other labels unchanged."""
    if all(isinstance(label, str) and _NUMBER.fullmatch(label) for label in labels):
        return [int(label) for label in labels]
    return labels


def _known(pairs: Sequence[tuple[str, Any]], form: Callable[[str], str], wanted: set[str]) -> dict[str, Any]:
    known: dict[str, Any] = {}
    for name, label in pairs:
        key = form(name)
        if key not in wanted:
            continue
        if key in known and known[key] != label:
            raise BadInput(f"it has the labels {known[key]} and {label} for one image, {name}")
        known[key] = label
    return known


def _whole_stem(name: str) -> str:
    return stem(whole(name))


def _base_stem(name: str) -> str:
    return stem(base_of(name))


def _dataset_json(content: Any) -> LabelTable:
    """NVlabs' form: {"labels": [[name, label], ...]}, {"labels": {name: label}} or {"labels": null}."""
    if not isinstance(content, dict) or "labels" not in content:
        raise NotLabels('it has no key "labels"')
    labels = content["labels"]
    if labels is None:
        return LabelTable(None)
    pairs = list(labels.items()) if isinstance(labels, dict) else labels
    if not isinstance(pairs, list) or not all(
        isinstance(pair, (list, tuple)) and len(pair) == 2 and isinstance(pair[0], str) for pair in pairs
    ):
        raise ValueError("labels must be a list of [name, label]")
    return LabelTable([(name, label) for name, label in pairs])


def _json_lines(text: str) -> tuple[list[str], Iterator[list[Any]]]:
    """The keys and the rows of a JSON object on each line."""
    rows = list(json_objects(text))
    columns = list(dict.fromkeys(key for row in rows for key in row))
    return columns, ([row.get(column) for column in columns] for row in rows)


def _csv_rows(text: str, images: Sequence[str]) -> tuple[list[str], Iterator[list[Any]]]:
    """The columns and the rows of a table. One without a header has the names of images in its first row too."""
    _, rows = table_rows(text, ",;\t")
    table = [(number, row) for number, row in rows if any(row)]
    if not table:
        raise ValueError("it is empty")
    columns = [cell.strip() for cell in table[0][1]]
    known = {form(name) for name in images for form in (whole, base_of)}
    if whole(columns[0]) in known and len(columns) == 2:
        columns, table = ["file_name", "label"], [(0, columns), *table]
    for number, row in table[1:]:
        if len(row) != len(columns):
            raise ValueError(f"line {number} has {len(row)} columns and the first line {len(columns)}")
    return columns, ([cell.strip() for cell in row] for _, row in table[1:])


def _table(columns: list[str], rows: Iterator[list[Any]], only_labels: bool) -> LabelTable:
    """The columns of file names and labels; with ``only_labels``, a second column of any name holds the labels."""
    lower = [column.lower() for column in columns]
    file = next((lower.index(name) for name in FILE_COLUMNS if name in lower), 0)
    others = [i for i in range(len(columns)) if i != file]
    label = next((lower.index(name) for name in _LABEL_COLUMNS if name in lower and lower.index(name) != file), None)
    if label is None and only_labels and len(others) == 1:
        label = others[0]
    if label is None:
        listed = ", ".join(columns[:6]) or "none"
        raise NotLabels(f"it has the columns {listed}, and none is named label")
    return LabelTable([(str(row[file]), row[label]) for row in rows])
