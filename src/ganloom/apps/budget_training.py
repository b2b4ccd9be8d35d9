"""Models of any family trained for equal time on equal data, measured alike: `ganloom compare --budget`.

The clock is the trainer's own: seconds in training steps, without images, reports and measurements. Run folders and
what was measured stay under one folder, so a command that was stopped goes on where it was.
"""

import json
import math
import re
import shutil
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, TextIO

import numpy as np
import torch

from ganloom import data as datasets
from ganloom import metrics, recipes
from ganloom.api import Run, load, prepare, resume, train
from ganloom.apps.budget_table import Budgeted, Row, sheet
from ganloom.core import allocator, hardware
from ganloom.core.errors import BadInput
from ganloom.doctor.callback import worst_of
from ganloom.evaluation import model_costs
from ganloom.evaluation.measure import Features, conditions_of, measure_model
from ganloom.imaging.grid import save_png
from ganloom.recipes import presets
from ganloom.report.figures import duration
from ganloom.runs.checkpoint import names as checkpoints_in
from ganloom.runs.checkpoint import replace_file
from ganloom.runs.folder import Folder, versions
from ganloom.training.callbacks import Callback
from ganloom.training.nan_guard import NonFinite

SHOWN = 12
"""Samples of each model in the sheet."""
ROW, TABLE = "measured.json", "compare.json"


@dataclass(frozen=True)
class Plan:
    """What is compared and how; ``budget`` in seconds of training, ``shape`` None: the data's own, at 32 px where it has none."""

    data: str
    models: tuple[str, ...]
    budget: float
    seeds: int = 1
    seed: int = 0
    n: int = 2000
    k: int = 5
    features: Features | Sequence[Features] = "both"
    shape: tuple[int, int, int] | None = None
    settings: Mapping[str, tuple[str, Mapping[str, Any]]] = field(default_factory=dict)
    """Of models that are not as they stand: (recipe, keywords of ``ganloom.train``) by the name in ``models``."""

    def of(self, name: str) -> tuple[str, Mapping[str, Any]]:
        """A model's recipe and settings."""
        return self.settings.get(name, (name, {}))

    def kept(self, data: datasets.Data) -> dict[str, Any]:
        """What must not change while a comparison goes on; models and seeds may be added."""
        return {
            "data": self.data, "fingerprint": data.fingerprint[:16], "budget": self.budget, "seed": self.seed, "n": self.n,
            "k": self.k, "features": str(self.features), "shape": None if self.shape is None else list(self.shape),
        }  # fmt: skip


def seconds_of(budget: str | float) -> float:
    """ "90s", "10m", "1h30m", "1.5h" or a number of seconds."""
    text = str(budget).strip().lower()
    found = re.fullmatch(r"(?:([\d.]+)h)?(?:([\d.]+)m)?(?:([\d.]+)s?)?", text)
    try:
        if not text or found is None:
            raise ValueError
        seconds = sum(float(part) * size for part, size in zip(found.groups(), (3600, 60, 1), strict=True) if part)
    except ValueError:
        raise BadInput(f'--budget is a time such as 90s, 10m or 1h30m, got "{budget}"') from None
    if not 0 < seconds < math.inf:
        raise BadInput(f'--budget must be above 0, got "{budget}"')
    return seconds


def folder_of(data: str, budget: str) -> Path:
    """runs/compare-DATA-BUDGET: the same command finds its own work again."""
    plain = (re.sub(r"[^\w.-]+", "-", word).strip("-.") for word in (Path(data).name or data, budget))
    return Path("runs") / "-".join(["compare", *plain])


