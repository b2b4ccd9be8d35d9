"""ganloom plan DATA ..."""

import dataclasses
import json
from collections.abc import Sequence
from typing import Annotated, Literal

import tyro

from ganloom.apps.plan import STEPS, plan
from ganloom.cli.parse import parse


@dataclasses.dataclass(frozen=True)
class Arguments:
    """Probe a recipe on a data set for 20 steps: what to train, how fast, how much memory, how long."""

    data: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="DATA")]
    """Folder, class folders, .zip, .npz, .npy, or a built-in set."""
    recipe: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="RECIPE")] = "default"
    """What you mean to train."""
    shape: tuple[int, int, int] | None = None
    """Channels, height, width. None: as the data suggest."""
    fit: Literal["crop", "pad", "squash"] = "crop"
    """How an image of another size is brought to the shape."""
    flip: bool = False
    """Mirror images at random."""
    device: str = "auto"
    """auto, cpu, cuda or mps."""
    steps: int = STEPS
    """Steps of the probe."""
    json: bool = False
    """One JSON object on stdout."""


def run(argv: Sequence[str]) -> None:
    """Parse, probe, print."""
    args = parse(Arguments, argv, "plan")
    options = {} if args.shape is None else {"shape": args.shape}
    found = plan(args.data, args.recipe, device=args.device, steps=args.steps, fit=args.fit, flip=args.flip, **options)
    print(json.dumps(dataclasses.asdict(found)) if args.json else "\n".join(found.lines()))
