"""Set up a training: combine recipe, data and options, and build the model."""

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
from ganloom.core import class_names, config
from ganloom.core.errors import BadInput, did_you_mean
from ganloom.core.randomness import key
from ganloom.gan import GAN, kind_of_inputs
from ganloom.recipes import presets
from ganloom.report.progress import Report, part_of, stage
from ganloom.runs import warm_start
from ganloom.stabilisers.apply import compose, parts_of
from ganloom.stabilisers.config import Stabilise
from ganloom.training.config import TrainConfig

DATA_OPTIONS = ("fit", "flip", "labels", "held_out", "direction", "label_maps")


@dataclass(frozen=True)
class TrainingSetup:
    """Everything that a training starts from.

    Attributes:
        name: Name of the recipe or class.
        module: The recipe's module; None for a user's model.
        gan: The model, untrained.
        data: The opened data.
        cfg: Settings of the training.
        parts: Settings of the stabilisers.
        augment: One line on the augmentation that ``augment`` selected and why.
        small: Whether the recipe's small settings are used (``--small``).
    """

    name: str
    module: ModuleType | None
    gan: GAN
    data: Any
    cfg: TrainConfig
    parts: Stabilise
    augment: str = ""
    small: bool = False


def set_up(
    recipe: Any,
    data: Any,
    options: dict[str, Any],
    source: warm_start.Source | None = None,
    *,
    progress: Report = None,
    opened: Any = None,
) -> TrainingSetup:
    """Combine a recipe, data and options, and build the model.

    Args:
        recipe: Name of a recipe, a recipe's Config, or a GAN.
        data: The data.
        options: Options of the training, the recipe, the stabilisers and the data, by name.
        source: Another run whose settings are the defaults, or None.
        progress: Called with (what, done, total) while the data are read.
        opened: The data, if they are open already, from an earlier setup with the same options of the data.

    Raises:
        BadInput: If an option is unknown or does not fit.
    """
    request = _request_of(recipe, options, source)
    module, settings, gan, model = request.module, request.settings, request.gan, request.model
    cfg, parts, config_options = request.cfg, request.parts, request.config_options
    if opened is None:
        opened = _open_request(request, recipe, data, progress)
    if "shape" in config_options:  # it may have been given without channels
        config_options = config_options | {"shape": tuple(opened.shape)}
    stage(progress, f"building the model ({_name_of(recipe, module, gan)})")
    try:
        model.check_data(opened)
    except BadInput as error:
        raise with_data_notes(error, opened) from None
    chosen = _augment(request.augment, module, settings, gan, opened, cfg, config_options, request.explicit, source)
    config_options, parts = config_options | chosen.config, config.replace(parts, chosen.parts, "stabilise")
    if gan is not None:
        if config_options:
            name = next(iter(config_options))
            raise BadInput(
                f"{name} is a field of the recipe's config, but recipe is a GAN. Set it in the config of the GAN"
            )
        compose(gan, parts, cfg.seed)
        name_classes(gan, opened)
        gan.learn_data(opened, part_of(progress, "encoding the captions"))
        return TrainingSetup(_name_of(recipe, module, gan), module, gan, opened, cfg, parts_of(gan), chosen.text)
    if isinstance(recipe, str):
        try:
            settings = _fit_to_data(settings, model, opened, config_options)
        except BadInput as error:
            raise with_data_notes(error, opened) from None
    settings = config.replace(settings, config_options, "config")
    if request.small:
        larger = presets.grown(_name_of(recipe, module, None), settings)
        settings = config.replace(settings, {key: v for key, v in larger.items() if key not in request.own}, "config")
    config.check_counts(settings)
    check_classes(settings, opened)
    gan = compose(build(module, settings, cfg.seed), parts, cfg.seed)
    name_classes(gan, opened)
    gan.learn_data(opened, part_of(progress, "encoding the captions"))
    return TrainingSetup(_name_of(recipe, module, None), module, gan, opened, cfg, parts, chosen.text, request.small)


