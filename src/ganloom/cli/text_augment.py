"""ganloom text augment DATA --with RUN ..."""

import dataclasses
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

from ganloom.cli.flags import Positional
from ganloom.cli.messages import following, table
from ganloom.cli.parse import parse
from ganloom.core.errors import BadInput
from ganloom.core.names import file_name, printable, word_of
from ganloom.core.output_files import new_file, numbered, write_new
from ganloom.core.stop_signals import continued_by_the_same_command
from ganloom.metrics.statistics.paired_seeds import means_over
from ganloom.report.progress import Progress

ENDINGS = (".csv", ".jsonl")


@dataclasses.dataclass(frozen=True)
class Arguments:
    """Add synthetic texts of a text model to labelled texts; with --report, measure whether they help a classifier.

    The report trains classifiers on 20, 50 and 200 labels of each class: on real texts alone, with word dropping, pseudo-labels,
    n-grams, synthetic texts, and on synthetic texts only. It tests them on texts that neither they nor the model were trained on,
    and says whether synthetic texts help, with a p-value. Often there is no evidence that they do.
    """

    data: Annotated[str, Positional("DATA")]
    """Labelled texts: .csv, .tsv, .jsonl, class folders, or reports (built in)."""
    with_: str
    """A run folder of `ganloom text train`, trained with the classes of DATA."""
    per_class: int = 200
    """Synthetic texts of each class."""
    out: str | None = None
    """A new .jsonl or .csv file with the columns text, label and source. None: augmented-NAME.jsonl. Not with --report."""
    temperature: float = 1.0
    """Temperature of the model."""
    report: str | None = None
    """A folder: measure instead of writing texts. The answers of the classifiers are kept there; run the same command again to
    continue."""
    labels: tuple[int, ...] = (20, 50, 200)
    """For the report: real texts of each class."""
    seeds: int = 3
    """For the report: trainings of each classifier."""
    text: str | None = None
    """The column of texts. None: by its name."""
    label: str | None = None
    """The column of labels. None: by its name."""
    encoding: str = "utf-8"
    """Encoding of the files."""
    seed: int = 0
    """Seed of the texts and of the classifiers."""
    overwrite: bool = False
    """Replace an existing file."""
    json: bool = False
    """Print one JSON object on stdout."""


def run(argv: Sequence[str]) -> None:
    """Read the command line, write the texts or measure them."""
    args = parse(Arguments, argv, "text augment")
    if args.per_class < 1:
        raise BadInput(f"--per-class must be at least 1, got {args.per_class}")
    if not args.labels or min(args.labels) < 1:
        raise BadInput("--labels must be numbers of texts of each class, such as 20 50 200")
    if args.report is not None:
        _report(args)
        return
    out = _out(args)
    from ganloom.apps.text_augment import augmented, table_of
    from ganloom.apps.text_models import open_model
    from ganloom.texts.reading import read

    with Progress() as progress:
        progress("reading the texts")
        data = read(args.data, text=args.text, label=args.label, encoding=args.encoding)
        progress("drawing texts")
        made = augmented(data, open_model(args.with_), args.per_class, temperature=args.temperature, seed=args.seed)
    write_new(out, table_of(data, made, out.suffix.lower()), overwrite=args.overwrite)
    lacking = args.per_class * len(data.classes) - len(made)
    if args.json:
        print(json.dumps({"file": str(out), "real": len(data), "synthetic": len(made), "empty": lacking}))
        return
    empty = f"; {lacking} empty ones were left out" if lacking else ""
    print(f"wrote {printable(out)}: {len(data):,} real and {len(made):,} synthetic texts{empty}")
    print(
        following(["text", "augment", word_of(args.data), "--with", word_of(args.with_), "--report", "augment-report"])
    )


def _out(args: Arguments) -> Path:
    if args.out is not None:
        return new_file(args.out, ENDINGS, overwrite=args.overwrite)
    return numbered(Path(f"augmented-{file_name(Path(args.data).stem, 'texts')}.jsonl"), os.path.lexists)


def _report(args: Arguments) -> None:
    from ganloom.apps.text_augment_report import augmentation_report
    from ganloom.texts.reading import read

    if args.out is not None:
        raise BadInput("--out writes texts and --report measures them: give one")
    assert args.report is not None
    with continued_by_the_same_command(), Progress() as progress:
        progress("reading the texts")
        data = read(args.data, text=args.text, label=args.label, encoding=args.encoding)
        found = augmentation_report(
            data, args.with_, args.report, per_class=args.per_class, labels=args.labels, seeds=args.seeds,
            temperature=args.temperature, seed=args.seed, progress=progress,
        )  # fmt: skip
    if args.json:
        print(json.dumps(dataclasses.asdict(found) | {"sentences": found.sentences()}))
        return
    print(table([_cells(row) for row in found.rows]))
    print(f"accuracy in per cent on {found.test} test texts; {means_over(found.seeds, 'texts')}")
    for line in [*(f"note: {note}" for note in found.notes), *found.sentences()]:
        print(printable(line))
    print(following(["text", "evaluate", word_of(args.with_)]))


def _cells(row: Any) -> dict[str, str]:
    def percent(value: Any) -> str:
        known = value.low is not None and value.high is not None
        return f"{100 * value.value:.1f}" + (f" [{100 * value.low:.1f}, {100 * value.high:.1f}]" if known else "")

    return {"labels a class": str(row.labels), **{name: percent(value) for name, value in row.accuracy.items()}}
