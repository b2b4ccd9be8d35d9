"""ganloom doctor sensitivity DATA RECIPE ..."""

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import tyro

from ganloom.cli.parse import parse


@dataclasses.dataclass(frozen=True)
class Arguments:
    """Train a recipe at other learning rates, penalty weights, beta1 and batches, shortly each: which die, which thrive, as a
    table and an image. Stopped, it goes on where it was."""

    data: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="DATA")]
    """Folder, class folders, .zip, .npz, .npy, or a built-in set."""
    recipe: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="RECIPE")] = "default"
    """Which recipe."""
    kimg: float = 10.0
    """Thousands of images a setting."""
    shape: tuple[int, int, int] | None = None
    """Channels, height, width. None: as the data suggest; small images make it quick."""
    width: int | None = None
    """The recipe's width, where it has one. None: its own."""
    batch_size: int | None = None
    """The middle of the batches. None: the recipe's own."""
    seed: int = 0
    """Of every run."""
    out: str = "runs/sensitivity"
    """Folder of the runs, sensitivity.json and sensitivity.png."""
    json: bool = False
    """One JSON object on stdout."""


def run(argv: Sequence[str]) -> int:
    """Parse, train, print."""
    args = parse(Arguments, argv, "doctor sensitivity")
    from ganloom.apps import sensitivity

    given = {name: getattr(args, name) for name in ("shape", "width", "batch_size")}
    options = {name: value for name, value in given.items() if value is not None}
    folder = Path(args.out) / f"{args.recipe}-{Path(args.data).name}"
    results = sensitivity.measure(args.data, args.recipe, folder, args.kimg, args.seed, options)
    if args.json:
        print(
            json.dumps({"rows": [dataclasses.asdict(r) for r in results], "picture": str(folder / "sensitivity.png")})
        )
        return 0
    print("\n".join(sensitivity.table(results)))
    print(f"wrote {folder}: sensitivity.png, sensitivity.json")
    print("next: ganloom train with a setting that thrives")
    return 0
