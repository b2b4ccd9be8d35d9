"""Write metrics.jsonl of a run folder: one row of statistics per tick."""

import json
import math
from pathlib import Path
from typing import Any

from ganloom.core import json_files, metrics_file
from ganloom.core.output_files import append_to, replace_file
from ganloom.training.callbacks.base import Callback, Row


def plain_json(row: Row) -> Row:
    """Return a row for standard JSON, with None instead of NaN and infinity."""
    return {name: None if isinstance(v, float) and not math.isfinite(v) else v for name, v in row.items()}


class Jsonl(Callback):
    """Writes RUN/metrics.jsonl, one row per tick. A resumed run gives the same rows as an uninterrupted one."""

    _path: Path | None = None
    _last = -1

    def on_start(self, trainer: Any) -> None:
        self._path = None if trainer.run_dir is None else Path(trainer.run_dir) / "metrics.jsonl"
        self._cut(trainer, trainer.start_nimg)

    def on_tick(self, trainer: Any, row: Row) -> None:
        if self._path is None:
            return
        if row["nimg"] <= self._last:  # the run went back to a checkpoint
            self._cut(trainer, row["nimg"] - 1)
        with append_to(self._path) as file:
            file.write(json.dumps(plain_json(row)) + "\n")
        self._last = row["nimg"]

    def _cut(self, trainer: Any, nimg: int) -> None:
        """Remove rows after ``nimg``, damaged rows, and partial rows, which an uninterrupted run does not write."""
        self._last = -1
        if self._path is None or not self._path.exists():
            return
        lines, before = [], json_files.read_lines(self._path)
        for line in before:
            row = metrics_file.row_of(line.value)
            if row is not None and row["nimg"] <= nimg and not row.get("partial"):
                lines.append(line.text + "\n")
                self._last = row["nimg"]
        damaged = sum(metrics_file.row_of(line.value) is None for line in before[:-1])  # a kill leaves half a last line
        if damaged:
            trainer.event("warning", f"{self._path} had {damaged} damaged lines, which are removed")
        replace_file(self._path, "".join(lines).encode(), sync=False)
