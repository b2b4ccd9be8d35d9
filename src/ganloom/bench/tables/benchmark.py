"""Fit each method on three quarters of a table, draw as many rows, and measure them on the last quarter; over seeds."""

import hashlib
import json
import math
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ganloom.bench.tables import sets
from ganloom.bench.tasks import make_in_processes, read_result
from ganloom.core.errors import BadInput
from ganloom.core.output_files import replace_file
from ganloom.report.progress import Progress
from ganloom.tables import privacy, quality, reading, utility
from ganloom.tables.schema import Frame
from ganloom.tables.table import METHODS, Table

TEST_SHARE = 0.25
REAL = "real rows"


@dataclass(frozen=True)
class Run:
    """The figures of one method on one table with one seed.

    Attributes:
        data: The table.
        method: The method; "real rows" are the training rows themselves.
        seed: Seed of the split and of the method.
        chosen: What "auto" chose.
        score: Accuracy, or R squared, of models trained on the rows and tested on real ones, mean of forest and linear model.
        auc: AUC of these models; NaN for regression.
        columns: Agreement of the columns with the training rows: the mean of 1 - Kolmogorov-Smirnov or total variation distance.
        unseen: The same with the test rows.
        pairs: Agreement of the pairs of columns with the test rows.
        detection: The highest AUC of classifiers that tell the rows from real ones.
        nearer: Share of rows nearer to the training rows than to the test rows, with as many of both.
        copies: Share of rows that equal a training row.
        membership: AUC of a membership attack.
        seconds: CPU seconds of the fit, on all threads.
    """

    data: str
    method: str
    seed: int
    chosen: str
    score: float
    auc: float
    columns: float
    unseen: float
    pairs: float
    detection: float
    nearer: float
    copies: float
    membership: float
    seconds: float


FIGURES = (
    "score", "auc", "columns", "unseen", "pairs", "detection", "nearer", "copies", "membership", "seconds",
)  # fmt: skip


@dataclass(frozen=True)
class Task:
    """One method on one table with one seed; see ``Run``.

    Attributes:
        steps: Training steps of networks. None: their own number.
    """

    data: str
    method: str
    seed: int
    steps: int | None

    def file(self, out: Path) -> Path:
        """The file of the result in the folder ``out``."""
        digest = hashlib.sha256(json.dumps(asdict(self)).encode()).hexdigest()[:8]  # for paths of the user's tables
        return (
            out
            / f"{Path(self.data).name.partition(':')[0]}-{self.method.replace(' ', '-')}-seed{self.seed}-{digest}.json"
        )

    def log(self, out: Path) -> Path:
        """The file with the output of the process that makes the task."""
        return self.file(out).with_suffix(".log")

    def words(self, out: Path) -> list[object]:
        """The words after ``ganloom bench`` that make this task, and the one with the real rows if it has no result yet."""
        methods = [] if self.method == REAL else [self.method]
        words = ["tables", "--data", self.data, "--methods", *methods, "--seeds", self.seed, "--out", out, "--json"]
        return words if self.steps is None else [*words, "--steps", self.steps]


def tasks_of(data: Sequence[str], methods: Sequence[str], seeds: Sequence[int], steps: int | None = None) -> list[Task]:
    """Return the tasks in the order in which they are made, without repetitions; "real rows" is always one of the methods.

    Raises:
        BadInput: A table or a method does not exist, or there is no table or no seed.
    """
    if not data or not seeds or min(seeds) < 0:
        raise BadInput("--data and --seeds each need at least one value, and seeds must be whole numbers from 0")
    for method in methods:
        if method not in METHODS:
            raise BadInput(f"--methods must be of {', '.join(METHODS)}, got {method}")
    for name in data:
        sets.load(name)
    rows = (REAL, *methods)
    return list(dict.fromkeys(Task(name, row, seed, steps) for name in data for seed in seeds for row in rows))


def measure(tasks: Sequence[Task], out: Path, workers: int, progress: Progress) -> list[Run]:
    """Measure the tasks that have no result yet.

    Args:
        tasks: The tasks.
        out: Folder of the results, one file each.
        workers: Number of processes; with one, the work is done here.
        progress: Shows what is done.

    Returns:
        The results of all tasks, in their order.

    Raises:
        CheckFailed: A process failed.
    """
    real = [task for task in tasks if task.method == REAL]
    others = [task for task in tasks if task.method != REAL]
    for part in (real, others):  # one after the other: a process of a method measures missing real rows too
        make_in_processes(part, out, workers, progress)
        for task in part:
            if not task.file(out).is_file():
                done = sum(one.file(out).is_file() for one in tasks)
                progress(f"{task.data}, seed {task.seed}: {task.method}", done, len(tasks))
                _write(task, out)
    return [read_result(task.file(out), Run) for task in tasks]