def open_for(
    recipe: Any, data: Any, options: dict[str, Any], source: warm_start.Source | None = None, *, progress: Report = None
) -> Any:
    """Open the data of a training without building its model; see ``set_up`` for the arguments.

    Raises:
        BadInput: If the data cannot be opened, or an option is unknown.
    """
    return _open_request(_request_of(recipe, options, source), recipe, data, progress)


def _open_request(request: "_Request", recipe: Any, data: Any, progress: Report) -> Any:
    if request.model.learns == "texts" and isinstance(data, str) and not data.endswith(".npz"):
        name = _name_of(recipe, request.module, request.gan)
        raise BadInput(f"{name} learns texts. Use `ganloom text train {name} {data}`")
    stage(progress, "opening the data")
    extra = {**request.data_options, "progress": part_of(progress, "reading the data")}
    side = presets.SIDE if request.small else None
    return _open_data(data, request.settings, request.gan, isinstance(recipe, str), request.config_options, extra, side)


@dataclass(frozen=True)
class _Request:
    """The recipe and the options, sorted by where they belong.

    Attributes:
        module, settings, gan: See ``_recipe_of``.
        model: The class of the model, or the model itself.
        cfg: Settings of the training.
        parts: The stabilisers.
        augment: The option ``augment``.
        small: Whether the recipe's small settings are used.
        explicit: Names of the options that the user gave.
        own: Names of the options that the small settings do not change.
        config_options: Options of the recipe's config.
        data_options: Options of the data.
    """

    module: ModuleType | None
    settings: Any
    gan: GAN | None
    model: Any
    cfg: TrainConfig
    parts: Stabilise
    augment: str | None
    small: bool
    explicit: Container[str]
    own: Container[str]
    config_options: dict[str, Any]
    data_options: dict[str, Any]


def _request_of(recipe: Any, options: dict[str, Any], source: warm_start.Source | None) -> _Request:
    """Sort the options. Raises BadInput if one is unknown, or two do not go together."""
    module, settings, gan = _recipe_of(recipe)
    augment, options = options.get("augment"), {name: v for name, v in options.items() if name != "augment"}
    if augment is not None and (conflicts := {"diff_augment", "adaptive"} & options.keys()):
        raise BadInput(
            f"--augment {augment} and --{min(conflicts).replace('_', '-')} both set the augmentation of D's images. Omit one"
        )
    small, explicit = options.pop("small", False), frozenset(options)
    options = options if source is None else warm_start.inherited(source, recipe) | options
    own = frozenset(options)
    if small:
        if module is None or not isinstance(recipe, str):
            raise BadInput("small=True needs the name of a recipe, such as stylegan2")
        options = presets.small(_name_of(recipe, module, None), module, options.get("total_kimg")) | options
    config_type = type(settings) if gan is None else type(gan.cfg)
    train_options, config_options, data_options, part_options = _sort_options(options, config_type)
    model: Any = gan if module is None else module.MODEL
    return _Request(
        module, settings, gan, model,
        cfg=config.replace(TrainConfig(), train_options, "train"),
        parts=config.replace(Stabilise(), part_options, "stabilise"),
        augment=augment, small=bool(small), explicit=explicit, own=own, config_options=config_options,
        data_options=_input_options(model, config_options) | data_options,
    )  # fmt: skip


def _augment(
    augment: str | None,
    module: ModuleType | None,
    settings: Any,
    gan: GAN | None,
    data: Any,
    cfg: TrainConfig,
    options: dict[str, Any],
    explicit: Container[str],
    source: warm_start.Source | None,
) -> policy.Chosen:
    """Choose the augmentation for this recipe and these data."""
    settings = settings if gan is None else gan.cfg
    fields = dataclasses.fields(settings) if dataclasses.is_dataclass(settings) else ()
    critic = module.__name__ in recipes.RECIPES.paths.values() if module is not None else hasattr(gan, "D")
    return policy.choose(
        augment, {f.name: getattr(settings, f.name) for f in fields} | options, data,
        kimg=cfg.total_kimg or float(getattr(module, "KIMG", 200.0)), critic=critic,
        images_in=getattr(module.MODEL if module is not None else gan, "conditions_on", "labels") == "images",
        tuned=source is not None, explicit=explicit,
    )  # fmt: skip


