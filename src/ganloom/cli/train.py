"""ganloom train [RECIPE] [DATA] ..."""

import dataclasses
import inspect
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Annotated, Any, Literal

from ganloom import recipes
from ganloom.api import train
from ganloom.cli import config_file, help_page
from ganloom.cli.flags import FieldPath, Flag, Positional, Section
from ganloom.cli.messages import finished, trackers
from ganloom.cli.parse import HELP_ALL, Words, show, split, values
from ganloom.cli.spellings import SPELLINGS
from ganloom.core.errors import BadInput, did_you_mean
from ganloom.data.builtin import BUILTIN, is_builtin
from ganloom.recipes import presets
from ganloom.report.progress import Progress
from ganloom.runs.folder import Folder
from ganloom.runs.training_length import UNITS
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
    config: str | None = None
    """Read settings from a TOML or JSON file (see `ganloom config RUN`), a run folder or its config.json. Flags of the
    command line win."""
    epochs: float | None = None
    """The length as passes over the data, instead of --total-kimg."""
    steps: int | None = None
    """The length as training steps, instead of --total-kimg."""
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


OF_MODEL = ("small", "augment")
"""Options that are settings of a model."""
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


@dataclass(frozen=True)
class Command:
    """A command line of `ganloom train` or `ganloom plan`, read."""

    options: Any
    """An instance of ``Options``, or of the class of the other command."""
    module: ModuleType
    """The recipe's."""
    settings: dict[str, Any]
    """Keywords of ``ganloom.train`` for the settings that were given."""
    given: frozenset[str]
    """The fields of ``options`` that were given."""

    @property
    def translates(self) -> bool:
        """Whether the recipe makes images from images."""
        return bool(self.module.MODEL.conditions_on == "images")


def run(argv: Sequence[str]) -> None:
    """Read the command line, train, print where the run is."""
    command = read(argv)
    options, settings = command.options, command.settings
    if options.labels == "none":
        settings |= {"labels": False}
    if command.translates:
        settings |= {"direction": options.direction, "label_maps": options.label_maps}
    settings |= {name: getattr(options, name) for name in UNITS if getattr(options, name) is not None}
    with Progress() as progress:
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
            console=Console(json=options.json, progress=progress),
            callbacks=trackers(options.tensorboard, options.wandb),
            progress=progress,
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
    command = read([argv[0], "fashion-10k", *argv[1:]])
    others = sorted(command.given - {"recipe", "data", *OF_MODEL})
    if others:
        raise BadInput(f"--{others[0].replace('_', '-')} is {usable}")
    return command.options.recipe, command.settings


def read(argv: Sequence[str], kind: type[Any] = Options, prog: str = "train") -> Command:
    """Find the recipe, then read the rest of the command line with that recipe's flags.

    Args:
        argv: The words after the command.
        kind: The dataclass with the options that do not belong to a recipe.
        prog: The command.

    Returns:
        The options and the settings that were given.

    Raises:
        BadInput: The words cannot be read.
        SystemExit: Code 0, after --help.
    """
    name, words = _recipe(argv, kind)
    module = recipes.find(name)
    if words.help:
        show(_help(name, module, words.help, kind, prog))
    sections = _sections(name, module, kind=kind)
    flags = [flag for section in sections for flag in section.flags]
    saved = _from_file(words, flags)
    given = values(words, flags, f"ganloom {prog} {name} {HELP_ALL}", saved)
    shape = given.pop(("shape",)) if len(given.get(("shape",)) or (0, 0, 0)) < 3 else None
    small: dict[str, Any] = {}
    if given.get(("small",)):  # its schedules depend on the length of the run
        small = presets.small(name, module, given.get(("total_kimg",)))
        sections = _sections(name, module, small, kind)
    options = dataclasses.replace(sections[0].build(given), recipe=name)
    settings: dict[str, Any] = {"small": True} if small else {}
    settings |= {"augment": options.augment} if ("augment",) in given else {}
    for section in sections[1:]:
        settings |= section.given(given)
    settings |= {} if shape is None else {"shape": shape}  # the channels are those of the data
    return Command(options, module, settings, frozenset(sections[0].given(given)))


