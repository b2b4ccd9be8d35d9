"""What the lint sees of a model: its modules, settings and phases, and which losses and penalties it calls."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn

from ganloom.core import randomness
from ganloom.core.errors import BadInput, MissingExtra
from ganloom.gan import GAN, Phase, net_names
from ganloom.scoring import Logits, Trace
from ganloom.stabilisers.apply import parts_of
from ganloom.stabilisers.config import Stabilise
from ganloom.training import optimizers
from ganloom.training.config import TrainConfig

BOUNDED = ("Sigmoid", "Tanh", "Softmax", "Hardtanh", "Hardsigmoid")
VIEWS = (
    "View",
    "ReshapeAlias",
    "UnsafeView",
    "Squeeze",
    "Unsqueeze",
    "Select",
    "Slice",
    "ToCopy",
    "Clone",
    "Transpose",
)
"""Steps of a graph that compute nothing."""


@dataclass
class Case:
    """All that the rules look at."""

    gan: GAN
    phases: list[Phase]
    cfg: TrainConfig
    images: int | None = None
    flipped: bool = False
    flat: float = 0.0
    """Share of the images' values that are exactly black or white."""
    losses: list[tuple[str, Any]] = field(default_factory=list)
    """(side "d" or "g", ``Loss``) of each adversarial loss."""
    penalties: list[str] = field(default_factory=list)
    """Names of the gradient penalties."""
    fault: str | None = None
    """Why a loss refuses its settings."""
    failure: str | None = None
    """Why the losses could not be run on a few samples."""
    bounded: set[str] = field(default_factory=set)
    """Bounded functions that D's logits come from, such as "sigmoid"."""
    differentiated: bool = False
    """Whether D's loss calls D on samples that require a gradient: a penalty of the recipe's own."""

    @property
    def parts(self) -> Stabilise:
        """The stabilisers on the model."""
        return parts_of(self.gan)

    @property
    def batch(self) -> int:
        """Samples of a batch, 0 where the config does not say."""
        return int(getattr(self.gan.cfg, "batch_size", 0) or 0)

    @property
    def part(self) -> int:
        """Samples that go through the networks at once."""
        return min(self.batch, self.cfg.micro_batch or self.batch)

    def has(self, net: str, *kinds: type[nn.Module]) -> bool:
        """Whether a network holds a module of these kinds."""
        return any(isinstance(m, kinds) for m in getattr(self.gan, net, nn.Identity()).modules())

    @property
    def spectral(self) -> bool:
        """Whether D has spectral norm, ours or torch's."""
        named = {type(m).__name__ for m in getattr(self.gan, "D", nn.Identity()).modules()}
        return bool(named & {"Spectral", "_SpectralNorm"})

    @property
    def clips(self) -> bool:
        """Whether D's weights are clipped after updates."""
        return bool(self.parts.weight_clip) or self.gan.clips_weights


def look(case: Case, data: Any) -> None:
    """Run the loss of each phase that is active at the start on a few samples; the model is restored afterwards."""
    gan, few = case.gan, 4 * case.parts.pack
    kept = (gan.kimg, [(m, m.training) for m in gan.modules()], [(b, b.clone()) for b in gan.buffers()])
    requires = [(p, p.requires_grad) for p in gan.parameters()]
    phase: Phase | None = None
    try:
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(randomness.key("lint"))
            gan.kimg = 0.0
            gan.train().requires_grad_(False)
            batch: Any = gan.draw(data, randomness.Rng(0))
            case.flat = float((batch.x.abs() > 0.9999).float().mean()) if batch.x.dim() == 4 else 0.0
            parts: list[Any] = [None if v is None else v[:few] for v in batch]
            batch = type(batch)(*parts)
            for phase in case.phases:
                if phase.kimg[0] <= 0:
                    _run(case, phase, batch)
        if gan.stabilisers is not None:
            gan.stabilisers.check_used()
    except BadInput as error:
        case.fault = str(error)
    except MissingExtra:
        pass  # ``make_ready`` says what to install
    except Exception as error:  # a loss that cannot do with few samples, or a fault that training shows with its place
        where = "drawing a batch" if phase is None else f'the loss of phase "{phase.net}"'
        detail = " ".join(str(error).split())[:120]
        case.failure = f"{where} failed on {few} samples ({type(error).__name__}{': ' if detail else ''}{detail})"
    finally:
        gan.kimg, gan.trace = kept[0], None
        for module, mode in kept[1]:
            module.training = mode
        with torch.no_grad():
            for buffer, value in kept[2]:
                buffer.copy_(value)
        for parameter, required in requires:
            parameter.requires_grad_(required)


def _run(case: Case, phase: Phase, batch: Any) -> None:
    """Run one phase's loss and note which losses and penalties it calls."""
    own = [p for name in net_names(phase) for p in optimizers.find(case.gan, name).parameters()]
    trace = case.gan.trace = Trace()
    for parameter in own:
        parameter.requires_grad_(True)
    try:
        case.gan.loss_terms(phase, batch)
    finally:
        for parameter in own:
            parameter.requires_grad_(False)
    case.losses += [(side, loss) for side, loss, _ in trace.losses]
    case.penalties += trace.penalties
    if phase.net.startswith("D"):
        case.differentiated |= trace.differentiated
        case.bounded |= {name for side, _, real in trace.losses if side == "d" for name in _ends_in(real)}


def _ends_in(logits: Logits | None) -> Iterator[str]:
    """The bounded function that these logits come from, if the last operation that computes is one."""
    for one in logits if isinstance(logits, tuple) else (logits,):
        step = getattr(one, "grad_fn", None)
        while step is not None and step.name().startswith(VIEWS):
            step = step.next_functions[0][0]
        if step is not None:
            yield from (name.lower() for name in BOUNDED if step.name().startswith(name))
