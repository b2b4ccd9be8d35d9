"""ganloom table fit|sample|report ..."""

import dataclasses
import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from ganloom.cli.flags import Positional
from ganloom.cli.messages import following, table
from ganloom.cli.parse import Subcommand, call_subcommand, parse
from ganloom.core.errors import BadInput
from ganloom.core.names import as_path, printable
from ganloom.core.output_files import may_rewrite, new_file, rewrite
from ganloom.report.progress import Progress
from ganloom.training.callbacks import Console


@dataclasses.dataclass(frozen=True)
class Fit:
    """Learn a table, so that `ganloom table sample` can draw synthetic rows of the same kind.

    Types, bounds, decimals, missing values and constraints are found and kept. Identifiers and free text are never copied: they
    are made anew. Works with CSV files of any encoding and separator, and with Parquet.
    """

    data: Annotated[str, Positional("DATA")]
    """A CSV or Parquet file."""
    out: str | None = None
    """The new folder. None: runs/table-NAME-NN."""
    method: Literal["auto", "copula", "ctgan", "tvae", "marginals", "bootstrap"] = "auto"
    """auto: compare the others on held-out rows and take the best. copula: classical and quick. ctgan: a GAN. tvae: a variational
    autoencoder. marginals: independent columns. bootstrap: copies of rows, without any privacy."""
    target: str | None = None
    """The column that models will predict. None: guessed by its name and place."""
    types: str | None = None
    """Corrections of the types, such as zip=category,age=integer. Types: integer, float, boolean, category, date, time, datetime,
    duration, constant, id, text, empty."""
    held_out: float = 0.0
    """Share of the rows that are not learned, in [0, 1), so that `ganloom table report` can measure privacy with them."""
    steps: int | None = None
    """Training steps of a network. None: 300 epochs, at least 3,000 and at most 10,000 steps."""
    minutes: float | None = None
    """Time limit of a training in minutes."""
    device: str = "cpu"
    """auto, cpu, cuda or mps, for networks."""
    seed: int = 0
    """Seed of all random numbers."""
    epsilon: float | None = None
    """Train ctgan or tvae with differential privacy of at most this epsilon (DP-SGD; needs `pip install "ganloom[dp]"`). What
    it covers is in docs/tables.md. None: without."""
    delta: float | None = None
    """The delta of differential privacy. None: 1e-5, or a tenth of 1 / rows where that is less."""
    parents: str | None = None
    """A second table whose rows own those of DATA, as FILE:KEY, or FILE:KEY=COLUMN where the column of DATA has another name."""
    json: bool = False
    """Print one JSON object on stdout."""


@dataclasses.dataclass(frozen=True)
class Sample:
    """Draw synthetic rows from a learned table, and write them in the format of the original file."""

    run: Annotated[str, Positional("RUN")]
    """The folder of `ganloom table fit`."""
    n: int | None = None
    """Number of rows (of parents, for two tables). None: as many as the table had."""
    where: tuple[str, ...] = ()
    """Conditions, such as income=high "age>=30" "city=Rome|Paris"."""
    out: str | None = None
    """The new file, or with two tables the new folder. None: RUN/synthetic.csv (.parquet)."""
    seed: int = 0
    """Seed of the rows."""
    overwrite: bool = False
    """Replace existing files."""
    json: bool = False
    """Print one JSON object on stdout."""


@dataclasses.dataclass(frozen=True)
class Report:
    """Measure a synthetic table beside real rows and simple methods: distributions, correlations, models trained on it, privacy.

    Writes one HTML file, and says in words what the figures mean.
    """

    data: Annotated[str, Positional("DATA")]
    """The real table."""
    synthetic: Annotated[str, Positional("SYNTHETIC")]
    """The synthetic table."""
    run: str | None = None
    """The folder of `ganloom table fit`: it knows the types and the rows that were held out."""
    holdout: str | None = None
    """A file with real rows that were not learned."""
    target: str | None = None
    """The column that models predict. None: guessed, or that of --run."""
    types: str | None = None
    """Corrections of the types; see `ganloom table fit`."""
    out: str | None = None
    """The HTML file. None: SYNTHETIC with the ending .report.html."""
    seed: int = 0
    """Seed of all random numbers."""
    overwrite: bool = False
    """Replace an existing file that another program wrote."""
    json: bool = False
    """Print one JSON object on stdout."""


