"""The Python API: ``train``, ``resume``, ``load``, and the ``Run`` they speak of."""

import dataclasses
import json
import sys
import time
from collections.abc import Container, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import torch

from ganloom import allocator, augmenting, checkpoint, config, plans, recipes, starting
from ganloom import data as datasets
from ganloom.compose import compose, parts_of
from ganloom.device import choose_device, choose_precision
from ganloom.errors import BadInput, did_you_mean
from ganloom.folder import Folder, next_name, versions
from ganloom.gan import GAN
from ganloom.guard import NonFinite
from ganloom.healing import Build, heal, own_class
from ganloom.judge import Judge
from ganloom.lint import lint, refuse
from ganloom.observers import Console, Grids, Guarded, Jsonl, Observer, Report
from ganloom.randomness import key
from ganloom.session import STOPPED, Session
from ganloom.stabilisers import Stabilise
from ganloom.trainer import TrainConfig, Trainer, channels_last, load_strict
from ganloom.watching import FILE, HEAL, Doctor, curable

FORMAT = 1
DATA_OPTIONS = ("fit", "flip", "labels", "held_out", "direction", "label_maps")


@dataclass(frozen=True)
class Run:
    """A run folder: where it is and how its last session ended."""

    path: Path
    reason: str = "finished"
    """"finished", or the signal that stopped it."""

    def load(self, checkpoint: str = "latest") -> GAN:
        """The trained model; see ``ganloom.load``."""
        return load(self.path, checkpoint=checkpoint)

    @property
    def metrics(self) -> list[dict[str, Any]]:
        """The rows of metrics.jsonl."""
        path = self.path / "metrics.jsonl"
        return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] if path.exists() else []

    def evaluate(self, data: Any = None, **options: Any) -> dict[str, Any]:
        """Measure the generator; see ``ganloom.evaluate``."""
        from ganloom.apps.evaluate import evaluate

        return evaluate(self.path, data, **options)


# -------------------------------------------------------------------------------------------------------------- train


def train(
    recipe: Any = "default",
    data: Any = "fashion-10k",
    out: str | Path | None = None,
    *,
    init: Any = None,
    init_checkpoint: str = "latest",
    fresh: Sequence[str] = (),
    freeze_d: int = 0,
    observers: Sequence[Observer] = (),
    console: Observer | None = None,
    **options: Any,
) -> Run:
    """Train a GAN and return its Run.

    ``recipe``: a name of ``RECIPES``, a recipe's Config, or a GAN of your own. ``data``: whatever ``ganloom.data.open``
    takes. ``out``: the run folder, new; None: runs/RECIPE-DATA-NN. ``options``: fields of TrainConfig (total_kimg, seed,
    device ...), of the recipe's Config (z_dim ...), of ``Stabilise`` (instance_noise, pack ...), ``augment`` (auto, none,
    ada or diffaugment; see ``augmenting``), or ``fit``, ``flip``,
    ``labels``, ``held_out`` (a share that training never draws) of the data. ``small``: where a setting is not given, that
    of the recipe's cut-down form for small pictures and minutes of a CPU (see ``plans``), and not the paper's.

    ``init``: a run or model/ folder whose weights are the start (``init_checkpoint`` of it), strictly; settings that are not
    given are that run's. ``fresh``: beginnings of names of weights that begin anew all the same. ``freeze_d``: so many of
    D's first layers do not train (FreezeD). See ``starting``. Raises BadInput on what cannot be used; KeyboardInterrupt
    after Ctrl-C, with everything saved.
    """
    allocator.keep_freed_blocks()
    source = _source(init, init_checkpoint, freeze_d, fresh)
    made = _prepare(recipe, data, options, source)
    cfg, gan = made.cfg, made.gan
    cfg = dataclasses.replace(cfg, device=choose_device(cfg.device))
    if cfg.total_kimg is None:
        cfg = dataclasses.replace(cfg, total_kimg=float(getattr(made.module, "KIMG", 200.0)))
    if cfg.heal and not cfg.doctor:
        raise BadInput("--heal needs the doctor: leave it out")
    anew = _anew(made.module, gan, cfg)
    notes = [("warning", text) for text in refuse(lint(gan, made.data, cfg))]
    notes += [("augment", made.augment)] if made.augment else []
    begun = None if source is None else _begin(made, source, freeze_d, fresh)
    notes += [] if begun is None else [("init", begun.text)]
    cfg = dataclasses.replace(cfg, precision=choose_precision(cfg.precision, cfg.device, gan))
    gan.make_ready(torch.empty(0, device=cfg.device).device)  # with its number, as tensors have it
    folder = Folder(Path(out) if out is not None else next_name(Path("runs"), made.name, made.data.name))
    folder.create()
    with folder.lock():
        _describe(folder, made, cfg, begun)
        return _go(folder, gan, made.data, cfg, observers, console, anew, resume=False, notes=notes, begun=begun)


