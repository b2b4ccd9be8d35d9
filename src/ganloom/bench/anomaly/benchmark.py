"""Run the tasks of the benchmark, several at the same time, and make the table."""

import contextlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ganloom import data as datasets
from ganloom.bench.anomaly import task
from ganloom.bench.anomaly.task import Task
from ganloom.bench.tasks import make_in_processes
from ganloom.core.errors import BadInput
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
    make_in_processes(tasks, out, workers, progress)
    made = []
    for number, one in enumerate(tasks):
        progress.prefix = f"[{number + 1}/{len(tasks)}] {one.recipe}, class {one.normal}, seed {one.seed}: "
        made.append(task.make(one, out, progress))
    progress.prefix = ""
    return made


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
