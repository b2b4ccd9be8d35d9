"""ganloom bench recipes ..."""

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ganloom.cli.messages import table
from ganloom.cli.parse import parse


@dataclasses.dataclass(frozen=True)
class Arguments:
    """Train recipes for minutes each, with the data and flags of their doc pages; draw samples, measure them, time steps."""

    recipe: tuple[str, ...] = ()
    """Which recipes, one or more; none: all."""
    out: str = "runs/recipes"
    """Folder of results/recipes.json and images/recipes/NAME.png; `docs` in a checkout brings the doc pages up to date."""
    runs: str = "runs/recipes"
    """Folder of the run folders. A run that was stopped goes on from there."""
    seed: int = 0
    """Of training."""
    kimg: float | None = None
    """Thousands of images of every run. None: as each recipe's page says."""
    anew: bool = False
    """Also recipes whose row is there already for the same command."""
    speed: bool = False
    """Only time training steps anew, for the rows that are there: on an idle machine."""
    json: bool = False
    """One JSON object on stdout."""


def run(argv: Sequence[str]) -> None:
    """Parse, train and measure, print."""
    args = parse(Arguments, argv, "bench recipes")
    from ganloom.bench.recipes import benchmark
    from ganloom.recipes import RECIPES

    folder = Path(args.out)
    if args.speed:
        rows = benchmark.time_again(args.recipe or tuple(benchmark.kept(folder)), folder)
    else:
        rows = benchmark.measure(
            args.recipe or tuple(RECIPES), folder, Path(args.runs), seed=args.seed, kimg=args.kimg, anew=args.anew
        )
    if args.json:
        print(json.dumps({"recipes": [row.to_dict() for row in rows]}))
        return
    print(table([_line(row) for row in benchmark.ranked(rows)]))
    print(f"wrote {folder / benchmark.ROWS} and {folder / benchmark.IMAGES}/")
    print("next: ganloom train RECIPE DATA        ganloom recipes")


def _line(row: Any) -> dict[str, str]:
    told = ("coverage", "precision", "fd", "l1", "psnr")
    cells = {k: "{:.3g} [{:.3g}, {:.3g}]".format(*row.figures[k]) if k in row.figures else "" for k in told}
    speed = "" if row.speed is None else f"{row.speed.img_per_s:g}"
    return {"recipe": row.recipe, **cells, "kimg": f"{row.kimg:g}", "s": f"{row.seconds:.0f}", "img/s": speed}
