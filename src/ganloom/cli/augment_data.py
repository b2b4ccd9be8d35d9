"""ganloom augment data DATA --with RUN ..., and ganloom augment subset DATA ..."""

import dataclasses
import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

from ganloom.cli.flags import Positional
from ganloom.cli.messages import following
from ganloom.cli.parse import parse
from ganloom.core.errors import BadInput
from ganloom.core.names import printable, word_of
from ganloom.core.stop_signals import continued_by_the_same_command
from ganloom.report.progress import Progress

if TYPE_CHECKING:
    from ganloom.apps.augment_files import Augmented


@dataclasses.dataclass(frozen=True)
class Arguments:
    """Write a data set of class folders with the real images of DATA and generated ones. metadata.csv says of each image
    whether it is real or generated, and of which seed and run. If you stop it, run the same command to continue."""

    data: Annotated[str, Positional("DATA")]
    """Labelled images: class folders, .zip, .npz, or the name of a built-in data set."""
    with_: str
    """A run folder or a model/ folder, trained with the classes of DATA. Classes are matched by name."""
    out: str
    """The new folder."""
    per_class: int | None = None
    """Number of generated images of each class. With --balance: real and generated images together."""
    balance: bool = False
    """Generate only what short classes lack. Without --per-class, they are filled up to the size of the largest class."""
    copies: bool = False
    """Copy the real images (the default)."""
    links: bool = False
    """Link to the real images instead of copying them."""
    seed: int = 0
    """Seed of the first generated image; the next one has the next seed."""
    truncation: float = 1.0
    """Below 1: generated images are more typical and less diverse."""
    resize: bool = False
    """Resize real images to the size that RUN generates. Otherwise other sizes are refused."""
    checkpoint: str = "latest"
    """latest, best, or the name of a checkpoint."""
    device: str = "auto"
    """auto, cpu, cuda or mps."""
    json: bool = False
    """Print one JSON object on stdout."""


@dataclasses.dataclass(frozen=True)
class SubsetArguments:
    """Write a data set with some images of each class, chosen at random: to train a GAN on few labels, and to give it to
    `augment report` for the row with as many labels."""

    data: Annotated[str, Positional("DATA")]
    """Labelled images: class folders, .zip, .npz, or the name of a built-in data set."""
    per_class: int
    """Number of images of each class."""
    out: str
    """The new folder."""
    copies: bool = False
    """Copy the images (the default)."""
    links: bool = False
    """Link to the images instead of copying them."""
    seed: int = 0
    """Decides which images are chosen."""
    json: bool = False
    """Print one JSON object on stdout."""


def run(argv: Sequence[str]) -> None:
    """Read the command line, generate, write the data set, print the counts."""
    args = parse(Arguments, argv, "augment data")
    _check_one(args.copies, args.links)
    from ganloom.apps.augment_data import augment_data

    with continued_by_the_same_command(), Progress() as progress:
        written = augment_data(
            args.data, args.with_, args.out, per_class=args.per_class, balance=args.balance, links=args.links, seed=args.seed,
            truncation=args.truncation, resize=args.resize, checkpoint=args.checkpoint, device=args.device, progress=progress,
        )  # fmt: skip
    more = ["--resize"] if args.resize else []
    _print(written, args.json, ["augment", "report", word_of(args.data), "--with", word_of(args.with_), *more])


def subset(argv: Sequence[str]) -> None:
    """Read the command line, write the subset, print the counts."""
    args = parse(SubsetArguments, argv, "augment subset")
    _check_one(args.copies, args.links)
    from ganloom.apps.augment_data import labelled_subset

    with continued_by_the_same_command(), Progress() as progress:
        written = labelled_subset(
            args.data, args.out, per_class=args.per_class, links=args.links, seed=args.seed, progress=progress
        )
    _print(written, args.json, ["train", "stylegan2", word_of(args.out), "--small", "--augment", "auto"])


def _check_one(copies: bool, links: bool) -> None:
    if copies and links:
        raise BadInput("--copies and --links exclude each other: give one")


def _print(written: "Augmented", as_json: bool, then: Sequence[object]) -> None:
    if as_json:
        print(json.dumps(written.to_dict()))
        return
    print("\n".join([*written.lines(), *(f"note: {printable(note)}" for note in written.notes)]))
    print(f"wrote {printable(written.folder)}: a folder for each class, and {written.table.name}")
    print(following(then))
