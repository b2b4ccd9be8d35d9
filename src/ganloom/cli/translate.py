"""ganloom translate RUN IN OUT ..."""

import dataclasses
import json
import sys
from collections.abc import Sequence
from typing import Annotated

from ganloom.apps.translate import translate_files
from ganloom.cli import next_commands
from ganloom.cli.flags import Positional
from ganloom.cli.messages import following
from ganloom.cli.parse import parse
from ganloom.core.names import printable
from ganloom.report.progress import Progress


@dataclasses.dataclass(frozen=True)
class Arguments:
    """Translate an image or a folder of images with a trained image-to-image model (pix2pix, cyclegan, ...). Images may have
    any width and height."""

    run: Annotated[str, Positional("RUN")]
    """A run folder, or a model/ folder."""
    source: Annotated[str, Positional("IN")]
    """An image, or a folder of images."""
    out: Annotated[str, Positional("OUT")]
    """A new .png file, or a new or empty folder."""
    reverse: bool = False
    """Translate from the target domain to the input domain; for recipes that learn both directions."""
    stochastic: bool = False
    """Use dropout and the batch statistics of each image, as in the pix2pix paper."""
    seed: int = 0
    """Seed of the dropout."""
    memory: float = 1024.0
    """Largest memory for features, in MiB. Larger images are processed in bands of rows, with the same result."""
    compare: bool = False
    """Also write a sheet with each image next to its result."""
    checkpoint: str = "latest"
    """latest, best, or the name of a checkpoint."""
    device: str = "auto"
    """auto, cpu, cuda or mps."""
    overwrite: bool = False
    """Replace existing files. An input is never replaced."""
    json: bool = False
    """Print one JSON object on stdout."""


def run(argv: Sequence[str]) -> None:
    """Read the command line, translate, print what was written."""
    args = parse(Arguments, argv, "translate")
    with Progress() as progress:
        progress("loading the model")
        done = translate_files(
            args.run,
            args.source,
            args.out,
            reverse=args.reverse,
            stochastic=args.stochastic,
            seed=args.seed,
            memory=args.memory,
            compare=args.compare,
            checkpoint=args.checkpoint,
            device=args.device,
            progress=lambda name, number, count: progress("translating images", number, count),
            overwrite=args.overwrite,
        )
    for name, reason in done.bad:
        print(f"left out {printable(name)}: {printable(reason)}", file=sys.stderr)
    for note in done.notes:
        print(printable(note), file=sys.stderr)
    sheet = None if done.sheet is None else str(done.sheet)
    if args.json:
        print(json.dumps({"files": [str(f) for f in done.files], "sheet": sheet, "bad": done.bad}))
        return
    print(f"wrote {done.files[0]}" if len(done.files) == 1 else f"wrote {len(done.files)} images to {args.out}")
    if sheet is not None:
        print(f"wrote {sheet}")
    print(following(*next_commands.after_translate(args.run)))
