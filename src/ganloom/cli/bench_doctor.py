"""ganloom bench doctor ..."""

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path

from ganloom.cli.parse import parse
from ganloom.recipes import RECIPES


@dataclasses.dataclass(frozen=True)
class Arguments:
    """Put faults into small trainings and hear whether the doctor names them first; train healthy ones and hear whether it is
    silent. With --heal: how many faults that a setting can mend end healthy. Stopped, it goes on where it was."""

    recipe: tuple[str, ...] = ("default", "dragan")
    """Which recipes get the faults."""
    fault: tuple[str, ...] = ("all",)
    """Which faults, by name; "all", or "none"."""
    healthy: tuple[str, ...] = ("all",)
    """Which recipes are trained as they are; "all", or "none"."""
    seeds: tuple[int, ...] = (0, 1, 2)
    """A run each."""
    heal: int = 0
    """How often a run may heal; above 0 only faults that a setting can mend are run, and no healthy runs."""
    kimg: float | None = None
    """Length of each run. None: 16, or 24 where it may heal."""
    threads: int = 1
    """Threads of torch."""
    runs: str = "runs/faults"
    """Folder of the run folders."""
    json: bool = False
    """One JSON object on stdout."""


def run(argv: Sequence[str]) -> None:
    """Parse, train, print."""
    args = parse(Arguments, argv, "bench doctor")
    from ganloom.bench.doctor import faults, suite

    chosen = suite.Suite(
        recipes=args.recipe,
        faults=tuple(faults.NAMES) if args.fault == ("all",) else () if args.fault == ("none",) else args.fault,
        seeds=args.seeds,
        healthy=tuple(RECIPES) if args.healthy == ("all",) else () if args.healthy == ("none",) else args.healthy,
        heal=args.heal,
        kimg=args.kimg,
    )
    suite.threads(args.threads)
    outcomes = suite.measure(chosen, Path(args.runs))
    if args.json:
        print(json.dumps({"outcomes": [outcome.to_dict() for outcome in outcomes]}))
        return
    print("\n".join(suite.table(outcomes, args.heal)))
    print("next: ganloom doctor RUN        ganloom train --heal 3")
