"""Run one training session in a run folder: handle stop signals, and write to run.json how it ended."""

import contextlib
import os
import signal
import threading
import time
from collections.abc import Iterator
from types import FrameType

from ganloom.core.errors import GanloomError
from ganloom.runs import checkpoint
from ganloom.runs.folder import Folder, file_error
from ganloom.training.callbacks import Callback
from ganloom.training.nan_guard import NonFinite
from ganloom.training.trainer import Trainer

STOPPED = {"SIGINT": 130, "SIGTERM": 143, "SIGUSR1": 0}
"""Exit code by the signal that stopped a run."""


class Session:
    """Runs a Trainer in its folder, so that ``resume`` can continue it.

    Args:
        folder: The run folder.
        trainer: A trainer whose storage is this folder.
        report: The callback that writes report.html; it is called again when the end is in run.json.
    """

    def __init__(self, folder: Folder, trainer: Trainer, report: Callback) -> None:
        self.folder, self.trainer, self.report = folder, trainer, report

    def fit(self) -> str:
        """Train until the end or a signal.

        Returns:
            "finished", or the signal's name.
        """
        self.folder.update("run.json", state="running", started=time.time(), exit_reason=None)
        reason, state = "error", "failed"
        try:
            with stop_signals(self.trainer):
                needs_checkpoint = self.trainer.cfg.nan_policy == "rollback" or self.trainer.cfg.heal
                if needs_checkpoint and not checkpoint.names(self.folder.checkpoints):
                    self.trainer.storage.save(self.trainer)  # the first checkpoint to go back to
                reason = self.trainer.fit()
            state = "finished" if reason == "finished" else "stopped"
        except NonFinite as error:
            reason = "nan"
            self.trainer.event("nan", str(error))
            raise
        except BrokenPipeError:  # the reader of stdout or stderr has closed the pipe
            raise
        except OSError as error:
            reason = "disk"
            raise file_error(error) from error
        finally:
            with contextlib.suppress(OSError, GanloomError):  # the disk may be full
                self.folder.update("run.json", state=state, exit_reason=reason, finished=time.time())
                if reason in STOPPED and state == "stopped":
                    self.trainer.event("signal", f"stopped by {reason}, saved at kimg {self.trainer.nimg / 1000:g}")
            self.report.on_end(self.trainer, reason)
        return reason


@contextlib.contextmanager
def stop_signals(trainer: Trainer) -> Iterator[None]:
    """Let SIGINT, SIGTERM and SIGUSR1 stop the trainer after a save. A second signal ends the process at once."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def handle(number: int, frame: FrameType | None) -> None:
        name = signal.Signals(number).name
        if trainer.stop_requested:
            os._exit(128 + number)
        trainer.stop_requested = name

    numbers = [getattr(signal, name) for name in STOPPED if hasattr(signal, name)]
    previous = {number: signal.signal(number, handle) for number in numbers}
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
