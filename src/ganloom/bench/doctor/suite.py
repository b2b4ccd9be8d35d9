"""`ganloom bench doctor`: how often the doctor names a fault, and how often it has a finding for a healthy run."""

import contextlib
import dataclasses
import json
import shutil
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch

from ganloom.api import train
from ganloom.bench.doctor import faults
from ganloom.core import allocator
from ganloom.core.errors import BadInput, GanloomError
from ganloom.doctor import RED
from ganloom.gan import Adam
from ganloom.recipes import RECIPES, find
from ganloom.recipes.presets import PLANS
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
KIMG, TICK = 12.0, 0.5
HEAL_KIMG = 24.0
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

    def to_dict(self) -> dict[str, Any]:
        """The values as plain data."""
        return dataclasses.asdict(self)


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


def one(
    recipe: str,
    fault: faults.Fault | None,
    seed: int,
    folder: Path,
    kimg: float | None = None,
    heal: int = 0,
    options: dict[str, Any] | None = None,
) -> Outcome:
    """Train one run and compare the doctor's findings with the fault.

    Args:
        recipe: The name of the recipe.
        fault: The fault, or None for a healthy run.
        seed: The seed.
        folder: The folder for the run folder.
        kimg: Length in thousands of images. None: ``KIMG``, or ``HEAL_KIMG`` with ``heal``.
        heal: How many times the run may be healed.
        options: More options of ``ganloom.train``.

    Returns:
        The result.
    """
    module, start = find(recipe), time.perf_counter()
    own = small(recipe) | (options or {})
    base = _config(module, own)
    own |= fault.settings(base) if fault else {}
    path = (
        folder
        / f"{recipe}-{(fault.name if fault else 'healthy').replace(' ', '-').replace('/', '')}-{seed}{'-heal' if heal else ''}"
    )
    if path.exists():  # an earlier run of this benchmark that was not finished
        if not (path / "run.json").is_file():
            raise BadInput(f"{path} is not a run of this benchmark. Move it, or choose another --runs")
        shutil.rmtree(path)
    data = faults.open_data(fault, SIDE, seed, module.MODEL)
    inside = fault.inside(module, seed) if fault else contextlib.nullcontext()
    length = kimg or (HEAL_KIMG if heal else KIMG)
    with inside, contextlib.suppress(GanloomError), contextlib.redirect_stderr(_Discard()):
        train(recipe, data, path, console=Callback(), total_kimg=length, seed=seed, heal=heal, **TRAIN, **own)
    saved = json.loads((path / "doctor.json").read_text())
    findings = saved["findings"]
    names = tuple(f["name"] for f in findings)
    first = names[0] if names else ""
    reds = [f["name"] for f in findings if f["severity"] == RED]
    if fault is None:
        right = not reds
    else:
        right = not reds and not set(names) & set(fault.named) if heal else first in fault.named
    light = RED if reds else "yellow" if names else "green"
    seconds = time.perf_counter() - start
    return Outcome(
        recipe,
        fault.name if fault else "",
        seed,
        light,
        names,
        first,
        right,
        _ever(path),
        seconds,
        len(saved.get("heals", [])),
    )


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
    events = path / "events.jsonl"
    lines = [json.loads(line) for line in events.read_text().splitlines()] if events.exists() else []
    return tuple(dict.fromkeys(f"{e['severity']} {e['name']}" for e in lines if e["kind"] == "finding"))


@dataclasses.dataclass(frozen=True)
class Suite:
    """Which runs to make."""

    recipes: Sequence[str] = tuple(SMALL)
    faults: Sequence[str] = tuple(faults.NAMES)
    seeds: Sequence[int] = (0, 1, 2)
    healthy: Sequence[str] = tuple(RECIPES)
    heal: int = 0
    kimg: float | None = None


