"""Print to a terminal that may be gone: after SIGHUP, each write to it fails."""

import errno
from typing import TextIO

GONE = (errno.EIO, errno.ENXIO, errno.EBADF)
"""Errors of a write to a terminal that was closed."""


def say(text: str, stream: TextIO) -> bool:
    """Print a line and flush it.

    Args:
        text: The line.
        stream: Where to print.

    Returns:
        False if the terminal is gone.

    Raises:
        OSError: Any other error, such as a broken pipe or a full disk.
    """
    try:
        print(text, file=stream, flush=True)
    except OSError as error:
        if error.errno in GONE:
            return False
        raise
    return True
