"""ganloom bench modes ..."""

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from ganloom.cli.parse import parse
from ganloom.errors import BadInput, did_you_mean

if TYPE_CHECKING:
    from torch import Tensor


@dataclasses.dataclass(frozen=True)
class Arguments:
    """Measure cures for mode collapse and instability where the truth is known, many seeds at once; no network needed."""

    data: Literal["ring", "grid25", "grid100", "dirac", "stacked"] = "grid25"
    """8 modes on a circle, 25 or 100 on a grid, the Dirac-GAN of two numbers, or 1,000 kinds of stacked pictures."""
    cure: tuple[str, ...] = ()
    """Which cures, one or more; none: the main ones (of dirac and stacked: all settings); "all": every one."""
    seeds: int | None = None
    """Points: trained side by side in batched networks, none: 10. Stacked: one after the other, none: 1."""
    seed: int = 0
    """The first seed."""
    steps: int | None = None
    """G's steps. None: 2000 on the ring, 6000 on the grid of 25, 10000 on the grid of 100."""
    kimg: float | None = None
    """Stacked: thousands of images. None: each setting's own."""
    out: str | None = None
    """Write pictures, the table and its rows into this folder: known-truth.md, known-truth.json, images/."""
    json: bool = False
    """One JSON object on stdout."""


def run(argv: Sequence[str]) -> None:
    """Parse, measure, print."""
    args = parse(Arguments, argv, "bench modes")
    folder = None if args.out is None else Path(args.out)
    if args.data == "dirac":
        _dirac(args, folder)
    elif args.data == "stacked":
        _stacked(args, folder)
    else:
        _points(args, folder)


def _points(args: Arguments, folder: Path | None) -> None:
    from ganloom.bench import modes, modes_page
    from ganloom.bench.cures import CURES, MAIN
    from ganloom.bench.training import Trained

    def written(row: modes.Row, trained: Trained) -> None:
        if folder is not None:
            modes_page.save_panels(folder, row, trained, modes.DATA[row.data].mixture())
            modes_page.write_rows(folder, modes_page.keep(folder, row), row)

    cures = tuple(CURES) if args.cure == ("all",) else args.cure or MAIN
    rows = modes.measure(
        args.data, cures, 10 if args.seeds is None else args.seeds, args.steps, args.seed, each=written
    )
    if args.json:
        print(json.dumps({"rows": [row.to_dict() for row in rows]}))
        return
    print("\n".join(modes_page.table(rows)))
    _end(folder)


def _dirac(args: Arguments, folder: Path | None) -> None:
    from ganloom.bench import dirac, modes_page

    names = list(dirac.SETTINGS) if args.cure in ((), ("all",)) else list(args.cure)
    for name in names:
        if name not in dirac.SETTINGS:
            known = ", ".join(dirac.SETTINGS)
            raise BadInput(f'--cure: dirac has no "{name}"{did_you_mean(name, dirac.SETTINGS)}: {known}')
    runs = [dirac.measure(name, alternating) for name in names for alternating in (True, False)]
    if folder is not None:
        modes_page.write_dirac(folder, runs)
    if args.json:
        print(json.dumps({"rows": [dirac.to_dict(row) for row, _ in runs]}))
        return
    print(modes_page.dirac_section(runs, "images/dirac.svg").rpartition("\n\n")[0].split("\n\n", 2)[-1])
    _end(folder)


def _stacked(args: Arguments, folder: Path | None) -> None:
    from ganloom.bench import modes_page, stacked

    def written(row: stacked.Row, samples: "Tensor") -> None:
        if folder is not None:
            modes_page.save_stacked(folder, row, samples)

    names = () if args.cure == ("all",) else args.cure
    seeds = 1 if args.seeds is None else args.seeds
    counter, rows = stacked.measure(names, seeds, args.seed, args.kimg, each=written)
    if folder is not None:
        rows = modes_page.write_stacked(folder, counter, rows)
    if args.json:
        print(json.dumps({"counter": dataclasses.asdict(counter), "rows": [row.to_dict() for row in rows]}))
        return
    print("\n".join(stacked.table(counter, rows)))
    _end(folder)


def _end(folder: Path | None) -> None:
    if folder is not None:
        print(f"wrote {folder}: known-truth.md, images/")
    print("next: ganloom bench modes --data ring        ganloom bench modes --data dirac --out DIR")
