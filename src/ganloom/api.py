"""The Python API: ``train``, ``resume``, ``load``, and the ``Run`` that training returns."""

import dataclasses
import os
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from ganloom.core import allocator, metrics_file
from ganloom.core.device import choose_device, choose_precision
from ganloom.core.errors import BadInput
from ganloom.core.memory import explained
from ganloom.core.names import as_path, resume_command
from ganloom.evaluation.evaluate import evaluate
from ganloom.gan import GAN
from ganloom.lint.rules import lint, refuse
from ganloom.report.notebook import run_html
from ganloom.report.progress import Report, stage
from ganloom.runs import manifest, warm_start
from ganloom.runs.folder import Folder, next_name
from ganloom.runs.load import load
from ganloom.runs.resume import resume_run
from ganloom.runs.session import fit
from ganloom.runs.stop_signals import before_training
from ganloom.runs.training_length import UNITS, set_up_for
from ganloom.runs.training_setup import class_notes, load_weights, set_up, with_data_notes
from ganloom.training.callbacks import Callback, Tick, as_callbacks
from ganloom.training.config import ENDLESS

Callbacks = Callback | Callable[[Tick], object] | Sequence[Callback | Callable[[Tick], object]]
"""Callbacks, or functions that are called with a ``Tick`` at each tick; one, or a list."""

__all__ = ["Run", "load", "prepare", "resume", "train"]

LESS_MEMORY = (
    "the training needs more than there is. Use a smaller --batch-size, --micro-batch or --shape, or fewer images"
)
"""What to do if memory runs out before the first step."""


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
        """The rows of metrics.jsonl, one for each tick; damaged lines are skipped."""
        return metrics_file.read_rows(self.path / "metrics.jsonl")

    def evaluate(self, data: Any = None, **options: Any) -> dict[str, Any]:
        """Measure the generator; see ``ganloom.evaluate``."""
        return evaluate(self.path, data, **options)

    def _repr_html_(self) -> str:
        """Return the newest samples and the key figures as HTML, for notebooks."""
        return run_html(self.path)


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
    callbacks: Callbacks = (),
    console: Callback | None = None,
    observers: Callbacks | None = None,
    progress: Report = None,
    **options: Any,
) -> Run:
    """Train a GAN.

    Args:
        recipe: A name of ``RECIPES``, a recipe's Config, or a GAN of your own.
        data: Whatever ``ganloom.data.open`` accepts: a folder, an archive, an array, a list of paths or images, (images,
            labels), a torch Dataset, a Hugging Face data set, a pandas frame, or the name of a built-in data set.
        out: The run folder: new, empty, or that of the same training if it ended before its first checkpoint. None:
            runs/RECIPE-DATA-NN.
        init: A run or model/ folder. Training starts from its weights, which must fit; settings that you do not give
            are taken from that run. See ``ganloom.runs.warm_start``.
        init_checkpoint: Which checkpoint of ``init``: "latest", "best" or a name.
        fresh: With ``init``: prefixes of weight names to re-initialize, such as "D".
        freeze_d: With ``init``: number of D's first layers that are not trained (FreezeD).
        callbacks: More callbacks, called after the built-in ones: ``Callback`` objects, or functions that take a
            ``ganloom.training.callbacks.Tick`` and are called at each tick.
        console: The callback that prints progress. None: ``Console()``.
        observers: Deprecated name of ``callbacks``.
        progress: Called with (what, done, total) before the first step, such as while images are decoded.
        options: Fields of TrainConfig (``total_kimg``, ``minutes``, ``seed``, ``device``, ...); the length as ``epochs`` or
            ``steps``; fields of the recipe's Config (``z_dim``, ...) and of ``Stabilise`` (``instance_noise``, ``pack``,
            ...); ``augment`` ("auto", "none", "ada" or "diffaugment"; see ``ganloom.augment.policy``); ``fit``, ``flip``,
            ``labels`` and ``held_out`` (the share of the images that training does not use) for the data; ``small=True`` for
            the recipe's settings for small images and minutes on a CPU (see ``ganloom.recipes.presets``).

    Returns:
        The Run, with the path of the run folder.

    Raises:
        BadInput: An argument cannot be used.
        KeyboardInterrupt: Ctrl-C was pressed; everything is saved, and the message says how to continue.
        SystemExit: SIGTERM or SIGHUP arrived; everything is saved.
    """
    callbacks = _renamed(callbacks, observers)
    allocator.keep_freed_blocks()
    with before_training("run the same command again"), explained(LESS_MEMORY):
        return _train(recipe, data, out, init, init_checkpoint, fresh, freeze_d, callbacks, console, progress, options)