def fit(argv: Sequence[str]) -> None:
    """Learn a table, print what was found."""
    args = parse(Fit, argv, "table fit")
    from ganloom.runs.folder import next_name
    from ganloom.tables.table import Table

    out = as_path(args.out) if args.out else next_name(Path("runs"), "table", Path(args.data).stem)
    if args.parents is not None:
        _fit_two(args, out)
        return
    with Progress() as progress:
        learned = Table(
            args.method, target=args.target, types=args.types, seed=args.seed, steps=args.steps, minutes=args.minutes,
            device=args.device, out=out, held_out=args.held_out, progress=progress, console=_console(args.json, progress),
            epsilon=args.epsilon, delta=args.delta,
        ).fit(args.data)  # fmt: skip
    _say_fitted(learned, out, args.data, args.json)


def _console(as_json: bool, progress: Progress) -> Console:
    import io

    return Console(progress=progress, stream=io.StringIO() if as_json else None)


def _say_fitted(learned: Any, out: Path, data: str | None, as_json: bool) -> None:
    """Print the types, the constraints, the method and the next commands."""
    prepared = learned.preparation
    columns = [_described(column) for column in prepared.schema.columns]
    constraints = [constraint.text for constraint in prepared.constraints]
    if as_json:
        print(
            json.dumps(
                {
                    "run": str(out), "rows": prepared.schema.rows, "columns": columns, "constraints": constraints,
                    "method": learned.chosen, "choice": learned.choice, "target": learned.target, "notes": learned.notes,
                    "differential_privacy": learned.privacy,
                }
            )
        )  # fmt: skip
        return
    print(printable_lines(table([{k: str(v) for k, v in column.items()} for column in columns])))
    for text in constraints:
        print(printable(f"constraint: {text}"))
    for note in learned.notes:
        print(printable(f"note: {note}"))
    print(printable(f"target: {learned.target} (--target sets another)" if learned.target else "target: none"))
    print(
        printable(f"wrote {out}: method {learned.chosen}, learned {prepared.schema.rows - len(learned.held_rows)} rows")
    )
    print(following(["table", "sample", out]))


def printable_lines(text: str) -> str:
    """Text of several lines without control characters."""
    return "\n".join(printable(line) for line in text.split("\n"))


def _described(column: Any) -> dict[str, Any]:
    values = ""
    if column.continuous and column.low is not None:
        values = f"{column.text_of(column.low)} to {column.text_of(column.high)}"
    elif column.discrete:
        listed = ", ".join(map(str, column.values[:4])) + (", ..." if len(column.values) > 4 else "")
        values = f"{len(column.values)}: {listed}"
    elif column.kind in ("id", "text"):
        values = "made anew, never copied"
    elif column.kind == "constant":
        values = str(column.values[0])
    return {"column": column.name, "type": column.kind, "values": values[:60], "missing": column.missing}


def sample(argv: Sequence[str]) -> None:
    """Draw rows, write them, print where they are."""
    args = parse(Sample, argv, "table sample")
    from ganloom.tables import keys
    from ganloom.tables.table import Table
    from ganloom.tables.writing import check_ending, write

    folder = as_path(args.run)
    with Progress() as progress:
        progress("loading the table")
        if keys.is_family(folder):
            _sample_two(args, folder)
            return
        learned = Table.load(folder)
        assert learned.preparation is not None
        schema = learned.preparation.schema
        ending = "parquet" if schema.format.get("kind") == "parquet" else "csv"
        path = as_path(args.out) if args.out else folder / f"synthetic.{ending}"
        check_ending(path)
        if not args.overwrite:
            new_file(path)
        progress("drawing rows")
        frame = learned.sample(args.n, where=args.where, seed=args.seed)
        write(frame, path, schema.format, schema.headers, overwrite=args.overwrite)
    if args.json:
        print(json.dumps({"file": str(path), "rows": len(frame), "method": learned.chosen}))
        return
    print(printable(f"wrote {path}: {len(frame)} rows"))
    print(following(["table", "report", "DATA", path, "--run", folder]))


