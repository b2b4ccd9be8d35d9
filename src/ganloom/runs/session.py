"""Run one training session in a run folder: handle stop signals, and write to run.json how it ended."""

import contextlib
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

from ganloom.core import config, json_files
from ganloom.core.errors import BadInput, GanloomError, Interrupted, Terminated
from ganloom.core.memory import explained, ran_out
from ganloom.core.names import printable, resume_command
from ganloom.core.output_files import append_to
from ganloom.core.stop_signals import STOPPED, spoken
from ganloom.core.terminal import say
from ganloom.doctor.callback import HEAL, Doctor, curable
from ganloom.gan import GAN
from ganloom.runs import checkpoint, manifest, warm_start
from ganloom.runs.folder import Folder, file_error
from ganloom.runs.healing import Build, heal
from ganloom.runs.run_storage import RunStorage
from ganloom.runs.stop_signals import stop_signals
from ganloom.stabilisers.config import Stabilise
from ganloom.training.best_checkpoint import Judge
from ganloom.training.callbacks import Callback, Console, Grids, Guarded, Jsonl, Report, SampleTexts
from ganloom.training.config import TrainConfig
from ganloom.training.nan_guard import NonFinite
from ganloom.training.trainer import Trainer


class Session:
    """Runs a Trainer in its folder, so that ``resume`` can continue it.

    Args:
        folder: The run folder.
        trainer: A trainer whose storage is this folder.
        report: The callback that writes report.html; it is called again when the end is in run.json.
        save_first: Save a checkpoint before the first step: to go back to it, or because it holds weights of another run.
    """

    def __init__(self, folder: Folder, trainer: Trainer, report: Callback, save_first: bool) -> None:
        self.folder, self.trainer, self.report, self.save_first = folder, trainer, report, save_first

    def fit(self) -> str:
        """Train until the end or a signal.

        Returns:
            "finished", or the signal's name.
        """
        with stop_signals(self.trainer):  # also while the end is written
            return self._fit()

    def _fit(self) -> str:
        self.folder.update("run.json", state="running", started=time.time(), exit_reason=None)
        reason, state = "error", "failed"
        try:
            if self.save_first and not checkpoint.names(self.folder.checkpoints):
                self.trainer.storage.save(self.trainer)
            reason = self.trainer.fit()
            state = "finished" if reason == "finished" else "stopped"
        except NonFinite as error:
            reason = "nan"
            self.trainer.event("nan", str(error))
            raise
        except Interrupted:
            raise
        except KeyboardInterrupt:  # not from the signal's handler: a callback raised it, or this is not the main thread
            raise Interrupted(f"stopped without a save, next: {resume_command(self.folder.path)}") from None
        except BrokenPipeError:  # the reader of stdout or stderr has closed the pipe
            raise
        except OSError as error:
            if ran_out(error):
                raise
            reason = "disk"
            raise file_error(error) from error
        finally:
            with contextlib.suppress(OSError, GanloomError):  # the disk may be full
                self.folder.update("run.json", state=state, exit_reason=reason, finished=time.time())
                if reason in STOPPED and state == "stopped":
                    self.trainer.event("signal", f"stopped by {reason}, saved at kimg {self.trainer.nimg / 1000:g}")
            self.report.on_end(self.trainer, reason)
        return reason


def fit(
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
    accept: Callable[[], None] = lambda: None,
) -> str:
    """Train in a run folder to the end; after a healing, continue from the last healthy checkpoint with one setting changed.

    Args:
        folder: The run folder, locked by the caller.
        gan: The model.
        data: The data set.
        cfg: Training settings; device and precision are chosen.
        callbacks: More callbacks, called after the built-in ones.
        console: The callback that prints progress. None: ``Console()``.
        build: Builds the model again from config.json, for healing.
        resume: Continue from the newest checkpoint.
        notes: Events (kind, text) to write at the start.
        warm: Weights of another run that training starts from.
        accept: Called once, before the first file is written and after everything that can refuse the training.

    Returns:
        "finished", or the reason for which the doctor or a signal without an exit code stopped the run.

    Raises:
        Interrupted: After Ctrl-C, with everything saved. It is a KeyboardInterrupt.
        Terminated: After another signal, with everything saved. It is a SystemExit.
    """
    while True:
        doctor = Doctor(held=manifest.held_out(data, folder.path), seed=cfg.seed) if cfg.doctor else None
        try:
            reason = _session(
                folder, gan, data, cfg, callbacks, console, doctor, accept, resume=resume, notes=notes, warm=warm
            )
            if reason != HEAL:
                return reason
        except NonFinite:
            if doctor is None or doctor.heals_left < 1 or not curable(doctor.findings):
                raise
        assert doctor is not None and build is not None
        finding = curable(doctor.findings)
        assert finding is not None
        text, gan = heal(folder, finding, build)
        folder.event("heal", text, checkpoint.load(folder.checkpoints).nimg / 1000)
        say(f"heal: {printable(text)}", sys.stderr)
        resume, notes, warm, accept = True, (), None, lambda: None


