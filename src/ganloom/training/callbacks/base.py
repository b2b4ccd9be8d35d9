"""The base class of callbacks, which are called while a model trains."""

from typing import Any

Row = dict[str, Any]


class Callback:
    """Does nothing; override what you need."""

    def on_start(self, trainer: Any) -> None:
        """Before the first step, also of a resumed run."""

    def on_step(self, trainer: Any) -> None:
        """After each step."""

    def on_tick(self, trainer: Any, row: Row) -> None:
        """With the statistics since the last tick."""

    def on_end(self, trainer: Any, reason: str) -> None:
        """Once, however the run ended."""
