"""ganloom bench recipes ..."""

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ganloom.cli.messages import following, table
from ganloom.cli.parse import parse
from ganloom.core.stop_signals import continued_by_the_same_command
from ganloom.report.progress import Progress


@dataclasses.dataclass(frozen=True)
class Arguments:
    """Train each recipe for some minutes, with the data and flags of its doc page; draw samples, measure them, and time training
    steps."""

    recipe: tuple[str, ...] = ()
    """Recipes to train. None given: all."""
    out: str = "runs/recipes"
    """The folder for results/recipes.json and images/recipes/NAME.png. In a checkout, `docs` updates the doc pages."""
    runs: str = "runs/recipes"
    """The folder for the run folders. Runs that were stopped are continued."""
    seed: int = 0
    """Seed of the trainings."""
    total_kimg: float | None = None
    """Length of every run in thousands of images. None: as on the recipe's doc page."""
    anew: bool = False
    """Repeat recipes that were already measured with the same command."""
    speed: bool = False
    """Only time training steps again, for the rows that exist. Use an idle machine."""
    overwrite: bool = False
    """Replace images in the folder that ganloom did not write, or that were changed."""
    json: bool = False
    """Print one JSON object on stdout."""


def run(argv: Sequence[str]) -> None:
    """Read the command line, train, measure, print the table."""
    args = parse(Arguments, argv, "bench recipes")
    from ganloom.bench.recipes import benchmark
    from ganloom.recipes import RECIPES

    folder = Path(args.out)
    with continued_by_the_same_command(), Progress() as progress:
        if args.speed:
            rows = benchmark.time_again(args.recipe or tuple(benchmark.kept(folder)), folder, show=progress)
        else:
            rows = benchmark.measure(
                args.recipe or tuple(RECIPES), folder, Path(args.runs), seed=args.seed, kimg=args.total_kimg, anew=args.anew,
                show=progress, overwrite=args.overwrite,
            )  # fmt: skip
    if args.json:
        print(json.dumps({"recipes": [row.to_dict() for row in rows]}))
        return
    print(table([_line(row) for row in benchmark.ranked(rows)]))
    print(f"wrote {folder / benchmark.ROWS} and {folder / benchmark.IMAGES}/")
    print(following(["train", rows[0].recipe], ["recipes"]))


def _line(row: Any) -> dict[str, str]:
    metrics = ("coverage", "precision", "fd", "l1", "psnr")
    cells = {k: "{:.3g} [{:.3g}, {:.3g}]".format(*row.figures[k]) if k in row.figures else "" for k in metrics}
    speed = "" if row.speed is None else f"{row.speed.img_per_s:g}"
    return {"recipe": row.recipe, **cells, "kimg": f"{row.kimg:g}", "s": f"{row.seconds:.0f}", "img/s": speed}
