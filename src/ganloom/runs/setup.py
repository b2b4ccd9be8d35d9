"""What a training begins with: recipe, data and options brought together, and the model built or begun from another run."""

import dataclasses
import sys
from collections.abc import Container, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import torch

from ganloom import data as datasets
from ganloom import recipes
from ganloom.augment import policy
from ganloom.core import config
from ganloom.core.errors import BadInput, did_you_mean
from ganloom.core.randomness import key
from ganloom.gan import GAN
from ganloom.recipes import presets
from ganloom.runs import warm_start
from ganloom.stabilisers.apply import compose, parts_of
from ganloom.stabilisers.config import Stabilise
from ganloom.training.config import TrainConfig

DATA_OPTIONS = ("fit", "flip", "labels", "held_out", "direction", "label_maps")


@dataclass(frozen=True)
class Made:
    """What a training begins with."""

    name: str
    module: ModuleType | None
    gan: GAN
    data: Any
    cfg: TrainConfig
    parts: Stabilise
    augment: str = ""
    """What ``augment`` came to, and why."""


def make(recipe: Any, data: Any, options: dict[str, Any], source: warm_start.Source | None = None) -> Made:
    """Recipe and data brought together: each option in its place, the config fitted to the data, the model built."""
    module, given, gan = _recipe_of(recipe)
    asked, options = options.get("augment"), {name: v for name, v in options.items() if name != "augment"}
    if asked is not None and (twice := {"diff_augment", "adaptive"} & options.keys()):
        raise BadInput(
            f"--augment {asked} and --{min(twice).replace('_', '-')} both say how D sees images: leave one out"
        )
    small, said = options.pop("small", False), options.keys()
    options = options if source is None else warm_start.inherited(source, recipe) | options
    if small:
        if module is None or not isinstance(recipe, str):
            raise BadInput("small is for recipes that are named, such as stylegan2")
        own_length = options.get("total_kimg")
        told, options = options.keys(), presets.small(_name_of(recipe, module, None), module, own_length) | options
    own = type(given) if gan is None else type(gan.cfg)
    train_options, config_options, data_options, part_options = _sort_options(options, own)
    cfg = config.replace(TrainConfig(), train_options, "train")
    parts = config.replace(Stabilise(), part_options, "stabilise")
    model: Any = gan if module is None else module.MODEL
    data_options = _inputs_wanted(model, config_options) | data_options
    opened = _open_data(data, given, gan, isinstance(recipe, str), config_options, data_options)
    model.check_data(opened)
    chosen = _augment(asked, module, given, gan, opened, cfg, config_options, said, source)
    config_options, parts = config_options | chosen.config, config.replace(parts, chosen.parts, "stabilise")
    if gan is not None:
        if config_options:
            name = next(iter(config_options))
            raise BadInput(f"{name} belongs to a recipe's config, but a GAN that is already made was given")
        compose(gan, parts, cfg.seed)
        return Made(_name_of(recipe, module, gan), module, gan, opened, cfg, parts_of(gan), chosen.text)
    if isinstance(recipe, str):
        given = _fit_to_data(given, model, opened, config_options)
    given = config.replace(given, config_options, "config")
    if small:
        larger = presets.grown(_name_of(recipe, module, None), given)
        given = config.replace(given, {key: v for key, v in larger.items() if key not in told}, "config")
    config.check_counts(given)
    _check_classes(given, opened)
    gan = compose(build(module, given, cfg.seed), parts, cfg.seed)
    return Made(_name_of(recipe, module, None), module, gan, opened, cfg, parts, chosen.text)


def _augment(
    asked: str | None,
    module: ModuleType | None,
    given: Any,
    gan: GAN | None,
    data: Any,
    cfg: TrainConfig,
    options: dict[str, Any],
    said: Container[str],
    source: warm_start.Source | None,
) -> policy.Chosen:
    """What ``augment`` comes to for this recipe and these data."""
    settings = given if gan is None else gan.cfg
    fields = dataclasses.fields(settings) if dataclasses.is_dataclass(settings) else ()
    critic = module.__name__ in recipes.RECIPES.paths.values() if module is not None else hasattr(gan, "D")
    return policy.choose(
        asked, {f.name: getattr(settings, f.name) for f in fields} | options, data,
        kimg=cfg.total_kimg or float(getattr(module, "KIMG", 200.0)), critic=critic,
        images_in=getattr(module.MODEL if module is not None else gan, "conditions_on", "labels") == "images",
        tuned=source is not None, explicit=said,
    )  # fmt: skip


def _recipe_of(recipe: Any) -> tuple[ModuleType | None, Any, GAN | None]:
    """(module, config, gan) of what the user named: a name, a Config or a GAN."""
    if isinstance(recipe, GAN):
        return None, None, recipe
    if isinstance(recipe, str):
        module = recipes.find(recipe)
        return module, module.Config(), None
    home = sys.modules.get(type(recipe).__module__)
    if dataclasses.is_dataclass(recipe) and home is not None and hasattr(home, "MODEL"):
        return home, recipe, None
    raise BadInput(f"recipe must be a name, a recipe's Config or a GAN, got {type(recipe).__name__}")


