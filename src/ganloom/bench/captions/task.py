"""One task of the benchmark: train a text-to-image recipe on captions with one seed, and measure its images."""

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ganloom import recipes
from ganloom.apps.run_cache import finished
from ganloom.bench.recipes.job import SPENT, ProcessorTime, Quiet
from ganloom.bench.tasks import TrainingTask, read_result
from ganloom.core.errors import BadInput
from ganloom.core.names import own_file_name
from ganloom.core.output_files import replace_file
from ganloom.evaluation.evaluate import evaluate
from ganloom.recipes import presets
from ganloom.report.progress import Progress
from ganloom.runs.folder import Folder

SOURCES = {"shapes": "shapes:8000,varied,seen", "emoji": "emoji-names"}
"""Short names of the data."""
PLAN = "plan"
VARIANTS: dict[str, dict[str, Any]] = {
    PLAN: {}, "no-near": {"near": 0.0}, "no-contrast": {"contrast_weight": 0.0}, "no-mismatch": {"mismatch": False},
}  # fmt: skip
"""Variant -> the settings of the recipe's plan that it changes. All but the first are ablations."""
HELD_OUT = 0.1
"""Share of the images that are held out, for other data than ``shapes``, which has combinations that are held out."""
DISTANCES = ("fd", "coverage")


def source_of(data: str) -> str:
    """Return the source of data: ``shapes`` and ``emoji`` are short names."""
    return SOURCES.get(data, data)


def has(recipe: str, variant: str) -> bool:
    """Return whether a variant changes the plan of a recipe."""
    changes = VARIANTS[variant]
    if not changes:
        return True
    defaults = {field.name: field.default for field in dataclasses.fields(recipes.find(recipe).Config)}
    settings = defaults | presets.plan(recipe).options
    return all(name in defaults and settings[name] != value for name, value in changes.items())


def _label(recipe: str, encoder: str, variant: str) -> str:
    """Say what is trained, for people."""
    return f"{recipe}, {encoder}" + ("" if variant == PLAN else f", {variant}")


@dataclass(frozen=True)
class Task(TrainingTask):
    """What is trained and measured.

    Attributes:
        data: The source of the data, see ``ganloom.data.open``.
        digest: First digits of the fingerprint of the data.
        size: Side of the images in pixels.
        recipe: The recipe; its plan (``--small``) is trained.
        encoder: The text encoder.
        variant: A key of ``VARIANTS``.
        seed: Seed of the training, and of what is measured.
        n: Captions of each set.
        total_kimg: Length of the training in thousands of images; None: that of the plan.
    """

    data: str
    digest: str
    size: int
    recipe: str
    encoder: str
    variant: str
    seed: int
    n: int
    total_kimg: float | None = None

    @property
    def label(self) -> str:
        return _label(self.recipe, self.encoder, self.variant)

    @property
    def name(self) -> str:
        """A name for files."""
        kind = own_file_name(Path(self.data.split(":")[0]).name)
        encoder = own_file_name(Path(self.encoder).name)
        length = "" if self.total_kimg is None else f"-{self.total_kimg:g}kimg"
        return f"{kind}-{self.digest}-{self.recipe}-{encoder}-{self.variant}-seed{self.seed}{length}"

    def file(self, out: Path) -> Path:
        """The file of the result in the folder ``out``."""
        return out / "results" / f"{self.name}-n{self.n}.json"

    def words(self, out: Path) -> list[object]:
        """The words after ``ganloom bench`` that make this task alone."""
        words = [
            "captions", "--data", self.data, "--size", self.size, "--recipes", self.recipe, "--encoders", self.encoder,
            "--variants", self.variant, "--seeds", self.seed, "--n", self.n, "--out", out, "--json",
        ]  # fmt: skip
        return words if self.total_kimg is None else [*words, "--total-kimg", self.total_kimg]


@dataclass(frozen=True)
class Result:
    """The figures of one training.

    Attributes:
        recipe: The recipe.
        encoder: The text encoder.
        variant: A key of ``task.VARIANTS``.
        seed: Seed of the training.
        data: The source of the data.
        kimg: Length of the training in thousands of images.
        cpu_seconds: CPU seconds of the training, over all its sessions.
        rows: Set of captions -> images -> figure -> {"value", and for shares "low" and "high"}.
        captions: Set -> number of captions.
        distances: Name -> value, of samples from the training images: Frechet distance and coverage.
        real_distances: The same of real images.
    """

    recipe: str
    encoder: str
    variant: str
    seed: int
    data: str
    kimg: float
    cpu_seconds: float
    rows: dict[str, dict[str, dict[str, dict[str, float]]]]
    captions: dict[str, int]
    distances: dict[str, float]
    real_distances: dict[str, float]

    def value(self, name: str, images: str, figure: str) -> float | None:
        """A figure of a set of captions; None if it was not measured."""
        found = self.rows.get(name, {}).get(images, {}).get(figure)
        return None if found is None else found["value"]

    @property
    def label(self) -> str:
        """What was trained, for people."""
        return _label(self.recipe, self.encoder, self.variant)


def make(task: Task, out: Path, progress: Progress) -> Result:
    """Train and measure, or read the result of an earlier call.

    Args:
        task: What to do.
        out: Folder of the results, one JSON file per task, and of the run folders; a training that was stopped is continued.
        progress: Shows the training and what is measured.

    Returns:
        The result.

    Raises:
        BadInput: The result file is damaged, or the recipe cannot be trained.
    """
    file, run = task.file(out), task.run(out)
    if file.is_file():
        return read_result(file, Result)
    for path in (file, run):
        path.parent.mkdir(parents=True, exist_ok=True)
    trained = finished(
        task.recipe, task.data, run, progress, callbacks=[ProcessorTime()], console=Quiet(progress), **_options(task)
    )
    measured = evaluate(
        trained.path, n=task.n, features="random", metrics=DISTANCES, intervals=False, seed=task.seed, write=False,
        progress=progress,
    )  # fmt: skip
    if "captions" not in measured:
        raise BadInput(f"{task.data} has no captions that can be measured")
    result = Result(
        task.recipe, task.encoder, task.variant, task.seed, task.data, measured["kimg"],
        float(Folder(run).read("run.json").get(SPENT, 0.0)), measured["captions"]["rows"], measured["captions"]["captions"],
        *(_distances(measured["rows"][name]) for name in ("generated", "real (other half)")),
    )  # fmt: skip
    replace_file(file, (json.dumps(dataclasses.asdict(result), indent=1) + "\n").encode())
    return result


def _options(task: Task) -> dict[str, Any]:
    """The options of ``ganloom.train``."""
    options: dict[str, Any] = {
        "small": True, "shape": (3, task.size, task.size), "encoder": task.encoder, "seed": task.seed, "device": "cpu",
        "precision": "float32", "doctor": False, **VARIANTS[task.variant],
    }  # fmt: skip
    if not task.data.startswith("shapes"):
        options["held_out"] = HELD_OUT
    return options if task.total_kimg is None else options | {"total_kimg": task.total_kimg}


def _distances(row: dict[str, dict[str, float]]) -> dict[str, float]:
    return {name: value["value"] for name, value in row.items()}
