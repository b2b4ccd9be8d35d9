"""ganloom data check DIR ..."""

import dataclasses
import json
from collections.abc import Sequence
from typing import Annotated, Literal

from ganloom import data as datasets
from ganloom.cli.flags import Positional
from ganloom.cli.messages import following
from ganloom.cli.next_commands import word_of
from ganloom.cli.parse import parse, subcommand
from ganloom.report.progress import Progress


@dataclasses.dataclass(frozen=True)
class Arguments:
    """Check a data set: counts, sizes, channels, classes, duplicates, unreadable files, and what the network will get."""

    data: Annotated[str, Positional("DATA")]
    """A folder, class folders, .zip, .npz, .npy, or the name of a built-in data set."""
    shape: tuple[int, int, int] | None = None
    """Channels, height and width for training. None: from the data."""
    fit: Literal["crop", "pad", "squash"] = "crop"
    """How to bring images of other sizes to the shape."""
    preview: str | None = None
    """Write a grid of 25 images, as the network will get them, to this PNG file."""
    json: bool = False
    """Print one JSON object on stdout."""


def run(argv: Sequence[str]) -> None:
    """Read the command line, check, print the report."""
    if subcommand("data", ["check"], argv, Arguments, "`ganloom data check DIR`") is None:
        return
    args = parse(Arguments, argv[1:], "data check")
    with Progress() as progress:
        progress("listing the files")
        shape = datasets.full_shape(args.data, args.shape, fit=args.fit, progress=progress.part("reading the images"))
        report = datasets.check(args.data, shape=shape, fit=args.fit, progress=progress)
    print(json.dumps(report.to_dict()) if args.json else "\n".join(report.lines()))
    if args.preview:
        from ganloom.imaging import grid

        grid.save_png(report.preview(), args.preview)
        if not args.json:
            print(f"wrote {args.preview}")
    if not args.json:
        data = word_of(args.data)
        flags = [] if args.shape is None else ["--shape", *report.shape]
        flags += [] if args.fit == "crop" else ["--fit", args.fit]
        print(following(["train", "default", data, *flags], ["plan", data, *flags]))
