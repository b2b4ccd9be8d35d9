"""Train the 3D recipes, or take runs, measure them beside controls, and compare the figures with what they must reach."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ganloom.api import load, resume, train
from ganloom.apps.volumetric import volumetric
from ganloom.bench.recipes.job import SPENT, ProcessorTime, Quiet
from ganloom.bench.volumes import measure as measuring
from ganloom.bench.volumes.measure import Truth
from ganloom.bench.volumes.reader import trained
from ganloom.bench.volumes.subjects import Generated, Known, Subject
from ganloom.core import json_files
from ganloom.core.errors import BadInput, did_you_mean
from ganloom.core.output_files import replace_file
from ganloom.data import solid_objects
from ganloom.report.progress import Progress
from ganloom.runs.folder import Folder

DATA = {"prgan": "silhouettes", "gan3d": "silhouettes", "eg3d": "primitives3d"}
"""Recipe -> the set that it is trained on and measured with."""
REAL = "real against real"
Figures = dict[str, float]


@dataclass(frozen=True)
class Must:
    """What a figure must reach, and what it should.

    Attributes:
        must: The bound.
        aim: A better one.
        lower: Whether lower is better.
    """

    must: float
    aim: float
    lower: bool = False

    def holds(self, value: float) -> bool:
        """Whether a value reaches the bound."""
        return value <= self.must if self.lower else value >= self.must


_SILHOUETTES = {
    "recall": Must(0.55, 0.65), "over_blobs": Must(0.07, 0.17), "least_share": Must(0.15, 0.25), "agree-20": Must(0.80, 0.90),
    "agree60": Must(0.70, 0.83), "fd": Must(0.25, 0.12, lower=True),
}  # fmt: skip
MUSTS: dict[str, dict[str, Must]] = {
    "silhouettes": _SILHOUETTES,
    "primitives3d": {
        "fd": Must(0.10, 0.045, lower=True), "agree": Must(0.90, 0.97), "agree_all": Must(0.70, 0.88), "recall": Must(0.82, 0.90),
        "same_class": Must(0.85, 0.95), "watertight": Must(1.0, 1.0), "largest_part": Must(0.98, 1.0), "euler2": Must(0.90, 1.0),
    },
}  # fmt: skip
"""Set -> figure -> what a trained model must reach. ``over_blobs`` is the recall minus that of the class-mean blobs."""
COLUMNS = (
    "recall", "precision", "least_share", "agree", "agree_all", "agree-20", "agree60", "fd", "same_class", "watertight",
    "largest_part", "euler2",
)  # fmt: skip


@dataclass(frozen=True)
class Row:
    """One line of a table: its name, its figures, CPU seconds of training and thousands of images where it is a model."""

    name: str
    figures: Figures
    cpu_seconds: float | None = None
    kimg: float | None = None


def missed(figures: Figures, name: str) -> list[str]:
    """Return the figures of a set that do not reach what they must, such as ``recall 0.41 (must be at least 0.55)``."""
    lines = []
    for key, bound in MUSTS[name].items():
        if not bound.holds(figures[key]):
            lines.append(f"{key} {figures[key]:.3f} (must be at {'most' if bound.lower else 'least'} {bound.must:g})")
    return lines


def against_blobs(figures: Figures, controls: dict[str, Figures]) -> Figures:
    """Return the figures with ``over_blobs``."""
    return figures | {"over_blobs": figures["recall"] - controls["class-mean blobs"]["recall"]}


def check(recipes: Sequence[str], seeds: Sequence[int], runs: Sequence[str]) -> None:
    """Raise BadInput if a recipe or a seed cannot be used."""
    for name in recipes:
        if name not in DATA:
            raise BadInput(f"--recipes {name}{did_you_mean(name, DATA)}: it must be of {', '.join(DATA)}")
    if not runs and not (recipes and seeds):
        raise BadInput("give --recipes and --seeds, or --runs")
    if any(seed < 0 for seed in seeds):
        raise BadInput("--seeds must be whole numbers from 0")


def measure(
    recipes: Sequence[str],
    seeds: Sequence[int],
    out: Path,
    *,
    runs: Sequence[str] = (),
    total_kimg: float | None = None,
    progress: Progress,
) -> dict[str, list[Row]]:
    """Train what is not trained yet, and measure it beside the controls.

    Args:
        recipes: Recipes to train.
        seeds: Seeds of the trainings.
        out: Folder of runs, results and readers.
        runs: Runs of 3D recipes that are measured instead of training.
        total_kimg: Length of each training in thousands of images; None: that of its plan.
        progress: Shows what is done.

    Returns:
        Set -> rows: the models, then the controls.

    Raises:
        BadInput: An argument cannot be used.
    """
    check(recipes, seeds, runs)
    wanted: dict[str, list[Path]] = {}
    if runs:
        for path in map(Path, runs):
            wanted.setdefault(_set_of(path), []).append(path)
    else:
        for recipe in dict.fromkeys(recipes):
            for seed in dict.fromkeys(seeds):
                run = _trained(recipe, seed, out, total_kimg, progress)
                wanted.setdefault(DATA[recipe], []).append(run)
    return {name: _rows(name, paths, out, progress) for name, paths in wanted.items()}


def _rows(name: str, paths: Sequence[Path], out: Path, progress: Progress) -> list[Row]:
    """Measure runs of one set, and the controls."""
    truth = measuring.truth_of(name, trained(name, out / f"reader-{name}.safetensors", progress))
    controls = _kept(out / f"controls-{name}.json", lambda: measuring.blobs(name, truth))
    real = _kept(out / f"real-{name}.json", lambda: {REAL: _measured(Known(name, 0), truth, controls, progress)})
    rows = []
    for path in paths:
        progress.prefix = f"{path}: "
        gan = volumetric(load(path), path)
        channels = solid_objects.SETS[name].shape[0]
        figures = _measured(Generated(gan, channels=channels), truth, controls, progress)
        rows.append(Row(path.name, figures, Folder(path).read("run.json").get(SPENT), gan.kimg))
    progress.prefix = ""
    return [*rows, *(Row(key, value) for key, value in {**controls, **real}.items())]


def _measured(subject: Subject, truth: Truth, controls: dict[str, Figures], progress: Progress) -> Figures:
    return against_blobs(measuring.measure(subject, truth, progress=progress), controls)


def _kept(path: Path, compute: Any) -> dict[str, Figures]:
    """Read figures from a file, or compute and write them."""
    if path.is_file():
        kept: dict[str, Figures] = json_files.read(path, fix="Delete it: it is measured again")
        return kept
    value: dict[str, Figures] = compute()
    replace_file(path, (json.dumps(value, indent=1) + "\n").encode())
    return value


def _set_of(run: Path) -> str:
    """The set that a run was trained on. Raises BadInput if it is another one."""
    described = Folder(run).read("config.json").get("data")
    source = str((described or {}).get("source", {}).get("source", "")) if isinstance(described, dict) else ""
    name = source.split(":")[0]
    if name not in solid_objects.SETS:
        known = " or ".join(solid_objects.SETS)
        raise BadInput(f"{run} was not trained on {known}: only there the true shapes are known")
    return name


def _trained(recipe: str, seed: int, out: Path, total_kimg: float | None, progress: Progress) -> Path:
    """Train a recipe with its plan, or continue; return the run."""
    length: dict[str, Any] = {} if total_kimg is None else {"total_kimg": total_kimg}
    run = out / "runs" / "-".join([recipe, f"seed{seed}", *(f"{value:g}kimg" for value in length.values())])
    shared: dict[str, Any] = {
        "callbacks": [ProcessorTime()], "console": Quiet(progress, f"{run.name}: training (images)"), "progress": progress,
    }  # fmt: skip
    if (run / "config.json").is_file() and not Folder(run).without_checkpoint():
        if Folder(run).read("run.json").get("state") != "finished":
            resume(run, **shared)
        return run
    run.parent.mkdir(parents=True, exist_ok=True)
    train(recipe, DATA[recipe], run, small=True, seed=seed, device="cpu", **shared, **length)
    return run


def table_of(rows: Sequence[Row]) -> list[dict[str, str]]:
    """Return the lines of a table; cells that are not measured are empty."""
    lines = []
    for row in rows:
        line = {"objects": row.name} | {key: f"{row.figures[key]:.3f}" if key in row.figures else "" for key in COLUMNS}
        line["kimg"] = "" if row.kimg is None else f"{row.kimg:g}"
        line["CPU s"] = "" if row.cpu_seconds is None else f"{row.cpu_seconds:.0f}"
        lines.append(line)
    return lines


def verdicts(name: str, rows: Sequence[Row]) -> list[str]:
    """Say for each model which figures do not reach what they must."""
    lines = []
    for row in rows:
        if row.kimg is None:
            continue
        below = missed(row.figures, name)
        count = len(MUSTS[name])
        ending = f"; not: {', '.join(below)}" if below else ""
        lines.append(f"{row.name}: {count - len(below)} of {count} figures reach what they must{ending}")
    return lines
