"""The contract that lets one training loop hold every GAN.

A recipe subclasses ``GAN``: it owns its networks, says in ``phases`` which losses update which network and how often,
and keeps every running quantity as a buffer. The Trainer does the rest and knows no recipe by name.
"""

import contextlib
import inspect
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from ganloom.core import randomness
from ganloom.core.batch import Batch as Batch
from ganloom.core.errors import BadInput
from ganloom.core.precision import full_precision
from ganloom.core.randomness import Rng as Rng
from ganloom.core.randomness import key as key

Terms = dict[str, Tensor]
"""Named scalars: those with a gradient are summed and backpropagated, detached ones are only logged."""

Knots = tuple[tuple[float, float], ...]


# --------------------------------------------------------------------------------------------- optimizers and phases


def constant() -> Knots:
    """Learning rate factor 1 throughout."""
    return ()


def linear(start: float, end: float, to: float = 0.0) -> Knots:
    """Factor 1 until ``start`` kimg, then straight to ``to`` at ``end`` kimg."""
    return ((start, 1.0), (end, to))


def cosine(start: float, end: float, to: float = 0.0, pieces: int = 32) -> Knots:
    """Factor 1 until ``start`` kimg, then half a cosine to ``to`` at ``end`` kimg, in straight pieces."""
    steps = [i / pieces for i in range(pieces + 1)]
    return tuple((start + (end - start) * t, to + (1 - to) * 0.5 * (1 + math.cos(math.pi * t))) for t in steps)


def inverse(start: float, pieces: int = 32) -> Knots:
    """Factor 1 until ``start`` kimg, then start / kimg, in pieces that grow: a schedule that needs no end."""
    return tuple((start * 1.25**i, 1 / 1.25**i) for i in range(pieces))


def at(knots: Knots, kimg: float) -> float:
    """The value of knots at a time: linear between two, held before the first and after the last."""
    if kimg <= knots[0][0]:
        return knots[0][1]
    for (t0, f0), (t1, f1) in zip(knots, knots[1:], strict=False):
        if kimg < t1:
            return f0 + (f1 - f0) * (kimg - t0) / (t1 - t0)
    return knots[-1][1]


@dataclass(frozen=True)
class _Optimizer:
    lr: float = 2e-4
    """Learning rate."""
    weight_decay: float = 0.0
    """L2 penalty on the weights (decoupled from the gradient in AdamW is not meant)."""
    clip: float | None = None
    """Largest gradient norm, over the whole phase and after the gain of lazy regularisation."""
    groups: tuple[tuple[str, float], ...] = ()
    """Learning rate factor by prefix of the parameter's name, such as (("mapping", 0.01),)."""
    schedule: Knots = ()
    """Knots (kimg since the phase's window began, learning rate factor), linear in between; empty = constant."""

    def __post_init__(self) -> None:
        if not 0 <= self.lr < math.inf:
            raise BadInput(f"lr must be finite and not negative, got {self.lr}")
        if self.clip is not None and self.clip <= 0:
            raise BadInput(f"clip must be positive or none, got {self.clip}")

    def factor(self, kimg: float) -> float:
        """The schedule's learning rate factor at ``kimg`` since the window began."""
        return at(self.schedule, kimg) if self.schedule else 1.0


@dataclass(frozen=True)
class Adam(_Optimizer):
    """Adam (Kingma & Ba 2014, arXiv:1412.6980)."""

    betas: tuple[float, float] = (0.5, 0.999)
    """Decay of the first and second moments; must be floats."""
    beta2: Knots = ()
    """Knots (kimg since the phase's window began, decay of the second moment), linear in between; empty = as in betas."""
    eps: float = 1e-8
    """Added to the root of the second moment."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if not all(0.0 <= beta < 1.0 for beta in self.betas):
            raise BadInput(f"betas must lie in [0, 1), got {self.betas}")


@dataclass(frozen=True)
class RMSprop(_Optimizer):
    """RMSprop (Hinton 2012), as WGAN uses it."""

    alpha: float = 0.99
    """Decay of the squared gradient."""
    eps: float = 1e-8
    """Added to the root."""
    momentum: float = 0.0
    """Momentum of the step."""


@dataclass(frozen=True)
class SGD(_Optimizer):
    """Stochastic gradient descent."""

    momentum: float = 0.0
    """Momentum of the step."""


Opt = Adam | RMSprop | SGD


@dataclass(frozen=True)
class Phase:
    """One kind of update. Phases with equal (net, opt, kimg) share one optimizer; a new window starts a new one."""

    net: str
    """What it updates: "G"; several: "E G"; parts: "G D.features D.q"."""
    loss: Callable[[Any], Terms]
    """Called once a micro-batch: may add to sums kept in buffers, decides nothing."""
    opt: Opt | None = None
    """None: ``cfg.g_opt`` or ``cfg.d_opt``, by the first net's letter."""
    lazy: int = 1
    """A regulariser each n-th step, with gain n; learning rate and betas are paced if its optimizer steps each step."""
    repeat: int = 1
    """Updates a step, each on a fresh batch: n_critic, the only way to write a ratio."""
    kimg: tuple[float, float] = (0.0, math.inf)
    """Active in [from, until): stages are windows."""

    def __post_init__(self) -> None:
        if self.lazy < 1 or self.repeat < 1:
            raise BadInput(f"a phase's lazy and repeat count steps from 1, got {self.lazy} and {self.repeat}")
        if not self.kimg[0] < self.kimg[1]:
            raise BadInput(f"a phase's window must begin before it ends, got {self.kimg}")


