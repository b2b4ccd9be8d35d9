"""Write metrics.jsonl of a run folder: one row of statistics per tick."""

import contextlib
import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ganloom.core.output_files import append_to, replace_file
from ganloom.training.callbacks.base import Callback, Row


def plain_json(row: Row) -> Row:
    """Return a row for standard JSON, with None instead of NaN and infinity."""
    return {name: None if isinstance(v, float) and not math.isfinite(v) else v for name, v in row.items()}


def rows(path: Path) -> Iterator[Row]:
    """Yield the rows of a metrics.jsonl that have "nimg"; damaged and incomplete lines are skipped."""
    for line in path.read_text(encoding="utf-8", errors="replace").split("\n") if path.is_file() else ():
        with contextlib.suppress(ValueError, RecursionError):
            row = json.loads(line)
            if isinstance(row, dict) and isinstance(row.get("nimg"), int):
                yield row


class Jsonl(Callback):
    """Writes RUN/metrics.jsonl, one row per tick. A resumed run gives the same rows as an uninterrupted one."""

    _path: Path | None = None
    _last = -1

    def on_start(self, trainer: Any) -> None:
        self._path = None if trainer.run_dir is None else Path(trainer.run_dir) / "metrics.jsonl"
        self._cut(trainer.start_nimg)

    def on_tick(self, trainer: Any, row: Row) -> None:
        if self._path is None:
            return
        if row["nimg"] <= self._last:  # the run went back to a checkpoint
            self._cut(row["nimg"] - 1)
        with append_to(self._path) as file:
            file.write(json.dumps(plain_json(row)) + "\n")
        self._last = row["nimg"]

    def _cut(self, nimg: int) -> None:
        """Remove rows after ``nimg``, damaged rows, and partial rows, which an uninterrupted run does not write."""
        self._last = -1
        if self._path is None or not self._path.exists():
            return
        lines = []
        for line in self._path.read_text(encoding="utf-8", errors="replace").split("\n"):
            with contextlib.suppress(ValueError, TypeError, KeyError):
                row = json.loads(line)
                if row["nimg"] <= nimg and not row.get("partial"):
                    lines.append(line + "\n")
                    self._last = row["nimg"]
        replace_file(self._path, "".join(lines).encode(), sync=False)
