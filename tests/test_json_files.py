"""The one reader of our JSON files: what it refuses, and in what words."""

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NotRequired, TypedDict

import numpy as np
import pytest
from PIL import Image

from ganloom import data as datasets
from ganloom.core import json_files, metrics_file
from ganloom.core.errors import BadInput
from ganloom.runs import file_types


@dataclass(frozen=True)
class Facts:
    size: int = 0


class Kind(TypedDict):
    name: str
    count: NotRequired[int]
    share: NotRequired[float | None]
    pair: NotRequired[tuple[str, float]]
    rows: NotRequired[dict[str, list[bool]]]
    light: NotRequired[Literal["green", "red"]]
    facts: NotRequired[Facts]


GOOD = {
    "name": "x", "count": 3, "share": 1, "pair": ["a", 0.5], "rows": {"r": [True]}, "light": "red",
    "facts": {"size": 1, "new": 2}, "unknown": {"kept": []},
}  # fmt: skip


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "it is empty"),
        (b"{", "not valid JSON"),
        (b"\0\0", "not valid JSON"),
        (b"\xff{}", "not valid JSON"),
        (b"[]", "must hold a JSON object and holds a list of 0"),
        (b"null", "holds null"),
        (b"[" * 10_000 + b"]" * 10_000, "nested too deep"),
        (b'{"a":' * 100 + b"1" + b"}" * 100, "nested more than"),
        (b'{"name": ' + b"9" * 5_000 + b"}", "a whole number of 5000 digits"),
        (b'{"name": "a", "name": "b"}', "the key 'name' occurs twice"),
        (b'{"\\ud800a": 1}', "one half of a character"),
        (b'{"a": ["x\\uDFFF"]}', "one half of a character"),
        (b"{}", "name is missing"),
        (b'{"name": 3}', "name must be a text and is 3"),
        (b'{"name": "x", "count": true}', "count must be a whole number and is true"),
        (b'{"name": "x", "count": 1.5}', "count must be a whole number and is 1.5"),
        (b'{"name": "x", "share": 1e999}', "share must be a number and is Infinity"),
        (b'{"name": "x", "share": NaN}', "share must be a number and is NaN"),
        (b'{"name": "x", "pair": ["a"]}', "pair must have 2 entries and has 1"),
        (b'{"name": "x", "rows": {"r": [3]}}', "rows.r[0] must be true or false and is 3"),
        (b'{"name": "x", "light": "blue"}', "light must be one of green, red and is"),
        (b'{"name": "x", "facts": {"size": "3"}}', "facts.size must be a whole number and is"),
        (b'{"name": "x", "facts": []}', "facts must be an object and is a list of 0"),
    ],
)
def test_a_damaged_file_is_named_in_one_line(tmp_path: Path, content: bytes, why: str) -> None:
    path = tmp_path / "file.json"
    path.write_bytes(content)
    with pytest.raises(BadInput) as caught:
        json_files.read(path, Kind, "Delete it")
    text = str(caught.value)
    assert text.startswith(f"{path} is damaged: ") and why in text and text.endswith(". Delete it") and "\n" not in text


def test_a_good_file_is_read_with_unknown_keys_and_a_mark_of_windows_editors(tmp_path: Path) -> None:
    path = tmp_path / "file.json"
    path.write_bytes(b"\xef\xbb\xbf" + json.dumps(GOOD).encode())
    assert json_files.read(path, Kind) == GOOD


def test_a_file_name_that_is_not_utf8_and_a_character_of_two_halves_are_kept() -> None:
    for text in (os.fsdecode(b"a\xff.png"), "\U0001f600"):
        assert json_files.parse(json.dumps({text: [text]})) == {text: [text]}


def test_what_is_no_file_cannot_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for path in (tmp_path / "missing", tmp_path, tmp_path / "a\0b", tmp_path / ("n" * 300)):
        with pytest.raises(BadInput, match="cannot be read"):
            json_files.read(path)
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe")
        with pytest.raises(BadInput, match="not a regular file"):
            json_files.read(tmp_path / "pipe")
    (tmp_path / "large").write_bytes(b" " * 100)
    with pytest.raises(BadInput, match="MiB"):
        json_files.read(tmp_path / "large", limit=50)


def test_damaged_lines_are_skipped_one_by_one(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    assert json_files.read_lines(path) == [] and metrics_file.read_rows(path) == []
    good = [{"nimg": 8, "kimg": 0.008, "D/adv": 1.5, "doctor": "green", "fd": None}, {"nimg": 16, "kimg": 0.016}]
    bad: list[Any] = [
        "3", "[]", "{", "\0", '{"nimg": true}', '{"nimg": -1}', '{"nimg": 1, "kimg": "2"}', '{"nimg": 1, "kimg": 1e999}',
        '{"nimg": 1, "seconds": []}', '{"nimg": 1, "D/adv": {"x": 1}}', "[" * 10_000, '{"nimg": ' + "9" * 5_000 + "}",
    ]  # fmt: skip
    path.write_text("\n".join([json.dumps(good[0]), *bad, "", json.dumps(good[1]), '{"nimg": 24, "kim']))
    assert metrics_file.read_rows(path) == good
    assert metrics_file.row_of({"nimg": 500}) == {"nimg": 500, "kimg": 0.5}


def test_errors_of_what_a_file_describes_name_the_file(tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    for error in (
        BadInput("--width must be at least 1"),
        ZeroDivisionError("by zero"),
        RuntimeError("a\nb"),
        RecursionError(),
    ):
        with pytest.raises(BadInput) as caught, json_files.blaming(path, "a model that cannot be built"):
            raise error
        assert str(caught.value).startswith(str(path)) and "\n" not in str(caught.value)


def test_missing_files_of_a_run_are_empty(tmp_path: Path) -> None:
    assert file_types.read(tmp_path / "run.json") == {}


def test_a_changed_label_in_the_cache_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GANLOOM_CACHE", str(tmp_path / "cache"))
    for i in range(4):
        (tmp_path / "set" / f"c{i % 2}").mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((8, 8, 3), 9 * i, np.uint8)).save(tmp_path / "set" / f"c{i % 2}" / f"{i}.png")
    before = datasets.open(tmp_path / "set").labels
    (meta,) = (tmp_path / "cache" / "stores").glob("*/meta.json")
    saved = json.loads(meta.read_text())
    saved["notes"]["labels"][0] = 1
    meta.write_text(json.dumps(saved))
    assert np.array_equal(datasets.open(tmp_path / "set").labels, before)
    assert json.loads(meta.read_text())["notes"]["labels"][0] == 0, "the entry is built again"
