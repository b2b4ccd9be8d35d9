"""Read files of captions: tables and JSON lines with a column of file names, COCO and Karpathy JSON, and text beside images."""

import csv
import json
import re
from collections.abc import Iterator, Sequence
from typing import Any

from ganloom.core import json_files
from ganloom.core.errors import BadInput
from ganloom.data.side_files import FILE_COLUMNS, base_of, json_objects, table_rows

Pairs = list[tuple[str, str]]
"""(name of an image, caption), in the order of the file; an image may have several."""

TABLE_ENDINGS = ("csv", "tsv", "txt", "jsonl")
TEXT_ENDINGS = ("txt", "caption")
"""Endings of files that hold the captions of the one image of the same name."""

_TABLE = re.compile(
    r"(?:metadata\.(?:csv|tsv|jsonl)|(?:.*[-_.])?(?:captions?|results)\.(?:csv|tsv|txt|jsonl)|.*\.token\.txt)", re.I
)
_JSON = re.compile(r"(?:(?:.*[-_.])?captions?(?:[-_.].*)?|dataset(?:[-_.].+)?)\.json", re.I)
_TEXT_COLUMNS = ("text", "caption", "captions", "comment", "sentence", "sentences", "description", "prompt", "title")
_NUMBERED = re.compile(r"(?:text|caption|comment|sentence|description|prompt)[-_ ]?\d+")


class NotCaptions(Exception):
    """A file holds no captions; the message says why, for a note."""


def is_table(name: str) -> bool:
    """Whether a file's name says that it is a table of captions for many images."""
    base = name.rsplit("/", 1)[-1]
    return bool(_TABLE.fullmatch(base) or _JSON.fullmatch(base))


def may_hold_captions(name: str) -> bool:
    """Whether a file may hold captions, of many images or of one."""
    base = name.rsplit("/", 1)[-1]
    return not base.startswith(".") and (is_table(name) or base.rpartition(".")[2].lower() in TEXT_ENDINGS)


def decoded(content: bytes) -> str:
    """Decode text: UTF-8, or UTF-16 with a byte order mark.

    Raises:
        BadInput: it is neither; the message does not name the file.
    """
    try:
        if content[:2] in (b"\xff\xfe", b"\xfe\xff"):
            return content.decode("utf-16")
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise BadInput("it is not UTF-8 text; save it as UTF-8") from None


def parse(name: str, content: bytes, images: Sequence[str]) -> Pairs:
    """Parse a file of captions for many images.

    Args:
        name: its name without folders; the ending says what it is.
        content: its bytes.
        images: names of the images, to recognise a table without a header.

    Raises:
        NotCaptions: it is intact, but holds no captions.
        BadInput: it is damaged; the message does not name the file.
    """
    text = decoded(content)
    try:
        if name.lower().endswith(".json"):
            return _of_json(json_files.parse(text))
        if name.lower().endswith(".jsonl"):
            return _of_objects(json_objects(text))
        return _of_table(text, {base_of(image) for image in images}, name.lower().startswith("metadata"))
    except (ValueError, csv.Error) as error:
        raise BadInput(" ".join(str(error).split())[:100]) from None


def _of_objects(rows: Iterator[dict[str, Any]] | list[dict[str, Any]]) -> Pairs:
    """Pairs of objects with a key for the file and one or more for captions; a value may be a list."""
    pairs: Pairs = []
    columns: dict[str, None] = {}
    for row in rows:
        keys = {key.lower(): key for key in row}
        columns.update(dict.fromkeys(row))
        file = next((keys[name] for name in FILE_COLUMNS if name in keys), None)
        texts = _text_columns(list(keys))
        if file is not None:
            pairs += [(str(row[file]), text) for key in texts for text in _texts(row[keys[key]])]
    if not pairs:
        raise NotCaptions(_no_column(list(columns)))
    return pairs


def _texts(value: Any) -> list[str]:
    """The captions in a value: a text, a list of texts, or a list of objects with a text ("raw" in Karpathy's files)."""
    if isinstance(value, list):
        return [text for part in value for text in _texts(part)]
    if isinstance(value, dict):
        return _texts(next((value[key] for key in ("raw", "caption", "text", "sentence") if key in value), None))
    return ["" if value is None else str(value)]


