"""ganloom latent walk|mix|project|directions RUN ..."""

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from ganloom.cli import next_commands
from ganloom.cli.flags import Positional
from ganloom.cli.messages import following
from ganloom.cli.parse import call_subcommand, with_progress
from ganloom.cli.shared_flags import ImageFlags, ModelFlags
from ganloom.core.output_files import new_folder
from ganloom.report.progress import Progress


@dataclasses.dataclass(frozen=True)
class Walk(ImageFlags):
    """Write an animation (.gif, .webp, or .mp4 if ffmpeg is installed) that moves through the images of several seeds and back
    to the first.

    RUN must have styles, unless --space is z. Without --out: RUN/walk.gif.
    """

    seeds: tuple[int, ...] = (0, 1, 2, 3, 4)
    """Seeds of the images to pass through."""
    frames: int = 60
    """Number of frames."""
    fps: float = 20.0
    """Frames per second."""
    space: Literal["auto", "z", "w"] = "auto"
    """z: along great circles. w: along straight lines, for models with styles. auto: w if the model has it."""
    c: str | None = None
    """A class by name or number. None: the first one, if the model has classes."""


@dataclasses.dataclass(frozen=True)
class Mix(ImageFlags):
    """Write a grid of style mixtures as a .png: the image of each row with some layers of the image of each column.

    RUN must have styles. Without --out: RUN/mix.png.
    """

    rows: tuple[int, ...] = (0, 1, 2, 3)
    """Seeds of the images of the rows."""
    columns: tuple[int, ...] = (10, 11, 12, 13, 14)
    """Seeds of the images of the columns."""
    layers: str = "0-2"
    """Layers to take from the columns: 0-3, 0,2,5 or all. The first layers are the coarse ones."""
    c: str | None = None
    """A class by name or number. None: the class of each seed."""


@dataclasses.dataclass(frozen=True)
class Project(ModelFlags):
    """Find the latents whose image is most similar to a given image, and write them and the image to a folder.

    With styles they are found in w, for other recipes in z. Without --out: RUN/projected/NAME.
    """

    image: Annotated[str, Positional("IMAGE")]
    """An image file. It is brought to the shape of the model."""
    space: Literal["auto", "z", "w", "w+"] = "auto"
    """w: one style for all layers. w+: one style for each layer, which is more similar to the image, but less typical of the
    model. z: the latent, for every recipe. auto: w+ if RUN has styles, else z."""
    steps: int = 200
    """Number of optimization steps."""
    features: str | None = None
    """Also compare features of this net: random, fashion, effnet, or a file as in `ganloom evaluate`. None: only pixels."""
    fit: Literal["crop", "pad", "squash"] = "crop"
    """How to bring images of other sizes to the shape."""
    c: str | None = None
    """The class to start from, by name or number. None: any."""
    seed: int = 0
    """Seed of all random numbers."""


@dataclasses.dataclass(frozen=True)
class Directions(ImageFlags):
    """Find directions in which images change in one way, and draw each as a row of a .png from minus to plus. The vectors are
    written to a .safetensors file with the same name.

    With styles they are directions in w, for other recipes in z. Without --out: RUN/METHOD.png.
    """

    method: Literal["auto", "sefa", "pca", "jacobian"] = "auto"
    """sefa (with styles): from the weights of the layers. jacobian (without styles): the directions in z that change the image
    most. pca: from the principal components of w, or of the images. auto: sefa or jacobian."""
    n: int = 5
    """Number of directions."""
    layers: str = "all"
    """With styles: layers to edit: 0-3, 0,2,5 or all."""
    seed: int = 0
    """Seed of the image to edit."""
    strength: float = 3.0
    """How far to go, in standard deviations of w or z."""
    steps: int = 7
    """Number of images in a row."""
    c: str | None = None
    """A class by name or number. None: the class of the seed."""


def _load(args: Any) -> Any:
    from ganloom.api import load

    return load(args.run, checkpoint=args.checkpoint)


def _print(args: Any, result: dict[str, Any], line: str, *commands: Sequence[object]) -> None:
    """The result as JSON, or a line of text and the next commands."""
    if args.json:
        print(json.dumps(result))
        return
    print(line)
    print(following(*commands))