def measure(suite: Suite, folder: Path, each: Callable[[Outcome], None] = lambda outcome: None) -> list[Outcome]:
    """Make all runs, one after the other. Results that are already in the folder are reused.

    Args:
        suite: Which runs to make.
        folder: The folder for the run folders and outcomes.jsonl.
        each: Called with each result.

    Returns:
        The results.

    Raises:
        BadInput: A name or a number cannot be used.
    """
    for name in (*suite.recipes, *suite.healthy):
        find(name)
    if suite.kimg is not None and not suite.kimg > 0:
        raise BadInput(f"--kimg must be above 0, got {suite.kimg}")
    allocator.keep_freed_blocks()
    jobs: list[tuple[str, faults.Fault | None, int]] = []
    for seed in suite.seeds:
        for recipe in suite.recipes:
            cfg = find(recipe).Config()
            chosen = [faults.find(name) for name in suite.faults]
            jobs += [(recipe, f, seed) for f in chosen if f.fits(cfg) and (f.heals or not suite.heal)]
        jobs += [] if suite.heal else [(recipe, None, seed) for recipe in suite.healthy]
    folder.mkdir(parents=True, exist_ok=True)
    rows = folder / "outcomes.jsonl"
    saved = [json.loads(line) for line in rows.read_text().splitlines()] if rows.exists() else []
    done = {tuple(row["key"]): _outcome(row["outcome"]) for row in saved}
    outcomes, start, ran = [], time.perf_counter(), 0
    for i, (recipe, fault, seed) in enumerate(jobs):
        key = (recipe, fault.name if fault else "", seed, suite.heal, suite.kimg)
        outcome = done.get(key)
        if outcome is None:
            outcome = one(recipe, fault, seed, folder, suite.kimg, suite.heal)
            ran += 1
            with rows.open("a") as file:
                file.write(json.dumps({"key": key, "outcome": outcome.to_dict()}) + "\n")
            left = (time.perf_counter() - start) / ran * (len(jobs) - i - 1)
            result = "ok" if outcome.right else "WRONG"
            print(
                f"{i + 1}/{len(jobs)} {recipe}, {outcome.fault or 'healthy'}, seed {seed}: {result} ({outcome.light}: "
                f"{', '.join(outcome.findings) or 'no finding'}), {outcome.seconds:.0f} s, at most {left / 60:.0f} min left",
                file=sys.stderr, flush=True,
            )  # fmt: skip
        each(outcome)
        outcomes.append(outcome)
    return outcomes


def table(outcomes: Sequence[Outcome], heal: int = 0) -> list[str]:
    """The results as text: a line for each fault, then the healthy runs.

    Args:
        outcomes: From ``measure``.
        heal: Whether runs could be healed.

    Returns:
        The lines.
    """
    faulty = [o for o in outcomes if o.fault]
    healthy = [o for o in outcomes if not o.fault]
    lines = []
    if faulty:
        what = "ended healthy" if heal else "first finding is right"
        lines.append(f"{'fault':<18}{what:<30}other first findings")
        for name in dict.fromkeys(o.fault for o in faulty):
            runs = [o for o in faulty if o.fault == name]
            wrong = [o.first or "nothing" for o in runs if not o.right]
            lines.append(f"{name:<18}{f'{sum(o.right for o in runs)} of {len(runs)}':<30}{', '.join(wrong)}")
        lines.append(f"{'all':<18}{share(faulty):.1%} ({sum(o.right for o in faulty)} of {len(faulty)})")
    if healthy:
        alarms = [o for o in healthy if not o.right]
        warned = [o for o in healthy if o.right and o.findings]
        named = ", ".join(f"{o.recipe} ({o.first}, seed {o.seed})" for o in alarms)
        lines.append(
            f"healthy runs with a red finding: {len(alarms)} of {len(healthy)} ({len(alarms) / len(healthy):.1%}) {named}"
        )
        named = ", ".join(f"{o.recipe} ({o.first}, seed {o.seed})" for o in warned)
        lines.append(f"healthy runs with a yellow finding: {len(warned)} of {len(healthy)} {named}")
    return lines


def share(outcomes: Sequence[Outcome]) -> float:
    """The share of results that are right, in [0, 1]."""
    return sum(o.right for o in outcomes) / max(1, len(outcomes))


def threads(n: int) -> None:
    """Set the number of threads of torch."""
    torch.set_num_threads(n)


def _config(module: Any, options: dict[str, Any]) -> Any:
    """Return the recipe's config, with ten classes if it needs some."""
    try:
        return dataclasses.replace(module.Config(), **options)
    except BadInput:
        return module.Config(**({"n_classes": 10} | options))