def _name_of(recipe: Any, module: ModuleType | None, gan: GAN | None) -> str:
    if isinstance(recipe, str):
        return recipe.lower().replace("_", "-")
    if gan is not None:
        return type(gan).__name__
    assert module is not None
    named = [name for name, path in recipes.LISTED.paths.items() if path == module.__name__]
    return named[0] if named else module.__name__


def build(module: ModuleType | None, cfg: Any, seed: int) -> GAN:
    """A fresh model, its first weights a function of the seed."""
    assert module is not None
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(key(seed, "init"))
        gan: GAN = module.MODEL(cfg)
    return gan


def begin(made: Made, source: warm_start.Source, freeze_d: int, fresh: Sequence[str]) -> warm_start.Begun:
    """The other run's weights in the model that was made."""

    def of_classes(classes: int) -> GAN:
        cfg = config.replace(made.gan.cfg, {"n_classes": classes})
        return compose(build(made.module, cfg, made.cfg.seed), made.parts, made.cfg.seed)

    can = made.module is not None and hasattr(made.gan.cfg, "n_classes")
    return warm_start.begin(
        made.gan, source, made.data, freeze_d=freeze_d, fresh=fresh, build=of_classes if can else None
    )  # fmt: skip


def _sort_options(options: dict[str, Any], kind: type | None) -> tuple[dict[str, Any], ...]:
    trained = {field.name for field in dataclasses.fields(TrainConfig)}
    parts = {field.name for field in dataclasses.fields(Stabilise)}
    own = {field.name for field in dataclasses.fields(kind)} if kind and dataclasses.is_dataclass(kind) else set()
    sorted_: tuple[dict[str, Any], ...] = ({}, {}, {}, {})
    for name, value in options.items():
        if name in trained:
            sorted_[0][name] = value
        elif name in DATA_OPTIONS:
            sorted_[2][name] = value
        elif name in own:
            sorted_[1][name] = value
        elif name in parts:
            sorted_[3][name] = value
        else:
            raise BadInput(f'unknown field "{name}"{did_you_mean(name, trained | own | parts | set(DATA_OPTIONS))}')
    return sorted_


def _inputs_wanted(model: Any, options: dict[str, Any]) -> dict[str, Any]:
    """What ``data.open`` is told for a model that makes images from images."""
    if getattr(model, "conditions_on", "labels") != "images":
        return {}
    return {"inputs": "pairs" if model.paired else "domains", "in_channels": options.get("in_channels")}


def _open_data(
    data: Any, given: Any, gan: GAN | None, named: bool, options: dict[str, Any], extra: dict[str, Any]
) -> Any:
    """The data in the shape that the model has, or, where nobody has said a shape, in the data's own."""
    cfg = given if gan is None else gan.cfg
    shape = options.get("shape") if named else getattr(cfg, "shape", None)
    if gan is None and not named and "shape" in options:
        shape = options["shape"]
    default = getattr(cfg, "shape", (3, 64, 64))
    size = int(default[1]) if len(default) == 3 else 28
    part = extra.get("held_out") or 0.0
    extra = {name: value for name, value in extra.items() if name != "held_out"}
    opened = datasets.open(data, shape=None if shape is None else tuple(shape), default_size=size, **extra)
    if not part:
        return opened
    if not 0 < part < 1:
        raise BadInput(f"--held-out is a share of the data below 1, got {part}")
    kept, held = opened.split(1.0 - part)
    kept.split_off = held
    return kept


def _fit_to_data(given: Any, model: Any, data: Any, options: dict[str, Any]) -> Any:
    """The config with what the data decide: shape and number of classes, unless the user said them."""
    names = {field.name for field in dataclasses.fields(given)}
    if data.kind == "points" and "shape" in names and not model.supports_points:
        raise BadInput(f"{data.name} is a set of points, and this recipe makes images: use the recipe gan")
    changes: dict[str, Any] = {}
    if "shape" in names and "shape" not in options:
        changes["shape"] = tuple(data.shape)
    if "in_channels" in names and "in_channels" not in options and data.inputs is not None:
        changes["in_channels"] = int(data.inputs.shape[0])
    if "n_classes" in names and "n_classes" not in options:
        changes["n_classes"] = int(data.n_classes)
    return config.replace(given, changes)


def _check_classes(cfg: Any, data: Any) -> None:
    said = getattr(cfg, "n_classes", 0)
    if said and (data.labels is None or said < data.n_classes):
        found = "no labels" if data.labels is None else f"{data.n_classes} classes"
        raise BadInput(f"--n-classes {said}: {data.name} has {found}; leave it out, the data decide")