def _train(
    recipe: Any,
    data: Any,
    out: str | Path | None,
    init: Any,
    init_checkpoint: str,
    fresh: Sequence[str],
    freeze_d: int,
    callbacks: Sequence[Callback],
    console: Callback | None,
    progress: Report,
    options: dict[str, Any],
) -> Run:
    """Set the training up, check everything that can refuse it, create the run folder, and train."""
    if out is not None:
        Folder(as_path(out)).check_startable()
    source = _source(init, init_checkpoint, freeze_d, fresh)
    setup, length = set_up_for(recipe, data, options, source, progress)
    cfg, gan = setup.cfg, setup.gan
    cfg = dataclasses.replace(cfg, device=choose_device(cfg.device))
    if cfg.total_kimg is None:
        cfg = dataclasses.replace(cfg, total_kimg=float(getattr(setup.module, "KIMG", 200.0)))
    if cfg.heal and not cfg.doctor:
        raise BadInput("--heal needs the doctor: leave out --no-doctor")
    build = manifest.rebuilder(setup.module, gan, cfg, as_path(out or "runs"))
    stage(progress, "checking the settings")
    notes = [("data", text) for text in setup.data.notes]
    try:
        notes += [("warning", text) for text in refuse(lint(gan, setup.data, cfg))]
    except BadInput as error:
        raise with_data_notes(error, setup.data) from None
    notes += [("length", length)] if length else []
    if cfg.minutes is not None and not {"total_kimg", *UNITS} & options.keys():
        cfg = dataclasses.replace(cfg, total_kimg=ENDLESS)  # the time ends the run, not the estimate
    notes += [("augment", setup.augment)] if setup.augment else []
    notes += [("classes", text) for text in class_notes(setup)]
    warm = None if source is None else load_weights(setup, source, freeze_d, fresh)
    notes += [] if warm is None else [("init", warm.text)]
    cfg = dataclasses.replace(cfg, precision=choose_precision(cfg.precision, cfg.device, gan))
    gan.make_ready(torch.empty(0, device=cfg.device).device)  # a tensor's device has its index: "cuda:0", not "cuda"
    folder = Folder(as_path(out) if out is not None else next_name(Path("runs"), setup.name, setup.data.name))
    folder.check_startable()
    with folder.lock():
        manifest.describe(folder, setup, cfg, warm)
        reason = fit(folder, gan, setup.data, cfg, callbacks, console, build, resume=False, notes=notes, warm=warm)
    return Run(folder.path, reason)


def prepare(recipe: Any, data: Any, *, progress: Report = None, **options: Any) -> tuple[GAN, Any]:
    """Build the model and open the data as ``train`` does, without training.

    Args:
        recipe: See ``train``.
        data: See ``train``.
        progress: See ``train``.
        options: See ``train``.

    Returns:
        (model, data).

    Raises:
        BadInput: An argument cannot be used.
    """
    setup = set_up(recipe, data, options, progress=progress)
    return setup.gan, setup.data


def resume(
    run: str | Path | Run,
    *,
    total_kimg: float | None = None,
    data: Any = None,
    gan: GAN | None = None,
    minutes: float | None = None,
    device: str | None = None,
    callbacks: Callbacks = (),
    console: Callback | None = None,
    observers: Callbacks | None = None,
    progress: Report = None,
) -> Run:
    """Continue a run from its newest complete checkpoint; the result equals an uninterrupted run.

    Args:
        run: The run folder.
        total_kimg: A new total length, in thousands of images. None: as in the run's config.json.
        minutes: A new time limit in minutes of training, for the whole run. None: as in the run's config.json.
        data: Where the data is now, if it was moved; its content must be the same.
        gan: A fresh model, for a run of a GAN class of your own.
        device: Another device, such as "cuda".
        callbacks: See ``train``.
        console: See ``train``.
        observers: Deprecated name of ``callbacks``.
        progress: See ``train``.

    Returns:
        The Run.

    Raises:
        BadInput: There is no run, its data changed, or it has already reached its total length.
    """
    callbacks = _renamed(callbacks, observers)
    allocator.keep_freed_blocks()
    path = as_path(run)
    with before_training(f"the run is unchanged, next: {resume_command(path)}"), explained(LESS_MEMORY):
        reason = resume_run(
            path,
            callbacks,
            console,
            total_kimg=total_kimg,
            minutes=minutes,
            data=data,
            gan=gan,
            device=device,
            progress=progress,
        )
    return Run(path, reason)


def _source(init: Any, which: str = "latest", freeze_d: int = 0, fresh: Sequence[str] = ()) -> warm_start.Source | None:
    """The run whose weights training starts from, if ``init`` names one."""
    if init is not None:
        return warm_start.read(as_path(init), which)
    if freeze_d or fresh:
        flag = "--freeze-d" if freeze_d else "--fresh"
        raise BadInput(f"{flag} needs the run whose weights training starts from: add --init RUN")
    return None


def _renamed(callbacks: Callbacks, observers: Callbacks | None) -> list[Callback]:
    """The callbacks, also those given under the keyword's old name."""
    if observers is None:
        return as_callbacks(callbacks)
    warnings.warn("observers= is now callbacks=", DeprecationWarning, stacklevel=3)
    return [*as_callbacks(callbacks), *as_callbacks(observers)]
