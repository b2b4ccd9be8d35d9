"""ganloom bench recipes ..."""

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ganloom.cli.messages import following, table
from ganloom.cli.parse import parse
from ganloom.core.errors import BadInput, CheckFailed
from ganloom.core.stop_signals import continued_by_the_same_command
from ganloom.report.progress import Progress


@dataclasses.dataclass(frozen=True)
class Arguments:
    """Train the --small plan of each recipe with several seeds; draw samples, measure them, read their classes, time training
    steps, and write the doc pages. It says at the start how long this takes. If you stop it, the same command continues."""

    recipe: tuple[str, ...] = ()
    """Recipes to train. None given: all that make images from latents, and without --data also those that translate images.
    Other benchmarks measure the recipes for captions, 3D, anomalies and restoration."""
    out: str = "runs/recipes"
    """The folder for results/, images/ and the pages. In a checkout, `docs` updates the doc pages."""
    runs: str = "runs/recipes"
    """The folder for the run folders. Runs that were stopped are continued."""
    data: str | None = None
    """Train all recipes on this data, such as digits or emoji. None: on the data of each plan."""
    shape: tuple[int, ...] | None = None
    """Shape of the images: channels, height, width; or height and width; or one side. None: that of the data."""
    seeds: tuple[int, ...] = (1, 2, 3)
    """Seeds of the trainings. The table shows the mean over them; each is in the pages."""
    seed: int | None = None
    """Only this seed."""
    workers: int = 1
    """Trainings at the same time, each in a process of its own."""
    threads: int = 1
    """Number of threads of torch for each training."""
    total_kimg: float | None = None
    """Length of every run in thousands of images. None: that of each plan."""
    anew: bool = False
    """Repeat recipes that were already measured with the same command."""
    speed: bool = False
    """Only time training steps again, for the rows that exist. Use an idle machine."""
    overwrite: bool = False
    """Replace images and pages in the folder that ganloom did not write, or that were changed."""
    json: bool = False
    """Print one JSON object on stdout."""


def run(argv: Sequence[str]) -> None:
    """Read the command line, train, measure, print the table, write the pages."""
    args = parse(Arguments, argv, "bench recipes")
    from ganloom.bench.recipes import benchmark, pages
    from ganloom.bench.recipes.rows import name_of, rows_file

    folder, name = Path(args.out), name_of(args.data, args.shape)
    failed: dict[str, str] = {}
    with continued_by_the_same_command(), Progress() as progress:
        if args.speed:
            names = args.recipe or tuple(benchmark.kept(folder, name))
            rows = benchmark.time_again(names, folder, show=progress, name=name)
        else:
            suite, left_out = _suite(args)
            if left_out:
                progress.say(f'left out: {", ".join(left_out)}, which needs an extra (pip install "ganloom[effnet]")')
            outcome = benchmark.measure(
                suite, folder, Path(args.runs), workers=args.workers, threads=args.threads, show=progress
            )
            rows, failed = outcome.rows, outcome.failed
        progress("writing the pages")
        written = pages.write(folder, overwrite=args.overwrite) if rows else []
    if args.json:
        print(json.dumps({"recipes": [row.to_dict() for row in rows], "failed": failed}))
    elif rows:
        lines = [_line(row) for row in benchmark.ranked(rows)]
        filled = [column for column in lines[0] if any(line[column] for line in lines)]
        print(table([{column: line[column] for column in filled} for line in lines]))
        print(_ranges(rows))
        print(f"wrote {folder / rows_file(name)}, {folder / 'images'}/ and {len(written)} pages")
        print(following(["train", rows[0].recipe, rows[0].data or "DATA", "--small"], ["recipes"]))
    if failed:
        what = "; ".join(f"{which}: {text}" for which, text in failed.items())
        raise CheckFailed(f"{len(failed)} training{'s' * (len(failed) > 1)} without a result: {what}")


def _suite(args: Arguments) -> tuple[Any, list[str]]:
    """What to measure, and the recipes that are left out because their extra is not installed."""
    from ganloom.bench.recipes.benchmark import Suite
    from ganloom.evaluation.measure import effnet_installed
    from ganloom.recipes import RECIPES
    from ganloom.recipes.presets import plan

    if args.shape is not None and args.data is None:
        raise BadInput("--shape is for other data than that of the plans: add --data")
    measured = [name for name in RECIPES if plan(name).benchmark == "recipes"]
    images = [name for name in measured if RECIPES[name].MODEL.conditions_on != "images"]
    usual = measured if args.data is None else images
    lacking = [name for name in usual if getattr(RECIPES[name], "EXTRA", None) == "effnet" and not effnet_installed()]
    suite = Suite(
        recipes=args.recipe or tuple(name for name in usual if name not in lacking),
        seeds=args.seeds if args.seed is None else (args.seed,),
        data=args.data, shape=args.shape, kimg=args.total_kimg, anew=args.anew, overwrite=args.overwrite,
    )  # fmt: skip
    return suite, [] if args.recipe else lacking


def _line(row: Any) -> dict[str, str]:
    metrics = ("coverage", "precision", "fd", "l1", "psnr")
    cells = {k: "{:.3g} [{:.3g}, {:.3g}]".format(*row.figures[k]) if k in row.figures else "" for k in metrics}
    smallest = "" if row.smallest is None else f"{row.smallest[0]:.2f}"
    read = "" if row.read is None else f"{row.read:.1%}"
    lights = " ".join(one.light or "off" for one in row.seeds)
    spent = f"{row.seconds / 60:.1f}" if row.cpu_minutes is None else f"{row.cpu_minutes:.1f}"
    speed = "" if row.speed is None else f"{row.speed.img_per_s:g}"
    weak = " ".join(map(str, row.weak))
    return {
        "recipe": row.recipe, **cells, "class": smallest, "read": read, "doctor": lights, "kimg": f"{row.kimg:g}",
        "min": spent, "img/s": speed, "under half": weak,
    }  # fmt: skip


def _ranges(rows: Sequence[Any]) -> str:
    """What the columns mean."""
    many = max(len(row.seeds) for row in rows)
    brackets = "the smallest and the largest seed, beside the mean" if many > 1 else "95 % intervals"
    return (
        f"brackets: {brackets}; class: the smallest share of a class among the samples, relative to real images; read: "
        "samples that are read as their class; min: processor time of a training; under half: seeds with less than half of the "
        "mean coverage"
    )
