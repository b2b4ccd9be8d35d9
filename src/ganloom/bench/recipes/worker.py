"""A worker process of `ganloom bench recipes --workers`: makes one training and measures it.

It is started as ``python -m ganloom.bench.recipes.worker JSON``. It stops, with the training saved, when its standard input
is closed, which also happens when the process that started it dies.
"""

import json
import os
import signal
import sys
import threading
from pathlib import Path
from typing import Any

from ganloom.core.errors import GanloomError, Interrupted, Terminated
from ganloom.core.stop_signals import ended_by_signals


def main(text: str) -> int:
    """Make the job.

    Args:
        text: JSON: ``task``, ``path``, ``n``, ``timed`` and ``threads``.

    Returns:
        The exit code.
    """
    try:
        with ended_by_signals():
            threading.Thread(target=_stop_at_the_end_of, args=(sys.stdin.fileno(),), daemon=True).start()
            _make(json.loads(text))
    except (Interrupted, Terminated) as stop:
        print(f"stopped: {stop}", file=sys.stderr)
        return 143
    except GanloomError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    return 0


def _make(job: dict[str, Any]) -> None:
    import torch

    from ganloom.bench.recipes.job import make
    from ganloom.bench.recipes.task import Task
    from ganloom.core import allocator

    torch.set_num_threads(job["threads"])
    allocator.keep_freed_blocks()
    make(Task.from_dict(job["task"]), Path(job["path"]), job["n"], job["timed"])


def _stop_at_the_end_of(stream: int) -> None:
    while os.read(stream, 1024):  # os.read holds no lock, so that the process can end while this thread waits
        pass
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
