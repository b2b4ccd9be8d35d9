"""Recognise that memory ran out, on the CPU or on an accelerator, and say in one line which settings need less."""

import contextlib
import errno
from collections.abc import Iterator

from ganloom.core.errors import GanloomError

SIGNS = (
    "out of memory", "not enough memory", "can't allocate memory", "cannot allocate memory", "could not allocate",
    "alloc_failed", "bad_alloc", "bad allocation",
)  # fmt: skip
"""Parts of the messages of torch, CUDA, cuBLAS, cuDNN, oneDNN and Metal, in lower case."""


class OutOfMemory(GanloomError):
    """Memory ran out; the message names the settings that need less."""


def ran_out(error: BaseException) -> bool:
    """Return whether an error means that memory ran out.

    Args:
        error: Any exception. torch.OutOfMemoryError and torch's errors for the CPU are a RuntimeError.
    """
    if isinstance(error, MemoryError):
        return True
    if isinstance(error, OSError):
        return error.errno == errno.ENOMEM
    return isinstance(error, RuntimeError) and any(sign in str(error).lower() for sign in SIGNS)


@contextlib.contextmanager
def explained(advice: str) -> Iterator[None]:
    """Turn an error inside that means "out of memory" into ``OutOfMemory`` of one line.

    Args:
        advice: What to do, after "out of memory: ".
    """
    try:
        yield
    except (MemoryError, RuntimeError, OSError) as error:
        if not ran_out(error):
            raise
        raise OutOfMemory(f"out of memory: {advice}") from error


def available() -> float:
    """Return the bytes of RAM that programs can still use; infinity where the system does not say."""
    with contextlib.suppress(OSError, ValueError, StopIteration), open("/proc/meminfo", encoding="ascii") as lines:
        return 1024.0 * int(next(line for line in lines if line.startswith("MemAvailable:")).split()[1])
    return float("inf")
