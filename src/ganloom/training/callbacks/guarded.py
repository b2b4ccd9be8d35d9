"""A callback whose errors do not stop the training."""

import logging
from typing import Any

from ganloom.training.callbacks.base import Callback, Row


class Guarded(Callback):
    """Switches a callback off if it raises an exception, with one warning event, so that the training continues.

    KeyboardInterrupt is not caught.

    Args:
        callback: The callback.
    """

    def __init__(self, callback: Callback) -> None:
        self.callback: Callback | None = callback
        self.name = str(getattr(callback, "name", type(callback).__name__))

    def on_start(self, trainer: Any) -> None:
        self._try(trainer, "on_start")

    def on_step(self, trainer: Any) -> None:
        self._try(trainer, "on_step")

    def on_tick(self, trainer: Any, row: Row) -> None:
        self._try(trainer, "on_tick", row)

    def on_end(self, trainer: Any, reason: str) -> None:
        self._try(trainer, "on_end", reason)

    def _try(self, trainer: Any, method: str, *args: Any) -> None:
        if self.callback is None:
            return
        try:
            getattr(self.callback, method)(trainer, *args)
        except Exception as error:
            self.callback = None
            detail = " ".join(str(error).split())[:300]
            text = f"{self.name} switched off: {type(error).__name__}{': ' if detail else ''}{detail}"
            try:
                trainer.event("warning", text)
            except Exception:  # if the disk is full, the event log fails too
                logging.getLogger("ganloom").warning(text)
