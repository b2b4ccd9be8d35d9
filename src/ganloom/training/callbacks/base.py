"""The base class of callbacks."""

from typing import Any

Row = dict[str, Any]


class Callback:
    """Base class of callbacks. Its methods do nothing; override those that you need."""

    def on_start(self, trainer: Any) -> None:
        """Called before the first step of a new or resumed run."""

    def on_stage(self, trainer: Any, what: str) -> None:
        """Called before something that may take long, such as saving a checkpoint.

        Args:
            trainer: The Trainer.
            what: What begins, in a few words.
        """

    def on_step(self, trainer: Any) -> None:
        """Called after each step."""

    def on_tick(self, trainer: Any, row: Row) -> None:
        """Called at each tick.

        Args:
            trainer: The Trainer.
            row: Statistics since the last tick, by name. A callback may add entries.
        """

    def on_end(self, trainer: Any, reason: str) -> None:
        """Called once at the end of the run.

        Args:
            trainer: The Trainer.
            reason: Why the run ended: "finished", "failed", "nan" or the name of the signal that stopped it.
        """
