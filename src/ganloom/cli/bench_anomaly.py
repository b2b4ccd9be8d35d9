"""ganloom bench anomaly ..."""

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
    """Measure anomaly detection with one class of Fashion-MNIST as normal and the nine others as anomalies: each recipe's plan,
    with every control beside it. If you stop it, the same command continues."""

    classes: tuple[int, ...] = (0, 1, 2, 3, 4, 5, 6, 7, 8, 9)
    """Numbers of the classes that are normal, one after the other."""
    seeds: tuple[int, ...] = (0, 1, 2)
    """Seeds of the trainings."""
    recipes: tuple[str, ...] = ("ss-gan", "f-anogan", "ganomaly")
    """Recipes to train: ss-gan, f-anogan, ganomaly, anogan (slow)."""
    data: str = "auto"
    """fashion-mnist (apt install dataset-fashion-mnist), fashion-10k (700 normal images to learn), or auto: the full set if it
    is installed."""
    out: str = "runs/bench-anomaly"
    """The folder for results/ and runs/."""
    total_kimg: float | None = None
    """Length of every training in thousands of images. None: that of each plan."""
    workers: int = 1
    """Tasks at the same time, each in a process of its own."""
    json: bool = False
    """Print one JSON object on stdout."""


def run(argv: Sequence[str]) -> None:
    """Read the command line, fit and measure, print the table."""
    args = parse(Arguments, argv, "bench anomaly")
    from ganloom.bench.anomaly import benchmark, task
    from ganloom.bench.tasks import make_all

    task.check(args.classes, args.recipes, args.seeds)
    with continued_by_the_same_command(), Progress() as progress:
        progress("opening the data")
        data = benchmark.data_of(args.data)
        tasks = benchmark.tasks_of(args.classes, args.seeds, args.recipes, data, args.total_kimg)
        results = make_all(tasks, task.make, Path(args.out), args.workers, progress)
    if args.json:
        print(json.dumps({"results": results}))
        return
    print(table(benchmark.table(results)))
    print(
        f"AUROC on {data} at 28 px, one class against the nine others; class columns: mean over {len(args.seeds)} seed"
        f"{'s' * (len(args.seeds) > 1)}; CPU s: for one class, all scores of the recipe together"
    )
    print(f"wrote {args.out}/results/")
    print(following(["anomaly", "fit", "--help"]))
