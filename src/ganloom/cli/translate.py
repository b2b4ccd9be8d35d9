"""ganloom translate RUN IN OUT ..."""

import dataclasses
import json
import sys
from collections.abc import Sequence
from typing import Annotated

import tyro

from ganloom.apps.translate import translate_files
from ganloom.cli.messages import following
from ganloom.cli.parse import parse


@dataclasses.dataclass(frozen=True)
class Arguments:
    """Put an image, or a folder of them, through a trained translator (pix2pix, cyclegan ...). Any width and height."""

    run: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="RUN")]
    """A run folder, or a model/ folder."""
    source: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="IN")]
    """An image, or a folder of images."""
    out: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="OUT")]
    """A .png that is not there yet, or a new or empty folder."""
    reverse: bool = False
    """From the target domain back to the inputs', where the recipe learns both ways."""
    stochastic: bool = False
    """With dropout and each image's own batch statistics, as pix2pix's paper draws its figures."""
    seed: int = 0
    """Of the dropout."""
    memory: float = 1024.0
    """MiB of features in memory; larger images go through in bands of rows, with the same result."""
    compare: bool = False
    """Also write a sheet with each image beside its result."""
    checkpoint: str = "latest"
    """latest, best, or a checkpoint's name."""
    device: str = "auto"
    """auto, cpu, cuda or mps."""
    json: bool = False
    """One JSON object on stdout."""


def run(argv: Sequence[str]) -> None:
    """Parse, translate, say what was written."""
    args = parse(Arguments, argv, "translate")

    def tell(name: str, number: int, count: int) -> None:
        if sys.stderr.isatty():
            print(f"\r\x1b[K{number + 1}/{count} {name}", end="\n" if number + 1 == count else "", file=sys.stderr)

    done = translate_files(
        args.run, args.source, args.out, reverse=args.reverse, stochastic=args.stochastic, seed=args.seed,
        memory=args.memory, compare=args.compare, checkpoint=args.checkpoint, device=args.device, progress=tell,
    )  # fmt: skip
    for name, reason in done.bad:
        print(f"left out {name}: {reason}", file=sys.stderr)
    sheet = None if done.sheet is None else str(done.sheet)
    if args.json:
        print(json.dumps({"files": [str(f) for f in done.files], "sheet": sheet, "bad": done.bad}))
        return
    print(f"wrote {done.files[0]}" if len(done.files) == 1 else f"wrote {len(done.files)} images to {args.out}")
    if sheet is not None:
        print(f"wrote {sheet}")
    print(following(["evaluate", args.run]))