def _from_file(words: Words, flags: Sequence[Flag]) -> dict[FieldPath, Any]:
    """The settings of the file that --config names; without those that come from the data if other data is given."""
    if ("config",) not in words.flags:
        return {}
    return config_file.read(
        words.flags["config",][0], flags, other_data=len(words.positionals) > 1 or ("data",) in words.flags
    )


def _sections(
    name: str, module: ModuleType, small: dict[str, Any] | None = None, kind: type[Any] = Options
) -> list[Section]:
    """The flags of `ganloom train NAME`; ``small``: the defaults that --small changes."""

    def begin(kind: type[Any]) -> Any:
        changed = small or {}
        return kind(**{field.name: changed[field.name] for field in dataclasses.fields(kind) if field.name in changed})

    return [
        Section("data and run", kind),
        Section("training", TrainConfig, begin(TrainConfig)),
        # Options has the recipe's augment: ``ganloom.train`` translates it into the setting of each recipe.
        Section(f"recipe {name}", module.Config, begin(module.Config), frozenset({"augment"}), SPELLINGS),
        Section("stabilisers", Stabilise, begin(Stabilise)),
    ]


def _help(name: str, module: ModuleType, which: str, kind: type[Any], prog: str) -> str:
    """The page of --help or --help-all."""
    sections = _sections(name, module, kind=kind)
    about = (module.__doc__ or "").split("\n\n")[0]
    if prog != "train":
        return help_page.full(f"ganloom {prog}", inspect.cleandoc(kind.__doc__ or ""), sections[:1])
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


def _recipe(argv: Sequence[str], kind: type[Any]) -> tuple[str, Words]:
    """The recipe that a command line names, and its words, sorted by the flags of that recipe.

    How many words a flag takes depends on the recipe. So a recipe is the one that is named if its own flags leave its
    name as the first positional argument, or as the second one, after the data. Without one, it is the recipe of --config,
    of --init, or the default one.
    """
    for word in argv:
        if _known(word):
            words = _split(argv, word, kind)
            named = words.flags.pop(("recipe",), None)
            first = [*(named or ()), *words.positionals][:2]
            if first[:1] == [word]:
                return _plain(word), dataclasses.replace(words, positionals=[*(named or ()), *words.positionals])
            if first[1:] == [word] and _is_data(first[0]):  # DATA RECIPE
                return _plain(word), dataclasses.replace(words, positionals=[word, first[0], *words.positionals[2:]])
    words = _split(argv, "default", kind)
    name = _recipe_of_file(words.flags.get(("config",), [])) or _recipe_of_run(words.flags.get(("init",), []))
    words = _split(argv, name, kind)
    if named := words.flags.pop(("recipe",), None):
        return recipes.find(named[0]).__name__, words  # raises: it is not a known recipe
    if not words.positionals or _is_data(words.positionals[0]):
        return name, dataclasses.replace(words, positionals=[name, *words.positionals])
    name = words.positionals[0]
    if not _known(name) and len(words.positionals) == 1 and not words.help:
        near = did_you_mean(name, [*recipes.LISTED, *BUILTIN])
        raise BadInput(f'"{name}" is no recipe and no data{near}: give a folder or a file, or see `ganloom recipes`')
    return name, _split(argv, name, kind) if _known(name) else words


def _split(argv: Sequence[str], recipe: str, kind: type[Any] = Options) -> Words:
    sections = _sections(_plain(recipe), recipes.find(recipe), kind=kind)
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


def _recipe_of_file(config: list[str]) -> str | None:
    """The recipe that the file of --config names; None if there is none."""
    if not config:
        return None
    file = Path(config[0])
    recipe = config_file.load(file / "config.json" if file.is_dir() else file).get("recipe")
    if recipe is not None and (not isinstance(recipe, str) or not _known(recipe)):
        near = did_you_mean(str(recipe), recipes.LISTED)
        raise BadInput(f'--config {file}: unknown recipe "{recipe}"{near}: `ganloom recipes` lists them')
    return None if recipe is None else _plain(recipe)
