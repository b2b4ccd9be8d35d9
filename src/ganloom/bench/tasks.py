"""Make the tasks of a benchmark, each in a process of its own that runs the same command for this task alone."""

import contextlib
import sys
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeVar

from ganloom.bench import processes
from ganloom.core import json_files
from ganloom.core.errors import BadInput, CheckFailed
from ganloom.report.progress import Progress

AGAIN = "Remove it, and run the command again"
R = TypeVar("R")
T = TypeVar("T", bound="TrainingTask")


class Task(Protocol):
    """A part of a benchmark that has a result file; hashable."""

    def file(self, out: Path) -> Path:
        """The file of the result in the folder ``out``."""

    def log(self, out: Path) -> Path:
        """The file with the output of the process that makes the task."""

    def words(self, out: Path) -> Sequence[object]:
        """The words after ``ganloom bench`` that make this task alone."""


class TrainingTask(ABC):
    """A task that trains one run, with the files of its result and of its run."""

    seed: int

    @property
    @abstractmethod
    def name(self) -> str:
        """A name for files."""

    @property
    @abstractmethod
    def label(self) -> str:
        """What is trained, without the seed, for people."""

    @abstractmethod
    def words(self, out: Path) -> Sequence[object]:
        """The words after ``ganloom bench`` that make this task alone."""

    def file(self, out: Path) -> Path:
        """The file of the result in the folder ``out``."""
        return out / "results" / f"{self.name}.json"

    def run(self, out: Path) -> Path:
        """The folder of the training."""
        return out / "runs" / self.name

    def log(self, out: Path) -> Path:
        """The file with the output of the process that makes the task."""
        return out / "runs" / f"{self.name}.log"


def make_in_processes(tasks: Sequence[Task], out: Path, workers: int, progress: Progress) -> None:
    """Make the tasks that have no result yet. With one worker, or only one such task, do nothing: the caller makes it itself.

    Args:
        tasks: The tasks.
        out: Folder of the benchmark.
        workers: Number of processes.
        progress: Shows how many tasks are made.

    Raises:
        BadInput: There is no worker.
        CheckFailed: A process failed.
    """
    if workers < 1:
        raise BadInput(f"--workers must be at least 1, got {workers}")
    jobs = [_Job(task, out) for task in tasks if not task.file(out).is_file()]
    if workers == 1 or len(jobs) < 2:
        return
    done, failed = list[Task](), dict[str, str]()
    results = processes.run(
        jobs, workers, lambda job: None, lambda running: progress("tasks", len(done), len(jobs)), progress.say
    )
    with contextlib.closing(results):
        for job, code in results:
            done.append(job.task)
            if code:
                failed[job.log.stem] = processes.reason(job.log, code)
    if failed:
        name, reason = next(iter(failed.items()))
        raise CheckFailed(f"{len(failed)} task{'s' * (len(failed) > 1)} failed, such as {name}: {reason}")


def make_all(
    tasks: Sequence[T], make: Callable[[T, Path, Progress], R], out: Path, workers: int, progress: Progress
) -> list[R]:
    """Make all tasks that have no result yet, and read the results of the others.

    Args:
        tasks: The tasks.
        make: Makes a task, or reads its result.
        out: Folder of the results and the runs.
        workers: Number of processes; with one, the work is done here.
        progress: Shows what is done.

    Returns:
        The results.

    Raises:
        BadInput: There is no worker.
        CheckFailed: A process failed.
    """
    make_in_processes(tasks, out, workers, progress)
    made = []
    for number, task in enumerate(tasks):
        progress.prefix = f"[{number + 1}/{len(tasks)}] {task.label}, seed {task.seed}: "
        made.append(make(task, out, progress))
    progress.prefix = ""
    return made


@dataclass(frozen=True)
class _Job:
    """The process of a task; see ``processes.Job``."""

    task: Task
    out: Path

    @property
    def log(self) -> Path:
        return self.task.log(self.out)

    @property
    def command(self) -> list[str]:
        return [sys.executable, "-P", "-m", "ganloom", "bench", *map(str, self.task.words(self.out))]

    @property
    def environment(self) -> dict[str, str]:
        """None: the process has the same number of threads as this one."""
        return {}


def read_result(file: Path, kind: Callable[..., R]) -> R:
    """Read a result.

    Args:
        file: Its file.
        kind: Called with the values of the file by name.

    Raises:
        BadInput: The file is damaged, or ``kind`` cannot be called with its values.
    """
    with json_files.blaming(file, "no result of this benchmark", fix=AGAIN):
        return kind(**json_files.read(file, fix=AGAIN))