def prepare(recipe: Any, data: Any, **options: Any) -> tuple[GAN, Any]:
    """The model and the open data that ``train`` with these arguments would begin with."""
    made = _prepare(recipe, data, options)
    return made.gan, made.data


def resume(
    run: str | Path | Run,
    *,
    total_kimg: float | None = None,
    data: Any = None,
    gan: GAN | None = None,
    device: str | None = None,
    observers: Sequence[Observer] = (),
    console: Observer | None = None,
) -> Run:
    """Go on with a run exactly where its newest whole checkpoint left it; needs the folder alone.

    ``total_kimg``: a new end. ``data``: where the data lies now, if it moved (its content must be the same). ``gan``: for
    a run of a GAN class of your own, a fresh model of it.
    """
    allocator.keep_freed_blocks()
    folder = Folder(run.path if isinstance(run, Run) else Path(run))
    folder.require()
    with folder.lock():
        described = folder.read("config.json")
        cfg = config.from_dict(TrainConfig, described["train"], "train")
        changes: dict[str, Any] = {} if total_kimg is None else {"total_kimg": float(total_kimg)}
        changes |= {} if device is None else {"device": choose_device(device)}
        cfg = dataclasses.replace(cfg, **changes)
        if gan is not None and folder.read(FILE).get(
            "heals"
        ):  # of a class of your own: with the settings that healed it
            gan = own_class(gan, cfg.seed)(described)
        module = None if gan is not None else recipes.LISTED.get(described.get("recipe", ""))
        gan = _composed(gan or _gan_of(described, cfg.seed, folder.path), described, cfg.seed)
        anew = _anew(module, gan, cfg)
        opened = _reopen_data(described, data, folder.path)
        if data is not None and opened.source.get("source") is not None:  # the run remembers where it lies now
            folder.update("config.json", data={**described["data"], "source": opened.source})
        if changes:
            folder.update("config.json", train=config.to_dict(cfg))
        return _go(folder, gan, opened, cfg, observers, console, anew, resume=True)


def _go(
    folder: Folder,
    gan: GAN,
    data: Any,
    cfg: TrainConfig,
    observers: Sequence[Observer],
    console: Observer | None,
    anew: Build | None,
    *,
    resume: bool,
    notes: Sequence[tuple[str, str]] = (),
    begun: starting.Begun | None = None,
) -> Run:
    """Train until it ends; a run that heals goes on from its last healthy checkpoint with one setting changed."""
    while True:
        doctor = Doctor(held=held_out(data, folder.path), seed=cfg.seed) if cfg.doctor else None
        try:
            run = _train(folder, gan, data, cfg, observers, console, doctor, resume=resume, notes=notes, begun=begun)
            if run.reason != HEAL:
                return run
        except NonFinite:
            if doctor is None or doctor.heals_left < 1 or not curable(doctor.findings):
                raise
        assert doctor is not None and anew is not None
        finding = curable(doctor.findings)
        assert finding is not None
        text, gan = heal(folder, finding, anew)
        folder.event("heal", text, checkpoint.load(folder.checkpoints).state["nimg"] / 1000)
        print(f"heal: {text}", file=sys.stderr)
        resume, notes, begun = True, (), None


