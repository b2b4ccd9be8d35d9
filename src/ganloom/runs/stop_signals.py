"""Stop signals: Ctrl-C (SIGINT), SIGTERM and SIGUSR1 ask a training to save and stop."""

import contextlib
import os
import signal
import threading
from collections.abc import Iterator
from types import FrameType

from ganloom.training.trainer import Trainer

STOPPED = {"SIGINT": 130, "SIGTERM": 143, "SIGUSR1": 0}
"""Exit code by the signal that stopped a run."""


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