def _recipe_of(recipe: Any) -> tuple[ModuleType | None, Any, GAN | None]:
    """Return (module, config, gan) for the name of a recipe, a Config or a GAN; what does not apply is None."""
    if isinstance(recipe, GAN):
        return None, None, recipe
    if isinstance(recipe, str):
        module = recipes.find(recipe)
        return module, module.Config(), None
    defining = sys.modules.get(type(recipe).__module__)
    if dataclasses.is_dataclass(recipe) and defining is not None and hasattr(defining, "MODEL"):
        return defining, recipe, None
    raise BadInput(f"recipe must be a name, a recipe's Config or a GAN, got {type(recipe).__name__}")


def _name_of(recipe: Any, module: ModuleType | None, gan: GAN | None) -> str:
    """Return the name of the recipe, or of the model's class."""
    if isinstance(recipe, str):
        return recipe.lower().replace("_", "-")
    if gan is not None:
        return type(gan).__name__
    assert module is not None
    names = [name for name, path in recipes.LISTED.paths.items() if path == module.__name__]
    return names[0] if names else module.__name__


def build(module: ModuleType | None, cfg: Any, seed: int) -> GAN:
    """Build an untrained model.

    Args:
        module: The recipe's module.
        cfg: The recipe's config.
        seed: Seed of the weights.
    """
    assert module is not None
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(key(seed, "init"))
        gan: GAN = module.MODEL(cfg)
    return gan


def load_weights(
    setup: TrainingSetup, source: warm_start.Source, freeze_d: int, fresh: Sequence[str]
) -> warm_start.WarmStart:
    """Load the weights of another run into the model of a setup; see ``warm_start.load_weights``."""

    def build_with(classes: int) -> GAN:
        cfg = config.replace(setup.gan.cfg, {"n_classes": classes})
        return compose(build(setup.module, cfg, setup.cfg.seed), setup.parts, setup.cfg.seed)

    has_classes = setup.module is not None and hasattr(setup.gan.cfg, "n_classes")
    return warm_start.load_weights(
        setup.gan, source, setup.data, freeze_d=freeze_d, fresh=fresh, build=build_with if has_classes else None
    )  # fmt: skip


def _sort_options(options: dict[str, Any], kind: type | None) -> tuple[dict[str, Any], ...]:
    """Split options by where they belong: the training, the config of type ``kind``, the data, the stabilisers."""
    train = {field.name for field in dataclasses.fields(TrainConfig)}
    parts = {field.name for field in dataclasses.fields(Stabilise)}
    own = {field.name for field in dataclasses.fields(kind)} if kind and dataclasses.is_dataclass(kind) else set()
    groups: tuple[dict[str, Any], ...] = ({}, {}, {}, {})
    for name, value in options.items():
        if name in train:
            groups[0][name] = value
        elif name in DATA_OPTIONS:
            groups[2][name] = value
        elif name in own:
            groups[1][name] = value
        elif name in parts:
            groups[3][name] = value
        else:
            raise BadInput(f'unknown field "{name}"{did_you_mean(name, train | own | parts | set(DATA_OPTIONS))}')
    return groups


def _input_options(model: Any, options: dict[str, Any]) -> dict[str, Any]:
    """Return the options of ``data.open`` for an image-to-image model; {} for others."""
    kind = kind_of_inputs(model)
    if kind is None:
        return {}
    return {"inputs": kind, "in_channels": options.get("in_channels")}