def _train(
    folder: Folder,
    gan: GAN,
    data: Any,
    cfg: TrainConfig,
    observers: Sequence[Observer],
    console: Observer | None,
    doctor: Doctor | None,
    *,
    resume: bool,
    notes: Sequence[tuple[str, str]] = (),
    begun: starting.Begun | None = None,
) -> Run:
    """One session."""
    judge, report = Judge(cfg.judge, cfg.seed), Guarded(Report())
    console = Console() if console is None else console
    log = open(folder.path / "log.txt", "a", encoding="utf-8")
    try:
        logged = Console(stream=log)
        for to in (console, logged):
            if isinstance(to, Console):
                to.title = _title(folder, gan, data, cfg)
        watching: list[Observer] = [Guarded(judge), Guarded(Grids(n=cfg.grid)), Jsonl(), console, logged]
        if doctor is not None:
            watching.insert(1, Guarded(doctor))  # before the rows are written: its figures go into them
        watching += [Guarded(observer) for observer in observers] + [report]
        half_life = float(getattr(gan.cfg, "ema_kimg", 10.0))
        trainer = Trainer(gan, data, cfg, watching, device=cfg.device, bf16=cfg.precision == "bf16", ema_kimg=half_life)
        if begun is not None:
            trainer.ema.load_state_dict(begun.averages, strict=False)
        session = Session(folder, trainer, judge.take, report)
        if resume:
            loaded = session.load()
            trainer.event("resume", f"resumed from {loaded.path.name}")
            if trainer.nimg >= trainer.total_nimg:
                raise BadInput(
                    f"{folder.path} is already at {trainer.nimg / 1000:g} kimg of {cfg.total_kimg:g}: "
                    f"give --total-kimg a larger number to go on"
                )
        elif data.split_off is not None:
            trainer.event(
                "held out", f"{len(data.split_off)} of the data are held out for the doctor: training never draws them"
            )
        for kind, text in notes:
            trainer.event(kind, text)
        reason = session.fit()
    finally:
        log.close()
    if reason == "SIGINT":
        raise KeyboardInterrupt
    if STOPPED.get(reason, 0):
        raise SystemExit(STOPPED[reason])
    return Run(folder.path, reason)


def _title(folder: Folder, gan: GAN, data: Any, cfg: TrainConfig) -> str:
    """What is trained on what, in one line."""
    name = folder.read("config.json").get("recipe", type(gan).__name__)
    size = "x".join(map(str, data.shape))
    classes = f", {data.n_classes} classes" if getattr(data, "n_classes", 0) else ""
    parts = folder.read("config.json").get("stabilise", {})
    on = config.from_dict(Stabilise, parts, "stabilise").on()
    name += "".join(f" + {part} {parts[part]}" for part in on)
    millions = sum(p.numel() for p in gan.parameters()) / 1e6
    return (
        f"{name} ({millions:.2g} M parameters) on {data.name} ({len(data)} of {size}{classes}), "
        f"{cfg.device} {cfg.precision} -> {folder.path}"
    )


# --------------------------------------------------------------------------------------------------------------- load


def load(path: str | Path | Run, *, checkpoint: str = "latest", gan: GAN | None = None, device: str = "cpu") -> GAN:
    """The trained model of a run or of a model/ folder: averaged weights, eval mode, on ``device``.

    ``checkpoint``: "latest", "best", or a checkpoint's name. ``gan``: for a class of your own, a fresh model of it.
    """
    folder = Folder(path.path if isinstance(path, Run) else Path(path))
    if not folder.path.is_dir():
        raise BadInput(f"no run at {folder.path}: give a run folder, or its model/ folder")
    folder.require()
    described = folder.read("config.json")
    seed = int(described.get("train", {}).get("seed", 0))
    gan = _composed(gan or _gan_of(described, seed, folder.path), described, seed)
    if folder.checkpoints.is_dir():
        found = _load_checkpoint(folder, checkpoint)
        load_strict(gan, found.tensors["gan"] | found.tensors["ema"], "the model")
        gan.kimg = found.state["nimg"] / 1000
    else:
        values = _read_weights(folder.path / "G.safetensors")
        load_strict(gan, {**gan.state_dict(), **values}, "the model")
        gan.kimg = float(described.get("kimg", float("inf")))
    gan = gan.to(choose_device(device)).eval().requires_grad_(False)
    channels_last(gan)
    return gan


def _load_checkpoint(folder: Folder, which: str) -> "checkpoint.Loaded":
    found = checkpoint.load(folder.checkpoints, which, only=lambda part: part != "optim")
    for line in found.skipped:
        print(f"warning: {line}; using {found.path.name} instead", file=sys.stderr)
    return found


def _read_weights(path: Path) -> dict[str, torch.Tensor]:
    import safetensors.torch

    try:
        return safetensors.torch.load_file(path)
    except FileNotFoundError as error:
        raise BadInput(f"{path.parent} is not a run or a model folder (it has no G.safetensors)") from error
    except Exception as error:
        raise BadInput(f"{path} is damaged ({type(error).__name__})") from error


# ----------------------------------------------------------------------------------------------------- the parts of it


@dataclass(frozen=True)
class _Made:
    """What a training begins with."""

    name: str
    module: ModuleType | None
    gan: GAN
    data: Any
    cfg: TrainConfig
    parts: Stabilise
    augment: str = ""
    """What ``augment`` came to, and why."""


