"""ganloom train [RECIPE] [DATA] ..."""

import dataclasses
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro

from ganloom import data as datasets
from ganloom import recipes
from ganloom.api import train
from ganloom.cli.messages import finished, trackers
from ganloom.cli.parse import given_fields, parse
from ganloom.core.errors import BadInput
from ganloom.recipes import presets
from ganloom.runs.folder import Folder
from ganloom.stabilisers.config import Stabilise
from ganloom.training.callbacks import Console
from ganloom.training.config import TrainConfig

SWITCHES = ("--flip", "--json", "--small", "--doctor", "--no-doctor")
"""Flags without a value, after which a recipe's name may stand."""


@dataclasses.dataclass(frozen=True)
class Options:
    """What is not the recipe's: the data, the folder, and who watches."""

    out: str | None = None
    """The run folder, new. None: runs/RECIPE-DATA-NN."""
    init: str | None = None
    """Begin with the weights of this run or model/ folder; settings that are not given are that run's."""
    init_checkpoint: str = "latest"
    """Of --init: latest, best, or a checkpoint's name."""
    fresh: tuple[str, ...] = ()
    """With --init: beginnings of names of weights that begin anew, such as D or G.synthesis.levels.5."""
    freeze_d: int = 0
    """With --init: so many layers of D, from the image on, do not train (FreezeD, Mo et al. 2020, arXiv:2002.10964)."""
    fit: Literal["crop", "pad", "squash"] = "crop"
    """How an image of another size is brought to the shape."""
    flip: bool = False
    """Mirror images at random; doubles data whose left and right mean the same."""
    small: bool = False
    """The recipe cut down to small images and minutes of a CPU, as `ganloom bench recipes` trains it: settings that are not
    given are that form's and not the paper's. With --total-kimg its schedules stretch to that length."""
    held_out: float = 0.0
    """Share of the data that training never draws, by which the doctor sees whether D learns images by heart."""
    direction: Literal["AtoB", "BtoA"] = "AtoB"
    """Of pairs and domains: which side is made from which."""
    label_maps: bool = False
    """The inputs of pairs are maps of labels: each label gets a colour of its own."""
    json: bool = False
    """Rows as JSON lines on stdout."""
    tensorboard: bool = False
    """Also write TensorBoard events into the run folder."""
    wandb: str | None = None
    """Also log to this Weights & Biases project."""


def run(argv: Sequence[str]) -> None:
    """Parse, train, say where the run is."""
    args, options, module = _parsed(argv)
    images = getattr(module.MODEL, "conditions_on", "labels") == "images"
    options |= {"direction": args.options.direction, "label_maps": args.options.label_maps} if images else {}
    console = Console(json=args.options.json)
    done = train(
        args.recipe,
        args.data,
        args.options.out,
        fit=args.options.fit,
        flip=args.options.flip,
        held_out=args.options.held_out,
        init=args.options.init,
        init_checkpoint=args.options.init_checkpoint,
        fresh=args.options.fresh,
        freeze_d=args.options.freeze_d,
        console=console,
        callbacks=trackers(args.options.tensorboard, args.options.wandb),
        **options,
    )
    finished(done, args.options.json)


def settings_of(argv: Sequence[str]) -> tuple[str, dict[str, Any]]:
    """(recipe, settings as keywords of ``ganloom.train``) of `RECIPE --flags`, for a command that has data of its own."""
    usable = f"no setting of a model: name a recipe and settings of its own, {argv[0]} --small"
    if len(argv) > 1 and not argv[1].startswith("--"):
        raise BadInput(f'"{argv[1]}" is {usable}')
    args, options, _ = _parsed([argv[0], "fashion-10k", *argv[1:]])
    other = sorted(given_fields(args.options, argv) - {"small"})
    if other:
        raise BadInput(f"--{other[0].replace('_', '-')} is {usable}")
    return args.recipe, options


