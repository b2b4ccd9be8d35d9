"""The Python API: ``train``, ``resume``, ``load``, and the ``Run`` they speak of."""

import dataclasses
import json
import sys
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from ganloom import recipes
from ganloom.core import allocator, config
from ganloom.core.device import choose_device, choose_precision
from ganloom.core.errors import BadInput
from ganloom.doctor.callback import FILE, HEAL, Doctor, curable
from ganloom.gan import GAN
from ganloom.lint.rules import lint, refuse
from ganloom.runs import checkpoint, manifest, warm_start
from ganloom.runs.folder import Folder, next_name
from ganloom.runs.healing import Build, heal, own_class
from ganloom.runs.session import STOPPED, Session
from ganloom.runs.setup import load_weights, set_up
from ganloom.runs.storage import RunStorage
from ganloom.stabilisers.config import Stabilise
from ganloom.training.best_checkpoint import Judge
from ganloom.training.callbacks import Callback, Console, Grids, Guarded, Jsonl, Report
from ganloom.training.config import TrainConfig
from ganloom.training.ema import with_pending
from ganloom.training.memory_format import channels_last
from ganloom.training.nan_guard import NonFinite
from ganloom.training.state import load_strict
from ganloom.training.trainer import Trainer


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
    callbacks: Sequence[Callback] = (),
    console: Callback | None = None,
    observers: Sequence[Callback] | None = None,
    **options: Any,
) -> Run:
    """Train a GAN and return its Run.

    ``recipe``: a name of ``RECIPES``, a recipe's Config, or a GAN of your own. ``data``: whatever ``ganloom.data.open``
    takes. ``out``: the run folder, new; None: runs/RECIPE-DATA-NN. ``options``: fields of TrainConfig (total_kimg, seed,
    device ...), of the recipe's Config (z_dim ...), of ``Stabilise`` (instance_noise, pack ...), ``augment`` (auto, none,
    ada or diffaugment; see ``augmenting``), or ``fit``, ``flip``,
    ``labels``, ``held_out`` (a share that training never draws) of the data. ``small``: where a setting is not given, that
    of the recipe's cut-down form for small images and minutes of a CPU (see ``plans``), and not the paper's.

    ``init``: a run or model/ folder whose weights are the start (``init_checkpoint`` of it), strictly; settings that are not
    given are that run's. ``fresh``: beginnings of names of weights that begin anew all the same. ``freeze_d``: so many of
    D's first layers do not train (FreezeD). See ``starting``. Raises BadInput on what cannot be used; KeyboardInterrupt
    after Ctrl-C, with everything saved.
    """
    callbacks = _renamed(callbacks, observers)
    allocator.keep_freed_blocks()
    source = _source(init, init_checkpoint, freeze_d, fresh)
    made = set_up(recipe, data, options, source)
    cfg, gan = made.cfg, made.gan
    cfg = dataclasses.replace(cfg, device=choose_device(cfg.device))
    if cfg.total_kimg is None:
        cfg = dataclasses.replace(cfg, total_kimg=float(getattr(made.module, "KIMG", 200.0)))
    if cfg.heal and not cfg.doctor:
        raise BadInput("--heal needs the doctor: leave it out")
    anew = manifest.rebuilder(made.module, gan, cfg)
    notes = [("warning", text) for text in refuse(lint(gan, made.data, cfg))]
    notes += [("augment", made.augment)] if made.augment else []
    begun = None if source is None else load_weights(made, source, freeze_d, fresh)
    notes += [] if begun is None else [("init", begun.text)]
    cfg = dataclasses.replace(cfg, precision=choose_precision(cfg.precision, cfg.device, gan))
    gan.make_ready(torch.empty(0, device=cfg.device).device)  # with its number, as tensors have it
    folder = Folder(Path(out) if out is not None else next_name(Path("runs"), made.name, made.data.name))
    folder.create()
    with folder.lock():
        manifest.describe(folder, made, cfg, begun)
        return _go(folder, gan, made.data, cfg, callbacks, console, anew, resume=False, notes=notes, begun=begun)


def prepare(recipe: Any, data: Any, **options: Any) -> tuple[GAN, Any]:
    """The model and the open data that ``train`` with these arguments would begin with."""
    made = set_up(recipe, data, options)
    return made.gan, made.data