def _text_columns(lower: list[str]) -> list[str]:
    named = [name for name in _TEXT_COLUMNS if name in lower][:1]
    return named or [name for name in lower if _NUMBERED.fullmatch(name)]


def _no_column(columns: Sequence[str]) -> str:
    listed = ", ".join(columns[:6]) or "none"
    return f"it has the columns {listed}, and needs one of file names (file_name) and one of captions (text or caption)"


def _of_json(content: Any) -> Pairs:
    """COCO, Karpathy, {name: caption or captions}, or a list of objects."""
    if isinstance(content, list) and all(isinstance(row, dict) for row in content):
        return _of_objects(content)
    if not isinstance(content, dict):
        raise NotCaptions("it is no object and no list of objects")
    images, annotations = content.get("images"), content.get("annotations")
    if isinstance(images, list) and isinstance(annotations, list):
        return _of_coco(images, annotations)
    if isinstance(images, list):
        return _of_objects([row for row in images if isinstance(row, dict)])
    if all(isinstance(value, (str, list)) for value in content.values()) and content:
        return [(name, text) for name, value in content.items() for text in _texts(value)]
    raise NotCaptions('it has no lists "images" and "annotations" as in COCO, and does not map file names to captions')


def _of_coco(images: list[Any], annotations: list[Any]) -> Pairs:
    files: dict[str, str] = {}
    for image in images:
        if not isinstance(image, dict) or "id" not in image or "file_name" not in image:
            raise ValueError('an entry of "images" has no id or no file_name')
        files[json.dumps(image["id"])] = str(image["file_name"])
    pairs: Pairs = []
    for one in annotations:
        if not isinstance(one, dict) or "image_id" not in one:
            raise ValueError('an entry of "annotations" has no image_id')
        if "caption" in one:  # other annotations are boxes
            missing = f"image_id {one['image_id']}"
            pairs.append((files.get(json.dumps(one["image_id"]), missing), _texts(one["caption"])[0]))
    if not pairs:
        raise NotCaptions("its annotations have no captions")
    return pairs


def _of_table(text: str, images: set[str], needs_names: bool) -> Pairs:
    """Pairs of a table with , ; tab or | between the cells. Two columns may have any names, or no header at all."""
    delimiter, rows = table_rows(text, ",;\t|", skipinitialspace=True)
    stripped = ((number, [cell.strip() for cell in row]) for number, row in rows)
    table = [(number, row) for number, row in stripped if any(row)]
    if not table:
        raise ValueError("it is empty")
    head = table[0][1]
    columns = [cell.lower() for cell in head]
    if len(columns) < 2:
        raise NotCaptions("it has one column: write the file name, a comma and the caption in each line")
    if _without_index(head[0]) in images:
        columns = ["file_name", *[""] * (len(columns) - 2), "text"]
    else:
        table = table[1:]
    file = next((columns.index(name) for name in FILE_COLUMNS if name in columns), None)
    chosen = [columns.index(name) for name in _text_columns(columns)]
    if len(columns) == 2 and not needs_names:
        file = 0 if file is None else file
        chosen = chosen or [1 - file]
    if file is None or not chosen or file in chosen:
        raise NotCaptions(_no_column(head))
    pairs: Pairs = []
    for number, row in table:
        if len(row) > len(columns) and chosen == [len(columns) - 1]:  # a caption with the delimiter in it, not quoted
            row = [*row[: len(columns) - 1], f"{delimiter} ".join(row[len(columns) - 1 :])]
        if len(row) != len(columns):
            raise ValueError(f"line {number} has {len(row)} columns and the first line {len(columns)}")
        pairs += [(row[file].rpartition("#")[0] if _is_indexed(row[file]) else row[file], row[i]) for i in chosen]
    return pairs


def _is_indexed(name: str) -> bool:
    """Whether a name ends with the number of its caption, as in Flickr8k: name.jpg#0."""
    return re.fullmatch(r".+\.\w+#\d+", name) is not None


def _without_index(name: str) -> str:
    return base_of(name.rpartition("#")[0] if _is_indexed(name) else name)
