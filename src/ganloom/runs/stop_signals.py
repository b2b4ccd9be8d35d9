"""Stop signals: Ctrl-C (SIGINT), SIGTERM, SIGHUP and SIGUSR1 ask a training to save and stop."""

import contextlib
import os
import signal
import threading
from collections.abc import Callable, Iterator
from types import FrameType

from ganloom.core.errors import Interrupted, Terminated
from ganloom.training.trainer import Trainer

STOPPED = {"SIGINT": 130, "SIGTERM": 143, "SIGHUP": 129, "SIGUSR1": 0}
"""Exit code by the signal that stopped a run."""
Handler = Callable[[int, FrameType | None], None]


def spoken(name: str) -> str:
    """Return the name of a signal for people: "Ctrl-C" for SIGINT."""
    return "Ctrl-C" if name == "SIGINT" else name


@contextlib.contextmanager
def stop_signals(trainer: Trainer) -> Iterator[None]:
    """Let the signals stop the trainer after a save. A second signal ends the process at once."""

    def handle(number: int, frame: FrameType | None) -> None:
        name = signal.Signals(number).name
        if trainer.stop_requested:
            os._exit(128 + number)
        trainer.stop_requested = name

    with _handled(tuple(STOPPED), handle):
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

    def handle(number: int, frame: FrameType | None) -> None:
        name = signal.Signals(number).name
        raise Terminated(STOPPED[name], f"stopped by {name} before training began: {advice}")

    try:
        with _handled(("SIGTERM", "SIGHUP"), handle):
            yield
    except Interrupted:
        raise
    except KeyboardInterrupt:
        raise Interrupted(f"stopped by Ctrl-C before training began: {advice}") from None


@contextlib.contextmanager
def _handled(names: tuple[str, ...], handler: Handler) -> Iterator[None]:
    """Install a handler for signals. SIGHUP stays ignored where the parent ignores it, as under nohup."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    numbers = [number for name in names if (number := getattr(signal, name, None)) is not None]
    if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) == signal.SIG_IGN:
        numbers = [number for number in numbers if number != signal.SIGHUP]
    previous = {number: signal.signal(number, handler) for number in numbers}
    try:
        yield
    finally:
        for number, old in previous.items():
            signal.signal(number, old)
