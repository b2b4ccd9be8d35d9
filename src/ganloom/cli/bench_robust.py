"""ganloom bench robust ..."""

import dataclasses
import json
from collections.abc import Sequence
from typing import Annotated, Literal

from ganloom.cli.flags import Positional
from ganloom.cli.messages import following, table
from ganloom.cli.parse import parse
from ganloom.core.errors import BadInput
from ganloom.core.output_files import new_folder, rewrite
from ganloom.core.stop_signals import continued_by_the_same_command
from ganloom.report.progress import Progress

PAGE = "robust.html"
NOTES = (
    "each figure is the mean over the seeds with half of its 95 % interval for other seeds and other texts",
    "no defence is trained on two edits a word, nor on a pgd above --size",
    "the speller is not trained; attacks on embeddings bypass it (-)",
)


@dataclasses.dataclass(frozen=True)
class Arguments:
    """Measure the defences of text classifiers: each is trained with some seeds and attacked in all ways, with and without the
    speller. A sentence for each says against which attacks it helps and against which not. If you stop it, the same command
    continues.
    """

    data: Annotated[str, Positional("DATA")] = "debian"
    """debian (the package descriptions of this machine), or texts with labels: .csv, .tsv, .jsonl, class folders, reports."""
    defences: tuple[str, ...] = ("both", "augment", "fgm", "vat", "freelb", "smart")
    """Defences of `ganloom robust train`; none is always measured."""
    seeds: tuple[int, ...] = (0, 1)
    """Seeds of the trainings."""
    kind: Literal["cnn", "lstm", "chars", "sentence"] = "cnn"
    """Kind of the classifier."""
    size: float = 0.3
    """Norm of a perturbation in training over that of the text's embeddings."""
    epochs: int | None = None
    """Passes over the texts. None: 8, and more on few texts, so that there are 800 steps; at most 50."""
    encoder: str = "minilm"
    """With --kind sentence: minilm, or the folder of a BERT model."""
    n: int = 500
    """Most test texts that are attacked; the clean accuracy is of all of them."""
    part: Literal["test", "validation"] = "test"
    """The texts to measure on. Choose settings on validation."""
    out: str = "runs/bench-robust"
    """The folder for the results. Finished ones are kept: use another folder to measure again."""
    workers: int = 1
    """Defences that are measured at the same time, each in a process of its own."""
    json: bool = False
    """Print one JSON object on stdout."""


def run(argv: Sequence[str]) -> None:
    """Read the command line, measure, print the table and write the page."""
    args = parse(Arguments, argv, "bench robust")
    if (args.epochs is not None and args.epochs < 1) or not 0 < args.size <= 2 or args.n < 2:
        raise BadInput("give --epochs of at least 1, --size between 0 and 2, and --n of at least 2")
    if not args.seeds or not args.defences:
        raise BadInput("give at least one of --seeds and of --defences")
    out = new_folder(args.out, overwrite=True)
    from ganloom.bench.robust import benchmark, page, results, texts
    from ganloom.robust.training import Settings

    settings = Settings(kind=args.kind, size=args.size, epochs=args.epochs, encoder=args.encoder)
    with continued_by_the_same_command(), Progress() as progress:
        progress("reading the texts")
        parts = texts.load(args.data, args.part)
        tasks = benchmark.tasks_of(args.data, parts, args.part, args.n, args.defences, args.seeds, settings)
        runs = benchmark.measure(tasks, parts, out, args.workers, progress)
    rewrite(out / PAGE, page.html(runs, args.data, NOTES))
    rows, lines = results.table_of(runs), results.verdicts(runs)
    if args.json:
        print(
            json.dumps(
                {
                    "rows": rows,
                    "by_class": results.by_class(runs, results.attacks_of(runs)),
                    "verdicts": lines,
                    "page": str(out / PAGE),
                }
            )
        )
        return
    print(results.facts(runs, args.data))
    print(table(rows))
    for line in (*NOTES, *lines):
        print(line)
    print(f"wrote {out / PAGE}")
    print(following(["robust", "train", "DATA", "--out", "DIR"]))
