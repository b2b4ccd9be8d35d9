"""Run the jobs of a benchmark in several processes, and stop them so that each saves its state."""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol, TypeVar

from ganloom.core.names import printable

POLL = 0.5
"""Seconds between two looks at the processes."""


class Job(Protocol):
    """What a process makes."""

    @property
    def log(self) -> Path:
        """The file with the output of the process."""

    @property
    def command(self) -> list[str]:
        """The program and its arguments."""

    @property
    def environment(self) -> dict[str, str]:
        """Variables that the process gets besides those of this one."""


J = TypeVar("J", bound=Job)


def run(
    jobs: Sequence[J],
    workers: int,
    begin: Callable[[J], None],
    report: Callable[[Sequence[J]], None],
    say: Callable[[str], None],
) -> Generator[tuple[J, int]]:
    """Run jobs, as many at the same time as there are workers.

    Args:
        jobs: What to make, in this order; hashable.
        workers: Number of processes.
        begin: Called with each job when its process starts.
        report: Called about twice a second with the jobs that are running.
        say: Called with a line of text when the processes are stopped.

    Yields:
        Each finished job, with the exit code of its process.

    Raises:
        KeyboardInterrupt: Ctrl-C was pressed; each process has saved its training.
        SystemExit: The same after another signal.
    """
    waiting, running = list(jobs), dict[J, subprocess.Popen[bytes]]()
    with _stopped_at_the_end(running, say):
        while waiting or running:
            while waiting and len(running) < workers:
                job = waiting.pop(0)
                begin(job)
                running[job] = _start(job)
            report(list(running))
            for job in [job for job, process in running.items() if process.poll() is not None]:
                process = running.pop(job)
                _close(process)
                yield job, process.returncode
            time.sleep(POLL)


def _start(job: Job) -> "subprocess.Popen[bytes]":
    """Start the process of a job. Ctrl-C of the terminal does not reach it: ``_stopped_at_the_end`` stops it once."""
    job.log.parent.mkdir(parents=True, exist_ok=True)
    with job.log.open("ab") as log:
        return subprocess.Popen(
            job.command, stdin=subprocess.PIPE, stdout=log, stderr=log,
            env={**os.environ, **job.environment, "PYTHONUNBUFFERED": "1"}, start_new_session=True,
        )  # fmt: skip


@contextmanager
def _stopped_at_the_end(running: "dict[J, subprocess.Popen[bytes]]", say: Callable[[str], None]) -> Iterator[None]:
    """Stop the processes that are left, and wait until they have saved. A second signal does not wait."""
    try:
        yield
    finally:
        left = [process for process in running.values() if process.poll() is None]
        if left:
            say(
                f"stopping {len(left)} training{'s' * (len(left) > 1)}: they save their state, which takes some seconds"
            )
        try:
            for process in left:
                process.send_signal(signal.SIGTERM)
            for process in left:
                process.wait()
        except (KeyboardInterrupt, SystemExit):
            for process in left:
                process.kill()
            raise
        finally:
            for process in running.values():
                _close(process)


def _close(process: "subprocess.Popen[bytes]") -> None:
    if process.stdin is not None and process.poll() is not None:
        process.stdin.close()


def reason(log: Path, code: int) -> str:
    """Say why a process has no result: the last line of its output."""
    lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    last = printable(lines[-1].removeprefix("error: ")) if lines else "no output"
    ended = f"killed by {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
    return f"{last[:300]} ({ended}; {log} has all its output)"