def net_names(phase: Phase) -> list[str]:
    """The dotted names that a phase updates."""
    return phase.net.split()


# ---------------------------------------------------------------------------------------------------------- the model


class GAN(nn.Module):
    """Networks, losses and running quantities of one model; a VAE or a diffusion baseline is one too.

    Every parameter exists from the start. A subclass sets ``self.cfg``, its networks as children (a layer that two
    networks share is one child), and overrides what differs. The clock ``kimg`` is written by the Trainer and by
    ``load``; a model without one is a finished one.
    """

    averaged: tuple[str, ...] = ("G",)
    """Children kept as an exponential moving average."""
    splits_by: int | None = 1
    """The losses keep their meaning on multiples of so many samples; None: on the whole batch only."""
    conditions_on: str = "labels"
    """What c is: "labels" (or nothing), or "images", which a data set's ``inputs`` are and which cannot be drawn."""
    paired: bool = False
    """Whether each input must have its own target."""
    frozen: frozenset[str] = frozenset()
    """Names of parameters that no phase trains (FreezeD)."""
    kimg: float = math.inf
    """Thousands of real images drawn so far."""
    cfg: Any
    G: Any
    D: Any

    def __init__(self, cfg: Any = None) -> None:
        super().__init__()
        self.cfg = cfg
        self._draw_on: str | None = None

    # ---- what a recipe says
    def phases(self) -> list[Phase]:
        """The updates of one step, in order."""
        raise NotImplementedError(f"{type(self).__name__} must say its phases()")

    def draw(self, data: Any, rng: Rng) -> NamedTuple:
        """One batch, shared by a step's phases; override for class balance, conditions or a batch size by clock."""
        batch: NamedTuple = data.draw(self.cfg.batch_size, rng)
        return batch

    def after_update(self, phase: Phase) -> None:
        """Called once per optimizer step under no_grad: weight clip, augmentation strength, running means."""

    def average_kimg(self) -> float | None:
        """Half-life of the averages now, by the clock; None: ``ema_kimg``, reached as the run grows."""
        return None

    def z(self, n: int) -> Tensor:
        """Latents (n, z_dim), standard normal."""
        return self.randn(n, self.cfg.z_dim)

    def c(self, n: int) -> Tensor | None:
        """Conditions for n samples, drawn evenly over the classes; None for a model without conditions."""
        classes = int(getattr(self.cfg, "n_classes", 0) or 0)
        return randomness.randint(classes, n, self.draw_device).to(self.device) if classes else None

    @classmethod
    def check_data(cls, data: Any) -> None:
        """Raises BadInput where this model cannot learn from ``data``."""

    def make_ready(self, device: torch.device) -> None:
        """Called before a run has a folder: raises BadInput where something that training needs is not there."""

    def inputs(self, data: Any, rows: Any) -> Tensor | None:
        """The images that rows of a data set are to be made from; None for a model that starts from latents."""
        return None

    def sample(self, z: Tensor, c: Tensor | None = None) -> Tensor:
        """Latents and conditions to data; (N, C, H, W) in [-1, 1] for images."""
        out: Tensor = self.G(z) if c is None else self.G(z, c)
        return out

    # ---- what a recipe uses
    @property
    def device(self) -> torch.device:
        """Where the parameters are."""
        return next((p.device for p in self.parameters()), torch.device("cpu"))

    @property
    def draw_device(self) -> torch.device:
        """Where random numbers are drawn: on the device in training, on the CPU in ``generate``."""
        return torch.device(self._draw_on) if self._draw_on else self.device

    def randn(self, n: int, *shape: int) -> Tensor:
        """Standard normal numbers (n, *shape): the global batch is drawn and this process takes its slice."""
        return randomness.randn(n, *shape, device=self.draw_device).to(self.device)

    def rand(self, n: int, *shape: int) -> Tensor:
        """Uniform numbers in [0, 1) of shape (n, *shape), drawn like ``randn``."""
        return randomness.rand(n, *shape, device=self.draw_device).to(self.device)

    # ---- what a user calls
    @torch.no_grad()
    def generate(
        self,
        n: int = 1,
        seed: int = 0,
        *,
        c: Tensor | Sequence[int] | int | None = None,
        z: Tensor | None = None,
        truncation: float = 1.0,
        noise: str = "const",
        batch: int = 64,
        precision: str = "float32",
        **kwargs: Any,
    ) -> Tensor:
        """n samples, (n, C, H, W) float32 in [-1, 1] for images; points (n, d) for 2-D data.

        Pure: eval mode, float32, random state forked, modes and buffers put back. The latent (and a drawn label) of
        sample i comes from ``seed + i`` alone, whatever n and the device are; images of equal seeds agree to rounding.
        ``z`` (n, z_dim) given: its rows are used and seed is not. ``c``: a label for all, or one a sample.
        A model that makes images from images takes those as ``c`` (n, C, H, W). ``truncation`` below 1 pulls latents
        towards their mean: truer and less varied samples. Further keywords go to the recipe's ``sample``.
        """
        n = len(z) if z is not None else n
        n = len(c) if self.conditions_on == "images" and isinstance(c, Tensor) else n
        if n < 1:
            raise BadInput(f"the number of samples must be at least 1, got {n}")
        kwargs |= {"noise": noise} if "noise" in inspect.signature(self.sample).parameters else {}
        if "truncation" in inspect.signature(self.sample).parameters:
            kwargs["truncation"], truncation = truncation, 1.0
        if precision not in ("float32", "bf16"):
            raise BadInput(f'precision must be float32 or bf16, got "{precision}"')
        half = torch.autocast(self.device.type, torch.bfloat16)  # around it all: there is no loss here to spoil
        with self._as_found(), half if precision == "bf16" else full_precision():
            zs, cs = self._latents(n, seed, z, c)
            parts = []
            for start in range(0, n, batch):
                rows = slice(start, start + batch)
                randomness.seed_all(key(seed, "noise", start))
                parts.append(self.sample(zs[rows] * truncation, None if cs is None else cs[rows], **kwargs).float())
        return torch.cat(parts)

    def _latents(self, n: int, seed: int, z: Tensor | None, c: Any) -> tuple[Tensor, Tensor | None]:
        zs, cs = [], []
        if z is None or c is None:
            for i in range(n):
                torch.default_generator.manual_seed(int(seed) + i)
                zs.append(self.z(1) if z is None else z[i : i + 1])
                cs.append(self.c(1) if c is None else None)
        latents = torch.cat(zs).to(self.device) if z is None else z.to(self.device, torch.float32)
        if c is None:
            return latents, None if cs[0] is None else torch.cat([x for x in cs if x is not None])
        return latents, self._conditions(n, c)

    def _conditions(self, n: int, c: Any) -> Tensor:
        classes = int(getattr(self.cfg, "n_classes", 0) or 0)
        labels = torch.as_tensor(c, device=self.device)
        labels = labels.expand(n) if labels.dim() == 0 else labels
        if len(labels) != n:
            raise BadInput(f"c has {len(labels)} entries for {n} samples: give one label, or one a sample")
        if not labels.is_floating_point():
            if not classes:
                raise BadInput("c was given, but this model was trained without labels: leave it out")
            if bool((labels < 0).any()) or bool((labels >= classes).any()):
                raise BadInput(f"c must lie in 0..{classes - 1}, got {int(labels.min())}..{int(labels.max())}")
        return labels

    @contextlib.contextmanager
    def _as_found(self) -> Iterator[None]:
        """Eval mode inside; afterwards modes, buffers, gradients' freedom and the random state are as they were."""
        modes = [(m, m.training) for m in self.modules()]
        buffers = [(b, b.clone()) for b in self.buffers()]
        cuda = [self.device.index or 0] if self.device.type == "cuda" else []
        was, self._draw_on = self._draw_on, "cpu"
        shard = randomness.shard()
        randomness.set_shard(0, 1)
        with torch.random.fork_rng(devices=cuda):
            try:
                self.eval()
                yield
            finally:
                self._draw_on = was
                randomness.set_shard(*shard)
                for module, mode in modes:
                    module.training = mode
                for buffer, kept in buffers:
                    buffer.copy_(kept)
