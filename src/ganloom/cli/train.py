"""ganloom train [RECIPE] [DATA] ..."""

import dataclasses
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Annotated, Any, Literal

from ganloom import recipes
from ganloom.api import train
from ganloom.cli import help_page, schedules
from ganloom.cli.flags import FieldPath, Positional, Section
from ganloom.cli.messages import finished, trackers
from ganloom.cli.parse import HELP_ALL, Words, show, split, values
from ganloom.core.errors import BadInput
from ganloom.data.builtin import is_builtin
from ganloom.recipes import presets
from ganloom.runs.folder import Folder
from ganloom.stabilisers.config import Stabilise
from ganloom.training.callbacks import Console
from ganloom.training.config import TrainConfig


@dataclass(frozen=True)
class Options:
    """The arguments that do not belong to a recipe: the data, the run folder, the start and the output."""

    recipe: Annotated[str, Positional("RECIPE")] = "default"
    """What to train; `ganloom recipes` lists the recipes."""
    data: Annotated[str, Positional("DATA")] = "fashion-10k"
    """A folder, class folders, .zip, .npz, .npy, or the name of a built-in data set."""
    out: str | None = None
    """The run folder; it must be new or empty. None: runs/RECIPE-DATA-NN."""
    small: bool = False
    """Use the recipe's settings for small images and minutes on a CPU (those of `ganloom bench recipes`) instead of the
    paper's. Settings that you give still count. With --total-kimg the schedules are stretched to that length. Images without
    a common size, or larger than 128 pixels, get at most 64 pixels a side."""
    init: str | None = None
    """Start from the weights of this run or model/ folder. Settings that you do not give are taken from that run."""
    init_checkpoint: str = "latest"
    """With --init: latest, best, or the name of a checkpoint."""
    fresh: tuple[str, ...] = ()
    """With --init: prefixes of weight names to re-initialize, such as D or G.synthesis.levels.5."""
    freeze_d: int = 0
    """With --init: the number of D's first layers that are not trained (FreezeD, Mo et al. 2020, arXiv:2002.10964)."""
    augment: Literal["auto", "none", "ada", "diffaugment"] | None = None
    """How to augment the images that D gets. auto: by the number of images. None: as the recipe does."""
    flip: bool = False
    """Flip images horizontally at random. Do not use it where left and right differ, as in text."""
    fit: Literal["crop", "pad", "squash"] = "crop"
    """How to bring images of other sizes to the shape."""
    labels: Literal["auto", "none"] = "auto"
    """none: ignore the labels of the data; folders are no classes."""
    held_out: float = 0.0
    """Share of the images that training does not use, in [0, 1). The doctor measures overfitting of D with them."""
    direction: Literal["AtoB", "BtoA"] = "AtoB"
    """For image pairs and domains: which side is the input."""
    label_maps: bool = False
    """For image pairs: the inputs are label maps; each label gets its own colour."""
    json: bool = False
    """Print the statistics as JSON lines on stdout."""
    tensorboard: bool = False
    """Also write TensorBoard events into the run folder."""
    wandb: str | None = None
    """Also log to this Weights & Biases project."""


OF_COMMAND = frozenset(field.name for field in dataclasses.fields(Options)) - {"small", "augment"}
"""Options that are not settings of a model."""
FIRST: dict[FieldPath, tuple[str, str]] = {
    ("recipe",): ("", "what to train; `ganloom recipes` lists the recipes"),
    ("data",): ("", "a folder, .zip, .npz, .npy or a built-in data set"),
    ("out",): ("DIR", "the new run folder (default: runs/RECIPE-DATA-NN)"),
    ("total_kimg",): ("FLOAT", "thousands of images to train on"),
    ("shape",): ("C H W", "channels, height and width (default: from the data)"),
    ("batch_size",): ("INT", "images in a batch"),
    ("lr",): ("FLOAT", "learning rate"),
    ("g_opt", "lr"): ("FLOAT", "learning rate of G"),
    ("d_opt", "lr"): ("FLOAT", "learning rate of D"),
    ("small",): ("", "the recipe's settings for small images and minutes on a CPU"),
    ("augment",): ("MODE", "how to augment: auto, none, ada or diffaugment (default: by the recipe)"),
    ("flip",): ("", "flip images horizontally at random"),
    ("held_out",): ("FLOAT", "share of the images that training does not use"),
    ("init",): ("RUN", "start from the weights of this run"),
    ("heal",): ("INT", "times a failed training may restart with one setting changed"),
    ("seed",): ("INT", "seed of all random numbers"),
    ("device",): ("NAME", "auto, cpu, cuda, cuda:1 or mps"),
    ("json",): ("", "print the statistics as JSON lines"),
}
"""The flags of `ganloom train --help`: placeholder of the value, and a few words."""
SPELLINGS = {"schedule": schedules.SPELLING}


@dataclass(frozen=True)
class Command:
    """A command line of `ganloom train`, read."""

    options: Options
    module: ModuleType
    """The recipe's."""
    settings: dict[str, Any]
    """Keywords of ``ganloom.train`` for the settings that were given."""
    given: frozenset[str]
    """The fields of ``options`` that were given."""


def run(argv: Sequence[str]) -> None:
    """Read the command line, train, print where the run is."""
    command = _read(argv)
    options, settings = command.options, command.settings
    if options.labels == "none":
        settings |= {"labels": False}
    if getattr(command.module.MODEL, "conditions_on", "labels") == "images":
        settings |= {"direction": options.direction, "label_maps": options.label_maps}
    done = train(
        options.recipe,
        options.data,
        options.out,
        fit=options.fit,
        flip=options.flip,
        held_out=options.held_out,
        init=options.init,
        init_checkpoint=options.init_checkpoint,
        fresh=options.fresh,
        freeze_d=options.freeze_d,
        console=Console(json=options.json),
        callbacks=trackers(options.tensorboard, options.wandb),
        **settings,
    )
    finished(done, options.json)


