"""What `ganloom compare --budget` compares: models, data, training time, and the folder that holds the comparison."""

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ganloom import data as datasets
from ganloom import recipes
from ganloom.api import prepare
from ganloom.core import json_files
from ganloom.core.errors import BadInput
from ganloom.core.output_files import replace_file
from ganloom.evaluation.options import Features

SET_BY_COMPARISON = frozenset({"shape", "seed", "total_kimg", "judge"})
"""Settings that are equal for all models and cannot be given for one."""


@dataclass(frozen=True)
class Plan:
    """The models to compare, and how to train and measure them."""

    data: str
    models: tuple[str, ...]
    """Names of recipes and baselines, or any names that are keys of ``settings``."""
    budget: float
    """Training time of each model, in seconds."""
    seeds: int = 1
    """Number of trainings of each model."""
    seed: int = 0
    """Seed of the first training."""
    n: int = 2000
    """Number of samples and of real images to measure."""
    k: int = 5
    """Number of neighbours for precision, recall, density and coverage."""
    features: Features | Sequence[Features] = "both"
    shape: tuple[int, int, int] | None = None
    """Channels, height and width. None: from the data; 32 px if the images have different sizes."""
    labels: bool | None = None
    """False: ignore the labels of the data; folders are no classes."""
    settings: Mapping[str, tuple[str, Mapping[str, Any]]] = field(default_factory=dict)
    """For models with settings: name in ``models`` -> (recipe, keywords of ``ganloom.train``)."""

    def of(self, name: str) -> tuple[str, Mapping[str, Any]]:
        """The recipe and the settings of a model."""
        return self.settings.get(name, (name, {}))

    def kept(self, data: datasets.Data) -> dict[str, Any]:
        """What must stay the same when a comparison is continued. Models and seeds may be added."""
        return {
            "data": self.data, "fingerprint": data.fingerprint[:16], "budget": self.budget, "seed": self.seed, "n": self.n,
            "k": self.k, "features": str(self.features), "shape": None if self.shape is None else list(self.shape),
        }  # fmt: skip


def seconds_of(budget: str | float) -> float:
    """Convert a training time to seconds.

    Args:
        budget: Such as "90s", "10m", "1h30m", "1.5h", or a number of seconds.

    Returns:
        The time in seconds, above 0.

    Raises:
        BadInput: The text is not a time above 0.
    """
    text = str(budget).strip().lower()
    match = re.fullmatch(r"(?:([\d.]+)h)?(?:([\d.]+)m)?(?:([\d.]+)s?)?", text)
    try:
        if not text or match is None:
            raise ValueError
        seconds = sum(float(part) * size for part, size in zip(match.groups(), (3600, 60, 1), strict=True) if part)
    except ValueError:
        raise BadInput(f'--budget is a time such as 90s, 10m or 1h30m, got "{budget}"') from None
    if not 0 < seconds < math.inf:
        raise BadInput(f'--budget must be above 0, got "{budget}"')
    return seconds


def folder_of(data: str, budget: str) -> Path:
    """The default folder, runs/compare-DATA-BUDGET: the same command uses the same folder."""
    plain = (re.sub(r"[^\w.-]+", "-", word).strip("-.") for word in (Path(data).name or data, budget))
    return Path("runs") / "-".join(["compare", *plain])


def run_path(out: Path, name: str, seed: int) -> Path:
    """The run folder of a model, named after the model, its settings and the seed."""
    return out / f"{re.sub(r'[^A-Za-z0-9.]+', '-', name).strip('-')}-{seed}"


def check(plan: Plan) -> tuple[Plan, datasets.Data]:
    """Check a plan before anything is trained, by building each model once.

    Args:
        plan: The plan.

    Returns:
        (the plan with plain names and the shape of the images, the open data).

    Raises:
        BadInput: A model, the data or a number cannot be used.
    """
    names = tuple(name if name in plan.settings else name.lower().replace("_", "-") for name in plan.models)
    if not names:
        raise BadInput("compare --budget takes DATA and one or more models, such as dcgan default vae ddpm")
    for name in names:
        recipes.find(plan.of(name)[0])
        if [run_path(Path(), other, 0) for other in names].count(run_path(Path(), name, 0)) > 1:
            raise BadInput(f"{name} is named twice: --seeds K trains each model K times")
    if plan.seeds < 1:
        raise BadInput(f"--seeds must be at least 1, got {plan.seeds}")
    opened = datasets.open(plan.data, shape=plan.shape, default_size=32, labels=plan.labels)
    if opened.kind != "images":
        raise BadInput(f"{opened.name} holds points; compare --budget needs images")
    if plan.k < 1 or min(plan.n, len(opened) // 2) < 2 * plan.k + 2:
        raise BadInput(
            f"{opened.name} has {len(opened)} images and --n is {plan.n}; measuring with k = {plan.k} needs at least "
            f"{4 * plan.k + 4} images and --n {2 * plan.k + 2}"
        )
    channels, height, width = opened.shape
    shape = (channels, height, width)
    for name in names:
        recipe, settings = plan.of(name)
        if fixed := sorted(SET_BY_COMPARISON & settings.keys()):
            raise BadInput(f'--{fixed[0].replace("_", "-")} is set by the comparison: leave it out of "{name}"')
        prepare(recipe, plan.data, **{**settings, "shape": shape, "labels": plan.labels})
    return replace(plan, models=names, shape=shape), opened


def claim(fixed: dict[str, Any], out: Path) -> None:
    """Create the folder of a comparison, or check that it holds the same comparison.

    Args:
        fixed: From ``Plan.kept``.
        out: The folder.

    Raises:
        BadInput: The folder holds something else.
    """
    file = out / "asked.json"
    if file.exists():
        before = json_files.read(file, fix="Choose another --out, or delete the folder to start again")
        differences = [
            f"{name} {before.get(name)}, not {value}" for name, value in fixed.items() if before.get(name) != value
        ]
        if differences:
            raise BadInput(f"{out} holds a comparison with {'; '.join(differences)}: choose another --out")
        return
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise BadInput(f"--out {out} is not empty and holds no comparison: choose another")
    out.mkdir(parents=True, exist_ok=True)
    replace_file(file, (json.dumps(fixed, indent=1) + "\n").encode())
