"""Stop work that takes too long, for estimates that have a limit of time."""

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType

from ganloom.core.stop_signals import handled

AGAIN = 5.0
"""Seconds until the signal is sent again, in case Python ignored the exception, as it does inside a destructor."""


class TimeUp(BaseException):
    """The time is over. It is no Exception, so code that goes on after errors does not catch it."""


@contextlib.contextmanager
def limited(seconds: float) -> Iterator[None]:
    """Stop what is inside after some seconds; a single long operation of torch ends first.

    There is no limit on systems without SIGALRM, and outside the main thread.

    Args:
        seconds: The limit.

    Raises:
        TimeUp: The time is over. What was inside may be left half done, so its objects must not be used.
    """

    def handle(number: int, frame: FrameType | None) -> None:
        raise TimeUp

    if not hasattr(signal, "setitimer") or threading.current_thread() is not threading.main_thread():
        yield
        return
    with handled(("SIGALRM",), handle):
        signal.setitimer(signal.ITIMER_REAL, max(seconds, 0.001), AGAIN)
        try:
            yield
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0.0)