def _session(
    folder: Folder,
    gan: GAN,
    data: Any,
    cfg: TrainConfig,
    callbacks: Sequence[Callback],
    console: Callback | None,
    doctor: Doctor | None,
    accept: Callable[[], None],
    *,
    resume: bool,
    notes: Sequence[tuple[str, str]] = (),
    warm: warm_start.WarmStart | None = None,
) -> str:
    """Train until the end, a signal, or a finding that healing can fix."""
    judge, report = Judge(cfg.judge, cfg.seed), Guarded(Report())
    storage = RunStorage(folder, judge.take)
    blamed = json_files.blaming(folder.path / "config.json", "a training that is not possible")
    with blamed if resume else contextlib.nullcontext():
        trainer = Trainer(
            gan, data, cfg, device=cfg.device, bf16=cfg.precision == "bf16", ema_kimg=getattr(gan.cfg, "ema_kimg", None),
            storage=storage,
        )  # fmt: skip
    if warm is not None:
        trainer.ema.load_state_dict(warm.averages, strict=False)
    loaded = storage.load(trainer) if resume else None
    _check_unfinished(folder, trainer)
    accept()
    console = Console() if console is None else console
    with append_to(folder.path / "log.txt") as log:
        log_console = Console(stream=log)
        for printer in (console, log_console):
            if isinstance(printer, Console):
                printer.title = _title(folder, gan, data, cfg)
                printer.describe_metric = judge.describe
        samples = SampleTexts() if gan.learns == "texts" else Grids(n=cfg.grid)
        calls: list[Callback] = [Guarded(judge), Guarded(samples), Jsonl(), console, log_console]
        if doctor is not None:
            calls.insert(1, Guarded(doctor))  # before Jsonl, so that its figures are part of the rows
        trainer.callbacks = calls + [Guarded(callback) for callback in callbacks] + [report]
        session = Session(
            folder, trainer, report, save_first=cfg.nan_policy == "rollback" or bool(cfg.heal) or warm is not None
        )
        if loaded is not None:
            storage.report_loaded(trainer, loaded)
        elif data.split_off is not None:
            trainer.event("held out", f"{len(data.split_off)} images are held out: training does not use them")
        for kind, text in notes:
            trainer.event(kind, text)
        with explained(_less_memory(trainer)):
            reason = session.fit()
    if STOPPED.get(reason):
        text = (
            f"stopped by {spoken(reason)}, saved at kimg {trainer.nimg / 1000:g}, next: {resume_command(folder.path)}"
        )
        raise Interrupted(text) if reason == "SIGINT" else Terminated(STOPPED[reason], text)
    return reason


def _check_unfinished(folder: Folder, trainer: Trainer) -> None:
    """Raise BadInput if the run has already reached its length or its time."""
    cfg = trainer.cfg
    if trainer.nimg >= trainer.total_nimg:
        raise BadInput(
            f"{folder.path} is already at {trainer.nimg / 1000:g} kimg of {cfg.total_kimg:g}: "
            f"give a larger --total-kimg to train longer"
        )
    if cfg.minutes is not None and trainer.seconds >= trainer.total_seconds:
        raise BadInput(
            f"{folder.path} has already trained {trainer.seconds / 60:.3g} minutes of {cfg.minutes:g}: "
            f"give more --minutes to train longer"
        )


def _less_memory(trainer: Trainer) -> str:
    """Say which settings of a training need less memory."""
    batch, part = getattr(trainer.gan.cfg, "batch_size", None), trainer.cfg.micro_batch
    now = "" if batch is None else f" (now {batch}{'' if part is None else f', in parts of {part}'})"
    return (
        f"training on {trainer.device} needs more than there is. Train with a smaller --batch-size{now}, or with a smaller "
        "--micro-batch, which computes the same batch in parts. The last checkpoint is still valid"
    )


def _title(folder: Folder, gan: GAN, data: Any, cfg: TrainConfig) -> str:
    """The first line of a training: model, size, data, device and folder."""
    name = folder.read("config.json").get("recipe", type(gan).__name__)
    size = "x".join(map(str, data.shape))
    classes = f", {data.n_classes} classes" if getattr(data, "n_classes", 0) else ""
    parts = folder.read("config.json").get("stabilise", {})
    on = config.from_dict(Stabilise, parts, "stabilise").on()
    name += "".join(f" + {part} {parts[part]}" for part in on)
    millions = sum(p.numel() for p in gan.parameters()) / 1e6
    return printable(
        f"{name} ({millions:.2g} M parameters) on {data.name} ({len(data)} of {size}{classes}), "
        f"{cfg.device} {cfg.precision} -> {folder.path}"
    )
