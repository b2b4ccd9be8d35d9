"""ganloom augment preview DATA --out FILE.png; calls the other commands: `augment data`, `report` and `subset`."""

import dataclasses
import json
from collections.abc import Sequence
from typing import Annotated, Literal

from ganloom.cli import augment_data, augment_report
from ganloom.cli.flags import Positional
from ganloom.cli.messages import following
from ganloom.cli.parse import Subcommand, call_subcommand, parse
from ganloom.core.names import word_of
from ganloom.report.progress import Progress


@dataclasses.dataclass(frozen=True)
class Arguments:
    """Draw real images as D gets them, under ADA at several strengths and under DiffAugment; and a second sheet with what
    G would draw if the augmentation leaked into its samples. If a leak would be wrong for your images, such as mirrored
    text, do not use that part of the augmentation.
    """

    data: Annotated[str, Positional("DATA")]
    """A folder, class folders, .zip, .npz, .npy, or the name of a built-in data set."""
    out: str
    """The new sheet, a .png file. The second sheet is written next to it, with -leak in its name."""
    p: tuple[float, ...] = (0.2, 0.4, 0.6, 0.8, 1.0)
    """Strengths of ADA, in [0, 1]."""
    parts: tuple[str, ...] = ("blit", "geometry", "colour")
    """Parts of ADA: blit (flip, quarter, shift), geometry (scale, rotate, stretch, slide), colour (brightness, contrast,
    invert, hue, saturation), filter, noise, cutout; or single transformations of them."""
    policy: tuple[str, ...] = ("colour", "translation", "cutout")
    """Parts of DiffAugment: colour, translation, cutout, flip."""
    n: int = 6
    """Number of images, one in each row."""
    seed: int = 0
    """Seed of all random numbers."""
    shape: tuple[int, int, int] | None = None
    """Channels, height and width for training. None: from the data."""
    fit: Literal["crop", "pad", "squash"] = "crop"
    """How to bring images of other sizes to the shape."""
    overwrite: bool = False
    """Replace existing files."""
    json: bool = False
    """Print one JSON object on stdout."""


def preview(argv: Sequence[str]) -> None:
    """Read the command line, draw both sheets, print what was written."""
    args = parse(Arguments, argv, "augment preview")
    from ganloom.apps.augment_preview import RECIPE
    from ganloom.apps.augment_preview import preview as draw
    from ganloom.data import full_shape

    with Progress() as progress:
        progress("opening the data")
        shape = full_shape(args.data, args.shape, fit=args.fit, progress=progress.part("reading the data"))
        progress("drawing the sheets")
        sheets = draw(
            args.data, args.out, p=args.p, parts=args.parts, policy=args.policy, n=args.n, seed=args.seed, shape=shape,
            fit=args.fit, overwrite=args.overwrite,
        )  # fmt: skip
    if args.json:
        print(json.dumps({"out": str(sheets.sheet), "leak": str(sheets.leak), "untouched": sheets.untouched}))
        return
    print("\n".join(sheets.lines()))
    strengths = " ".join(f"{p:g}" for p in args.p)
    print(f"wrote {sheets.sheet}: real images, ADA at p {strengths}, each part of DiffAugment, all of its parts")
    print(f"wrote {sheets.leak}: what G would draw if ADA leaked, a row for each strength")
    flags = ("--augment", "auto") if sheets.advice is None else sheets.advice.flags
    print(following(["train", RECIPE, word_of(args.data), *flags]))


SUBCOMMANDS: dict[str, Subcommand] = {
    "data": (augment_data.Arguments, augment_data.run),
    "report": (augment_report.Arguments, augment_report.run),
    "subset": (augment_data.SubsetArguments, augment_data.subset),
    "preview": (Arguments, preview),
}


def run(argv: Sequence[str]) -> None:
    """Call the subcommand."""
    call_subcommand("augment", SUBCOMMANDS, argv)
