"""ganloom bench tables ..."""

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
    """Measure the methods for tables on rows that they did not learn, over several seeds: the figures of docs/tables.md.
    If you stop it, the same command continues.
    """

    data: tuple[str, ...] = ("breast_cancer", "wine", "iris", "diabetes", "people")
    """Tables: breast_cancer, wine, iris, diabetes (scikit-learn), fair (statsmodels), people (made), or FILE:TARGET."""
    methods: tuple[str, ...] = ("auto", "copula", "tvae", "ctgan", "marginals", "bootstrap")
    """Methods of `ganloom table fit`."""
    seeds: tuple[int, ...] = (0, 1, 2)
    """Seeds of the splits and of the methods."""
    steps: int | None = None
    """Training steps of networks. None: as `ganloom table fit` does."""
    out: str = "runs/bench-tables"
    """The folder for the results. Finished ones are kept: use another folder to measure again."""
    workers: int = 1
    """Methods that are measured at the same time, each in a process of its own."""
    json: bool = False
    """Print one JSON object on stdout."""


def run(argv: Sequence[str]) -> None:
    """Read the command line, measure, print the table."""
    args = parse(Arguments, argv, "bench tables")
    from ganloom.bench.tables import benchmark

    with continued_by_the_same_command(), Progress() as progress:
        tasks = benchmark.tasks_of(args.data, args.methods, args.seeds, args.steps)
        runs = benchmark.measure(tasks, Path(args.out), args.workers, progress)
    lines = benchmark.verdicts(runs)
    if args.json:
        print(json.dumps({"runs": [dataclasses.asdict(one) for one in runs], "verdicts": lines}))
        return
    print(table(benchmark.table_of(runs)))
    print(
        "means over the seeds with their standard deviations. score: accuracy (R squared for diabetes) of a forest and a "
        "linear model trained on the rows, on real test rows; columns: agreement with the training rows, unseen and pairs: with "
        "the test rows; detection: 0.5 is best; nearer, membership: 0.5 is best; seconds: CPU seconds of the fit"
    )
    for line in lines:
        print(line)
    print(following(["table", "fit", "DATA"]))
