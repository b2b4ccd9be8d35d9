"""Run the trainings of the benchmark in several processes, and stop them so that each saves its state."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ganloom.bench.recipes.job import saved
from ganloom.bench.recipes.rows import Row
from ganloom.bench.recipes.task import Task
from ganloom.core import metrics_file
from ganloom.core.names import printable

POLL = 0.5
"""Seconds between two looks at the processes."""
LOG = ".log"
"""Ending of the file with a worker's output, beside its run folder."""


@dataclass(frozen=True)
class Job:
    """One training to make in a process of its own."""

    task: Task
    path: Path
    n: int
    timed: bool
    threads: int

    @property
    def log(self) -> Path:
        """The file with the output of the process."""
        return self.path.with_name(self.path.name + LOG)

    def text(self) -> str:
        """The argument of the worker."""
        values = {"task": self.task.to_dict(), "path": str(self.path), "n": self.n, "timed": self.timed}
        return json.dumps({**values, "threads": self.threads})

    def trained(self) -> float:
        """The share of the training that is done, from the rows that it has written."""
        path = self.path / "metrics.jsonl"
        rows = metrics_file.read_rows(path) if path.exists() else []
        return min(1.0, float(rows[-1].get("kimg", 0.0)) / self.task.length) if rows else 0.0


def run(
    jobs: Sequence[Job],
    workers: int,
    begin: Callable[[Job], None],
    report: Callable[[Sequence[Job]], None],
    say: Callable[[str], None],
) -> Generator[tuple[Job, Row | str]]:
    """Run jobs, as many at the same time as there are workers.

    Args:
        jobs: What to make, in this order.
        workers: Number of processes.
        begin: Called with each job when its process starts.
        report: Called about twice a second with the jobs that are running.
        say: Called with a line of text when the processes are stopped.

    Yields:
        Each finished job, with its row, or with one line about the error.

    Raises:
        KeyboardInterrupt: Ctrl-C was pressed; each process has saved its training.
        SystemExit: The same after another signal.
    """
    waiting, running = list(jobs), dict[Job, subprocess.Popen[bytes]]()
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
                row = saved(job.path) if process.returncode == 0 else None
                yield job, row or _reason(job, process.returncode)
            time.sleep(POLL)


def _start(job: Job) -> "subprocess.Popen[bytes]":
    """Start the process of a job. Ctrl-C of the terminal does not reach it: ``_stopped_at_the_end`` stops it once."""
    job.path.parent.mkdir(parents=True, exist_ok=True)
    threads = {name: str(job.threads) for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS")}
    with job.log.open("ab") as log:
        return subprocess.Popen(
            [sys.executable, "-P", "-m", "ganloom.bench.recipes.worker", job.text()], stdin=subprocess.PIPE, stdout=log,
            stderr=log, env={**os.environ, **threads, "PYTHONUNBUFFERED": "1"}, start_new_session=True,
        )  # fmt: skip


@contextmanager
def _stopped_at_the_end(running: "dict[Job, subprocess.Popen[bytes]]", say: Callable[[str], None]) -> Iterator[None]:
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


def _reason(job: Job, code: int) -> str:
    """Why a process has no result: the last line of its output."""
    lines = job.log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    last = printable(lines[-1].removeprefix("error: ")) if lines else "no output"
    ended = f"killed by {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
    return f"{last[:300]} ({ended}; {job.log} has all its output)"