def _prepare(recipe: Any, data: Any, options: dict[str, Any], source: starting.Source | None = None) -> _Made:
    """Recipe and data brought together: each option in its place, the config fitted to the data, the model built."""
    module, given, gan = _recipe_of(recipe)
    asked, options = options.get("augment"), {name: v for name, v in options.items() if name != "augment"}
    if asked is not None and (twice := {"diff_augment", "adaptive"} & options.keys()):
        raise BadInput(
            f"--augment {asked} and --{min(twice).replace('_', '-')} both say how D sees pictures: leave one out"
        )
    small, said = options.pop("small", False), options.keys()
    options = options if source is None else starting.inherited(source, recipe) | options
    if small:
        if module is None or not isinstance(recipe, str):
            raise BadInput("small is for recipes that are named, such as stylegan2")
        own_length = options.get("total_kimg")
        told, options = options.keys(), plans.small(_name_of(recipe, module, None), module, own_length) | options
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
        return _Made(_name_of(recipe, module, gan), module, gan, opened, cfg, parts_of(gan), chosen.text)
    if isinstance(recipe, str):
        given = _fit_to_data(given, opened, config_options)
    given = config.replace(given, config_options, "config")
    if small:
        larger = plans.grown(_name_of(recipe, module, None), given)
        given = config.replace(given, {key: v for key, v in larger.items() if key not in told}, "config")
    config.check_counts(given)
    _check_classes(given, opened)
    gan = compose(_build(module, given, cfg.seed), parts, cfg.seed)
    return _Made(_name_of(recipe, module, None), module, gan, opened, cfg, parts, chosen.text)


