"""Run the tasks of the benchmark, several at the same time, and make the table."""

import contextlib
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ganloom import data as datasets
from ganloom.bench import processes
from ganloom.bench.anomaly import task
from ganloom.bench.anomaly.task import Task
from ganloom.core.errors import BadInput, CheckFailed
from ganloom.report.progress import Progress

DEFAULT = "default (auto)"
"""The row of what the rule chose for each class."""


def data_of(name: str) -> str:
    """Return the data set: "auto" is the full set where it is installed, else fashion-10k."""
    if name != "auto":
        if name not in ("fashion-mnist", "fashion-10k"):
            raise BadInput(f"--data must be auto, fashion-mnist or fashion-10k, got {name}")
        datasets.open(name)  # an error now, not in a worker
        return name
    with contextlib.suppress(BadInput):
        datasets.open("fashion-mnist-test")
        return "fashion-mnist"
    return "fashion-10k"


def tasks_of(
    classes: Sequence[int], seeds: Sequence[int], recipes: Sequence[str], data: str, total_kimg: float | None = None
) -> list[Task]:
    """Return the tasks in the order in which they are made, without repetitions: all classes with the first seed first."""
    tasks = (Task(c, seed, recipe, data, total_kimg) for seed in seeds for c in classes for recipe in recipes)
    return list(dict.fromkeys(tasks))


def measure(tasks: Sequence[Task], out: Path, workers: int, progress: Progress) -> list[dict[str, Any]]:
    """Make all tasks that have no result yet.

    Args:
        tasks: The tasks.
        out: Folder of the results and the runs.
        workers: Number of processes; with one, the work is done here.
        progress: Shows what is done.

    Returns:
        The results.

    Raises:
        CheckFailed: A process failed.
    """
    if workers < 1:
        raise BadInput(f"--workers must be at least 1, got {workers}")
    results, runs = out / "results", out / "runs"
    waiting = [t for t in tasks if not (results / f"{t.name}.json").is_file()]
    if workers > 1 and len(waiting) > 1:
        _in_processes(waiting, out, workers, progress)
    made = []
    for number, one in enumerate(tasks):
        progress.prefix = f"[{number + 1}/{len(tasks)}] {one.recipe}, class {one.normal}, seed {one.seed}: "
        made.append(task.make(one, results, runs, progress))
    progress.prefix = ""
    return made


@dataclass(frozen=True)
class _Job:
    """A task, made by the same command in a process of its own."""

    task: Task
    out: Path

    @property
    def log(self) -> Path:
        """The file with the output of the process."""
        return self.out / "runs" / f"{self.task.name}.log"

    @property
    def command(self) -> list[str]:
        """The program and its arguments."""
        one = self.task
        words = [
            "--classes", one.normal, "--seeds", one.seed, "--recipes", one.recipe, "--data", one.data, "--out", self.out,
            "--json",
        ]  # fmt: skip
        words += [] if one.total_kimg is None else ["--total-kimg", one.total_kimg]
        return [sys.executable, "-P", "-m", "ganloom", "bench", "anomaly", *map(str, words)]

    @property
    def environment(self) -> dict[str, str]:
        """The process has the same number of threads as this one."""
        return {}


def _in_processes(waiting: Sequence[Task], out: Path, workers: int, progress: Progress) -> None:
    """Make each task in a process of its own."""
    done, failed = list[Task](), dict[str, str]()
    results = processes.run(
        [_Job(one, out) for one in waiting], workers, lambda job: None,
        lambda running: progress("tasks", len(done), len(waiting)), progress.say,
    )  # fmt: skip
    with contextlib.closing(results):
        for job, code in results:
            done.append(job.task)
            if code:
                failed[job.task.name] = processes.reason(job.log, code)
    if failed:
        name, reason = next(iter(failed.items()))
        raise CheckFailed(f"{len(failed)} task{'s' * (len(failed) > 1)} failed, such as {name}: {reason}")


def table(results: Sequence[dict[str, Any]]) -> list[dict[str, str]]:
    """Return the rows of the table: the AUROC of each score by class, the mean over the seeds, and their mean."""
    classes = sorted({int(r["class"]) for r in results})
    values: dict[str, dict[int, list[float]]] = {}
    seconds: dict[str, list[float]] = {}
    for result in results:
        own = dict(result["auroc"])
        if result.get("chosen"):
            own[DEFAULT] = own[result["chosen"]]
        for score, area in own.items():
            name = f"{score} ({result['recipe']})" if score in ("d-features", "minus-d") else score
            values.setdefault(name, {}).setdefault(int(result["class"]), []).append(float(area))
            if not task.is_control(score):
                seconds.setdefault(name, []).append(float(result["cpu_seconds"]))
    rows = []
    for name, by_class in sorted(values.items(), key=lambda item: (task.is_control(item[0]), -_mean(item[1]))):
        row = {"score": name}
        row |= {f"class {c}": f"{np.mean(by_class[c]):.3f}" if c in by_class else "" for c in classes}
        row |= {"mean": f"{_mean(by_class):.3f}", "runs": str(sum(map(len, by_class.values())))}
        row["CPU s"] = f"{np.mean(seconds[name]):.0f}" if name in seconds else "control"
        rows.append(row)
    return rows


def _mean(by_class: dict[int, list[float]]) -> float:
    return float(np.mean([np.mean(areas) for areas in by_class.values()]))
