"""The folder of a learned table: its files, and what to say where its training was interrupted."""

import contextlib
import json
import os
from pathlib import Path
from typing import Any

from ganloom.core import json_files
from ganloom.core.errors import BadInput
from ganloom.core.names import as_path, command_line, word_of
from ganloom.core.output_files import replace_file
from ganloom.core.stop_signals import said_when_stopped

FILE, ARRAYS = "table.json", "table.safetensors"
COMPARISON = "comparison.json"
"""The scores of a comparison of methods that has not ended."""
FAMILY = "family.json"
"""The file of two tables with a key between them."""
FORMAT = 1


def describe(folder: Path) -> dict[str, Any]:
    """Read table.json of a folder. Raises BadInput if there is none, or it is damaged."""
    if (folder / FAMILY).is_file():
        raise BadInput(
            f"{folder} holds two tables, and a report measures one. Leave out --run, and give the files of one of them"
        )
    if compares(folder):
        again = command_line(["ganloom", "resume", word_of(folder)])
        raise BadInput(f"the comparison of methods in {folder} is not finished. Continue it with `{again}`")
    if not (folder / FILE).is_file():
        raise BadInput(
            f"{folder} is not the folder of a table (it has no {FILE}). Give the folder of `ganloom table fit`"
        )
    described = read_json(folder / FILE)
    needed = {
        "state",
        "chosen",
        "fitted",
        "donors",
        "preparation",
        "target",
        "seed",
        "choice",
        "notes",
        "held_rows",
        "asked",
    }
    if described.get("kind") != "ganloom table" or needed - described.keys():
        raise BadInput(f"{folder / FILE} is damaged. Fit the table again")
    if described.get("format", 0) > FORMAT:
        raise BadInput(f"{folder} was written by a newer ganloom. Update ganloom")
    return described


def read_json(file: Path) -> dict[str, Any]:
    """Read a JSON file of a table. Raises BadInput if it is damaged."""
    try:
        value = json_files.parse(file.read_bytes())
    except (OSError, ValueError) as error:
        raise BadInput(f"{file} is damaged ({error}). Fit the table again") from None
    if not isinstance(value, dict):
        raise BadInput(f"{file} is damaged (it holds no JSON object). Fit the table again")
    return value


def write_json(file: Path, value: dict[str, Any]) -> None:
    """Write a JSON file of a table."""
    replace_file(file, (json.dumps(value, indent=1, ensure_ascii=False) + "\n").encode())


def is_table(path: str | os.PathLike[str]) -> bool:
    """Whether a folder was written by ``Table``: finished, in training, or in the comparison of methods."""
    return any((as_path(path) / name).is_file() for name in (FILE, COMPARISON))


def compares(path: Path) -> bool:
    """Whether a folder holds a comparison of methods that has not ended."""
    return (path / COMPARISON).is_file() and not (path / FILE).is_file()


def check_new(path: Path) -> None:
    """Raise BadInput unless a folder is new or empty."""
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        if compares(path):
            again = command_line(["ganloom", "resume", word_of(path)])
            raise BadInput(
                f"{path} holds a stopped comparison of methods. Continue it with `{again}`, or choose another --out"
            )
        if is_table(path):
            raise BadInput(f"{path} already holds a table. Choose another --out")
        raise BadInput(f"{path} is not a new or empty folder. Choose another --out")


def continued_by_resume(folder: Path | None, what: str = "the training") -> contextlib.AbstractContextManager[None]:
    """Name the folder of the table, and not that of its network, in the message of an interrupted training.

    Args:
        folder: The folder; None: nothing can be continued.
        what: What was stopped.
    """

    def text(by: str) -> str:
        if folder is not None and is_table(folder):
            return f"stopped; {what} is saved, next: {command_line(['ganloom', 'resume', word_of(folder)])}"
        return "stopped; nothing is saved yet: run the same command again"

    return said_when_stopped(text)
