"""ganloom bench volumes ..."""

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path

from ganloom.cli.messages import following, table
from ganloom.cli.parse import parse
from ganloom.core.stop_signals import continued_by_the_same_command
from ganloom.report.progress import Progress


@dataclasses.dataclass(frozen=True)
class Arguments:
    """Train 3D recipes on rendered objects, and measure generated objects against held-out ones whose shape is known, beside one
    mean blob, class-mean blobs and real objects. If you stop it, the same command continues."""

    recipes: tuple[str, ...] = ("prgan", "eg3d")
    """Recipes to train with their plans: prgan, gan3d, eg3d."""
    seeds: tuple[int, ...] = (0,)
    """Seeds of the trainings."""
    runs: tuple[str, ...] = ()
    """Measure these runs instead; they must be trained on silhouettes or primitives3d."""
    out: str = "runs/bench-volumes"
    """The folder for runs/ and for what is measured once."""
    total_kimg: float | None = None
    """Length of every training in thousands of images. None: that of each plan."""
    json: bool = False
    """Print one JSON object on stdout."""


def run(argv: Sequence[str]) -> None:
    """Read the command line, train and measure, print the tables."""
    args = parse(Arguments, argv, "bench volumes")
    from ganloom.bench.volumes import benchmark

    with continued_by_the_same_command(), Progress() as progress:
        found = benchmark.measure(
            args.recipes, args.seeds, Path(args.out), runs=args.runs, total_kimg=args.total_kimg, progress=progress
        )
    lines = {name: benchmark.verdicts(name, rows) for name, rows in found.items()}
    if args.json:
        tables = {name: [dataclasses.asdict(row) for row in rows] for name, rows in found.items()}
        print(json.dumps({"rows": tables, "verdicts": lines}))
        return
    for name, rows in found.items():
        print(f"{name}:")
        print(table(benchmark.table_of(rows)))
        print("\n".join(lines[name]))
    print(
        "recall: best overlap (IoU) of each held-out object with a generated one, over turns and mirroring; precision: the other "
        "way round, at which one blob is good; agree: views around an object with equal class; agree-20, agree60: from "
        "elevations of no training image; fd: of views, random32"
    )
    print(following(["mesh", "RUN"], ["sample", "RUN", "--turntable"]))
