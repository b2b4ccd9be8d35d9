"""One training session in a run folder: stop signals, and how run.json says that it ended."""

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
    """Runs a Trainer in its folder and leaves the folder ready for ``resume``.

    Args:
        folder: The run folder.
        trainer: A trainer whose storage is this folder.
        report: The callback that writes report.html; it is called once more when run.json says how the run ended.
    """

    def __init__(self, folder: Folder, trainer: Trainer, report: Callback) -> None:
        self.folder, self.trainer, self.report = folder, trainer, report

    def fit(self) -> str:
        """Train to the end or to a signal.

        Returns:
            "finished", or the signal's name.
        """
        self.folder.update("run.json", state="running", started=time.time(), exit_reason=None)
        reason, state = "error", "failed"
        try:
            with stop_signals(self.trainer):
                goes_back = self.trainer.cfg.nan_policy == "rollback" or self.trainer.cfg.heal
                if goes_back and not checkpoint.names(self.folder.checkpoints):
                    self.trainer.storage.save(self.trainer)  # there must be something to go back to
                reason = self.trainer.fit()
            state = "finished" if reason == "finished" else "stopped"
        except NonFinite as error:
            reason = "nan"
            self.trainer.event("nan", str(error))
            raise
        except BrokenPipeError:  # the reader of the progress has closed its end
            raise
        except OSError as error:
            reason = "disk"
            raise file_error(error) from error
        finally:
            with contextlib.suppress(OSError, GanloomError):  # the disk may be what failed
                self.folder.update("run.json", state=state, exit_reason=reason, finished=time.time())
                if reason in STOPPED and state == "stopped":
                    self.trainer.event("signal", f"stopped by {reason}, saved at kimg {self.trainer.nimg / 1000:g}")
            self.report.on_end(self.trainer, reason)
        return reason


@contextlib.contextmanager
def stop_signals(trainer: Trainer) -> Iterator[None]:
    """SIGINT, SIGTERM and SIGUSR1 ask the trainer to save and stop; a second one leaves at once."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def ask(number: int, frame: FrameType | None) -> None:
        name = signal.Signals(number).name
        if trainer.stop_requested:
            os._exit(128 + number)
        trainer.stop_requested = name

    numbers = [getattr(signal, name) for name in STOPPED if hasattr(signal, name)]
    before = {number: signal.signal(number, ask) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