def _parsed(argv: Sequence[str]) -> tuple[Any, dict[str, Any], Any]:
    """Everything that was said, the settings that were given, and the recipe's module."""
    usual = _usual_recipe(argv)
    argv = _with_recipe(list(argv), usual)
    name = _recipe_in(argv, usual)
    module = recipes.find(name)
    small = presets.small(name, module) if "--small" in argv else {}
    args: Any = parse(_arguments(name, module, small), argv, "train")
    if small and "total_kimg" in given_fields(args.train, argv):  # the plan's course for a run of that length
        args = parse(_arguments(name, module, presets.small(name, module, args.train.total_kimg)), argv, "train")
    options: dict[str, Any] = {"small": True} if small else {}
    for part in (args.config, args.train, args.stabilise):
        options |= {field: getattr(part, field) for field in given_fields(part, argv)}
    return args, options, module


def _arguments(name: str, module: Any, small: dict[str, Any]) -> type:
    """One flat set of flags: positionals, options, TrainConfig, the recipe's Config and the stabilisers."""
    flat, settings = tyro.conf.arg(name=""), _with_augment(module.Config)

    def begun(kind: type[Any]) -> Any:
        return kind(**{f.name: small[f.name] for f in dataclasses.fields(kind) if f.name in small})

    described = (module.__doc__ or "").split("\n\n")[0]
    made = dataclasses.make_dataclass(
        "Arguments",
        [
            (
                "recipe",
                Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="RECIPE", help="see `ganloom recipes`")],
                name,
            ),
            (
                "data",
                Annotated[
                    str,
                    tyro.conf.Positional,
                    tyro.conf.arg(metavar="DATA", help="folder, class folders, .zip, .npz, .npy, or a built-in set"),
                ],
                "fashion-10k",
            ),
            ("options", Annotated[Options, flat], Options()),
            ("train", Annotated[TrainConfig, flat], begun(TrainConfig)),
            ("config", Annotated[settings, flat], begun(settings)),
            ("stabilise", Annotated[Stabilise, flat], begun(Stabilise)),
        ],
        frozen=True,
    )
    others = ", ".join(recipes.LISTED)
    made.__doc__ = (
        f"Train {name}: {described} Recipes: {others}. --help after a recipe's name shows that recipe's flags."
    )
    return made


def _with_augment(kind: type[Any]) -> type[Any]:
    """A recipe's Config with --augment as it is for every recipe; ``ganloom.train`` finds the setting that it comes to."""
    said = "What D sees: images as they are, augmented, or auto by the number of images. None: as the recipe has it."
    flag = Annotated[Literal["auto", "none", "ada", "diffaugment"] | None, tyro.conf.arg(help=said)]
    return dataclasses.make_dataclass(
        kind.__name__, [("augment", flag, None)], bases=(kind,), frozen=True, namespace={"__doc__": kind.__doc__}
    )


def _usual_recipe(argv: Sequence[str]) -> str:
    """What is trained where no recipe is named: that of --init, or the default one."""
    words = [word for arg in argv for word in (arg.split("=", 1) if arg.startswith("--init=") else [arg])]
    for before, word in zip(words, words[1:], strict=False):
        if before == "--init" and (Path(word) / "config.json").is_file():
            found = Folder(Path(word)).read("config.json").get("recipe")
            return str(found) if found in recipes.LISTED else "default"
    return "default"


def _with_recipe(argv: list[str], usual: str) -> list[str]:
    """`ganloom train DIR`: a first word that is data and no recipe is trained by the usual recipe."""
    first = argv[0] if argv else ""
    if first and not first.startswith("-") and first.lower().replace("_", "-") not in recipes.LISTED:
        if os.path.exists(first) or os.sep in first or first.split(":")[0] in datasets.BUILTIN:
            return [usual, *argv]
    return argv


def _recipe_in(argv: list[str], usual: str) -> str:
    if argv and not argv[0].startswith("-"):
        return argv[0]
    for before, word in zip(argv, argv[1:], strict=False):
        if word in recipes.LISTED and (not before.startswith("--") or "=" in before or before in SWITCHES):
            return word
    return usual