def resume(
    run: str | Path | Run,
    *,
    total_kimg: float | None = None,
    data: Any = None,
    gan: GAN | None = None,
    device: str | None = None,
    callbacks: Sequence[Callback] = (),
    console: Callback | None = None,
    observers: Sequence[Callback] | None = None,
) -> Run:
    """Go on with a run exactly where its newest whole checkpoint left it; needs the folder alone.

    ``total_kimg``: a new end. ``data``: where the data lies now, if it moved (its content must be the same). ``gan``: for
    a run of a GAN class of your own, a fresh model of it.
    """
    callbacks = _renamed(callbacks, observers)
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
        gan = manifest.composed(gan or manifest.gan_of(described, cfg.seed, folder.path), described, cfg.seed)
        anew = manifest.rebuilder(module, gan, cfg)
        opened = manifest.reopen_data(described, data, folder.path)
        if data is not None and opened.source.get("source") is not None:  # the run remembers where it lies now
            folder.update("config.json", data={**described["data"], "source": opened.source})
        if changes:
            folder.update("config.json", train=config.to_dict(cfg))
        return _go(folder, gan, opened, cfg, callbacks, console, anew, resume=True)


def _renamed(callbacks: Sequence[Callback], observers: Sequence[Callback] | None) -> Sequence[Callback]:
    """The callbacks, also under the keyword's old name."""
    if observers is None:
        return callbacks
    warnings.warn("observers= is now callbacks=", DeprecationWarning, stacklevel=3)
    return [*callbacks, *observers]


def _go(
    folder: Folder,
    gan: GAN,
    data: Any,
    cfg: TrainConfig,
    callbacks: Sequence[Callback],
    console: Callback | None,
    anew: Build | None,
    *,
    resume: bool,
    notes: Sequence[tuple[str, str]] = (),
    begun: warm_start.WarmStart | None = None,
) -> Run:
    """Train until it ends; a run that heals goes on from its last healthy checkpoint with one setting changed."""
    while True:
        doctor = Doctor(held=manifest.held_out(data, folder.path), seed=cfg.seed) if cfg.doctor else None
        try:
            run = _train(folder, gan, data, cfg, callbacks, console, doctor, resume=resume, notes=notes, begun=begun)
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
    callbacks: Sequence[Callback],
    console: Callback | None,
    doctor: Doctor | None,
    *,
    resume: bool,
    notes: Sequence[tuple[str, str]] = (),
    begun: warm_start.WarmStart | None = None,
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
        watching: list[Callback] = [Guarded(judge), Guarded(Grids(n=cfg.grid)), Jsonl(), console, logged]
        if doctor is not None:
            watching.insert(1, Guarded(doctor))  # before the rows are written: its figures go into them
        watching += [Guarded(callback) for callback in callbacks] + [report]
        storage = RunStorage(folder, judge.take)
        trainer = Trainer(
            gan, data, cfg, watching, device=cfg.device, bf16=cfg.precision == "bf16",
            ema_kimg=getattr(gan.cfg, "ema_kimg", None), storage=storage,
        )  # fmt: skip
        if begun is not None:
            trainer.ema.load_state_dict(begun.averages, strict=False)
        session = Session(folder, trainer, report)
        if resume:
            loaded = storage.load(trainer)
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
    gan = manifest.composed(gan or manifest.gan_of(described, seed, folder.path), described, seed)
    if folder.checkpoints.is_dir():
        found = _load_checkpoint(folder, checkpoint)
        load_strict(gan, found.tensors["gan"] | with_pending(found.tensors, found.state), "the model")
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


def _source(init: Any, which: str = "latest", freeze_d: int = 0, fresh: Sequence[str] = ()) -> warm_start.Source | None:
    """The run that ``init`` names; without one, nothing can be frozen or begin anew."""
    if init is not None:
        return warm_start.read(init.path if isinstance(init, Run) else init, which)
    if freeze_d or fresh:
        flag = "--freeze-d" if freeze_d else "--fresh"
        raise BadInput(f"{flag} says how to begin with another run's weights: name that run with --init RUN")
    return None
