"""ganloom bench modes ..."""

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from ganloom.cli.messages import following
from ganloom.cli.parse import parse
from ganloom.core.errors import BadInput, did_you_mean
from ganloom.report.progress import Progress

if TYPE_CHECKING:
    from torch import Tensor


@dataclasses.dataclass(frozen=True)
class Arguments:
    """Measure methods against mode collapse and unstable training ("cures") on data whose modes are known, over many seeds.
    It needs no internet connection."""

    data: Literal["ring", "grid25", "grid100", "narrow", "steady", "far", "few", "dirac", "stacked", "shapes"] = (
        "grid25"
    )
    """ring: 8 modes on a circle; grid25, grid100: modes on a grid; narrow, steady, far, few: points that each cause one kind
    of failure; dirac: the Dirac-GAN; stacked, shapes: images of 1,000 and 1,296 kinds, which are counted."""
    cure: tuple[str, ...] = ()
    """Names of cures, or "all". None given: those that the data set is for (for dirac and images: all settings)."""
    seeds: int | None = None
    """Number of seeds. Points train all seeds at once in batched networks (None: 10), images one after the other (None: 1)."""
    seed: int = 0
    """The first seed."""
    steps: int | None = None
    """Steps of G. None: 6000 for grid25, 10000 for grid100, fewer for the others."""
    total_kimg: float | None = None
    """For images: length of each run in thousands of images. None: each setting's own."""
    runs: str = "runs/modes"
    """For images: the folder for the run folders. Runs that were stopped are continued."""
    out: str | None = None
    """Write the table, its rows and images into this folder: known-truth.md, known-truth.json, images/."""
    overwrite: bool = False
    """Replace images in the folder that ganloom did not write, or that were changed."""
    json: bool = False
    """Print one JSON object on stdout."""


def run(argv: Sequence[str]) -> None:
    """Read the command line, measure, print the table."""
    args = parse(Arguments, argv, "bench modes")
    folder = None if args.out is None else Path(args.out)
    with Progress() as progress:
        if args.data == "dirac":
            _dirac(args, folder, progress)
        elif args.data in ("stacked", "shapes"):
            _images(args, folder, progress)
        else:
            _points(args, folder, progress)


def _points(args: Arguments, folder: Path | None, progress: Progress) -> None:
    from ganloom.bench.modes import benchmark, page
    from ganloom.bench.modes.cures import CURES
    from ganloom.bench.modes.failures import usual
    from ganloom.bench.modes.toy_training import Trained

    def write(row: benchmark.Row, trained: Trained) -> None:
        if folder is not None:
            page.save_panels(folder, row, trained, benchmark.DATA[row.data].mixture(), overwrite=args.overwrite)
            page.write_rows(folder, page.keep(folder, row), row)

    cures = tuple(CURES) if args.cure == ("all",) else args.cure or usual(args.data)
    rows = benchmark.measure(
        args.data, cures, 10 if args.seeds is None else args.seeds, args.steps, args.seed, each=write, show=progress
    )
    if args.json:
        print(json.dumps({"rows": [row.to_dict() for row in rows]}))
        return
    print("\n".join(page.table(rows)))
    _end(folder)


def _dirac(args: Arguments, folder: Path | None, progress: Progress) -> None:
    from ganloom.bench.modes import dirac, page

    names = list(dirac.SETTINGS) if args.cure in ((), ("all",)) else list(args.cure)
    for name in names:
        if name not in dirac.SETTINGS:
            known = ", ".join(dirac.SETTINGS)
            raise BadInput(f'--cure: dirac has no setting "{name}"{did_you_mean(name, dirac.SETTINGS)}; it has {known}')
    progress("measuring the Dirac-GAN")
    runs = [dirac.measure(name, alternating) for name in names for alternating in (True, False)]
    if folder is not None:
        page.write_dirac(folder, runs, overwrite=args.overwrite)
    if args.json:
        print(json.dumps({"rows": [dirac.to_dict(row) for row, _ in runs]}))
        return
    print(page.dirac_section(runs, "images/dirac.svg").rpartition("\n\n")[0].split("\n\n", 2)[-1])
    _end(folder)


def _images(args: Arguments, folder: Path | None, progress: Progress) -> None:
    from ganloom.bench.modes import counted_images, counted_page, shapes_reader, stacked_reader

    task = {"stacked": stacked_reader.TASK, "shapes": shapes_reader.TASK}[args.data]

    def save(row: counted_images.Row, samples: "Tensor") -> None:
        if folder is not None:
            counted_page.save(folder, row, samples, overwrite=args.overwrite)

    names, seeds = () if args.cure == ("all",) else args.cure, 1 if args.seeds is None else args.seeds
    counter, rows = counted_images.measure(
        task, names, seeds, args.seed, args.total_kimg, Path(args.runs), each=save, progress=progress
    )
    if folder is not None:
        rows = counted_page.write(folder, task, counter, rows)
    if args.json:
        print(json.dumps({"counter": dataclasses.asdict(counter), "rows": [row.to_dict() for row in rows]}))
        return
    print("\n".join(counted_images.table(task, counter, rows)))
    _end(folder)


def _end(folder: Path | None) -> None:
    if folder is not None:
        print(f"wrote {folder}: known-truth.md, images/")
    print(following(["bench", "modes", "--data", "ring"], ["bench", "modes", "--data", "dirac"]))
