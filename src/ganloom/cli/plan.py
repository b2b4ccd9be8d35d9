"""ganloom plan RECIPE DATA ..."""

import dataclasses
import json
from collections.abc import Sequence
from typing import Annotated, Literal

from ganloom.apps.plan import MINUTES, SECONDS, STEPS, plan
from ganloom.cli.flags import Positional
from ganloom.cli.train import read
from ganloom.core.errors import BadInput
from ganloom.report.progress import Progress


@dataclasses.dataclass(frozen=True)
class Arguments:
    """Train a recipe on a data set for some steps, about a minute, and report the speed, the memory and the time of the whole
    training; if it takes longer than --minutes (default: 180), propose one that can finish. DATA alone plans the default
    recipe. All settings of `ganloom train` are accepted, such as --small, --shape, --batch-size and --total-kimg."""

    recipe: Annotated[str, Positional("RECIPE")] = "default"
    """The recipe to train."""
    data: Annotated[str | None, Positional("DATA")] = None
    """A folder, class folders, .zip, .npz, .npy, or the name of a built-in data set."""
    small: bool = False
    """Use the recipe's settings for small images and minutes on a CPU."""
    config: str | None = None
    """Read settings from a TOML or JSON file, a run folder or its config.json. Flags of the command line win."""
    epochs: float | None = None
    """The length as passes over the data, instead of --total-kimg."""
    steps: int = STEPS
    """Largest number of training steps to measure, in each stage of a recipe that grows."""
    seconds: float = SECONDS
    """About the longest time in seconds to build the models, check their settings and measure them, without reading the data."""
    augment: Literal["auto", "none", "ada", "diffaugment"] | None = None
    """How to augment the images that D gets."""
    fit: Literal["crop", "pad", "squash"] = "crop"
    """How to bring images of other sizes to the shape."""
    labels: Literal["auto", "none"] = "auto"
    """none: ignore the labels of the data; folders are no classes."""
    flip: bool = False
    """Flip images horizontally at random."""
    held_out: float = 0.0
    """Share of the images that training does not use."""
    direction: Literal["AtoB", "BtoA"] = "AtoB"
    """For image pairs and domains: which side is the input."""
    label_maps: bool = False
    """For image pairs: the inputs are label maps."""
    json: bool = False
    """Print one JSON object on stdout."""


def run(argv: Sequence[str]) -> None:
    """Read the command line, measure, print the plan."""
    command = read(argv, Arguments, "plan")
    args, settings = command.options, command.settings
    if args.data is None:
        raise BadInput("DATA is missing: see `ganloom plan --help`")
    if args.steps < 1 or not args.seconds > 0:
        raise BadInput(f"--steps must be at least 1 and --seconds above 0, got {args.steps} and {args.seconds:g}")
    if args.labels == "none":
        settings |= {"labels": False}
    if command.translates:
        settings |= {"direction": args.direction, "label_maps": args.label_maps}
    settings |= {"epochs": args.epochs} if args.epochs is not None else {}
    minutes, device = settings.pop("minutes", None), settings.pop("device", "auto")
    with Progress() as progress:
        result = plan(
            args.data, args.recipe, device=device, steps=args.steps, seconds=args.seconds,
            minutes=MINUTES if minutes is None else minutes, progress=progress, fit=args.fit, flip=args.flip,
            held_out=args.held_out, **settings,
        )  # fmt: skip
    print(
        json.dumps(dataclasses.asdict(result) | {"command": result.command}) if args.json else "\n".join(result.lines())
    )
