"""Standard output and error of a command: any text can be printed, and a stream that is full or closed does not stop the work.

A console may lack a letter (``PYTHONIOENCODING=ascii``, code page 1252), and names of files may hold bytes that are not UTF-8:
such characters are printed as escapes. A stream may be closed before the start (``>&-``), or its disk may be full.
"""

import contextlib
import io
import os
import sys
from collections.abc import Iterator
from typing import Any, TextIO

ERRORS = "backslashreplace"
"""How characters that cannot be encoded are written."""


class _Descriptor(io.FileIO):
    """A standard stream's file descriptor. It keeps the first error of writing, other than a pipe whose reader has left."""

    def __init__(self, number: int) -> None:
        super().__init__(number, "w", closefd=False)
        self.error: OSError | None = None

    def write(self, data: Any) -> int:
        """Write bytes; after an error, discard them."""
        size = memoryview(data).nbytes
        if self.error is not None:
            return size
        try:
            return super().write(data) or 0
        except BrokenPipeError:
            raise
        except OSError as error:
            self.error = error
            return size


class Standard:
    """What ``prepared`` found out about the standard output.

    Attributes:
        error: Why text could not be written to the standard output; None if all of it was written.
    """

    def __init__(self) -> None:
        self._out: _Descriptor | None = None

    @property
    def error(self) -> OSError | None:
        """See the class."""
        return None if self._out is None else self._out.error


@contextlib.contextmanager
def prepared() -> Iterator[Standard]:
    """Make the standard output and error safe to print to, until the end of the block.

    If another program has replaced the streams of the process (a test, a notebook), they stay, and only write escapes.

    Yields:
        An object that says whether the output could be written.
    """
    _occupy_closed_descriptors()
    before, state = (sys.stdout, sys.stderr), Standard()
    sys.stdout, out = _safe(sys.stdout, sys.__stdout__, 1)
    sys.stderr, _ = _safe(sys.stderr, sys.__stderr__, 2)
    state._out = out
    try:
        yield state
    finally:
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError, ValueError):
                stream.flush()
        sys.stdout, sys.stderr = before


def _occupy_closed_descriptors() -> None:
    """Open the null device for each standard stream that is closed: otherwise the next file would get its number."""
    while (number := os.open(os.devnull, os.O_RDWR)) <= 2:
        pass
    os.close(number)


def _safe(stream: TextIO | None, own: TextIO | None, number: int) -> tuple[TextIO, _Descriptor | None]:
    """(a stream that writes escapes for what it cannot encode, its descriptor if it is the process's own)."""
    if stream is None:  # closed before the start
        return open(os.devnull, "w", encoding="utf-8", errors=ERRORS), None
    try:
        if stream is own and stream.fileno() == number:
            stream.flush()
            raw = _Descriptor(number)
            # Text goes to the descriptor line by line on a terminal and for errors, else in blocks, as in Python's own streams.
            line_by_line = number == 2 or stream.isatty()
            buffer = io.BufferedWriter(raw)
            return io.TextIOWrapper(buffer, stream.encoding, ERRORS, line_buffering=line_by_line), raw
        stream.reconfigure(errors=ERRORS)  # type: ignore[attr-defined]  # only streams of text files have it
    except (AttributeError, OSError, ValueError):
        pass
    return stream, None
