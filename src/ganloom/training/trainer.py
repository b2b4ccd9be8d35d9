"""The training loop: it runs any ``GAN`` by its phases and knows no recipe by name.

A step draws a batch and runs each active phase: freeze all other networks, compute the loss (in micro-batches), check the
gradient for NaN, clip it, step the optimizer, call ``after_update``. Then the EMA is updated. All random numbers are keyed by
(seed, step, phase, repeat), so the state of a run is its tensors and a few integers, and a resumed run equals the
uninterrupted one bit for bit.
"""

import math
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ganloom.core import randomness
from ganloom.core.distributed import Processes
from ganloom.core.errors import BadInput
from ganloom.core.precision import autocast_networks
from ganloom.core.running_stats import Stats
from ganloom.gan import GAN, Phase
from ganloom.training import optimizers
from ganloom.training import state as run_state
from ganloom.training.callbacks.base import Callback
from ganloom.training.config import ENDLESS
from ganloom.training.config import TrainConfig as TrainConfig
from ganloom.training.ema import EMA, RAMP
from ganloom.training.memory_format import channels_last
from ganloom.training.nan_guard import Guard, NonFinite
from ganloom.training.nan_policy import NanPolicy
from ganloom.training.phase_windows import PhaseWindows, letter
from ganloom.training.storage import NoStorage, Storage

DEFAULTS = TrainConfig()
FIRST_CHECKPOINT = 20.0
"""Seconds of training after which the first checkpoint is saved, if none was due before."""


