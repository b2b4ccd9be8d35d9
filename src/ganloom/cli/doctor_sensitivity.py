"""ganloom doctor sensitivity RECIPE DATA ..."""

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

from ganloom.cli.flags import Positional
from ganloom.cli.messages import following
from ganloom.cli.order import recipe_and_data
from ganloom.cli.parse import parse
from ganloom.core.errors import BadInput
from ganloom.core.names import word_of
from ganloom.core.stop_signals import continued_by_the_same_command
from ganloom.report.progress import Progress


@dataclasses.dataclass(frozen=True)
class Arguments:
    """Train a recipe for a short time with other learning rates, penalty weights, beta1 and batch sizes, and show which settings
    work and which fail, as a table and an image. If you stop it, run the same command to continue."""

    recipe: Annotated[str | None, Positional("RECIPE")] = None
    """The recipe; DATA alone uses the default recipe."""
    data: Annotated[str | None, Positional("DATA")] = None
    """A folder, class folders, .zip, .npz, .npy, or the name of a built-in data set."""
    total_kimg: float = 10.0
    """Length of each run in thousands of images."""
    shape: tuple[int, int, int] | None = None
    """Channels, height and width. None: from the data. Small images make it quick."""
    width: int | None = None
    """The recipe's --width, if it has one. None: its default."""
    batch_size: int | None = None
    """The middle one of the batch sizes. None: the recipe's default."""
    seed: int = 0
    """Seed of every run."""
    out: str = "runs/sensitivity"
    """The folder for the runs, sensitivity.json and sensitivity.png."""
    overwrite: bool = False
    """Replace a sensitivity.json and sensitivity.png that ganloom did not write."""
    json: bool = False
    """Print one JSON object on stdout."""


def run(argv: Sequence[str]) -> int:
    """Read the command line, train, print the table."""
    args = parse(Arguments, argv, "doctor sensitivity")
    from ganloom.apps import sensitivity
    from ganloom.data import full_shape

    if args.recipe is None:
        raise BadInput("DATA is missing: see `ganloom doctor sensitivity --help`")
    recipe, data = recipe_and_data(args.recipe, args.data)
    with Progress() as progress:
        progress("opening the data")
        shape = full_shape(data, args.shape, progress=progress.part("reading the data"))
    settings = {"shape": shape} | {name: getattr(args, name) for name in ("width", "batch_size")}
    options = {name: value for name, value in settings.items() if value is not None}
    folder = Path(args.out) / f"{recipe}-{Path(data).name}"
    with continued_by_the_same_command(), Progress() as progress:
        results = sensitivity.measure(
            data, recipe, folder, args.total_kimg, args.seed, options, progress.say, progress, overwrite=args.overwrite
        )
    if args.json:
        print(
            json.dumps({"rows": [dataclasses.asdict(r) for r in results], "picture": str(folder / "sensitivity.png")})
        )
        return 0
    print("\n".join(sensitivity.table(results)))
    print(f"wrote {folder}: sensitivity.png, sensitivity.json")
    print(following(["train", recipe, word_of(data)]))
    return 0
