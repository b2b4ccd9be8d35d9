"""Run the trainings of the benchmark in several processes."""

import contextlib
import json
import sys
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ganloom.bench import processes
from ganloom.bench.recipes.job import saved
from ganloom.bench.recipes.rows import Row
from ganloom.bench.recipes.task import Task
from ganloom.core import metrics_file

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

    @property
    def command(self) -> list[str]:
        """The program and its arguments."""
        return [sys.executable, "-P", "-m", "ganloom.bench.recipes.worker", self.text()]

    @property
    def environment(self) -> dict[str, str]:
        """The number of threads, for libraries that read it at their start."""
        return {name: str(self.threads) for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS")}

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
    with contextlib.closing(processes.run(jobs, workers, begin, report, say)) as ended:
        for job, code in ended:
            row = saved(job.path) if code == 0 else None
            yield job, row or processes.reason(job.log, code)
