"""ganloom inpaint IN MASK OUT ..."""

import dataclasses
import json
import os
import sys
from collections.abc import Sequence
from typing import Annotated

from ganloom.apps.inpaint import inpaint_files
from ganloom.apps.inpaint_pixels import MEMORY
from ganloom.cli.flags import Positional
from ganloom.cli.messages import following
from ganloom.cli.parse import parse
from ganloom.core.errors import BadInput
from ganloom.core.names import printable
from ganloom.report.progress import Progress


@dataclasses.dataclass(frozen=True)
class Arguments:
    """Fill holes in an image or a folder of images. Known pixels stay as they are, bit for bit.

    Without --model, the inpainter of the package is used: small, for photographs, on top of a smooth fill. Weights of LaMa
    cannot be installed with pip; `--model big-lama` says where the file belongs.
    """

    source: Annotated[str, Positional("IN")]
    """An image, or a folder of images."""
    mask: Annotated[str, Positional("MASK")]
    """A mask (white: hole), a folder of masks (named like the images, or image1_mask001.png), alpha (transparent pixels are the
    hole) or colour:RRGGBB (pixels of this colour are). With the masks in the folder IN, leave MASK out."""
    out: Annotated[str | None, Positional("OUT")] = None
    """A new .png file, or a new or empty folder."""
    model: str = "photographs"
    """photographs, biharmonic (a smooth fill), big-lama, lama-fourier, a run or model/ folder, or a file of LaMa."""
    grow: int = 0
    """Extend the holes by this number of pixels, such as over the edge of a removed object."""
    memory: float = MEMORY
    """Largest memory for features of the model, in MiB. Larger images are filled region by region."""
    checkpoint: str = "latest"
    """Of a run: latest, best, or the name of a checkpoint."""
    device: str = "auto"
    """auto, cpu, cuda or mps."""
    overwrite: bool = False
    """Replace existing files. An input is never replaced."""
    json: bool = False
    """Print one JSON object on stdout."""


def run(argv: Sequence[str]) -> None:
    """Read the command line, fill the holes, print what was written."""
    args = parse(Arguments, argv, "inpaint")
    if args.out is None and os.path.isfile(args.source):
        raise BadInput(
            "OUT is missing: ganloom inpaint IN MASK OUT, or with the masks in the folder IN: ganloom inpaint IN OUT"
        )
    mask, out = (args.source, args.mask) if args.out is None else (args.mask, args.out)
    with Progress() as progress:
        progress("loading the model")
        done = inpaint_files(
            args.source,
            mask,
            out,
            model=args.model,
            grow=args.grow,
            memory=args.memory,
            checkpoint=args.checkpoint,
            device=args.device,
            progress=progress,
            overwrite=args.overwrite,
        )
    for name, reason in done.bad:
        print(f"left out {printable(name)}: {printable(reason)}", file=sys.stderr)
    for note in done.notes:
        print(printable(note), file=sys.stderr)
    if args.json:
        print(json.dumps({"files": [str(f) for f in done.files], "bad": done.bad, "notes": done.notes}))
        return
    print(f"wrote {done.files[0]}" if len(done.files) == 1 else f"wrote {len(done.files)} images to {out}")
    print(following(["bench", "inpaint", "--help"]))
