"""ganloom bench doctor ..."""

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path

from ganloom.cli.messages import following
from ganloom.cli.parse import parse
from ganloom.recipes import RECIPES
from ganloom.report.progress import Progress


@dataclasses.dataclass(frozen=True)
class Arguments:
    """Count how often the doctor is right. Faults are put into small trainings, and the doctor should name them first; healthy
    trainings should have no findings. With --heal: how many faults that a setting can fix end healthy. If you stop it, run
    the same command to continue."""

    recipe: tuple[str, ...] = ("default", "dragan")
    """Recipes that get the faults."""
    fault: tuple[str, ...] = ("all",)
    """Names of faults; or "all" or "none"."""
    healthy: tuple[str, ...] = ("all",)
    """Recipes that are trained without a fault; or "all" or "none"."""
    seeds: tuple[int, ...] = (0, 1, 2)
    """Seeds; one run for each."""
    heal: int = 0
    """How many times a run may be healed. Above 0: only faults that a setting can fix, and no healthy runs."""
    total_kimg: float | None = None
    """Length of each run in thousands of images. None: 16, or 24 with --heal."""
    threads: int = 1
    """Number of threads of torch."""
    runs: str = "runs/faults"
    """The folder for the run folders."""
    json: bool = False
    """Print one JSON object on stdout."""


def run(argv: Sequence[str]) -> None:
    """Read the command line, train, print the table."""
    args = parse(Arguments, argv, "bench doctor")
    from ganloom.bench.doctor import faults, suite

    tests = suite.Suite(
        recipes=args.recipe,
        faults=tuple(faults.NAMES) if args.fault == ("all",) else () if args.fault == ("none",) else args.fault,
        seeds=args.seeds,
        healthy=tuple(RECIPES) if args.healthy == ("all",) else () if args.healthy == ("none",) else args.healthy,
        heal=args.heal,
        kimg=args.total_kimg,
    )
    suite.threads(args.threads)
    with Progress() as progress:
        outcomes = suite.measure(tests, Path(args.runs), progress=progress)
    if args.json:
        print(json.dumps({"outcomes": [outcome.to_dict() for outcome in outcomes]}))
        return
    print("\n".join(suite.table(outcomes, args.heal)))
    print(following(["train", "--heal", "3"]))
