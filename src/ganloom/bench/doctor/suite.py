"""`ganloom bench doctor`: train the runs with faults and the healthy ones, and keep what the doctor said and what came out."""

import concurrent.futures
import contextlib
import dataclasses
import json
import math
import multiprocessing
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import torch

from ganloom import data as datasets
from ganloom import metrics
from ganloom.api import train
from ganloom.bench.doctor import faults, healthy
from ganloom.bench.doctor.fault import Fault
from ganloom.core import allocator, json_files
from ganloom.core.errors import BadInput, GanloomError
from ganloom.doctor import RED, record
from ganloom.doctor import statistics as st
from ganloom.doctor.saved_run import examine_run
from ganloom.gan import Adam
from ganloom.recipes import RECIPES, find
from ganloom.recipes.presets import PLANS
from ganloom.report.progress import Progress
from ganloom.runs.folder import Folder
from ganloom.training.callbacks import Callback

SIDE = 16
"""Height and width of the images; a run takes some seconds on one core."""
FAST = Adam(1e-3, betas=(0.5, 0.999))
"""Five times dragan's learning rate: with its own, 375 steps are too few to learn anything."""
SMALL: dict[str, dict[str, Any]] = {
    "default": {"width": 8},
    "dragan": {"width": 16, "batch_size": 32, "g_opt": FAST, "d_opt": FAST},
}
"""The recipes that get the faults, as small as they still learn: one with labels and one without, both with a penalty."""
LABELLED = ("default", "cgan")
"""The recipes that get the faults of labels."""
KIMG, TICK = 12.0, 0.5
HEAL_KIMG = 20.0
JUDGED = 1000
"""Samples and real images for the outcome of a run."""
TRAIN: dict[str, Any] = {
    "judge": 0,
    "grid": 16,
    "keep": 1,
    "kimg_per_tick": TICK,
    "kimg_per_checkpoint": 4.0,
    "device": "cpu",
    "precision": "float32",
}


@dataclasses.dataclass(frozen=True)
class Outcome:
    """The result of one run."""

    recipe: str
    fault: str
    """Empty for a healthy run."""
    seed: int
    light: str
    findings: tuple[str, ...]
    first: str
    right: bool
    """With a fault: the first finding names it. Healthy: no finding is red. Healed: no finding is red or names the fault."""
    ever: tuple[str, ...] = ()
    """Findings at any time, also those that disappeared again."""
    seconds: float = 0.0
    heals: int = 0
    healthy: str = ""
    """Name of a healthy but odd run."""
    distance: float | None = None
    """Frechet distance of samples to the unchanged data, None for other data."""
    agrees: float | None = None
    """Share of samples that show their class, None without labels."""

    def to_dict(self) -> dict[str, Any]:
        """The values as plain data."""
        return dataclasses.asdict(self)


@dataclasses.dataclass(frozen=True)
class Job:
    """One run to make."""

    recipe: str
    fault: str
    healthy: str
    seed: int
    kimg: float | None = None
    heal: int = 0

    @property
    def key(self) -> list[Any]:
        """What identifies the run in outcomes.jsonl."""
        return [self.recipe, self.fault, self.healthy, self.seed, self.heal, self.kimg]


def small(recipe: str) -> dict[str, Any]:
    """Choose settings with which a recipe trains in seconds on images of 16 px.

    Args:
        recipe: The name of the recipe.

    Returns:
        Fields of its Config.
    """
    if recipe in SMALL:
        return dict(SMALL[recipe])
    plan = dict(PLANS[recipe].options) if recipe in PLANS else {}
    module = find(recipe)
    names = {field.name for field in dataclasses.fields(module.Config)}
    options = {k: v for k, v in plan.items() if k in names and "." not in k}
    for name, least in (("width", 8), ("d_width", 8)):
        if name in names:
            options[name] = max(min(int(options.get(name, 16)), 16), least) if recipe != "fastgan" else 2
    for name in ("g_opt", "d_opt"):
        if f"{name}.lr" in plan:
            options[name] = dataclasses.replace(getattr(module.Config(), name), lr=plan[f"{name}.lr"])
    return options


class Final(Callback):
    """Measures the samples at the end of a run, against the unchanged data and without the doctor's figures."""

    def __init__(self) -> None:
        self.distance: float | None = None
        self.agrees: float | None = None

    def on_end(self, trainer: Any, reason: str) -> None:
        """Compute the Frechet distance and the share of samples that show their class."""
        self.distance = math.inf
        data = datasets.open("fashion-10k", shape=(1, SIDE, SIDE))
        classes = int(getattr(trainer.gan.cfg, "n_classes", 0) or 0)
        c = torch.arange(JUDGED) % classes if classes else None
        x = trainer.ema.generate(JUDGED, seed=10_000_000, c=c)
        if x.shape[1:] != data.shape or not bool(x.isfinite().all()):
            return
        net = metrics.get("fashion")
        real, fake = net(data.get(torch.arange(2 * JUDGED))), net(x.clamp(-1, 1))
        self.distance = float(metrics.frechet_distance(real, fake))
        if c is not None and classes == data.n_classes:
            labels = torch.as_tensor(data.labels)[: 2 * JUDGED].long()
            self.agrees = st.agreement(st.vote(fake, real, labels, classes), c)


