"""Write report.html of a run folder while the model trains."""

import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ganloom import report
from ganloom.training.callbacks.base import Callback, Row

SLOWDOWN = 20.0
"""Shortest time between two reports, as a multiple of the time that the last one took."""


class Report(Callback):
    """Writes RUN/report.html at ticks and at the end.

    Args:
        every_seconds: Shortest time between two reports in seconds, except the last. If a report takes long to write, it is
            written less often, so that it takes at most a twentieth of the time.
        write: Writes the report of a run folder.
    """

    def __init__(self, every_seconds: float = 20.0, write: Callable[[Path], object] = report.write) -> None:
        self._every, self._write, self._written = every_seconds, write, -math.inf

    def on_tick(self, trainer: Any, row: Row) -> None:
        if trainer.run_dir is not None and time.monotonic() - self._written >= self._every:
            start = time.monotonic()
            self._write(Path(trainer.run_dir))
            self._written = time.monotonic()
            self._every = max(self._every, SLOWDOWN * (self._written - start))

    def on_end(self, trainer: Any, reason: str) -> None:
        if trainer.run_dir is not None:
            self._write(Path(trainer.run_dir))
