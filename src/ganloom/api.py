"""The Python API: ``train``, ``resume``, ``load``, and the ``Run`` that training returns."""

import dataclasses
import json
import os
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
from ganloom.evaluation.evaluate import evaluate
from ganloom.gan import GAN
from ganloom.lint.rules import lint, refuse
from ganloom.runs import checkpoint, manifest, warm_start
from ganloom.runs.folder import Folder, next_name
from ganloom.runs.healing import Build, heal, own_class
from ganloom.runs.load import load
from ganloom.runs.session import STOPPED, Session
from ganloom.runs.setup import load_weights, set_up
from ganloom.runs.storage import RunStorage
from ganloom.stabilisers.config import Stabilise
from ganloom.training.best_checkpoint import Judge
from ganloom.training.callbacks import Callback, Console, Grids, Guarded, Jsonl, Report
from ganloom.training.config import TrainConfig
from ganloom.training.nan_guard import NonFinite
from ganloom.training.trainer import Trainer

__all__ = ["Run", "load", "prepare", "resume", "train"]


@dataclass(frozen=True)
class Run:
    """A run folder: its path, and how its last session ended. It is accepted wherever a path of a run is."""

    path: Path
    reason: str = "finished"
    """"finished", or the name of the signal that stopped it, such as "SIGTERM"."""

    def __fspath__(self) -> str:
        return os.fspath(self.path)

    def load(self, checkpoint: str = "latest") -> GAN:
        """Load the trained model; see ``ganloom.load``."""
        return load(self.path, checkpoint=checkpoint)

    @property
    def metrics(self) -> list[dict[str, Any]]:
        """The rows of metrics.jsonl, one for each tick."""
        path = self.path / "metrics.jsonl"
        return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] if path.exists() else []

    def evaluate(self, data: Any = None, **options: Any) -> dict[str, Any]:
        """Measure the generator; see ``ganloom.evaluate``."""
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
    """Train a GAN.

    Args:
        recipe: A name of ``RECIPES``, a recipe's Config, or a GAN of your own.
        data: Whatever ``ganloom.data.open`` accepts: a folder, an archive, an array, or the name of a built-in data set.
        out: The run folder; it must be new or empty. None: runs/RECIPE-DATA-NN.
        init: A run or model/ folder. Training starts from its weights, which must fit; settings that you do not give
            are taken from that run. See ``ganloom.runs.warm_start``.
        init_checkpoint: Which checkpoint of ``init``: "latest", "best" or a name.
        fresh: With ``init``: prefixes of weight names to re-initialize, such as "D".
        freeze_d: With ``init``: number of D's first layers that are not trained (FreezeD).
        callbacks: More callbacks, called after the built-in ones.
        console: The callback that prints progress. None: ``Console()``.
        observers: Deprecated name of ``callbacks``.
        options: Fields of TrainConfig (``total_kimg``, ``seed``, ``device``, ...), of the recipe's Config (``z_dim``,
            ...) and of ``Stabilise`` (``instance_noise``, ``pack``, ...); ``augment`` ("auto", "none", "ada" or
            "diffaugment"; see ``ganloom.augment.policy``); ``fit``, ``flip``, ``labels`` and ``held_out`` (the share
            of the images that training does not use) for the data; ``small=True`` for the recipe's settings for small
            images and minutes on a CPU (see ``ganloom.recipes.presets``).

    Returns:
        The Run, with the path of the run folder.

    Raises:
        BadInput: An argument cannot be used.
        KeyboardInterrupt: Ctrl-C was pressed; everything is saved.
    """
    callbacks = _renamed(callbacks, observers)
    allocator.keep_freed_blocks()
    source = _source(init, init_checkpoint, freeze_d, fresh)
    setup = set_up(recipe, data, options, source)
    cfg, gan = setup.cfg, setup.gan
    cfg = dataclasses.replace(cfg, device=choose_device(cfg.device))
    if cfg.total_kimg is None:
        cfg = dataclasses.replace(cfg, total_kimg=float(getattr(setup.module, "KIMG", 200.0)))
    if cfg.heal and not cfg.doctor:
        raise BadInput("--heal needs the doctor: leave out --no-doctor")
    build = manifest.rebuilder(setup.module, gan, cfg)
    notes = [("warning", text) for text in refuse(lint(gan, setup.data, cfg))]
    notes += [("augment", setup.augment)] if setup.augment else []
    warm = None if source is None else load_weights(setup, source, freeze_d, fresh)
    notes += [] if warm is None else [("init", warm.text)]
    cfg = dataclasses.replace(cfg, precision=choose_precision(cfg.precision, cfg.device, gan))
    gan.make_ready(torch.empty(0, device=cfg.device).device)  # a tensor's device has its index: "cuda:0", not "cuda"
    folder = Folder(Path(out) if out is not None else next_name(Path("runs"), setup.name, setup.data.name))
    folder.create()
    with folder.lock():
        manifest.describe(folder, setup, cfg, warm)
        return _fit(folder, gan, setup.data, cfg, callbacks, console, build, resume=False, notes=notes, warm=warm)


