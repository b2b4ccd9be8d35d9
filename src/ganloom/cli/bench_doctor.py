"""ganloom bench doctor ..."""

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from ganloom.cli.messages import following
from ganloom.cli.parse import parse
from ganloom.core.stop_signals import continued_by_the_same_command
from ganloom.report.progress import Progress


@dataclasses.dataclass(frozen=True)
class Arguments:
    """Count how often the doctor is right. Faults of six families are put into small trainings, and the doctor should name them
    first; healthy but odd trainings should have no findings. Thresholds are set on the tuning half of the faults only. With
    --heal: how many faults that a setting can fix end healthy. If you stop it, run the same command to continue."""

    recipe: tuple[str, ...] = ("default", "dragan")
    """Recipes that get the faults; faults of labels go to default and cgan."""
    fault: tuple[str, ...] = ("all",)
    """Names of faults or families; or "all" or "none"."""
    half: Literal["both", "tuning", "blind"] = "both"
    """Which half of the faults."""
    healthy: tuple[str, ...] = ("all",)
    """Healthy but odd runs by name, or recipes to train without a fault; or "all" or "none"."""
    seeds: tuple[int, ...] = (0, 1)
    """Seeds; each fault is run with each."""
    heal: int = 0
    """How many times a run may be healed. Above 0: only faults that a setting can fix, and no healthy runs."""
    total_kimg: float | None = None
    """Length of each run in thousands of images. None: 12, or 20 with --heal."""
    workers: int = 2
    """Runs at the same time."""
    threads: int = 1
    """Number of threads of torch for each run."""
    runs: str = "runs/faults"
    """The folder for the run folders."""
    out: str | None = None
    """Also write the tables into doctor.md of this folder."""
    json: bool = False
    """Print one JSON object on stdout."""


def run(argv: Sequence[str]) -> None:
    """Read the command line, train, print the table."""
    args = parse(Arguments, argv, "bench doctor")
    from ganloom.bench.doctor import faults, healthy, score, suite

    tests = suite.Suite(
        recipes=args.recipe,
        faults=faults.chosen(args.fault, args.half),
        seeds=args.seeds,
        healthy=tuple(healthy.NAMES) if args.healthy == ("all",) else () if args.healthy == ("none",) else args.healthy,
        heal=args.heal,
        kimg=args.total_kimg,
    )
    with continued_by_the_same_command(), Progress() as progress:
        outcomes = suite.measure(tests, Path(args.runs), args.workers, args.threads, progress=progress)
    text = score.healed(outcomes) if args.heal else score.lines(outcomes)
    if args.json:
        print(json.dumps({"outcomes": [outcome.to_dict() for outcome in outcomes]}))
    else:
        print("\n".join(text))
    page = None if args.out is None else score.write(Path(args.out), text)
    if not args.json:
        print("" if page is None else f"wrote {page}")
        print(following(["train", "--heal", "3"]))
