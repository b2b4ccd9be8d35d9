"""Stop signals ask a training to save and stop."""

import contextlib
import os
import signal
from collections.abc import Iterator
from types import FrameType

from ganloom.core.stop_signals import STOPPED as STOPPED
from ganloom.core.stop_signals import ended_by_signals, handled
from ganloom.training.trainer import Trainer


@contextlib.contextmanager
def stop_signals(trainer: Trainer) -> Iterator[None]:
    """Let the signals stop the trainer after a save. A second signal ends the process at once."""

    def handle(number: int, frame: FrameType | None) -> None:
        name = signal.Signals(number).name
        if trainer.stop_requested:
            os._exit(128 + number)
        trainer.stop_requested = name

    with handled(tuple(STOPPED), handle):
        yield


@contextlib.contextmanager
def before_training(advice: str) -> Iterator[None]:
    """Let the signals end what comes before the training loop with one line, and leave a run that can be started again.

    Args:
        advice: What to do next, such as "run the same command again".

    Raises:
        Interrupted: After Ctrl-C.
        Terminated: After SIGTERM or SIGHUP.
    """
    with ended_by_signals(f" before training began: {advice}"):
        yield
