"""One task of the benchmark: fit a detector on one class with one seed, and measure all its scores."""

import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ganloom import data as datasets
from ganloom.anomaly import detector, evaluation, fitting, methods
from ganloom.anomaly.controls import TITLES as CONTROLS
from ganloom.bench.recipes.job import Quiet
from ganloom.bench.tasks import TrainingTask
from ganloom.core.errors import BadInput
from ganloom.core.output_files import replace_file
from ganloom.report.progress import Progress
from ganloom.runs.folder import Folder
from ganloom.runs.resume import resume_run
from ganloom.training.callbacks import Callback

RECIPES = ("ss-gan", "f-anogan", "ganomaly", "anogan")
"""The recipes that can be measured; the controls are measured with the first one."""
NORMAL, OTHERS = 1000, 250
"""Test images of the normal class, and of each other class."""
SMALL = 0.3
"""Share of each class of fashion-10k that is for the test, where the full set is not installed."""


@dataclass(frozen=True)
class Task(TrainingTask):
    """What is fitted and measured.

    Attributes:
        normal: Number of the normal class.
        seed: Seed of everything.
        recipe: Which model is trained.
        data: "fashion-mnist" (with its own test set) or "fashion-10k".
        total_kimg: Length of the training in thousands of images; None: that of the plan.
    """

    normal: int
    seed: int
    recipe: str
    data: str
    total_kimg: float | None = None

    @property
    def label(self) -> str:
        return f"{self.recipe}, class {self.normal}"

    @property
    def name(self) -> str:
        """A name for files."""
        length = "" if self.total_kimg is None else f"-{self.total_kimg:g}kimg"
        return f"{self.data}-{self.recipe}-class{self.normal}-seed{self.seed}{length}"

    def words(self, out: Path) -> list[object]:
        """The words after ``ganloom bench`` that make this task alone."""
        words = [
            "anomaly", "--classes", self.normal, "--seeds", self.seed, "--recipes", self.recipe, "--data", self.data,
            "--out", out, "--json",
        ]  # fmt: skip
        return words if self.total_kimg is None else [*words, "--total-kimg", self.total_kimg]


Images = NDArray[np.uint8]


def split(data: str, normal: int) -> tuple[Images, Images, NDArray[np.bool_]]:
    """Return training images of a class, and test images with whether they are anomalies.

    Args:
        data: "fashion-mnist" or "fashion-10k".
        normal: Number of the normal class.

    Raises:
        BadInput: The data are not installed.
    """
    train = datasets.open(data)
    assert isinstance(train, datasets.Images) and train.labels is not None
    rows = {c: np.flatnonzero(train.labels == c) for c in range(10)}
    if data == "fashion-mnist":
        test = datasets.open("fashion-mnist-test")
        assert isinstance(test, datasets.Images) and test.labels is not None
        parts = [np.flatnonzero(test.labels == c)[: NORMAL if c == normal else OTHERS] for c in range(10)]
        learned = rows[normal]
    else:
        test, cut = train, {c: round(len(r) * (1 - SMALL)) for c, r in rows.items()}
        most = len(rows[normal]) - cut[normal]
        parts = [rows[c][cut[c] :][: most if c == normal else most // 4] for c in range(10)]
        learned = rows[normal][: cut[normal]]
    chosen = np.concatenate(parts)
    assert test.labels is not None
    return train.rows[learned], test.rows[chosen], test.labels[chosen] != normal


class _Cpu(Callback):
    """Adds the CPU time of each session to a file, so that a stopped task counts all of it."""

    def __init__(self, path: Path) -> None:
        self.path, self.before = path, float(path.read_text()) if path.is_file() else 0.0
        self.start = time.process_time()

    def seconds(self) -> float:
        """CPU seconds of all sessions so far."""
        return self.before + time.process_time() - self.start

    def on_end(self, trainer: Any, reason: str) -> None:
        """Write the time."""
        if reason != "finished":
            replace_file(self.path, f"{self.seconds():.2f}".encode())


def make(task: Task, out: Path, progress: Progress) -> dict[str, Any]:
    """Fit and measure, or read the result of an earlier call.

    Args:
        task: What to do.
        out: Folder of the results, one JSON file per task, and of the run folders; a training that was stopped is continued.
        progress: Shows the training.

    Returns:
        The result.
    """
    file, run = task.file(out), task.run(out)
    if file.is_file():
        return detector.read_json(file)
    for path in (file, run):
        path.parent.mkdir(parents=True, exist_ok=True)
    cpu = _Cpu(run.with_name(f"{task.name}.cpu"))
    train, test, anomalous = split(task.data, task.normal)
    if not detector.exists(run):
        _fit(task, train, run, cpu, progress)
    found = fitting.open_run(run, progress)
    names = None if task.recipe == RECIPES[0] else found.scorers.of_model
    result = evaluation.evaluate(found, (test, anomalous), names=names, progress=progress)
    value = {
        "class": task.normal, "seed": task.seed, "recipe": task.recipe, "data": task.data, "train": len(train),
        "cpu_seconds": round(cpu.seconds(), 1), "chosen": found.score if found.method == methods.AUTO else None,
        "auroc": {row.score: row.auroc.value for row in result.rows},
        "false_alarms": {row.score: row.false_alarms for row in result.rows},
        "synthetic": found.areas,
    }  # fmt: skip
    replace_file(file, (json.dumps(value, indent=1) + "\n").encode())
    return value


def _fit(task: Task, train: Images, run: Path, cpu: _Cpu, progress: Progress) -> None:
    """Train and fit, or continue."""
    method = methods.AUTO if task.recipe == RECIPES[0] else task.recipe
    if (run / "config.json").is_file() and not Folder(run).without_checkpoint():
        if Folder(run).read("run.json").get("state") != "finished":
            resume_run(
                run, [cpu], Quiet(progress), total_kimg=None, data=None, gan=None, device=None, progress=progress
            )
        return
    length: dict[str, Any] = {} if task.total_kimg is None else {"total_kimg": task.total_kimg}
    fitting.fit(
        train, run, method=method, seed=task.seed, device="cpu", console=Quiet(progress), callbacks=[cpu], progress=progress,
        **length,
    )  # fmt: skip


def check(classes: tuple[int, ...], recipes: tuple[str, ...], seeds: tuple[int, ...]) -> None:
    """Raise BadInput if a class, a recipe or a seed cannot be used."""
    if not classes or any(c not in range(10) for c in classes):
        raise BadInput(f"--classes are numbers of 0 to 9, got {' '.join(map(str, classes)) or 'none'}")
    unknown = [name for name in recipes if name not in RECIPES]
    if not recipes or unknown:
        raise BadInput(f"--recipes must be of {', '.join(RECIPES)}, got {', '.join(unknown) or 'none'}")
    if not seeds or any(seed < 0 for seed in seeds):
        raise BadInput("--seeds must be whole numbers from 0")


def is_control(score: str) -> bool:
    """Whether a score needs no GAN."""
    return score in CONTROLS
