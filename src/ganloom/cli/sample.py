"""ganloom sample RUN ..."""

import dataclasses
import json
from collections.abc import Sequence
from typing import Literal

from ganloom.apps.sample import write_samples
from ganloom.apps.turntable import write_turntables
from ganloom.cli import next_commands
from ganloom.cli.messages import following
from ganloom.cli.parse import parse
from ganloom.cli.shared_flags import ImageFlags
from ganloom.core.errors import BadInput
from ganloom.report.progress import Progress


@dataclasses.dataclass(frozen=True)
class Arguments(ImageFlags):
    """Generate samples with a trained model: single files and a grid. The same seed gives the same bytes.

    Without --out: a folder in RUN/generated, named after the arguments.
    """

    n: int | None = None
    """Number of samples; with several classes or captions, of each. None: 64; with --text 4 of each, or 8 steps between two."""
    seed: int = 0
    """Sample i has the seed SEED + i."""
    cutoff: int | None = None
    """For recipes with styles: truncate only this many layers, from the coarsest. None: all."""
    noise_mode: Literal["const", "random", "none"] = "const"
    """For recipes with noise in the layers: const (the fixed noise of the model), random (by the seed), or none."""
    standing: int = 0
    """For biggan: compute the statistics of BatchNorm from this many batches. 0: use the averaged ones."""
    precision: Literal["float32", "bf16"] = "float32"
    """Number format inside the networks. bf16 is about twice as fast where the machine supports it, with errors of about 1 %."""
    c: tuple[str, ...] = ()
    """One or more classes by name or number, or "all". Without it, classes are drawn uniformly."""
    text: tuple[str, ...] = ()
    """For a run with captions: one or more captions, or .txt files with one on each line. Without it, training captions."""
    interpolate: bool = False
    """Go from the first of two captions to the second in --n steps."""
    turntable: bool = False
    """For a run of 3D objects: write an animation of a full turn of each object, and a sheet of views. --n: 4."""
    elevation: float | None = None
    """With --turntable: of the camera, in degrees. None: the middle of the training's range."""
    animation: Literal["gif", "webp", "mp4"] = "gif"
    """With --turntable: the format; mp4 needs ffmpeg."""
    device: str = "auto"
    """auto, cpu, cuda or mps."""


def run(argv: Sequence[str]) -> None:
    """Read the command line, sample, print what was written."""
    args = parse(Arguments, argv, "sample")
    if args.turntable:
        _turntable(args)
        return
    for flag, is_set in (("--elevation", args.elevation is not None), ("--animation", args.animation != "gif")):
        if is_set:
            raise BadInput(f"{flag} needs --turntable: add it, or leave {flag} out")
    n = args.n if args.n is not None else 8 if args.interpolate else 4 if args.text else 64
    with Progress() as progress:
        written = write_samples(
            args.run, n=n, seed=args.seed, truncation=args.truncation, cutoff=args.cutoff, noise=args.noise_mode,
            standing=args.standing, c=args.c, text=args.text, interpolate=args.interpolate, out=args.out,
            checkpoint=args.checkpoint, device=args.device, precision=args.precision, overwrite=args.overwrite,
            progress=progress,
        )  # fmt: skip
    if args.json:
        shown = {"out": str(written.folder), "grid": str(written.grid), "files": len(written.files)}
        print(json.dumps(shown | ({"notes": list(written.notes)} if written.notes else {})))
        return
    for note in written.notes:
        print(note)
    print(f"wrote {len(written.files)} samples and {written.grid}")
    print(following(*next_commands.after_sample(args.run)))


def _turntable(args: Arguments) -> None:
    """Write animations of objects, print what was written."""
    for flag, is_set in (
        ("--c", bool(args.c)), ("--text", bool(args.text)), ("--interpolate", args.interpolate),
        ("--cutoff", args.cutoff is not None), ("--standing", bool(args.standing)), ("--noise-mode", args.noise_mode != "const"),
        ("--precision", args.precision != "float32"),
    ):  # fmt: skip
        if is_set:
            raise BadInput(f"{flag} has no effect with --turntable: leave one of them out")
    with Progress() as progress:
        written = write_turntables(
            args.run, n=4 if args.n is None else args.n, seed=args.seed, truncation=args.truncation, elevation=args.elevation,
            format=args.animation, out=args.out, checkpoint=args.checkpoint, device=args.device, overwrite=args.overwrite,
            progress=progress,
        )  # fmt: skip
    if args.json:
        shown = {"out": str(written.folder), "views": str(written.grid), "files": [str(file) for file in written.files]}
        print(json.dumps(shown))
        return
    print(f"wrote {len(written.files)} turns and {written.grid}")
    print(following(["mesh", args.run]))