def settings_of(argv: Sequence[str]) -> tuple[str, dict[str, Any]]:
    """Read a recipe and its settings, for a command that brings its own data.

    Args:
        argv: The recipe and flags of `ganloom train`, such as ["stylegan2", "--small"].

    Returns:
        (recipe, keywords of ``ganloom.train``).

    Raises:
        BadInput: A word is not a setting of the recipe.
    """
    usable = f"not a setting of a model: give a recipe and its settings, such as {argv[0]} --small"
    if len(argv) > 1 and not argv[1].startswith("--"):
        raise BadInput(f'"{argv[1]}" is {usable}')
    command = _read([argv[0], "fashion-10k", *argv[1:]])
    others = sorted((command.given & OF_COMMAND) - {"recipe", "data"})
    if others:
        raise BadInput(f"--{others[0].replace('_', '-')} is {usable}")
    return command.options.recipe, command.settings


def _read(argv: Sequence[str]) -> Command:
    """Find the recipe, then read the rest of the command line with that recipe's flags."""
    name, words = _recipe(argv)
    module = recipes.find(name)
    if words.help:
        show(_help(name, module, words.help))
    sections = _sections(name, module)
    given = values(words, [flag for section in sections for flag in section.flags], f"ganloom train {name} {HELP_ALL}")
    small: dict[str, Any] = {}
    if given.get(("small",)):  # its schedules depend on the length of the run
        small = presets.small(name, module, given.get(("total_kimg",)))
        sections = _sections(name, module, small)
    options: Options = dataclasses.replace(sections[0].build(given), recipe=name)
    settings: dict[str, Any] = {"small": True} if small else {}
    settings |= {"augment": options.augment} if ("augment",) in given else {}
    for section in sections[1:]:
        settings |= section.given(given)
    return Command(options, module, settings, frozenset(sections[0].given(given)))


def _sections(name: str, module: ModuleType, small: dict[str, Any] | None = None) -> list[Section]:
    """The flags of `ganloom train NAME`; ``small``: the defaults that --small changes."""

    def begin(kind: type[Any]) -> Any:
        changed = small or {}
        return kind(**{field.name: changed[field.name] for field in dataclasses.fields(kind) if field.name in changed})

    return [
        Section("data and run", Options),
        Section("training", TrainConfig, begin(TrainConfig)),
        # Options has the recipe's augment: ``ganloom.train`` translates it into the setting of each recipe.
        Section(f"recipe {name}", module.Config, begin(module.Config), frozenset({"augment"}), SPELLINGS),
        Section("stabilisers", Stabilise, begin(Stabilise)),
    ]


def _help(name: str, module: ModuleType, which: str) -> str:
    """The page of --help or --help-all."""
    sections = _sections(name, module)
    about = (module.__doc__ or "").split("\n\n")[0]
    if which != HELP_ALL:
        count = sum(not flag.positional for section in sections for flag in section.flags)
        first = FIRST | {("total_kimg",): ("FLOAT", f"{FIRST['total_kimg',][1]} (default: {_length(module):g})")}
        last = f"-h, --help shows this page; {HELP_ALL} shows all {count} options of {name}."
        return help_page.short("ganloom train", f"Train {name}: {about}", sections, first, last)
    return help_page.full("ganloom train", f"Train {name}: {about}\n\nRecipes: {', '.join(recipes.LISTED)}.", sections)


def _length(module: ModuleType) -> float:
    """The recipe's own length in kimg."""
    return float(getattr(module, "KIMG", 200.0))


# ------------------------------------------------------------------------------------------------- which recipe is meant


def _recipe(argv: Sequence[str]) -> tuple[str, Words]:
    """The recipe that a command line names, and its words, sorted by the flags of that recipe.

    How many words a flag takes depends on the recipe. So a recipe is the one that is named if its own flags leave its
    name as the first positional argument. Without one, it is the recipe of --init, or the default one.
    """
    for word in argv:
        if _known(word):
            words = _split(argv, word)
            if words.positionals[:1] == [word]:
                return _plain(word), words
    name = _recipe_of_run(_split(argv, "default").flags.get(("init",), []))
    words = _split(argv, name)
    if not words.positionals or _is_data(words.positionals[0]):
        return name, dataclasses.replace(words, positionals=[name, *words.positionals])
    name = words.positionals[0]
    return name, _split(argv, name) if _known(name) else words


def _split(argv: Sequence[str], recipe: str) -> Words:
    sections = _sections(_plain(recipe), recipes.find(recipe))
    return split(argv, [flag for section in sections for flag in section.flags])


def _plain(recipe: str) -> str:
    return recipe.lower().replace("_", "-")


def _known(word: str) -> bool:
    return _plain(word) in recipes.LISTED


def _is_data(word: str) -> bool:
    """Whether a word names data: `ganloom train DIR` trains the default recipe."""
    return not _known(word) and (os.path.exists(word) or os.sep in word or is_builtin(word))


def _recipe_of_run(init: list[str]) -> str:
    """The recipe of the run that --init names; the default one if there is none."""
    if init and (Path(init[0]) / "config.json").is_file():
        name = Folder(Path(init[0])).read("config.json").get("recipe")
        return str(name) if name in recipes.LISTED else "default"
    return "default"
