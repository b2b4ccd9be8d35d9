"""The one training loop: it runs any ``GAN`` by its phases and knows none by name.

A step draws a batch, runs each active phase (freeze all but its networks, loss by micro-batches, gradient, guard, clip,
optimizer, ``after_update``), and moves the average. All randomness is keyed by (seed, step, phase, repeat), so the state
of a run is its tensors and three integers, and a resumed run equals the uninterrupted one bit for bit.
"""

import copy
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from ganloom.core import randomness
from ganloom.core.distributed import Processes
from ganloom.core.errors import BadInput
from ganloom.core.precision import autocast_networks
from ganloom.core.running_stats import Stats
from ganloom.gan import GAN, Phase, at, net_names
from ganloom.training import optimizers
from ganloom.training.nan_guard import Guard, NonFinite, autopsy

AVERAGE_STEPS = 16
"""After the first few steps the average of G moves each so many, by the images drawn since: reading all weights each step
costs a small network some per cent of its time, and half-lives are hundreds of steps."""

MOST_SKIPS = 20
"""Under the policy "skip", so many refused updates in steps that follow each other end the run."""


@dataclass(frozen=True)
class TrainConfig:
    """How long and how carefully to train; what a paper fixes stands in the recipe's own config."""

    total_kimg: float | None = None
    """Thousands of real images to draw in all; none: the recipe's own length."""
    kimg_per_tick: float = 4.0
    """Thousands of images between two rows of statistics."""
    kimg_per_checkpoint: float = 40.0
    """Thousands of images between two checkpoints."""
    seed: int = 0
    """Everything random follows from it."""
    device: str = "auto"
    """auto, cpu, cuda, cuda:1 or mps."""
    precision: str = "auto"
    """float32, bf16 (inside the networks only), or auto: bf16 where a probe of the machine finds it faster."""
    micro_batch: int | None = None
    """Samples a backward pass; the batch is gathered from parts of this size. None: the whole batch at once."""
    nan_policy: str = "stop"
    """What a NaN or infinity does: stop, skip (drop that update) or rollback (last checkpoint, learning rate halved)."""
    max_rollbacks: int = 3
    """How many times rollback may go back before it stops."""
    keep: int = 3
    """Checkpoints kept, beside the best."""
    grid: int = 64
    """Samples in each image grid."""
    judge: int = 1000
    """Samples on which each checkpoint is judged, to keep the best; 0: not judged."""
    doctor: bool = True
    """Look at ticks for what goes wrong, and say it; see docs/doctor.md."""
    heal: int = 0
    """How many times a run that falls ill may go back to its last healthy checkpoint and change one setting."""
    stop_on_plateau: float | None = None
    """Stop when the best checkpoint has not been beaten for so many thousand images."""

    def __post_init__(self) -> None:
        for name in ("total_kimg", "kimg_per_tick", "kimg_per_checkpoint", "stop_on_plateau"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise BadInput(f"--{name.replace('_', '-')} must be above 0, got {value}")
        for name, floor in (
            ("micro_batch", 1),
            ("keep", 1),
            ("grid", 1),
            ("judge", 0),
            ("max_rollbacks", 0),
            ("heal", 0),
        ):
            value = getattr(self, name)
            if value is not None and value < floor:
                raise BadInput(f"--{name.replace('_', '-')} must be at least {floor}, got {value}")
        if not 0 <= self.seed < 2**63:
            raise BadInput(f"--seed must lie in 0..2^63 - 1, got {self.seed}")
        _one_of("precision", self.precision, ("auto", "float32", "bf16"))
        _one_of("nan-policy", self.nan_policy, ("stop", "skip", "rollback"))


def _one_of(flag: str, value: str, allowed: Sequence[str]) -> None:
    if value not in allowed:
        raise BadInput(f'--{flag} must be one of {", ".join(allowed)}, got "{value}"')


class Callback(Protocol):
    """What the Trainer tells others; a callback may look at everything and change nothing."""

    def on_start(self, trainer: "Trainer") -> None: ...
    def on_step(self, trainer: "Trainer") -> None: ...
    def on_tick(self, trainer: "Trainer", row: dict[str, Any]) -> None: ...
    def on_end(self, trainer: "Trainer", reason: str) -> None: ...


def average_of(gan: GAN) -> GAN:
    """A copy of the model whose ``averaged`` children are its own; every other child is shared."""
    shared = {id(child): child for name, child in gan.named_children() if name not in gan.averaged}
    ema: GAN = copy.deepcopy(gan, dict(shared))
    for name in gan.averaged:
        optimizers.find(ema, name).eval().requires_grad_(False)
    return ema


class Trainer:
    """Everything that changes during a run; ``state`` and ``load_state`` are the whole of it.

    ``data`` offers ``draw(n, rng)`` (through ``gan.draw``). Only ``train_step`` moves the run; ``fit`` adds ticks,
    callbacks and stopping.
    """

    def __init__(
        self,
        gan: GAN,
        data: Any,
        cfg: TrainConfig = TrainConfig(),
        callbacks: Sequence[Callback] = (),
        *,
        device: str = "cpu",
        bf16: bool = False,
        ema_kimg: float = 10.0,
        ema_ramp: float | None = 0.05,
    ) -> None:
        self.gan, self.data, self.cfg, self.callbacks = gan.to(device), data, cfg, list(callbacks)
        self.device = torch.device(device)
        self.processes = Processes()
        self.ema_kimg, self.ema_ramp = ema_kimg, ema_ramp
        self.nimg = self.step = self.draws = self.rollbacks = 0
        self.start_nimg = self.averaged_at = 0
        self._drawn_at = (0, 0)
        self._places: dict[tuple[int, int, int], tuple[int, int, int]] = {}
        self._skips, self._skipped_at = 0, -2
        self.lr_factor = 1.0
        self.stats = Stats()
        self.stop_requested: str | None = None
        self.on_event: Callable[..., None] = lambda kind, text, more=None: None
        self.save: Callable[[], None] = lambda: None
        self.go_back: Callable[[], bool] = lambda: False
        self.run_dir: Path | None = None
        self.checkpoint_due = False
        self.seconds = 0.0

        channels_last(gan)
        self.phases = gan.phases()
        self._after = type(gan).after_update is not GAN.after_update
        self._check_phases()
        gan.train().requires_grad_(False)
        self.processes.broadcast(gan)
        self.ema = average_of(gan)
        self.guard = Guard(self.device, sticky=cfg.nan_policy != "skip")
        self.bf16 = bf16
        if bf16:
            autocast_networks(gan, self.device.type, torch.bfloat16)
        self.optimizers: dict[optimizers.OptKey, torch.optim.Optimizer] = {}
        self.active: list[tuple[int, Phase]] = []
        self._window = (0.0, 0.0)
        self._set_clock(0)

    # ---------------------------------------------------------------------------------------------------- one step
    def train_step(self) -> None:
        """Run every phase that is due once, then move the average and the clock."""
        first = self._draw()
        for index, phase in self.active:
            if self.step % phase.lazy:
                continue
            for repeat in range(phase.repeat):
                batch = first if repeat == 0 else self._draw()
                if self._update(index, phase, repeat, batch) and self.device.type == "cpu" and self._refused():
                    return
        self.step += 1
        if self.step % AVERAGE_STEPS == 0 or self.step < AVERAGE_STEPS:
            self._move_average()
        self._set_clock(self.nimg)

    def _draw(self) -> Any:
        rank, world = self.processes.rank, self.processes.world
        rng = randomness.Rng(self.cfg.seed, self.draws, self.nimg, rank, world)
        batch = self.gan.draw(self.data, rng)
        self._drawn_at = (self.draws, self.nimg)
        self.draws += 1
        self.nimg += len(batch[0]) * world
        return batch

    def _update(self, index: int, phase: Phase, repeat: int, batch: Any) -> bool:
        """One optimizer step; False says for sure, and without waiting for a device, that it was not refused."""
        self._places[self.step, index, repeat] = (*self._drawn_at, len(batch[0]))
        keyed = self._keys[index]
        optimizer, parameters = self.optimizers[keyed], self._parameters[index]
        seed = randomness.key(self.cfg.seed, self.step, index, repeat)
        randomness.seed_all(seed)
        kept = _snapshot(self.gan) if self.cfg.nan_policy == "skip" else None
        for parameter in parameters:
            parameter.requires_grad_(True)
        for part, share in self._parts(batch):
            terms = phase.loss(part)
            total = self._log(phase, terms, share)
            weight = self._gains[index] * share
            (total if weight == 1.0 else total * weight).backward()
        grads = self.processes.reduce(parameters, self.gan)
        norm = optimizers.norm(grads) if grads else torch.zeros((), device=self.device)
        self.stats.add(f"{_letter(phase)}/grad_norm", norm)
        flag = self.guard.check(norm, self.step, index, repeat)
        opt = keyed[1]
        if opt.clip is not None:
            torch.nn.utils.clip_grads_with_norm_(parameters, opt.clip, norm)
        self._schedule(keyed, optimizer)
        _step(optimizer, flag)
        for parameter in parameters:
            parameter.grad = None
            parameter.requires_grad_(False)
        if self._after:
            with torch.no_grad():
                self.gan.after_update(phase)
        if kept is not None and flag is not None and bool(flag):
            _put_back(kept)
        return flag is not None

    def _parts(self, batch: Any) -> list[tuple[Any, float]]:
        n, size = len(batch[0]), self.cfg.micro_batch
        if size is None or size >= n:
            return [(batch, 1.0)]
        return [
            (type(batch)(*(None if v is None else v[i : i + size] for v in batch)), min(size, n - i) / n)
            for i in range(0, n, size)
        ]

    def _log(self, phase: Phase, terms: dict[str, Tensor], share: float) -> Tensor:
        name = _letter(phase)
        for term, value in terms.items():
            self.stats.add(f"{name}/{term}", value, share)
        graded = [value for value in terms.values() if value.requires_grad]
        if not graded:
            raise BadInput(f'the loss of phase "{phase.net}" has no term with a gradient: does it use its networks?')
        return graded[0] if len(graded) == 1 else torch.stack(graded).sum()

    def _schedule(self, keyed: optimizers.OptKey, optimizer: torch.optim.Optimizer) -> None:
        opt, window = keyed[1], keyed[2]
        knots = getattr(opt, "beta2", ())
        if not opt.schedule and not knots and self.lr_factor == 1.0:
            return
        since = self.nimg / 1000 - window[0]
        factor = opt.factor(since) * self.lr_factor
        for group in optimizer.param_groups:
            group["lr"] = group["base_lr"] * factor
            if knots:
                group["betas"] = (group["betas"][0], at(knots, since) ** group["pace"])

    @torch.no_grad()
    def _move_average(self) -> None:
        """Move the average by the images drawn since it last moved."""
        nimg, self.averaged_at = self.nimg - self.averaged_at, self.nimg
        own = self.gan.average_kimg()
        half_life = self.ema_kimg if own is None else own
        if self.ema_ramp is not None and own is None:
            half_life = min(half_life, self.nimg / 1000 * self.ema_ramp)
        weight = 1 - 0.5 ** (nimg / 1000 / max(half_life, 1e-8))
        for target, source in self._averages:
            if self.device.type == "cpu":  # where a refused step has ended before
                torch._foreach_lerp_(target, source, weight)
                continue
            moved = weight * (1 - self.guard.bad) if self.guard.sticky else weight
            for mean, value in zip(target, source, strict=True):
                mean.lerp_(value, moved)
        for name in self.gan.averaged:
            pairs = zip(
                optimizers.find(self.ema, name).buffers(), optimizers.find(self.gan, name).buffers(), strict=True
            )
            for mean, value in pairs:
                if not value.is_floating_point():
                    mean.copy_(value)

    # --------------------------------------------------------------------------------------------- clock and windows
    def _set_clock(self, nimg: int) -> None:
        self.nimg = nimg
        for gan in (self.gan, self.ema):
            object.__setattr__(gan, "kimg", nimg / 1000)  # a module's own way costs ten times as much
        if self.active and self._window[0] <= nimg / 1000 < self._window[1]:
            return
        edges = [0.0, math.inf, *(edge for phase in self.phases for edge in phase.kimg)]
        self._window = max(e for e in edges if e <= nimg / 1000), min(e for e in edges if e > nimg / 1000)
        active = [(i, p) for i, p in enumerate(self.phases) if p.kimg[0] <= nimg / 1000 < p.kimg[1]]
        if not active:
            raise BadInput(
                f"no phase of {type(self.gan).__name__} is active at {nimg / 1000} kimg: its windows leave a gap"
            )
        if active != self.active:
            self.active = active
            self._enter()

    def _enter(self) -> None:
        """Optimizers for the phases now active, the rest dropped; a network that none trains is in eval mode."""
        groups: dict[optimizers.OptKey, list[Phase]] = {}
        self._keys: dict[int, optimizers.OptKey] = {}
        for index, phase in self.active:
            keyed = (phase.net, optimizers.resolve(self.gan, phase), phase.kimg)
            self._keys[index] = keyed
            groups.setdefault(keyed, []).append(phase)
        self._parameters = {i: [p for _, p in optimizers.named_parameters(self.gan, phase)] for i, phase in self.active}
        self._gains = {i: optimizers.gain(phase, groups[self._keys[i]]) for i, phase in self.active}
        self.optimizers = {
            keyed: self.optimizers.get(keyed)
            or optimizers.build(keyed[1], optimizers.named_parameters(self.gan, phases[0]), optimizers.pace(phases))
            for keyed, phases in groups.items()
        }
        self.gan.eval()
        self.gan.training = True
        for _, phase in self.active:
            for name in net_names(phase):
                optimizers.find(self.gan, name).train()
        _rest(self.gan)
        self._averages = [
            (_floats(optimizers.find(self.ema, n)), _floats(optimizers.find(self.gan, n))) for n in self.gan.averaged
        ]

    def _check_phases(self) -> None:
        if not self.phases:
            raise BadInput(f"{type(self.gan).__name__}.phases() is empty: there is nothing to train")
        edge = 0.0
        for start, end in sorted(p.kimg for p in self.phases):
            if start > edge:
                raise BadInput(f"no phase is active between {edge} and {start} kimg: its windows leave a gap")
            edge = max(edge, end)
        for phase in self.phases:
            optimizers.resolve(self.gan, phase)
            for name in net_names(phase):
                optimizers.find(self.gan, name)
            if not optimizers.named_parameters(self.gan, phase):
                raise BadInput(f'phase "{phase.net}" has nothing left to train: freeze fewer layers with --freeze-d')
        for opt in {optimizers.resolve(self.gan, phase) for phase in self.phases}:
            mine = [p for p in self.phases if optimizers.resolve(self.gan, p) == opt]
            names = [name for p in mine for name, _ in optimizers.named_parameters(self.gan, p)]
            for prefix, _ in opt.groups:
                if not any(optimizers.in_group(name, prefix) for name in names):
                    raise BadInput(f'opt.groups: no parameter is named "{prefix}...", they begin with {names[0]}')
        by, size = self.gan.splits_by, self.cfg.micro_batch
        if size is not None and by is not None and size % by:
            raise BadInput(f"--micro-batch must be a multiple of {by} for this recipe, got {size}")

    # -------------------------------------------------------------------------------------------------------- the run
    @property
    def total_nimg(self) -> float:
        """Where the run ends, in images."""
        return math.inf if self.cfg.total_kimg is None else self.cfg.total_kimg * 1000

    @property
    def elapsed(self) -> float:
        """Seconds of training so far, the running tick's included; what callbacks take is none."""
        return self.seconds + time.perf_counter() - self._tick_time

    def fit(self) -> str:
        """Train to ``total_kimg``; returns "finished", or the name of the signal that stopped it."""
        if self.cfg.micro_batch and self.gan.splits_by is None:
            self.event(
                "warning", "this recipe's losses need the whole batch (batch statistics): micro-batches change it"
            )
        self.start_nimg = self.nimg
        reason = "failed"
        self._started = self._tick_time = time.perf_counter()
        self._tick_nimg = self.nimg
        on_boundary = True
        self._notify("on_start")
        self._tick_time = time.perf_counter()  # what callbacks took before the first step is no training time either
        try:
            while self.nimg < self.total_nimg and not self.stop_requested:
                before = self.nimg
                self.train_step()
                self._notify("on_step")
                self.checkpoint_due = self._crossed(before, self.cfg.kimg_per_checkpoint)
                on_boundary = self.checkpoint_due or self._crossed(before, self.cfg.kimg_per_tick)
                if on_boundary:
                    self.tick()
                if self.checkpoint_due and self.nimg < self.total_nimg:
                    self.save()
            self._refused()
            if not on_boundary:
                self.checkpoint_due = True
                self.tick(partial=True)
            self.save()
            reason = self.stop_requested or "finished"
        except NonFinite:
            reason = "nan"
            raise
        finally:
            for callback in self.callbacks:
                callback.on_end(self, reason)
        return reason

    def tick(self, partial: bool = False) -> None:
        """Read the statistics and tell the callbacks; a partial tick leaves the sums for the full one to come."""
        if self._refused():
            return
        now = time.perf_counter()
        seconds = now - self._tick_time
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
        self._notify("on_tick", row)
        # What callbacks took (grids, metrics) is not training time.
        self._tick_time, self._tick_nimg = time.perf_counter(), self.nimg

    def event(self, kind: str, text: str, more: dict[str, Any] | None = None) -> None:
        """Something worth a line in the run's log; ``more``: figures that go with it."""
        if more is None:
            self.on_event(kind, text)
        else:
            self.on_event(kind, text, more)

    def _crossed(self, before: int, kimg: float) -> bool:
        return before // (kimg * 1000) != self.nimg // (kimg * 1000)

    def _notify(self, method: str, *args: Any) -> None:
        for callback in self.callbacks:
            getattr(callback, method)(self, *args)

    # ------------------------------------------------------------------------------------------------------------ NaN
    def _refused(self) -> bool:
        """Whether an update was refused since the last look; applies the policy, and raises NonFinite under stop."""
        place = self.guard.read()
        places, self._places = self._places, {}
        if place is None:
            return False
        step, index, _ = place
        draw, first, n = places[place]
        cause = self._cause(place, draw, first)
        where = f"step {step}, kimg {first / 1000:g}, phase {self.phases[index].net}, images {first} to {first + n - 1}"
        message = f"{cause} ({where} of the order)"
        self.guard.clear()
        if self.cfg.nan_policy == "skip":
            self._skips = self._skips + 1 if step <= self._skipped_at + 1 else 1
            self._skipped_at = step
            if self._skips < MOST_SKIPS:
                self.event("nan", f"{message}: update skipped")
                return False
            message = f"{message}, the {MOST_SKIPS}th update in a row to be skipped"
        if self.cfg.nan_policy == "rollback" and self.rollbacks < self.cfg.max_rollbacks:
            rollbacks, factor = self.rollbacks + 1, self.lr_factor / 2
            if self.go_back():
                self.rollbacks, self.lr_factor = rollbacks, factor
                self.event("nan", f"{message}: back to kimg {self.nimg / 1000:g}, learning rates x {factor:g}")
                return True
        cure = "try a lower learning rate or --precision float32"
        cure += ", or --nan-policy rollback" if self.cfg.nan_policy == "stop" else ""
        raise NonFinite(f"{message}: training stopped, and nothing bad was saved; {cure}")

    def _cause(self, place: tuple[int, int, int], draw: int, position: int) -> str:
        """Run the refused update's loss again, on its own batch and random numbers, and name what was bad first."""
        step, index, repeat = place
        phase = self.phases[index]
        rng = randomness.Rng(self.cfg.seed, draw, position, self.processes.rank, self.processes.world)
        batch = self.gan.draw(self.data, rng)
        for parameter in self._parameters[index]:
            parameter.requires_grad_(True)
        randomness.seed_all(randomness.key(self.cfg.seed, step, index, repeat))
        try:
            return autopsy(self.gan, phase.loss, batch)
        finally:
            for parameter in self._parameters[index]:
                parameter.requires_grad_(False)

    # ---------------------------------------------------------------------------------------------------------- state
    def average(self) -> dict[str, Tensor]:
        """The averaged children's tensors, by their names in the model."""
        averaged = tuple(f"{name}." for name in self.gan.averaged)
        return {name: t for name, t in self.ema.state_dict().items() if averaged and name.startswith(averaged)}

    def tensors(self) -> dict[str, dict[str, Tensor]]:
        """All tensors of the run, by file: the model, its average, the live optimizers."""
        opts = {
            f"{place}.{name}": tensor
            for place, optimizer in enumerate(self.optimizers.values())
            for name, tensor in optimizers.state_tensors(optimizer).items()
        }
        return {"gan": self.gan.state_dict(), "ema": self.average(), "optim": opts}

    def state(self) -> dict[str, Any]:
        """All numbers of the run that are not tensors."""
        return {
            "nimg": self.nimg,
            "step": self.step,
            "draws": self.draws,
            "averaged_at": self.averaged_at,
            "seconds": self.seconds,
            "rollbacks": self.rollbacks,
            "lr_factor": self.lr_factor,
            "stats": self.stats.state(),
        }

    def load_state(self, tensors: dict[str, dict[str, Tensor]], state: dict[str, Any]) -> None:
        """Go on exactly where ``tensors`` and ``state`` were taken."""
        load_strict(self.gan, tensors["gan"], "the model")
        averaged = tuple(f"{name}." for name in self.gan.averaged)
        found = self.ema.load_state_dict(tensors["ema"], strict=False)
        if found.unexpected_keys or any(averaged and name.startswith(averaged) for name in found.missing_keys):
            raise BadInput("the checkpoint's average does not fit the model: was its config changed?")
        self.step, self.draws, self.seconds = int(state["step"]), int(state["draws"]), float(state["seconds"])
        self.averaged_at = int(state["averaged_at"])
        self.rollbacks, self.lr_factor = int(state["rollbacks"]), float(state["lr_factor"])
        self.optimizers, self.active = {}, []
        self._set_clock(int(state["nimg"]))
        for place, optimizer in enumerate(self.optimizers.values()):
            prefix = f"{place}."
            optimizers.load_state_tensors(
                optimizer, {n[len(prefix) :]: t for n, t in tensors["optim"].items() if n.startswith(prefix)}
            )
        self.stats.restore({n: (float(s), float(w)) for n, (s, w) in state["stats"].items()})
        self.guard.clear()


def _letter(phase: Phase) -> str:
    """The first network that a phase trains, whole or in part: its statistics stand under this name."""
    return phase.net.split()[0].split(".")[0]


def _step(optimizer: torch.optim.Optimizer, refuse: Tensor | None) -> None:
    """One optimizer step, unless the flag on the device refuses it; a fused optimizer reads the flag by itself."""
    if isinstance(optimizer, optimizers.FusedAdam):
        optimizer.update(refuse)
    elif optimizer.defaults.get("fused"):
        optimizer.grad_scale, optimizer.found_inf = None, refuse  # type: ignore[attr-defined]
        optimizer.step()
    elif refuse is None or not bool(refuse):
        optimizer.step()


def load_strict(module: nn.Module, values: dict[str, Tensor], what: str) -> None:
    """Load weights, every key of which must fit; says the first that does not."""
    try:
        module.load_state_dict(values, strict=True)
    except RuntimeError as error:
        detail = " ".join(str(error).split())[:300]
        raise BadInput(f"the weights do not fit {what}: {detail}") from error


def _rest(gan: GAN) -> None:
    """Frozen modules in eval mode: their statistics stand as their weights do."""
    for name, module in gan.named_modules() if gan.frozen else ():
        own = [f"{name}.{part}" for part, _ in module.named_parameters()]
        if own and gan.frozen.issuperset(own):
            module.eval()


def channels_last(gan: nn.Module) -> None:
    """Lay out in channels_last the networks that say it pays for them (attribute ``channels_last``)."""
    for module in gan.modules():
        if getattr(module, "channels_last", False):
            module.to(memory_format=torch.channels_last)  # type: ignore[call-overload]


def _floats(module: nn.Module) -> list[Tensor]:
    tensors: list[Tensor] = [p.detach() for p in module.parameters()]
    return tensors + [b for b in module.buffers() if b.is_floating_point()]


def _snapshot(gan: nn.Module) -> list[tuple[Tensor, Tensor]]:
    return [(b, b.clone()) for b in gan.buffers()]


@torch.no_grad()
def _put_back(kept: list[tuple[Tensor, Tensor]]) -> None:
    for buffer, value in kept:
        buffer.copy_(value)
