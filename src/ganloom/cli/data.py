"""ganloom data check DIR ..."""

import dataclasses
import json
from collections.abc import Sequence
from typing import Annotated, Literal

import tyro

from ganloom import data as datasets
from ganloom.cli.messages import following
from ganloom.cli.parse import parse, subcommand


@dataclasses.dataclass(frozen=True)
class Arguments:
    """Look at a data set: counts, sizes, channels, classes, duplicates, unreadable files, what the network will see."""

    data: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="DATA")]
    """Folder, class folders, .zip, .npz, .npy, or a built-in set."""
    shape: tuple[int, int, int] | None = None
    """Channels, height, width that you mean to train at. None: as the data suggest."""
    fit: Literal["crop", "pad", "squash"] = "crop"
    """How an image of another size is brought to the shape."""
    preview: str | None = None
    """Write a grid of 25 images as the network will see them to this PNG file."""
    json: bool = False
    """One JSON object on stdout."""


def run(argv: Sequence[str]) -> None:
    """Parse, check, print the report."""
    if subcommand("data", ["check"], argv, Arguments, "`ganloom data check DIR`") is None:
        return
    args = parse(Arguments, argv[1:], "data check")
    report = datasets.check(args.data, shape=args.shape, fit=args.fit)
    print(json.dumps(report.to_dict()) if args.json else "\n".join(report.lines()))
    if args.preview:
        from ganloom.imaging import grid

        grid.save_png(report.preview(), args.preview)
        if not args.json:
            print(f"wrote {args.preview}")
    if not args.json:
        flags = [] if args.shape is None else ["--shape", *args.shape]
        flags += [] if args.fit == "crop" else ["--fit", args.fit]
        print(following(["train", "default", args.data, *flags], ["plan", args.data, *flags]))
