"""Stop signals: Ctrl-C (SIGINT), SIGTERM, SIGHUP and SIGUSR1. They end a command with one line, or a training after a save."""

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator
from types import FrameType

from ganloom.core.errors import Interrupted, Terminated

STOPPED = {"SIGINT": 130, "SIGTERM": 143, "SIGHUP": 129, "SIGUSR1": 0}
"""Exit code by the signal that stopped a run."""
Handler = Callable[[int, FrameType | None], None]


def spoken(name: str) -> str:
    """Return the name of a signal for people: "Ctrl-C" for SIGINT."""
    return "Ctrl-C" if name == "SIGINT" else name


@contextlib.contextmanager
def ended_by_signals(advice: str = "") -> Iterator[None]:
    """Let the signals end what is inside with one line. Context managers inside clean up.

    Args:
        advice: Text after "stopped by SIGTERM", such as what to do next.

    Raises:
        Interrupted: After Ctrl-C.
        Terminated: After SIGTERM or SIGHUP.
    """

    def handle(number: int, frame: FrameType | None) -> None:
        name = signal.Signals(number).name
        raise Terminated(STOPPED[name], f"stopped by {name}{advice}")

    try:
        with handled(("SIGTERM", "SIGHUP"), handle):
            yield
    except Interrupted:  # has its text already
        raise
    except KeyboardInterrupt:
        raise Interrupted(f"stopped by Ctrl-C{advice}") from None


@contextlib.contextmanager
def said_when_stopped(text: Callable[[str], str]) -> Iterator[None]:
    """Let a command say, when it is stopped, what was saved and how to continue.

    Args:
        text: Takes what stopped the command, "Ctrl-C" or "a signal", and returns the message.

    Raises:
        Interrupted: After Ctrl-C.
        Terminated: After another signal.
    """
    try:
        yield
    except KeyboardInterrupt:  # Interrupted, or Ctrl-C outside a training
        raise Interrupted(text("Ctrl-C")) from None
    except Terminated as left:
        raise Terminated(left.number, text("a signal")) from None


def continued_by_the_same_command() -> contextlib.AbstractContextManager[None]:
    """Let a command that trains several runs say, when it is stopped, that the same command continues."""
    return said_when_stopped(lambda by: f"stopped by {by}, saved. Run the same command again to continue")


def continued_by(command: str, is_saved: Callable[[], bool]) -> contextlib.AbstractContextManager[None]:
    """Let a command with one run say, when it is stopped, how to continue.

    Args:
        command: The command that continues.
        is_saved: Whether there is something to continue.
    """
    saved, unsaved = f"saved. Continue with: {command}", "nothing is saved yet"
    return said_when_stopped(lambda by: f"stopped by {by}, {saved}" if is_saved() else f"stopped by {by}; {unsaved}")


@contextlib.contextmanager
def handled(names: tuple[str, ...], handler: Handler) -> Iterator[None]:
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
