"""Read metrics.jsonl of a run folder: one row of statistics per tick."""

import math
from pathlib import Path
from typing import Any

from ganloom.core import json_files

CLOCK = ("kimg", "seconds", "step", "img_per_s")
"""Keys of a row that must be numbers if they are there."""


def row_of(value: dict[str, Any] | None) -> dict[str, Any] | None:
    """Return a line's object as a row; None if it is damaged.

    Args:
        value: The object of a line, or None.

    Returns:
        A row in which ``nimg`` is a whole number, ``kimg`` is a finite number and every other value is a number, a text, true,
        false or None.
    """
    if value is None or not _is(value.get("nimg"), int) or value["nimg"] < 0:
        return None
    if not all(_is(value[name], int | float) and math.isfinite(value[name]) for name in CLOCK if name in value):
        return None
    if any(isinstance(item, dict | list) for item in value.values()):
        return None
    return value if "kimg" in value else value | {"kimg": value["nimg"] / 1000}


def read_rows(path: Path) -> list[dict[str, Any]]:
    """Read the rows of a metrics.jsonl; damaged lines are skipped.

    Args:
        path: The file. It need not exist.

    Returns:
        The rows; see ``row_of``.
    """
    return [row for line in json_files.read_lines(path) if (row := row_of(line.value)) is not None]


def _is(value: Any, kinds: Any) -> bool:
    return isinstance(value, kinds) and not isinstance(value, bool)
