"""`ganloom bench doctor`: how often the doctor names a fault that was put in, and how often it cries over a healthy run."""

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
from ganloom.recipes import RECIPES, find
from ganloom.recipes.presets import PLANS
from ganloom.training.callbacks import Callback

SIDE = 16
"""Pixels: a run takes some seconds on one core."""
SMALL: dict[str, dict[str, Any]] = {
    "default": {"width": 8},
    "dragan": {"width": 16, "batch_size": 32},
}
"""The recipes that faults are put into, as small as they still learn: with labels and without, a penalty each."""
KIMG, TICK = 16.0, 1.0
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
    """One run."""

    recipe: str
    fault: str
    """"": a healthy run."""
    seed: int
    light: str
    findings: tuple[str, ...]
    first: str
    right: bool
    """The first finding names the fault; of a healthy run: none is red; of one that may heal: none is red or names the fault."""
    ever: tuple[str, ...] = ()
    """Findings at any tick, also those that went again."""
    seconds: float = 0.0
    heals: int = 0

    def to_dict(self) -> dict[str, Any]:
        """JSON-able."""
        return dataclasses.asdict(self)


def small(recipe: str) -> dict[str, Any]:
    """Settings under which a recipe trains in seconds at 16 px."""
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
    """Train one run and hear what the doctor says at its end."""
    module, start = find(recipe), time.perf_counter()
    own = small(recipe) | (options or {})
    base = dataclasses.replace(module.Config(), **own)
    own |= fault.settings(base) if fault else {}
    path = folder / f"{recipe}-{(fault.name if fault else 'healthy').replace(' ', '-')}-{seed}{'-heal' if heal else ''}"
    shutil.rmtree(path, ignore_errors=True)
    data = faults.open_data(fault, SIDE, seed, module.MODEL)
    inside = fault.inside(module, seed) if fault else contextlib.nullcontext()
    length = kimg or (HEAL_KIMG if heal else KIMG)
    with inside, contextlib.suppress(GanloomError), contextlib.redirect_stderr(_Nowhere()):
        train(recipe, data, path, console=Callback(), total_kimg=length, seed=seed, heal=heal, **TRAIN, **own)
    kept = json.loads((path / "doctor.json").read_text())
    found = kept["findings"]
    names = tuple(f["name"] for f in found)
    first = names[0] if names else ""
    reds = [f["name"] for f in found if f["severity"] == RED]
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
        len(kept.get("heals", [])),
    )


def _outcome(values: dict[str, Any]) -> Outcome:
    made: dict[str, Any] = {name: tuple(v) if isinstance(v, list) else v for name, v in values.items()}
    return Outcome(**made)


class _Nowhere:
    """A stream that forgets."""

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
    """What is to be run."""

    recipes: Sequence[str] = tuple(SMALL)
    faults: Sequence[str] = tuple(faults.NAMES)
    seeds: Sequence[int] = (0, 1, 2)
    healthy: Sequence[str] = tuple(RECIPES)
    heal: int = 0
    kimg: float | None = None


def measure(suite: Suite, folder: Path, each: Callable[[Outcome], None] = lambda outcome: None) -> list[Outcome]:
    """All runs, one after the other; an outcome that ``folder`` has already is taken from there."""
    for name in (*suite.recipes, *suite.healthy):
        find(name)
    if suite.kimg is not None and not suite.kimg > 0:
        raise BadInput(f"--kimg must be above 0, got {suite.kimg}")
    allocator.keep_freed_blocks()
    jobs: list[tuple[str, faults.Fault | None, int]] = []
    for seed in suite.seeds:
        for recipe in suite.recipes:
            cfg = find(recipe).Config()
            wanted = [faults.find(name) for name in suite.faults]
            jobs += [(recipe, f, seed) for f in wanted if f.fits(cfg) and (f.heals or not suite.heal)]
        jobs += [] if suite.heal else [(recipe, None, seed) for recipe in suite.healthy]
    folder.mkdir(parents=True, exist_ok=True)
    rows = folder / "outcomes.jsonl"
    kept = [json.loads(line) for line in rows.read_text().splitlines()] if rows.exists() else []
    done = {tuple(row["key"]): _outcome(row["outcome"]) for row in kept}
    found, start, ran = [], time.perf_counter(), 0
    for i, (recipe, fault, seed) in enumerate(jobs):
        key = (recipe, fault.name if fault else "", seed, suite.heal, suite.kimg)
        outcome = done.get(key)
        if outcome is None:
            outcome = one(recipe, fault, seed, folder, suite.kimg, suite.heal)
            ran += 1
            with rows.open("a") as file:
                file.write(json.dumps({"key": key, "outcome": outcome.to_dict()}) + "\n")
            left = (time.perf_counter() - start) / ran * (len(jobs) - i - 1)
            said = "ok" if outcome.right else "WRONG"
            print(
                f"{i + 1}/{len(jobs)} {recipe}, {outcome.fault or 'healthy'}, seed {seed}: {said} ({outcome.light}: "
                f"{', '.join(outcome.findings) or 'nothing'}), {outcome.seconds:.0f} s, at most {left / 60:.0f} min left",
                file=sys.stderr, flush=True,
            )  # fmt: skip
        each(outcome)
        found.append(outcome)
    return found


def table(outcomes: Sequence[Outcome], heal: int = 0) -> list[str]:
    """The shares, a line a fault."""
    sick = [o for o in outcomes if o.fault]
    well = [o for o in outcomes if not o.fault]
    lines = []
    if sick:
        what = "ended healthy" if heal else "named first"
        lines.append(f"{'fault':<18}{what:<30}other answers")
        for name in dict.fromkeys(o.fault for o in sick):
            mine = [o for o in sick if o.fault == name]
            wrong = [o.first or "nothing" for o in mine if not o.right]
            lines.append(f"{name:<18}{f'{sum(o.right for o in mine)} of {len(mine)}':<30}{', '.join(wrong)}")
        lines.append(f"{'all':<18}{share(sick):.1%} ({sum(o.right for o in sick)} of {len(sick)})")
    if well:
        alarms = [o for o in well if not o.right]
        warned = [o for o in well if o.right and o.findings]
        named = ", ".join(f"{o.recipe} ({o.first}, seed {o.seed})" for o in alarms)
        lines.append(
            f"healthy runs with a red finding: {len(alarms)} of {len(well)} ({len(alarms) / len(well):.1%}) {named}"
        )
        named = ", ".join(f"{o.recipe} ({o.first}, seed {o.seed})" for o in warned)
        lines.append(f"healthy runs with a yellow one: {len(warned)} of {len(well)} {named}")
    return lines


def share(outcomes: Sequence[Outcome]) -> float:
    """Of outcomes that are right."""
    return sum(o.right for o in outcomes) / max(1, len(outcomes))


def threads(n: int) -> None:
    """The number of threads that torch computes with."""
    torch.set_num_threads(n)
