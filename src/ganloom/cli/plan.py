"""ganloom plan DATA ..."""

import dataclasses
import json
from collections.abc import Sequence
from typing import Annotated, Any, Literal

from ganloom.apps.plan import STEPS, plan
from ganloom.cli.flags import Positional
from ganloom.cli.parse import parse


@dataclasses.dataclass(frozen=True)
class Arguments:
    """Train a recipe on a data set for 20 steps and report the speed, the memory, the time that training will take, and what to
    train."""

    data: Annotated[str, Positional("DATA")]
    """A folder, class folders, .zip, .npz, .npy, or the name of a built-in data set."""
    recipe: Annotated[str, Positional("RECIPE")] = "default"
    """The recipe to train."""
    shape: tuple[int, int, int] | None = None
    """Channels, height and width. None: from the data."""
    fit: Literal["crop", "pad", "squash"] = "crop"
    """How to bring images of other sizes to the shape."""
    labels: Literal["auto", "none"] = "auto"
    """none: ignore the labels of the data; folders are no classes."""
    flip: bool = False
    """Flip images horizontally at random."""
    device: str = "auto"
    """auto, cpu, cuda or mps."""
    steps: int = STEPS
    """Number of training steps to measure."""
    json: bool = False
    """Print one JSON object on stdout."""


def run(argv: Sequence[str]) -> None:
    """Read the command line, measure, print the plan."""
    args = parse(Arguments, argv, "plan")
    options: dict[str, Any] = {} if args.shape is None else {"shape": args.shape}
    options |= {"labels": False} if args.labels == "none" else {}
    result = plan(args.data, args.recipe, device=args.device, steps=args.steps, fit=args.fit, flip=args.flip, **options)
    print(json.dumps(dataclasses.asdict(result)) if args.json else "\n".join(result.lines()))