def prepare(recipe: Any, data: Any, **options: Any) -> tuple[GAN, Any]:
    """Build the model and open the data as ``train`` does, without training.

    Args:
        recipe: See ``train``.
        data: See ``train``.
        options: See ``train``.

    Returns:
        (model, data).

    Raises:
        BadInput: An argument cannot be used.
    """
    setup = set_up(recipe, data, options)
    return setup.gan, setup.data


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
    """Continue a run from its newest complete checkpoint; the result equals an uninterrupted run.

    Args:
        run: The run folder.
        total_kimg: A new total length, in thousands of images. None: as in the run's config.json.
        data: Where the data is now, if it was moved; its content must be the same.
        gan: A fresh model, for a run of a GAN class of your own.
        device: Another device, such as "cuda".
        callbacks: See ``train``.
        console: See ``train``.
        observers: Deprecated name of ``callbacks``.

    Returns:
        The Run.

    Raises:
        BadInput: There is no run, its data changed, or it has already reached its total length.
    """
    callbacks = _renamed(callbacks, observers)
    allocator.keep_freed_blocks()
    folder = Folder(Path(run))
    folder.require()
    with folder.lock():
        described = folder.read("config.json")
        cfg = config.from_dict(TrainConfig, described["train"], "train")
        changes: dict[str, Any] = {} if total_kimg is None else {"total_kimg": float(total_kimg)}
        changes |= {} if device is None else {"device": choose_device(device)}
        cfg = dataclasses.replace(cfg, **changes)
        if gan is not None and folder.read(FILE).get("heals"):  # healing changed settings: build the class with them
            gan = own_class(gan, cfg.seed)(described)
        module = None if gan is not None else recipes.LISTED.get(described.get("recipe", ""))
        gan = manifest.composed(gan or manifest.gan_of(described, cfg.seed, folder.path), described, cfg.seed)
        build = manifest.rebuilder(module, gan, cfg)
        opened = manifest.reopen_data(described, data, folder.path)
        if data is not None and opened.source.get("source") is not None:  # remember the new place
            folder.update("config.json", data={**described["data"], "source": opened.source})
        if changes:
            folder.update("config.json", train=config.to_dict(cfg))
        return _fit(folder, gan, opened, cfg, callbacks, console, build, resume=True)


def _source(init: Any, which: str = "latest", freeze_d: int = 0, fresh: Sequence[str] = ()) -> warm_start.Source | None:
    """The run whose weights training starts from, if ``init`` names one."""
    if init is not None:
        return warm_start.read(Path(init), which)
    if freeze_d or fresh:
        flag = "--freeze-d" if freeze_d else "--fresh"
        raise BadInput(f"{flag} needs the run whose weights training starts from: add --init RUN")
    return None


def _renamed(callbacks: Sequence[Callback], observers: Sequence[Callback] | None) -> Sequence[Callback]:
    """The callbacks, also those given under the keyword's old name."""
    if observers is None:
        return callbacks
    warnings.warn("observers= is now callbacks=", DeprecationWarning, stacklevel=3)
    return [*callbacks, *observers]


def _fit(
    folder: Folder,
    gan: GAN,
    data: Any,
    cfg: TrainConfig,
    callbacks: Sequence[Callback],
    console: Callback | None,
    build: Build | None,
    *,
    resume: bool,
    notes: Sequence[tuple[str, str]] = (),
    warm: warm_start.WarmStart | None = None,
) -> Run:
    """Train to the end; after a healing, train on from the last healthy checkpoint with one setting changed."""
    while True:
        doctor = Doctor(held=manifest.held_out(data, folder.path), seed=cfg.seed) if cfg.doctor else None
        try:
            run = _session(folder, gan, data, cfg, callbacks, console, doctor, resume=resume, notes=notes, warm=warm)
            if run.reason != HEAL:
                return run
        except NonFinite:
            if doctor is None or doctor.heals_left < 1 or not curable(doctor.findings):
                raise
        assert doctor is not None and build is not None
        finding = curable(doctor.findings)
        assert finding is not None
        text, gan = heal(folder, finding, build)
        folder.event("heal", text, checkpoint.load(folder.checkpoints).state["nimg"] / 1000)
        print(f"heal: {text}", file=sys.stderr)
        resume, notes, warm = True, (), None


def _session(
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
    warm: warm_start.WarmStart | None = None,
) -> Run:
    """Train until the end, a signal, or a finding that healing can fix."""
    judge, report = Judge(cfg.judge, cfg.seed), Guarded(Report())
    console = Console() if console is None else console
    log = open(folder.path / "log.txt", "a", encoding="utf-8")
    try:
        log_console = Console(stream=log)
        for printer in (console, log_console):
            if isinstance(printer, Console):
                printer.title = _title(folder, gan, data, cfg)
        calls: list[Callback] = [Guarded(judge), Guarded(Grids(n=cfg.grid)), Jsonl(), console, log_console]
        if doctor is not None:
            calls.insert(1, Guarded(doctor))  # before Jsonl, so that its figures are part of the rows
        calls += [Guarded(callback) for callback in callbacks] + [report]
        storage = RunStorage(folder, judge.take)
        trainer = Trainer(
            gan, data, cfg, calls, device=cfg.device, bf16=cfg.precision == "bf16",
            ema_kimg=getattr(gan.cfg, "ema_kimg", None), storage=storage,
        )  # fmt: skip
        if warm is not None:
            trainer.ema.load_state_dict(warm.averages, strict=False)
        session = Session(folder, trainer, report)
        if resume:
            loaded = storage.load(trainer)
            trainer.event("resume", f"resumed from {loaded.path.name}")
            if trainer.nimg >= trainer.total_nimg:
                raise BadInput(
                    f"{folder.path} is already at {trainer.nimg / 1000:g} kimg of {cfg.total_kimg:g}: "
                    f"give a larger --total-kimg to train longer"
                )
        elif data.split_off is not None:
            trainer.event("held out", f"{len(data.split_off)} images are held out: training does not use them")
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
    """The first line of a training: model, size, data, device and folder."""
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