def compare_under_budget(plan: Plan, out: str | Path, *, stream: TextIO | None = None) -> Budgeted:
    """Train each model of ``plan`` for its budget, measure all alike, and write ``out``'s compare.md, .json and .png.

    Run folders are OUT/MODEL-SEED. What is there already is not done again: a run that was stopped goes on, a measured
    one is only read. Progress goes to ``stream`` (None: stderr). Raises `BadInput`; Ctrl-C saves and raises
    KeyboardInterrupt.
    """
    allocator.keep_freed_blocks()
    plan, opened, out = *_checked(plan), Path(out)
    _claim(plan.kept(opened), out)
    told = _Told(plan, stream or sys.stderr)
    rows: list[Row] = []
    for seed in range(plan.seed, plan.seed + plan.seeds):
        for name in plan.models:
            path = _path(out, name, seed)
            row = _read(path / ROW)
            if row is None:
                told.begin(name, seed, _last(Run(path)).get("seconds", 0.0))
                run = _trained(plan, name, seed, path, opened, told)
                row = _measured(plan, name, seed, run, opened, told)
                replace_file(path / ROW, (json.dumps(row.to_dict()) + "\n").encode())
                told.end()
            rows.append(row)
    found = Budgeted(asdict(plan), rows, _where(rows))
    image = _sheet(plan, out, opened)
    if image is not None:
        save_png(image, out / "compare.png")
    replace_file(out / "compare.md", found.markdown().encode())
    replace_file(out / TABLE, (json.dumps(found.to_dict(), indent=1) + "\n").encode())
    return found


# -------------------------------------------------------------------------------------------------------- what is asked


