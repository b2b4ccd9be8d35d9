"""ganloom latent walk|mix|project|directions RUN ..."""

import dataclasses
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro

from ganloom.cli.messages import following
from ganloom.cli.parse import parse, subcommand
from ganloom.cli.shared_flags import OfImages, OfModel


@dataclasses.dataclass(frozen=True)
class Walk(OfImages):
    """An animation, .gif, .webp or (by ffmpeg) .mp4, that goes through the images of several seeds and back to the first.

    RUN has styles, or --space is z. Without --out: RUN/walk.gif.
    """

    seeds: tuple[int, ...] = (0, 1, 2, 3, 4)
    """The images on the way."""
    frames: int = 60
    """Images in all."""
    fps: float = 20.0
    """Images a second."""
    space: Literal["auto", "z", "w"] = "auto"
    """z: along great circles; w: along straight lines, for models with styles; auto: w where there is one."""
    c: int | None = None
    """The class. None: 0, where there are classes."""


@dataclasses.dataclass(frozen=True)
class Mix(OfImages):
    """A grid of style mixtures, a .png: each row's image with some layers of each column's.

    RUN is of a recipe with styles. Without --out: RUN/mix.png.
    """

    rows: tuple[int, ...] = (0, 1, 2, 3)
    """Seeds of the rows."""
    columns: tuple[int, ...] = (10, 11, 12, 13, 14)
    """Seeds of the columns."""
    layers: str = "0-2"
    """Layers taken from the columns: 0-3, 0,2,5 or all; the first are the coarse ones."""
    c: int | None = None
    """The class. None: each seed's own."""


@dataclasses.dataclass(frozen=True)
class Project(OfModel):
    """Find the styles whose image is nearest to a given one, and write them and the image to a folder.

    RUN is of a recipe with styles. Without --out: RUN/projected/NAME.
    """

    image: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="IMAGE")]
    """An image file; it is brought to the model's shape."""
    space: Literal["w", "w+"] = "w+"
    """w: one style for all layers; w+: one for each, nearer and further from what the model draws by itself."""
    steps: int = 200
    """Steps of the search."""
    features: str | None = None
    """A feature net that counts beside the pixels: random, fashion, effnet, or a file as in `evaluate`."""
    fit: Literal["crop", "pad", "squash"] = "crop"
    """How an image of another size is brought to the shape."""
    c: int | None = None
    """The class in which the search begins. None: any."""
    seed: int = 0
    """Everything random follows from it."""


@dataclasses.dataclass(frozen=True)
class DirectionsOf(OfImages):
    """Directions along which images change in one way, each a row of a .png from minus to plus; the vectors go beside it.

    RUN is of a recipe with styles. Without --out: RUN/METHOD.png.
    """

    method: Literal["sefa", "pca"] = "sefa"
    """sefa: by the weights; pca: by the spread of w."""
    n: int = 5
    """How many."""
    layers: str = "all"
    """Layers that are edited: 0-3, 0,2,5 or all."""
    seed: int = 0
    """The image that is edited."""
    strength: float = 3.0
    """Deviations of w at the ends."""
    steps: int = 7
    """Images in a row."""
    c: int | None = None
    """The class. None: the seed's own."""


def run(argv: Sequence[str]) -> None:
    """Parse, and do what the word says."""
    words: dict[str, tuple[type[Any], Callable[[Any], None]]] = {
        "walk": (Walk, _walk),
        "mix": (Mix, _mix),
        "project": (Project, _project),
        "directions": (DirectionsOf, _directions),
    }
    word = subcommand("latent", words, argv, Walk, "`ganloom latent walk`, `mix`, `project` or `directions`")
    if word is not None:
        kind, act = words[word]
        act(parse(kind, argv[1:], f"latent {word}"))


def _load(args: Any) -> Any:
    from ganloom.api import load

    return load(args.run, checkpoint=args.checkpoint)


def _said(args: Any, found: dict[str, Any], line: str, *more: Sequence[object]) -> None:
    if args.json:
        print(json.dumps(found))
        return
    print(line)
    print(following(*more))


def _walk(args: Walk) -> None:
    from ganloom.apps import latent

    out = args.out or Path(args.run) / "walk.gif"
    made = latent.walk(
        _load(args), out, seeds=args.seeds, frames=args.frames, fps=args.fps, space=args.space, truncation=args.truncation,
        c=args.c,
    )  # fmt: skip
    found = {"out": str(made.path), "frames": made.images}
    _said(args, found, f"wrote {made.path}: {made.images} frames", ["latent", "mix", args.run])


def _mix(args: Mix) -> None:
    from ganloom.apps import latent

    out = args.out or Path(args.run) / "mix.png"
    made = latent.mix(
        _load(args), out, rows=args.rows, columns=args.columns, layers=args.layers, truncation=args.truncation, c=args.c
    )
    found = {"out": str(made.path), "pictures": made.images}
    line = f"wrote {made.path}: rows with the layers {args.layers} of columns"
    _said(args, found, line, ["latent", "directions", args.run])


def _project(args: Project) -> None:
    from ganloom.apps import projection
    from ganloom.metrics.extractors import by_name

    gan = _load(args)
    target = projection.read_image(args.image, gan.cfg.shape, args.fit)
    net = None if args.features is None else by_name.get(args.features)

    def shown(step: int, steps: int, loss: float) -> None:
        if step % max(1, steps // 10) == 0 and not args.json:
            print(f"step {step} of {steps}: distance {loss:.4f}", file=sys.stderr)

    made = projection.project(
        gan, target, space=args.space, steps=args.steps, seed=args.seed, net=net, c=args.c, progress=shown
    )
    folder = projection.write(made, target, args.out or Path(args.run) / "projected" / Path(args.image).stem)
    found = {"out": str(folder), "psnr": made.psnr, "seconds": made.seconds}
    line = f"PSNR {made.psnr:.1f} dB in {made.seconds:.1f} s\nwrote {folder}: target, projected, both, ws.safetensors"
    _said(args, found, line, ["latent", "directions", args.run])


def _directions(args: DirectionsOf) -> None:
    from ganloom.apps import directions

    made, found = directions.draw(
        _load(args), args.out or Path(args.run) / f"{args.method}.png", method=args.method, n=args.n, layers=args.layers,
        seed=args.seed, strength=args.strength, steps=args.steps, truncation=args.truncation, c=args.c,
    )  # fmt: skip
    said = {
        "out": str(made.path), "deviations": [round(float(d), 6) for d in found.deviations], "seconds": found.seconds,
    }  # fmt: skip
    line = (
        f"{len(found.vectors)} directions by {args.method} in {found.seconds:.2f} s\n"
        f"wrote {made.path} and {made.path.with_suffix('.safetensors').name}"
    )
    _said(args, said, line, ["latent", "walk", args.run])