def report(argv: Sequence[str]) -> None:
    """Measure a synthetic table, write the page, print the figures."""
    args = parse(Report, argv, "table report")
    from ganloom.tables import report as measuring
    from ganloom.tables import report_page

    path = as_path(args.out) if args.out else as_path(args.synthetic).with_suffix(".report.html")
    for source in (args.data, args.synthetic, args.holdout):
        if source is not None and path.resolve() == as_path(source).resolve():
            raise BadInput(f"--out {path} is a table that the report reads: give another file")
    may_rewrite(path, overwrite=args.overwrite)
    if args.run and args.holdout:
        raise BadInput("--run and --holdout both give the held-out rows: use one")
    with Progress() as progress:
        found = measuring.measure(
            args.data, args.synthetic, run=args.run, holdout=args.holdout, target=args.target, types=args.types, seed=args.seed,
            progress=progress,
        )  # fmt: skip
        page = report_page.html(found, Path(args.data).name)
    rewrite(path, page, overwrite=args.overwrite)
    if args.json:
        print(json.dumps(found.to_dict() | {"report": str(path)}))
        return
    print(table([_figures(row) for row in found.rows]))
    for line in (*found.verdicts, *(f"note: {note}" for note in found.notes)):
        print(printable(line))
    print(printable(f"wrote {path}"))


def _figures(row: Any) -> dict[str, str]:
    useful = row.utility
    return {
        "rows": row.name,
        "score": f"{row.score:.3f}",
        "columns": f"{row.quality.shape:.3f}",
        "pairs": f"{row.quality.dependence:.3f}",
        "forest": "-" if useful is None else f"{useful.scores['forest']:.3f}",
        "linear": "-" if useful is None else f"{useful.scores['linear']:.3f}",
        "auc": "-" if useful is None or useful.regression else f"{useful.mean_auc:.3f}",
        "detection": f"{max(row.detection.values()):.3f}" if row.detection else "-",
        "nearer": "-" if math.isnan(row.privacy.nearer) else f"{row.privacy.nearer:.3f}",
        "copies": f"{row.privacy.copies:.3f}",
    }


def _fit_two(args: Fit, out: Path) -> None:
    from ganloom.tables import keys

    assert args.parents is not None
    if args.held_out:
        raise BadInput("--held-out is for one table. Leave it out with --parents")
    if args.epsilon is not None or args.delta is not None:
        raise BadInput("--epsilon and --delta are for one table. Leave them out with --parents")
    file, parent_key, child_key = keys.parse(args.parents)
    with Progress() as progress:
        family = keys.Family(
            args.method, target=args.target, types=args.types, seed=args.seed, steps=args.steps, minutes=args.minutes,
            device=args.device, progress=progress, console=_console(args.json, progress),
        ).fit(file, args.data, parent_key, child_key)  # fmt: skip
        family.save(out)
    if args.json:
        print(json.dumps({"run": str(out), "notes": family.notes}))
        return
    for note in family.notes:
        print(printable(f"note: {note}"))
    print(printable(f"wrote {out}"))
    print(following(["table", "sample", out]))


def _sample_two(args: Sample, folder: Path) -> None:
    from ganloom.tables import keys

    if args.where:
        raise BadInput("--where is for one table. Leave it out for two tables")
    files = keys.sample_files(
        folder, as_path(args.out) if args.out else folder / "synthetic", args.n, args.seed, args.overwrite
    )
    if args.json:
        print(json.dumps({"files": [str(file) for file in files]}))
        return
    for file in files:
        print(printable(f"wrote {file}"))


SUBCOMMANDS: dict[str, Subcommand] = {"fit": (Fit, fit), "sample": (Sample, sample), "report": (Report, report)}


def run(argv: Sequence[str]) -> None:
    """Call the subcommand."""
    call_subcommand("table", SUBCOMMANDS, argv)
