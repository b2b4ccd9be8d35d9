"""The tasks of the benchmark, and the table of their results."""

import contextlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from ganloom import data as datasets
from ganloom.bench.anomaly import task
from ganloom.bench.anomaly.task import Task
from ganloom.core.errors import BadInput

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