def one(job: Job, folder: Path, options: dict[str, Any] | None = None) -> Outcome:
    """Train one run and compare the doctor's findings with the fault.

    Args:
        job: The run.
        folder: The folder for the run folder.
        options: More options of ``ganloom.train``.

    Returns:
        The result.
    """
    module, start = find(job.recipe), time.perf_counter()
    fault = faults.find(job.fault) if job.fault else None
    odd = healthy.find(job.healthy) if job.healthy else None
    own = small(job.recipe) | (odd.options if odd else {}) | (options or {})
    own |= fault.settings(_config(module, small(job.recipe))) if fault else {}
    path = _folder(folder, job)
    data = odd.data(job.seed) if odd else faults.open_data(fault, SIDE, job.seed, module.MODEL)
    inside = fault.inside(module, job.seed) if fault else contextlib.nullcontext()
    length = job.kimg or (HEAL_KIMG if job.heal else (odd.kimg if odd else None) or KIMG)
    fashion = odd is None and module.MODEL.conditions_on != "images"
    final = Final()
    with inside, contextlib.suppress(GanloomError), contextlib.redirect_stderr(_Discard()):
        train(
            job.recipe, data, path, console=Callback(), callbacks=[final] if fashion else [], total_kimg=length,
            seed=job.seed, heal=job.heal, **TRAIN, **own,
        )  # fmt: skip
    return dataclasses.replace(
        outcome_of(job, path), seconds=time.perf_counter() - start, distance=final.distance, agrees=final.agrees
    )


def outcome_of(job: Job, path: Path) -> Outcome:
    """Return what the doctor says about a run folder, by the present rules."""
    saved = record.read(path)
    colour, found = examine_run(path, Folder(path).read("run.json").get("exit_reason"))
    names = tuple(f.name for f in found)
    reds = [f.name for f in found if f.severity == RED]
    fault = faults.find(job.fault) if job.fault else None
    first = names[0] if names else ""
    if fault is None:
        right = not reds
    else:
        right = not reds and not set(names) & set(fault.named) if job.heal else first in fault.named
    heals = len(saved.get("heals", []))
    return Outcome(
        job.recipe, job.fault, job.seed, colour, names, first, right, _ever(path), heals=heals, healthy=job.healthy
    )


def _path(folder: Path, job: Job) -> Path:
    words = (job.fault or job.healthy or "healthy").replace(",", "").replace("/", "-").replace("%", "percent")
    return folder / f"{job.recipe}-{words.replace(' ', '-')}-{job.seed}{'-heal' if job.heal else ''}"


def _folder(folder: Path, job: Job) -> Path:
    """Return the run folder of a job, without what an unfinished run of this benchmark left there."""
    path = _path(folder, job)
    if path.exists():
        if not (path / "run.json").is_file():
            raise BadInput(f"{path} is not a run of this benchmark. Move it, or choose another --runs")
        shutil.rmtree(path)
    return path


def _outcome(values: dict[str, Any]) -> Outcome:
    fields: dict[str, Any] = {name: tuple(v) if isinstance(v, list) else v for name, v in values.items()}
    return Outcome(**fields)


class _Discard:
    """A stream that discards what is written."""

    def write(self, text: str) -> int:
        return len(text)

    def flush(self) -> None:
        pass

    def isatty(self) -> bool:
        return False


def _ever(path: Path) -> tuple[str, ...]:
    events = [line.value or {} for line in json_files.read_lines(path / "events.jsonl")]
    return tuple(dict.fromkeys(f"{e['severity']} {e['name']}" for e in events if e.get("kind") == "finding"))