def _augment(
    asked: str | None,
    module: ModuleType | None,
    given: Any,
    gan: GAN | None,
    data: Any,
    cfg: TrainConfig,
    options: dict[str, Any],
    said: Container[str],
    source: starting.Source | None,
) -> augmenting.Chosen:
    """What ``augment`` comes to for this recipe and these data."""
    settings = given if gan is None else gan.cfg
    fields = dataclasses.fields(settings) if dataclasses.is_dataclass(settings) else ()
    critic = module.__name__ in recipes.RECIPES.paths.values() if module is not None else hasattr(gan, "D")
    return augmenting.choose(
        asked, {f.name: getattr(settings, f.name) for f in fields} | options, data,
        kimg=cfg.total_kimg or float(getattr(module, "KIMG", 200.0)), critic=critic,
        pictures_in=getattr(module.MODEL if module is not None else gan, "conditions_on", "labels") == "pictures",
        tuned=source is not None, told=said,
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


def _build(module: ModuleType | None, cfg: Any, seed: int) -> GAN:
    """A fresh model, its first weights a function of the seed."""
    assert module is not None
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(key(seed, "init"))
        gan: GAN = module.MODEL(cfg)
    return gan


def _source(init: Any, which: str = "latest", freeze_d: int = 0, fresh: Sequence[str] = ()) -> starting.Source | None:
    """The run that ``init`` names; without one, nothing can be frozen or begin anew."""
    if init is not None:
        return starting.read(init.path if isinstance(init, Run) else init, which)
    if freeze_d or fresh:
        flag = "--freeze-d" if freeze_d else "--fresh"
        raise BadInput(f"{flag} says how to begin with another run's weights: name that run with --init RUN")
    return None


def _begin(made: _Made, source: starting.Source, freeze_d: int, fresh: Sequence[str]) -> starting.Begun:
    """The other run's weights in the model that was made."""

    def build(classes: int) -> GAN:
        cfg = config.replace(made.gan.cfg, {"n_classes": classes})
        return compose(_build(made.module, cfg, made.cfg.seed), made.parts, made.cfg.seed)

    can = made.module is not None and hasattr(made.gan.cfg, "n_classes")
    return starting.begin(
        made.gan, source, made.data, freeze_d=freeze_d, fresh=fresh, build=build if can else None
    )  # fmt: skip


def _gan_of(described: dict[str, Any], seed: int, path: Path) -> GAN:
    name = described.get("recipe", "")
    if name not in recipes.LISTED:
        raise BadInput(f'{path} was made by "{name}", a class of your own: pass gan= with a fresh model of it')
    module = recipes.LISTED[name]
    return _build(module, config.from_dict(module.Config, described["config"]), seed)


def _composed(gan: GAN, described: dict[str, Any], seed: int) -> GAN:
    """The model with the stabilisers and the frozen layers that its run was begun with."""
    gan = compose(gan, config.from_dict(Stabilise, described.get("stabilise", {}), "stabilise"), seed)
    gan.frozen = frozenset(described.get("init", {}).get("frozen", ()))
    return gan


def _anew(module: ModuleType | None, gan: GAN, cfg: TrainConfig) -> Build | None:
    """How a run that heals makes its model again from config.json: by its module, or by the user's own class."""
    if not cfg.heal:
        return None
    if module is None:
        make = own_class(gan, cfg.seed)
    else:
        make = lambda d: _build(module, config.from_dict(module.Config, d["config"]), cfg.seed)  # noqa: E731
    return lambda described: _composed(make(described), described, cfg.seed)


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
    """What ``data.open`` is told for a model that makes pictures from pictures."""
    if getattr(model, "conditions_on", "labels") != "pictures":
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


def reopen(folder: Folder, described: dict[str, Any]) -> tuple[GAN, Any, TrainConfig]:
    """A fresh model, the open data and the settings of a run."""
    cfg = config.from_dict(TrainConfig, described["train"], "train")
    gan = _composed(_gan_of(described, cfg.seed, folder.path), described, cfg.seed)
    return gan, _reopen_data(described, None, folder.path), cfg


def held_out(data: Any, run: Path) -> Any:
    """What training never draws: a held-out share, or the other half of data that were split; None where there is none."""
    if data.split_off is not None:
        return data.split_off
    kept = run / "held.npz"
    return datasets.open(str(kept)) if kept.exists() else datasets.other_half(data)


def _fit_to_data(given: Any, data: Any, options: dict[str, Any]) -> Any:
    """The config with what the data decide: shape and number of classes, unless the user said them."""
    names = {field.name for field in dataclasses.fields(given)}
    if (
        data.kind == "points"
        and "shape" in names
        and len(given.shape) == 3
        and "..." not in str(type(given).__annotations__["shape"])
    ):
        raise BadInput(f"{data.name} is a set of points, and this recipe makes pictures: use the recipe gan")
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


def _describe(folder: Folder, made: _Made, cfg: TrainConfig, begun: starting.Begun | None = None) -> None:
    """Write config.json and run.json: all that ``resume`` and the report need."""
    name, module, gan, data = made.name, made.module, made.gan, made.data
    source = data.source
    if source.get("source") is None:  # arrays of this process: the run keeps its own copy
        data.save(folder.path / "data.npz")
        if data.split_off is not None:
            data.split_off.save(folder.path / "held.npz")
        source = {"source": "data.npz", "in_run": True, "flip": data.flip}
    plain = config.to_dict(gan.cfg) if dataclasses.is_dataclass(gan.cfg) else {}
    folder.write(
        "config.json",
        {
            "format": FORMAT,
            "recipe": name,
            "config": plain,
            "defaults": config.to_dict(module.Config()) if module is not None else {},
            **({"stabilise": config.to_dict(made.parts)} if made.parts.on() else {}),
            **({"init": begun.record} if begun is not None else {}),
            "train": config.to_dict(cfg),
            "data": {"name": data.name, "source": source, "fingerprint": data.fingerprint, "size": len(data)},
            "classes": list(data.classes) if data.classes else None,
        },
    )
    folder.write(
        "run.json",
        {
            "state": "starting",
            "command": ["ganloom", *sys.argv[1:]] if sys.argv[0].endswith("ganloom") else [name],
            "versions": versions(),
            "device": cfg.device,
            "precision": cfg.precision,
            "created": time.time(),
            "data": {"name": data.name, "fingerprint": data.fingerprint, "size": len(data)},
        },
    )
    if data.bad_files:
        lines = "".join(f"{_csv(path)},{_csv(reason)}\n" for path, reason in data.bad_files)
        (folder.path / "bad_files.csv").write_text("path,reason\n" + lines, encoding="utf-8")
        print(
            f"{len(data.bad_files)} files could not be read and are left out: {folder.path / 'bad_files.csv'}",
            file=sys.stderr,
        )


def _csv(text: str) -> str:
    return '"' + str(text).replace('"', '""') + '"'


def _reopen_data(described: dict[str, Any], data: Any, run: Path) -> Any:
    kept = described["data"]
    if data is not None:
        source = kept["source"]
        told = {k: source[k] for k in ("inputs", "direction", "label_maps", "in_channels") if k in source}
        opened = datasets.open(
            data,
            shape=tuple(described["config"]["shape"]),
            fit=source.get("fit") or "crop",
            flip=bool(source.get("flip")),
            **told,
        )
    else:
        source = dict(kept["source"])
        if source.pop("in_run", False):
            source["source"] = str(run / source["source"])
        opened = datasets.reopen(source)
    if opened.fingerprint != kept["fingerprint"]:
        raise BadInput(
            f"the data {kept['name']} changed since this run began (fingerprint {opened.fingerprint[:12]} instead of "
            f"{kept['fingerprint'][:12]}): put the old pictures back, or train anew"
        )
    return opened
