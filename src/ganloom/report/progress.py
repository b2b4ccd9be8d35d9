"""Show what a command does, how far it is and how much time is left, on stderr."""

import contextlib
import io
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Any, Self, TextIO

from ganloom.core.errors import need
from ganloom.core.names import printable
from ganloom.core.terminal import GONE, say
from ganloom.report.number_format import duration

Report = Callable[[str, int, int], None] | None
"""What long work calls with (what, done, total); total 0: unknown."""


class Progress:
    """Show the progress of a command: a line that is updated on a terminal, otherwise a new line from time to time.

    Call it with (what, done, total) as often as you like. A thread repeats the last state, so a command is not silent
    while one long operation runs. Use it as a context manager.

    Args:
        stream: Where to write. None: stderr.
        clock: Returns the time in seconds.
        patience: On a terminal, nothing is shown in this time after the start, in seconds.

    Attributes:
        FIRST: Seconds until the first line, if nothing else was printed.
        EVERY: Longest time between two lines, in seconds.
        prefix: Text before each line, such as the name of the model.
    """

    FIRST, EVERY = 8.0, 20.0
    DRAW = 0.5
    """Seconds between two updates on a terminal."""

    def __init__(
        self, stream: TextIO | None = None, *, clock: Callable[[], float] = time.monotonic, patience: float = 0.0
    ) -> None:
        self._stream, self._clock, self._patience = stream, clock, patience
        self._opened = stream or error_stream()
        self._lock = threading.RLock()
        self._what, self._done, self._total, self._from = "", 0, 0, 0
        self._since = self._at = self._said = self._started = clock()
        self._limit = self.FIRST
        self._thread: threading.Thread | None = None
        self._stop = threading.Event()
        self._live: Any = None
        self._display: Callable[[str], None] | None = None
        self.prefix = ""

    # ---------------------------------------------------------------------------------------------------- for commands

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.stop()

    def start(self) -> bool:
        """Start the thread. Return False if it already runs."""
        if self._thread is not None:
            return False
        self._stop.clear()
        self._opened = self._stream or error_stream()
        self._started = self._said = self._clock()
        self._limit = self.FIRST
        self._thread = threading.Thread(target=self._run, name="ganloom-progress", daemon=True)
        self._thread.start()
        return True

    def stop(self) -> None:
        """Stop the thread and remove the line from a terminal. It may be called twice."""
        thread, self._thread = self._thread, None
        self._stop.set()
        if thread is not None and thread is not threading.current_thread():
            thread.join(timeout=2.0)
        with self._lock:
            self._close_live()

    def __call__(self, what: str, done: int = 0, total: int = 0) -> None:
        """Set what is being done now.

        Args:
            what: What, such as "decoding images".
            done: Number of parts that are done.
            total: Number of all parts; 0: unknown.
        """
        with self._lock:
            now = self._clock()
            if what != self._what:
                self._what, self._since, self._from, self._at = what, now, done, now
            if done != self._done:
                self._at = now
            self._done, self._total = done, total
        self.beat()

    @property
    def what(self) -> str:
        """What is being done now."""
        return self._what

    def part(self, what: str) -> Callable[[int, int], None]:
        """Return a function of (done, total) for the progress of one stage."""
        self(what)
        return lambda done, total: self(what, done, total)

    def say(self, line: str) -> None:
        """Print a line that stays."""
        with self._lock:
            self._print(printable(f"{self.prefix}{line}"))

    def printed_elsewhere(self) -> None:
        """Note that something else was printed just now."""
        with self._lock:
            self._said, self._limit = self._clock(), self.EVERY

    def hand_over(self, display: Callable[[str], None] | None) -> None:
        """Let another live display show the state; None: show it here again.

        Args:
            display: Called with the text of the state about twice a second.
        """
        with self._lock:
            self._close_live()
            self._display = display

    def text(self) -> str:
        """The state as one line of text."""
        with self._lock:
            now, what = self._clock(), self._what or "working"
            so_far = now - self._since
            line = printable(f"{self.prefix}{what}")
            if self._total > 0:
                line += f": {self._done:,} of {self._total:,}"
                spent = self._at - self._since
                if self._from < self._done < self._total and spent > 0:
                    each = spent / (self._done - self._from)
                    left = each * (self._total - self._done) - (now - self._at)
                    line += f", about {duration(max(left, 1.0))} left"
            return line if so_far < 1 else f"{line} ({duration(so_far)} so far)"

    # -------------------------------------------------------------------------------------------------------- internal

    def beat(self) -> None:
        """Show the state if it is time to. The thread calls it too."""
        with self._lock:
            if self._thread is None or not self._what:
                return
            now = self._clock()
            if self._display is not None or self._is_terminal():
                if now - self._said >= self.DRAW and now - self._started >= self._patience:
                    self._said = now
                    with _unless_gone():
                        self._draw()
            elif now - self._said >= self._limit:
                self._print(self.text())

    def _run(self) -> None:
        while not self._stop.wait(0.25):
            try:
                self.beat()
            except (OSError, ValueError):  # the stream is closed or its reader has left: the command itself notices
                return

    def _out(self) -> TextIO:
        return self._opened

    def _is_terminal(self) -> bool:
        plain = os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb"
        return not plain and self._out().isatty()

    def _print(self, line: str) -> None:
        with _unless_gone():
            if self._live is not None:
                self._live.console.print(line, markup=False, highlight=False, soft_wrap=True)
            else:  # the other display moves below what is printed to sys.stderr
                say(line, self._out() if self._display is None else error_stream())
        self._said, self._limit = self._clock(), self.EVERY

    def _draw(self) -> None:
        if self._display is not None:
            self._display(self.text())
            return
        text = need("rich.text", "rich").Text(self.text(), no_wrap=True, overflow="ellipsis")
        if self._live is None:
            console = need("rich.console", "rich").Console(file=self._out())
            self._live = need("rich.live", "rich").Live(
                text, console=console, auto_refresh=False, transient=True, redirect_stdout=sys.stdout.isatty()
            )
            self._live.start(refresh=True)
        else:
            self._live.update(text, refresh=True)

    def _close_live(self) -> None:
        live, self._live = self._live, None
        if live is not None:
            with _unless_gone():
                live.stop()


@contextlib.contextmanager
def _unless_gone() -> Iterator[None]:
    """Print to a terminal that may have been closed, which does not end the work."""
    try:
        yield
    except OSError as error:
        if error.errno not in GONE:
            raise


def error_stream() -> TextIO:
    """Return stderr; a stream that nobody reads if the process was started without one."""
    return sys.stderr if sys.stderr is not None else io.StringIO()


def part_of(progress: Report, what: str) -> Callable[[int, int], None] | None:
    """Return a function of (done, total) that reports one stage to ``progress``; None without a ``progress``."""
    if progress is None:
        return None
    report = progress
    report(what, 0, 0)
    return lambda done, total: report(what, done, total)


def stage(progress: Report, what: str) -> None:
    """Report the start of a stage whose length is unknown."""
    if progress is not None:
        progress(what, 0, 0)