def _open_data(
    data: Any,
    settings: Any,
    gan: GAN | None,
    by_name: bool,
    options: dict[str, Any],
    extra: dict[str, Any],
    side: int | None,
) -> Any:
    """Open the data in the shape of the model; if no shape is set, in the shape of the data.

    Images without a common size get the side of the recipe's own shape, at most ``side``.
    """
    cfg = settings if gan is None else gan.cfg
    shape = options.get("shape") if by_name else getattr(cfg, "shape", None)
    if gan is None and not by_name and "shape" in options:
        shape = options["shape"]
    default = getattr(cfg, "shape", (3, 64, 64))
    size = int(default[1]) if len(default) == 3 else 28
    size = size if side is None else min(size, side)
    share = extra.get("held_out") or 0.0
    extra = {name: value for name, value in extra.items() if name != "held_out"}
    opened = datasets.open(data, shape=datasets.full_shape(data, shape, **extra), default_size=size, **extra)
    if not share:
        return opened
    if not 0 < share < 1:
        raise BadInput(f"--held-out must be a share of the data between 0 and 1, got {share}")
    train_data, held_out = opened.split(1.0 - share)
    train_data.split_off = held_out
    return train_data


def _fit_to_data(settings: Any, model: Any, data: Any, options: dict[str, Any]) -> Any:
    """Return the config with the shape and the number of classes of the data, unless the user set them."""
    names = {field.name for field in dataclasses.fields(settings)}
    if data.kind == "table" and model.learns != "table":
        raise BadInput(f"{data.name} is an encoded table, but this recipe learns images. Use `ganloom table fit`")
    if data.kind == "texts" and model.learns != "texts":
        raise BadInput(f"{data.name} has encoded texts, but this recipe learns images. Use `ganloom text train`")
    if data.kind == "points" and "shape" in names and not model.supports_points:
        raise BadInput(f"{data.name} contains points, but this recipe generates images. Use the recipe gan")
    changes: dict[str, Any] = {}
    if "shape" in names and "shape" not in options:
        changes["shape"] = tuple(data.shape)
    if "in_channels" in names and "in_channels" not in options and data.inputs is not None:
        changes["in_channels"] = int(data.inputs.shape[0])
    if "n_classes" in names and "n_classes" not in options:
        changes["n_classes"] = int(data.n_classes)
    return config.replace(settings, changes)


def with_data_notes(error: BadInput, data: Any) -> BadInput:
    """An error about data, with the notes about the data, which may say why: such as folders that are no classes."""
    return BadInput("; ".join([str(error), *data.notes])) if data.notes else error


def name_classes(gan: GAN, data: Any) -> None:
    """Set the names of the model's classes, and which of them it draws: those that have images."""
    gan.class_names = tuple(data.classes or ())
    count, present = int(getattr(gan.cfg, "n_classes", 0) or 0), data.classes_with_rows
    gan.drawn_classes = tuple(present) if count and len(present) < count else None


def class_notes(setup: TrainingSetup) -> list[str]:
    """Return one line for classes that were left out, and one for those that only the held-out images have."""
    data, gan = setup.data, setup.gan
    names = class_names.complete(gan.class_names, int(getattr(gan.cfg, "n_classes", 0) or 0))
    lines = [class_names.empty_text(data.class_names, data.facts.empty_classes)] if data.facts.empty_classes else []
    if gan.drawn_classes is not None:
        empty = [name for i, name in enumerate(names) if i not in set(gan.drawn_classes)]
        lines.append(
            f"{len(empty)} of {len(names)} classes are empty (no images to train on) and are not drawn: "
            f"{class_names.listing(empty)}"
        )
    return lines


def check_classes(cfg: Any, data: Any) -> None:
    """Raise BadInput if the config has fewer classes than the data, or the data have no labels."""
    n_classes = getattr(cfg, "n_classes", 0)
    if n_classes and (data.labels is None or n_classes < data.n_classes):
        labels = "no labels" if data.labels is None else f"{data.n_classes} classes"
        error = BadInput(
            f"--n-classes {n_classes}: {data.name} has {labels}. Omit --n-classes to use the number of the data"
        )
        raise with_data_notes(error, data)