def _walk(args: Walk, progress: Progress) -> None:
    from ganloom.apps import latent

    out = args.out or Path(args.run) / "walk.gif"
    gan = _load(args)
    progress(f"generating {args.frames} frames")
    animation = latent.walk(
        gan, out, seeds=args.seeds, frames=args.frames, fps=args.fps, space=args.space, truncation=args.truncation,
        c=args.c, overwrite=args.overwrite,
    )  # fmt: skip
    result = {"out": str(animation.path), "frames": animation.images}
    line = f"wrote {animation.path}: {animation.images} frames"
    _print(args, result, line, *next_commands.after_latent(args.run, "walk"))


def _mix(args: Mix, progress: Progress) -> None:
    from ganloom.apps import latent

    out = args.out or Path(args.run) / "mix.png"
    gan = _load(args)
    progress("generating the mixtures")
    sheet = latent.mix(
        gan, out, rows=args.rows, columns=args.columns, layers=args.layers, truncation=args.truncation, c=args.c,
        overwrite=args.overwrite,
    )  # fmt: skip
    result = {"out": str(sheet.path), "pictures": sheet.images}
    line = f"wrote {sheet.path}: the rows with layers {args.layers} of the columns"
    _print(args, result, line, *next_commands.after_latent(args.run, "mix"))


def _project(args: Project, progress: Progress) -> None:
    from ganloom.apps import projection
    from ganloom.evaluation.evaluate import recorded_scales
    from ganloom.metrics.extractors import by_name

    out = new_folder(args.out or Path(args.run) / "projected" / Path(args.image).stem, overwrite=args.overwrite)
    gan = _load(args)
    target = projection.read_image(args.image, gan.cfg.shape, args.fit, recorded_scales(Path(args.run)))
    net = None if args.features is None else by_name.get(args.features)

    def show(step: int, steps: int, loss: float) -> None:
        if step % max(1, steps // 10) == 0 and not args.json:
            progress.say(f"step {step} of {steps}: distance {loss:.4f}")
        progress("projecting the image", step, steps)

    projected = projection.project(
        gan, target, space=args.space, steps=args.steps, seed=args.seed, net=net, c=args.c, progress=show
    )
    folder = projection.write(projected, target, out, overwrite=args.overwrite)
    result = {"out": str(folder), "psnr": projected.psnr, "seconds": projected.seconds}
    line = f"PSNR {projected.psnr:.1f} dB in {projected.seconds:.1f} s\n"
    line += f"wrote {folder}: target, projected, both, {projection.latents_file(projected)}"
    _print(args, result, line, *next_commands.after_latent(args.run, "project"))


def _directions(args: Directions, progress: Progress) -> None:
    from ganloom.apps import directions

    gan = _load(args)
    progress("searching directions and drawing them")
    sheet, result = directions.draw(
        gan, args.out, folder=args.run, method=args.method, n=args.n, layers=args.layers,
        seed=args.seed, strength=args.strength, steps=args.steps, truncation=args.truncation, c=args.c,
        overwrite=args.overwrite,
    )  # fmt: skip
    plain = {
        "out": str(sheet.path), "deviations": [round(float(d), 6) for d in result.deviations], "seconds": result.seconds,
    }  # fmt: skip
    line = (
        f"{len(result.vectors)} directions in {result.space} by {result.method} in {result.seconds:.2f} s\n"
        f"wrote {sheet.path} and {sheet.path.with_suffix('.safetensors').name}"
    )
    _print(args, plain, line, *next_commands.after_latent(args.run, "directions"))


LOADING = "loading the model"
SUBCOMMANDS = {
    "walk": with_progress("latent walk", Walk, _walk, LOADING),
    "mix": with_progress("latent mix", Mix, _mix, LOADING),
    "project": with_progress("latent project", Project, _project, LOADING),
    "directions": with_progress("latent directions", Directions, _directions, LOADING),
}


def run(argv: Sequence[str]) -> None:
    """Call the subcommand."""
    call_subcommand("latent", SUBCOMMANDS, argv)