@dataclasses.dataclass(frozen=True)
class Suite:
    """Which runs to make."""

    recipes: Sequence[str] = tuple(SMALL)
    faults: Sequence[str] = tuple(faults.NAMES)
    seeds: Sequence[int] = (0, 1)
    healthy: Sequence[str] = tuple(healthy.NAMES)
    """Names of ``healthy.RUNS``, or recipes."""
    heal: int = 0
    kimg: float | None = None

    def jobs(self) -> list[Job]:
        """Return the runs: for each seed the references and the faults, then the healthy runs once.

        Raises:
            BadInput: A name or a number cannot be used.
        """
        for name in self.recipes:
            find(name)
        if self.kimg is not None and not self.kimg > 0:
            raise BadInput(f"--total-kimg must be above 0, got {self.kimg}")
        chosen = [faults.find(name) for name in self.faults]
        jobs: list[Job] = []
        for seed in self.seeds:
            pairs = [(f, recipe) for f in chosen for recipe in self._recipes(f) if f.heals or not self.heal]
            needed = dict.fromkeys(recipe for _, recipe in pairs)
            jobs += [] if self.heal else [Job(recipe, "", "", seed, self.kimg) for recipe in needed]
            jobs += [Job(recipe, f.name, "", seed, self.kimg, self.heal) for f, recipe in pairs]
            plain = [name for name in self.healthy if name in RECIPES]
            jobs += [Job(name, "", "", seed, self.kimg) for name in plain if name not in needed]
        odd = [healthy.find(name) for name in self.healthy if name not in RECIPES]
        jobs += [Job(run.recipe, "", run.name, self.seeds[0], self.kimg) for run in odd] if not self.heal else []
        return jobs

    def _recipes(self, fault: Fault) -> list[str]:
        recipes = LABELLED if fault.needs_labels and tuple(self.recipes) == tuple(SMALL) else self.recipes
        return [name for name in recipes if fault.fits(_config(find(name), {}))]


def measure(
    suite: Suite,
    folder: Path,
    workers: int = 1,
    threads: int = 1,
    each: Callable[[Outcome], None] = lambda outcome: None,
    progress: Progress | None = None,
) -> list[Outcome]:
    """Make all runs. Results that are already in the folder are reused, so an interrupted benchmark continues; what the
    doctor says about them is computed again by the present rules.

    Args:
        suite: Which runs to make.
        folder: The folder for the run folders and outcomes.jsonl.
        workers: Runs at the same time, each in a process of its own; 1: in this process.
        threads: Threads of torch for each run.
        each: Called with each new result.
        progress: Shows how many runs are made, and prints a line for each.

    Returns:
        The results, in the order of the jobs.

    Raises:
        BadInput: A name or a number cannot be used.
    """
    if workers < 1:
        raise BadInput(f"--workers must be at least 1, got {workers}")
    jobs = suite.jobs()
    folder.mkdir(parents=True, exist_ok=True)
    rows = folder / "outcomes.jsonl"
    with json_files.blaming(rows, "outcomes that cannot be read", "Delete it to make the runs again"):
        saved = [line.value or {} for line in json_files.read_lines(rows)]
        done = {json.dumps(row["key"]): _outcome(row["outcome"]) for row in saved}
    for job in jobs:
        if (path := _path(folder, job)).exists() and (before := done.get(json.dumps(job.key))) is not None:
            kept = {name: getattr(before, name) for name in ("seconds", "distance", "agrees")}
            done[json.dumps(job.key)] = dataclasses.replace(outcome_of(job, path), **kept)
    left = [job for job in jobs if json.dumps(job.key) not in done]
    start = time.perf_counter()
    if progress is not None:
        progress("training runs", 0, len(left))
    for ran, (job, outcome) in enumerate(_run(left, folder, workers, threads), 1):
        done[json.dumps(job.key)] = outcome
        with rows.open("a") as file:
            file.write(json.dumps({"key": job.key, "outcome": outcome.to_dict()}) + "\n")
        minutes = (time.perf_counter() - start) / ran * (len(left) - ran) / 60
        what = outcome.fault or outcome.healthy or "healthy"
        result = "ok" if outcome.right else "WRONG"
        line = (
            f"{len(jobs) - len(left) + ran}/{len(jobs)} {outcome.recipe}, {what}, seed {outcome.seed}: {result} "
            f"({outcome.light}: "
            f"{', '.join(outcome.findings) or 'no finding'}), {outcome.seconds:.0f} s, about {minutes:.0f} min left"
        )
        if progress is None:
            print(line, file=sys.stderr, flush=True)
        else:
            progress.say(line)
            progress("training runs", ran, len(left))
        each(outcome)
    return [done[json.dumps(job.key)] for job in jobs]


def _run(jobs: Sequence[Job], folder: Path, workers: int, threads: int) -> Iterator[tuple[Job, Outcome]]:
    """Make the runs and yield their results as they come."""
    if workers == 1:
        allocator.keep_freed_blocks()
        torch.set_num_threads(threads)
        for job in jobs:
            yield job, one(job, folder)
        return
    spawn = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(workers, spawn, torch.set_num_threads, (threads,)) as pool:
        futures = {pool.submit(one, job, folder): job for job in jobs}
        try:
            for future in concurrent.futures.as_completed(futures):
                yield futures[future], future.result()
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def _config(module: Any, options: dict[str, Any]) -> Any:
    """Return the recipe's config, with ten classes if it needs some."""
    try:
        return dataclasses.replace(module.Config(), **options)
    except BadInput:
        return module.Config(**({"n_classes": 10} | options))