def _write(task: Task, out: Path) -> None:
    frame, target = sets.load(task.data)
    run = _run(task.data, task.method, task.seed, *split(frame, target, task.seed), target, task.steps)
    out.mkdir(parents=True, exist_ok=True)
    replace_file(task.file(out), (json.dumps(asdict(run), indent=1) + "\n").encode())


def split(frame: Any, target: str | None, seed: int) -> tuple[Any, Any]:
    """Split a table at random, within each class of a target with few values, into (train, test)."""
    rng = np.random.default_rng([seed, 11])
    rows = np.arange(len(frame))
    few = target is not None and frame[target].nunique() <= 20
    groups = frame.groupby(target, observed=True).indices.values() if few else [rows]
    held = np.concatenate([rng.permutation(group)[: round(TEST_SHARE * len(group))] for group in groups])
    inside = np.isin(rows, held)
    return frame[~inside].reset_index(drop=True), frame[inside].reset_index(drop=True)


def _run(name: str, method: str, seed: int, train: Any, test: Any, target: str | None, steps: int | None) -> Run:
    began = time.process_time()
    table = Table("copula" if method == REAL else method, target=target, seed=seed, steps=steps).fit(train)
    prepared = table.preparation
    assert prepared is not None
    real, held = prepared.schema.read(reading.read(train)), prepared.schema.read(reading.read(test))
    rng = np.random.default_rng([seed, 12])
    drawn = real if method == REAL else table.draw(len(train), rng=rng)
    seconds = 0.0 if method == REAL else time.process_time() - began
    columns = prepared.schema.modelled
    aim = utility.guess_target(columns, table.target)
    useful = None if aim is None else utility.train_and_test(columns, drawn, held, aim, seed)
    told = utility.detection(columns, _both(real, held), drawn, seed)
    private = privacy.measure(columns, real, drawn, held, seed)
    agreement = quality.compare(columns, held, drawn)
    return Run(
        name, method, seed, table.chosen if method == "auto" else "", math.nan if useful is None else useful.mean,
        math.nan if useful is None else useful.mean_auc, quality.compare(columns, real, drawn).shape, agreement.shape,
        agreement.dependence, max(told.values(), default=math.nan), private.nearer, private.copies, private.membership, seconds,
    )  # fmt: skip


def _both(a: Frame, b: Frame) -> Frame:
    return {name: np.concatenate([values, b[name]]) for name, values in a.items()}


def table_of(runs: Sequence[Run]) -> list[dict[str, str]]:
    """One row for each table and method: the means over the seeds, with standard deviations."""
    rows = []
    for data in dict.fromkeys(run.data for run in runs):
        for method in dict.fromkeys(run.method for run in runs):
            own = [asdict(run) for run in runs if run.data == data and run.method == method]
            chosen = sorted({run["chosen"] for run in own} - {""})
            name = f"{method} ({', '.join(chosen)})" if chosen else method
            figures = {figure: _mean([run[figure] for run in own], figure == "seconds") for figure in FIGURES}
            rows.append({"data": data, "method": name, **figures})
    return rows


def _mean(values: Sequence[float], whole: bool) -> str:
    if any(math.isnan(value) for value in values):
        return "-"
    if whole:
        return f"{np.mean(values):.0f}"
    return f"{np.mean(values):.3f}" + (f" ± {np.std(values, ddof=1):.3f}" if len(values) > 1 else "")


def verdicts(runs: Sequence[Run]) -> list[str]:
    """Say for each table whether the GAN helps: its score beside the best other method that copies no rows."""
    lines = []
    for data in dict.fromkeys(run.data for run in runs):
        means = {
            method: float(np.mean([run.score for run in runs if run.data == data and run.method == method]))
            for method in dict.fromkeys(run.method for run in runs)
        }
        others = {
            name: score
            for name, score in means.items()
            if name in ("copula", "tvae", "marginals") and not math.isnan(score)
        }
        if "ctgan" not in means or not others or math.isnan(means["ctgan"]):
            continue
        best = max(others, key=others.__getitem__)
        gain = means["ctgan"] - others[best]
        word = "helps" if gain > 0.01 else "does not help" if gain < -0.01 else "makes no difference"
        lines.append(f"{data}: the GAN (ctgan) {word}: score {means['ctgan']:.3f}, {best} {others[best]:.3f}")
    return lines
