"""ganloom data check DIR ..."""

import dataclasses
import json
from collections.abc import Sequence
from typing import Annotated, Literal

from ganloom import data as datasets
from ganloom.apps.recipe_shapes import recipe_shapes, shape_lines
from ganloom.cli.flags import Positional
from ganloom.cli.messages import following
from ganloom.cli.parse import Subcommand, call_subcommand, parse
from ganloom.core.names import word_of
from ganloom.core.output_files import new_file
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
    labels: Literal["auto", "none"] = "auto"
    """none: ignore labels; folders are no classes."""
    preview: str | None = None
    """Write a grid of 25 images, as the network will get them, to this PNG file."""
    overwrite: bool = False
    """Replace existing files."""
    json: bool = False
    """Print one JSON object on stdout."""


def check(argv: Sequence[str]) -> None:
    """Read the command line, check, print the report."""
    args = parse(Arguments, argv, "data check")
    labels = False if args.labels == "none" else None
    if args.preview is not None:
        new_file(args.preview, (".png",), overwrite=args.overwrite, flag="--preview ")
    with Progress() as progress:
        progress("listing the files")
        reading = progress.part("reading the images")
        shape = datasets.full_shape(args.data, args.shape, fit=args.fit, labels=labels, progress=reading)
        report = datasets.check(args.data, shape=shape, fit=args.fit, labels=labels, progress=progress)
        shapes = recipe_shapes(report, args.data, shape)
    if args.json:
        print(json.dumps(report.to_dict() | {"recipes": {name: dataclasses.asdict(s) for name, s in shapes.items()}}))
    else:
        print("\n".join([*report.lines(), *shape_lines(report, shapes)]))
    if args.preview:
        from ganloom.imaging import grid

        grid.save_png(report.preview(), args.preview, overwrite=args.overwrite)
        if not args.json:
            print(f"wrote {args.preview}")
    if not args.json:
        flags = [] if args.shape is None else ["--shape", *report.shape]
        flags += [] if args.fit == "crop" else ["--fit", args.fit]
        recipe, path = report.translation or ("default" if report.captions is None else "df-gan", args.data)
        flags += ["--labels", "none"] if labels is False and report.translation is None else []
        print(following(["train", recipe, word_of(path), *flags], ["plan", word_of(path), *flags]))


SUBCOMMANDS: dict[str, Subcommand] = {"check": (Arguments, check)}


def run(argv: Sequence[str]) -> None:
    """Call the subcommand."""
    call_subcommand("data", SUBCOMMANDS, argv)