class Trainer:
    """Everything that changes during a run. ``tensors`` and ``state`` return all of it, ``load_state`` restores it.

    ``train_step`` advances the run by one step; ``fit`` adds ticks, callbacks, checkpoints and stopping.

    Args:
        gan: The model.
        data: A data set with ``draw(n, rng)``; the model's ``draw`` calls it.
        cfg: Training settings.
        callbacks: Called at the start, after each step, at each tick and at the end.
        device: "cpu", "cuda", "cuda:1" or "mps".
        bf16: Compute inside the networks in bfloat16.
        ema_kimg: Half-life of the EMA in thousands of images. None: ``ema.HALF_LIFE`` updates of G.
        ema_ramp: Largest half-life as a share of the images drawn so far. None: no limit.
        storage: Where checkpoints and events go. None: nowhere.
    """

    def __init__(
        self,
        gan: GAN,
        data: Any,
        cfg: TrainConfig = DEFAULTS,
        callbacks: Sequence[Callback] = (),
        *,
        device: str = "cpu",
        bf16: bool = False,
        ema_kimg: float | None = None,
        ema_ramp: float | None = RAMP,
        storage: Storage | None = None,
    ) -> None:
        self.gan, self.data, self.cfg, self.callbacks = gan.to(device), data, cfg, list(callbacks)
        self.device = torch.device(device)
        self.processes = Processes()
        self.storage: Storage = NoStorage() if storage is None else storage
        self.nimg = self.step = self.draws = self.rollbacks = 0
        self.start_nimg = 0
        self._drawn_at = (0, 0)
        self.lr_factor = 1.0
        self.stats = Stats()
        self.stop_requested: str | None = None
        self.checkpoint_due = False
        self.seconds = 0.0
        self._first_step: float | None = None
        """When the first step of this session began; None when the first checkpoint is saved."""

        gan.learn_data(data)
        channels_last(gan)
        self.windows = PhaseWindows(gan, cfg.micro_batch)
        gan.train().requires_grad_(False)
        self.processes.broadcast(gan)
        self.averages = EMA(gan, ema_kimg, ema_ramp, self.windows.phases)
        self.guard = Guard(self.device, sticky=cfg.nan_policy != "skip")
        self.nan_policy = NanPolicy(cfg.nan_policy, cfg.max_rollbacks)
        self.bf16 = bf16
        if bf16:
            autocast_networks(gan, self.device.type, torch.bfloat16)
        self.set_clock(0)

    @property
    def ema(self) -> GAN:
        """The averaged model, as of the EMA's last update."""
        return self.averages.model

    @property
    def phases(self) -> list[Phase]:
        """All phases of the model."""
        return self.windows.phases

    @property
    def active(self) -> list[tuple[int, Phase]]:
        """The phases that are active now, with their numbers."""
        return self.windows.active

    @property
    def optimizers(self) -> dict[optimizers.OptKey, torch.optim.Optimizer]:
        """The optimizers of the active phases, by (networks, settings, window)."""
        return self.windows.optimizers

    @property
    def run_dir(self) -> Path | None:
        """The run folder, or None."""
        return self.storage.run_dir

    # ---------------------------------------------------------------------------------------------------- one step
    def train_step(self) -> None:
        """Run every phase that is due once, then update the EMA and the clock."""
        first = self._draw()
        for index, phase in self.active:
            if self.step % phase.lazy:
                continue
            for repeat in range(phase.repeat):
                batch = first if repeat == 0 else self._draw()
                refused = self._update(index, phase, repeat, batch)
                if refused and self.device.type == "cpu" and self.nan_policy.check(self):
                    return
        self.step += 1
        if self.step == 1 and self.gan.stabilisers is not None and len(self.active) == len(self.phases):
            self.gan.stabilisers.check_used()
        if self.averages.due(self.step, self.nimg):
            self._update_ema()
        self.set_clock(self.nimg)

    def _draw(self) -> Any:
        rank, world = self.processes.rank, self.processes.world
        rng = randomness.Rng(self.cfg.seed, self.draws, self.nimg, rank, world)
        batch = self.gan.draw(self.data, rng)
        self._drawn_at = (self.draws, self.nimg)
        self.draws += 1
        self.nimg += len(batch[0]) * world
        return batch

    def _update(self, index: int, phase: Phase, repeat: int, batch: Any) -> bool:
        """One optimizer step. Return False if the update was certainly not refused, without waiting for a device."""
        self.nan_policy.note(self.step, index, repeat, *self._drawn_at, len(batch[0]))
        parameters = self.windows.parameters[index]
        key = self.windows.keys[index]
        randomness.seed_all(randomness.key(self.cfg.seed, self.step, index, repeat))
        saved = [(b, b.clone()) for b in self.gan.buffers()] if self.cfg.nan_policy == "skip" else None
        for parameter in parameters:
            parameter.requires_grad_(True)
        for part, share in self._parts(batch):
            total = self._log(phase, self.gan.loss_terms(phase, part), share)
            weight = self.windows.gains[index] * share
            (total if weight == 1.0 else total * weight).backward()
        grads = self.processes.reduce(parameters, self.gan)
        norm = optimizers.norm(grads) if grads else torch.zeros((), device=self.device)
        self.stats.add(f"{letter(phase)}/grad_norm", norm)
        flag = self.guard.check(norm, self.step, index, repeat)
        if key[1].clip is not None:
            torch.nn.utils.clip_grads_with_norm_(parameters, key[1].clip, norm)
        self.windows.schedule(index, self.nimg, self.lr_factor)
        optimizers.step(self.optimizers[key], flag)
        for parameter in parameters:
            parameter.grad = None
            parameter.requires_grad_(False)
        with torch.no_grad():
            self.gan.finish_update(phase)
        if saved is not None and flag is not None and bool(flag):
            with torch.no_grad():
                for buffer, value in saved:
                    buffer.copy_(value)
        return flag is not None

    def _parts(self, batch: Any) -> list[tuple[Any, float]]:
        """Micro-batches, each with its share of the batch."""
        n, size = len(batch[0]), self.cfg.micro_batch
        if size is None or size >= n:
            return [(batch, 1.0)]
        return [
            (type(batch)(*(None if v is None else v[i : i + size] for v in batch)), min(size, n - i) / n)
            for i in range(0, n, size)
        ]

    def _log(self, phase: Phase, terms: dict[str, Tensor], share: float) -> Tensor:
        """Add the terms to the statistics and return the sum of those that have a gradient."""
        name = letter(phase)
        for term, value in terms.items():
            self.stats.add(f"{name}/{term}", value, share)
        graded = [value for value in terms.values() if value.requires_grad]
        if not graded:
            raise BadInput(f'the loss of phase "{phase.net}" has no term with a gradient: does it use its networks?')
        return graded[0] if len(graded) == 1 else torch.stack(graded).sum()

    def _update_ema(self) -> None:
        # On a CPU a refused step has already ended the step; elsewhere the flag on the device holds the EMA back.
        held = self.guard.sticky and self.device.type != "cpu"
        self.averages.update(self.nimg, self.guard.bad if held else None)

    def set_clock(self, nimg: int) -> None:
        """Set the number of images drawn, and activate the phases of that time."""
        self.nimg = nimg
        for gan in (self.gan, self.ema):
            object.__setattr__(gan, "kimg", nimg / 1000)  # nn.Module's own way takes ten times as long
        if self.windows.set_clock(nimg):
            self.averages.bind()

    # -------------------------------------------------------------------------------------------------------- the run
    @property
    def total_nimg(self) -> float:
        """Length of the run in images; infinite if not set."""
        return math.inf if self.cfg.total_kimg is None else round(self.cfg.total_kimg * 1000, 6)

    @property
    def ends_by_images(self) -> bool:
        """Whether the run has a length in images; otherwise it ends at its time, or when it is stopped."""
        return self.total_nimg < ENDLESS * 1000

    @property
    def total_seconds(self) -> float:
        """Length of the run in seconds of training; infinite if not set."""
        return math.inf if self.cfg.minutes is None else self.cfg.minutes * 60

    @property
    def progress(self) -> tuple[int, int]:
        """(done, total) in images, or in seconds if the run ends at its time; total 0: no end is set."""
        if self.ends_by_images:
            return self.nimg, int(self.total_nimg)
        if math.isfinite(self.total_seconds):
            return int(self.elapsed), math.ceil(self.total_seconds)
        return self.nimg, 0

    @property
    def over(self) -> bool:
        """Whether the run has reached its length or its time."""
        return self.nimg >= self.total_nimg or (self.cfg.minutes is not None and self.elapsed >= self.total_seconds)

    @property
    def elapsed(self) -> float:
        """Seconds of training so far, the present tick included; callbacks do not count."""
        return self.seconds + time.perf_counter() - self._tick_time

    def fit(self) -> str:
        """Train to ``total_kimg``.

        Returns:
            "finished", or the name of the signal that stopped the run.

        Raises:
            NonFinite: If a NaN or infinity ended the run.
        """
        if self.cfg.micro_batch and self.gan.splits_by is None:
            self.event(
                "warning", "this recipe's losses need the whole batch (batch statistics): micro-batches change it"
            )
        self.start_nimg = self.nimg
        reason = "failed"
        self._tick_time, self._tick_nimg = time.perf_counter(), self.nimg
        on_boundary = True
        self._notify("on_start")
        self._tick_time = self._first_step = time.perf_counter()  # what callbacks did before is not training time
        try:
            while not self.over and not self.stop_requested:
                before = self.nimg
                self.train_step()
                self._notify("on_step")
                self.checkpoint_due = self._crossed(before, self.cfg.kimg_per_checkpoint)
                on_boundary = self.checkpoint_due or self._crossed(before, self.cfg.kimg_per_tick)
                if on_boundary:
                    self._update_ema()  # what is drawn, measured and saved now includes this step
                    self.tick()
                if not self.over and (self.checkpoint_due or self._first_checkpoint_due()):
                    self._notify("on_stage", "saving a checkpoint")
                    self.storage.save(self)
            self.nan_policy.check(self)
            if not on_boundary:
                self.checkpoint_due = True
                with self.averages.current(self.nimg):
                    self.tick(partial=True)
            self._notify("on_stage", "saving the last checkpoint")
            self.storage.save(self)
            reason = self.stop_requested or "finished"
        except NonFinite:
            reason = "nan"
            raise
        finally:
            with self.averages.current(self.nimg):
                for callback in self.callbacks:
                    callback.on_end(self, reason)
        return reason

    def tick(self, partial: bool = False) -> None:
        """Read the statistics and call the callbacks; a partial tick keeps the sums for the next full one."""
        if self.nan_policy.check(self):
            return
        seconds = time.perf_counter() - self._tick_time
        self.seconds += seconds
        row: dict[str, Any] = {
            "kimg": self.nimg / 1000,
            "nimg": self.nimg,
            "step": self.step,
            "seconds": round(self.seconds, 3),
            "img_per_s": round((self.nimg - self._tick_nimg) / max(seconds, 1e-9), 2),
            **self.stats.collect(keep=partial),
            **({"partial": True} if partial else {}),
        }
        self._notify("on_stage", "measuring and drawing samples" if self.checkpoint_due else "drawing samples")
        self._notify("on_tick", row)
        # The time of callbacks (grids, metrics) is not training time.
        self._tick_time, self._tick_nimg = time.perf_counter(), self.nimg

    def event(self, kind: str, text: str, figures: dict[str, Any] | None = None) -> None:
        """Write a line to the run's event log.

        Args:
            kind: For example "warning", "nan" or "finding".
            text: One line for people.
            figures: Numbers that belong to it.
        """
        self.storage.event(kind, text, self.nimg / 1000, figures)

    def _first_checkpoint_due(self) -> bool:
        """Whether training has run for a while without any checkpoint, so that a crash would lose all of it."""
        if self._first_step is None or time.perf_counter() - self._first_step < FIRST_CHECKPOINT:
            return False
        if self.storage.has_checkpoint() or self.guard.read() is not None:
            self._first_step = None if self.storage.has_checkpoint() else self._first_step
            return False
        self._first_step = None
        return True

    def _crossed(self, before: int, kimg: float) -> bool:
        return before // (kimg * 1000) != self.nimg // (kimg * 1000)

    def _notify(self, method: str, *args: Any) -> None:
        for callback in self.callbacks:
            getattr(callback, method)(self, *args)

    # ---------------------------------------------------------------------------------------------------------- state
    def average(self) -> dict[str, Tensor]:
        """The averaged tensors as of the EMA's last update, by their names in the model."""
        return self.averages.tensors()

    def tensors(self) -> run_state.Tensors:
        """All tensors of the run, by file: the model, its EMA, the active optimizers."""
        return run_state.tensors_of(self)

    def state(self) -> dict[str, Any]:
        """All numbers of the run that are not tensors."""
        return run_state.numbers_of(self)

    def load_state(self, tensors: run_state.Tensors, numbers: dict[str, Any]) -> None:
        """Continue exactly where ``tensors`` and ``numbers`` were taken."""
        run_state.load(self, tensors, numbers)