def _checked(plan: Plan) -> tuple[Plan, Any]:
    """The plan with its names in order and its shape known, and the data; every model is built once before any trains."""
    names = tuple(name if name in plan.settings else name.lower().replace("_", "-") for name in plan.models)
    if not names:
        raise BadInput("compare --budget takes DATA and one or more models, such as dcgan default vae ddpm")
    for name in names:
        recipes.find(plan.of(name)[0])
        if [_path(Path(), one, 0) for one in names].count(_path(Path(), name, 0)) > 1:
            raise BadInput(f"{name} is named twice: --seeds K trains each model K times")
    if plan.seeds < 1:
        raise BadInput(f"--seeds must be at least 1, got {plan.seeds}")
    opened = datasets.open(plan.data, shape=plan.shape, default_size=32)
    if opened.kind != "images":
        raise BadInput(f"{opened.name} holds points; compare --budget is for images")
    if plan.k < 1 or min(plan.n, len(opened) // 2) < 2 * plan.k + 2:
        raise BadInput(
            f"{opened.name}: {len(opened)} images and --n {plan.n}; measuring with k = {plan.k} needs "
            f"{4 * plan.k + 4} or more images and --n {2 * plan.k + 2} or more"
        )
    channels, height, width = opened.shape
    shape = (channels, height, width)
    for name in names:
        recipe, settings = plan.of(name)
        if ruled := sorted({"shape", "seed", "total_kimg", "judge"} & settings.keys()):
            raise BadInput(f'--{ruled[0].replace("_", "-")} is the comparison\'s to say: leave it out of "{name}"')
        prepare(recipe, plan.data, **{**settings, "shape": shape})
    return replace(plan, models=names, shape=shape), opened


def _claim(kept: dict[str, Any], out: Path) -> None:
    """Make the folder, or see that it was made for the same comparison."""
    asked = out / "asked.json"
    if asked.exists():
        before = json.loads(asked.read_text(encoding="utf-8"))
        differing = [name for name, value in kept.items() if before.get(name) != value]
        if differing:
            said = ", ".join(f"{name} {before.get(name)} and not {kept[name]}" for name in differing)
            raise BadInput(f"{out} holds a comparison with {said}: choose another --out")
        return
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise BadInput(f"--out {out} is not an empty folder, and no comparison: choose another")
    out.mkdir(parents=True, exist_ok=True)
    replace_file(asked, (json.dumps(kept, indent=1) + "\n").encode())


def _path(out: Path, name: str, seed: int) -> Path:
    """The run folder of a model, by its name and its flags."""
    return out / f"{re.sub(r'[^A-Za-z0-9.]+', '-', name).strip('-')}-{seed}"


def _read(path: Path) -> Row | None:
    return Row.from_dict(json.loads(path.read_text(encoding="utf-8"))) if path.exists() else None


# ------------------------------------------------------------------------------------------------------------- training


def _trained(plan: Plan, name: str, seed: int, path: Path, opened: Any, told: "_Told") -> Run:
    """The run, trained to the budget: new, gone on with, or already there."""
    state = Folder(path).read("run.json")
    watch = Countdown(plan.budget, told.say)
    if state.get("exit_reason") in ("budget", "nan"):
        return Run(path, state["exit_reason"])
    try:
        if state and checkpoints_in(path / "checkpoints"):
            return resume(path, console=watch)
        if path.exists():  # killed before its first checkpoint: nothing to go on from
            with Folder(path).lock():  # or another command is at work there
                shutil.rmtree(path)
        recipe, settings = plan.of(name)
        ruled = {"shape": plan.shape, "seed": seed, "total_kimg": presets.ENDLESS, "judge": 0, "grid": 20}
        return train(recipe, plan.data, path, console=watch, **{**settings, **ruled})
    except NonFinite as error:
        told.say(str(error))
        return Run(path, "nan")


class Countdown(Callback):
    """Ends a run cleanly when its training time is spent, and says now and then how far it is."""

    def __init__(self, budget: float, say: Callable[[str], None], every: float = 15.0) -> None:
        self.budget, self.say, self.every = budget, say, every
        self._said = time.monotonic()
        self._begun = 0.0, 0.0

    def on_start(self, trainer: Any) -> None:
        self._begun = time.perf_counter(), time.process_time()
        self._look(trainer, trainer.seconds)  # what other callbacks make ready is no training

    def on_step(self, trainer: Any) -> None:
        self._look(trainer, trainer.elapsed)

    def on_end(self, trainer: Any, reason: str) -> None:
        """Keep how many cores the process had: on a busy machine equal time is not equal work."""
        seconds, cpu = time.perf_counter() - self._begun[0], time.process_time() - self._begun[1]
        Folder(trainer.run_dir).update("run.json", cores=round(cpu / max(seconds, 1e-9), 2))

    def _look(self, trainer: Any, spent: float) -> None:
        if spent >= self.budget:
            trainer.stop_requested = trainer.stop_requested or "budget"
        elif time.monotonic() - self._said >= self.every:
            self._said = time.monotonic()
            speed = trainer.nimg / max(spent, 1e-9)
            self.say(
                f"trained {duration(spent)} of {duration(self.budget)}, {trainer.nimg / 1000:.1f} kimg, {speed:.0f} img/s"
            )


# ------------------------------------------------------------------------------------------------------------ measuring


def _measured(plan: Plan, name: str, seed: int, run: Run, opened: Any, told: "_Told") -> Row:
    """All figures of one run. One whose training broke before a checkpoint has none but that."""
    last = _last(run)
    known: dict[str, Any] = {
        "model": name, "seed": seed, "family": "baseline" if plan.of(name)[0] not in recipes.RECIPES else "gan",
        "run": str(run.path), "ended": "healthy" if run.reason == "budget" else run.reason,
        "seconds": last.get("seconds", math.nan), "kimg": last.get("kimg", 0.0), "finding": worst_of(run.path),
    }  # fmt: skip
    if not checkpoints_in(run.path / "checkpoints"):
        return Row(**known)
    gan = load(run.path)
    n = min(plan.n, len(opened) // 2)
    made = model_costs.Drawn(gan, n, metrics.Clock(told.say))
    found = measure_model(
        made, opened, n=n, k=plan.k, features=plan.features, seed=plan.seed, split=f"{opened.name} (training data)",
        progress=metrics.Clock(told.say),
    )  # fmt: skip
    replace_file(
        run.path / "metrics.json", (json.dumps(found.to_dict() | {"kimg": gan.kimg}, indent=1) + "\n").encode()
    )
    picks = torch.randperm(len(opened), generator=torch.Generator().manual_seed(plan.seed))[:n].numpy()
    real = opened.get(picks).cpu()
    values = dict(found.rows[metrics.GENERATED])
    values["sharpness"] = model_costs.sharpness(made.images, real)
    bits = model_costs.bits_per_dim(gan, real, conditions_of(gan, opened, picks), plan.seed)
    if bits is not None:
        values["bits_per_dim"] = bits
    counts = found.class_counts
    if metrics.GENERATED in counts:
        apart, least = model_costs.classes_apart(counts[metrics.GENERATED], counts[metrics.FLOOR])
        values |= {"classes_apart": metrics.Value(apart), "least_class": metrics.Value(least)}
    told.say("timing samples")
    for batch in (model_costs.BATCH, 1):
        values[f"ms_sample_{batch}"] = metrics.Value(model_costs.milliseconds(gan, batch))
    return Row(
        **known, values=values, references={row: v for row, v in found.rows.items() if row != metrics.GENERATED},
        parameters=sum(p.numel() for p in gan.parameters()), generator=sum(p.numel() for p in gan.G.parameters()),
        protocols=found.protocols, levels=int(getattr(gan.cfg, "levels", 0)),
        likelihood=str(getattr(gan, "likelihood", "")),
        machine=f"{hardware.name(str(gan.device))}, {torch.get_num_threads()} threads",
        cores=float(Folder(run.path).read("run.json").get("cores", 0.0)), torch=versions()["torch"],
        warnings=list(found.warnings),
    )  # fmt: skip


def _last(run: Run) -> dict[str, Any]:
    rows = run.metrics
    return rows[-1] if rows else {}


def _where(rows: Sequence[Row]) -> str:
    """What it ran on, in words."""
    places = dict.fromkeys(f"{row.machine}, torch {row.torch}" for row in rows if row.machine)
    return "; ".join(places)


def _sheet(plan: Plan, out: Path, opened: Any) -> Any:
    """Real images, then a row of the first samples of each model of the first seed; None where no model has any."""
    wanted = [i * opened.n_classes // SHOWN for i in range(SHOWN)]
    rows = list(range(SHOWN))
    if opened.labels is not None:
        rows = [int(np.flatnonzero(opened.labels == c)[wanted[:i].count(c)]) for i, c in enumerate(wanted)]
    strips = [("real", opened.get(torch.tensor(rows)).cpu())]
    for name in plan.models:
        path = _path(out, name, plan.seed)
        if not checkpoints_in(path / "checkpoints"):
            continue
        gan = load(path)
        takes = int(getattr(gan.cfg, "n_classes", 0) or 0) == opened.n_classes > 0
        strips.append((name, gan.generate(SHOWN, seed=plan.seed, c=torch.tensor(wanted) if takes else None).cpu()))
    return sheet(strips) if len(strips) > 1 else None


class _Told:
    """Which model is at work and how long all will take yet, a line at a time."""

    def __init__(self, plan: Plan, stream: TextIO) -> None:
        self.plan, self.stream = plan, stream
        self.total, self.what, self.begun = len(plan.models) * plan.seeds, "", 0.0
        self.measured: list[float] = []

    def begin(self, name: str, seed: int, spent: float) -> None:
        """``spent``: what this model has trained already."""
        place = self.plan.models.index(name) + 1 + (seed - self.plan.seed) * len(self.plan.models)
        self.what, self.begun = f"[{place}/{self.total}] {name}, seed {seed}", time.monotonic()
        ahead = self.total - place + 1
        extra = sum(self.measured) / len(self.measured) if self.measured else 0.0
        left = duration(ahead * (self.plan.budget + extra) - min(spent, self.plan.budget))
        more = "" if self.measured else " and the time to draw samples"
        self.say(f"about {left} left{more}; Ctrl-C stops, the same command goes on")

    def end(self) -> None:
        self.measured.append(max(0.0, time.monotonic() - self.begun - self.plan.budget))

    def say(self, text: str) -> None:
        print(f"{self.what}: {text}", file=self.stream, flush=True)
