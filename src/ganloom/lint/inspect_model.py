"""What the lint sees of a model: its modules, settings and phases, and which losses and penalties it calls."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from ganloom.core import randomness
from ganloom.core.errors import BadInput
from ganloom.gan import GAN, Phase, net_names
from ganloom.stabilisers.apply import Composed, parts_of
from ganloom.stabilisers.config import Stabilise
from ganloom.stabilisers.trace import Heard, listen
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
    heard: list[Heard] = field(default_factory=list)
    looked: bool = False
    """Whether the losses were heard at all."""
    fault: str | None = None
    """What a loss said against its settings."""
    bounded: set[str] = field(default_factory=set)
    leaf: bool = False
    """D was called on inputs that ask for a gradient: a penalty of the recipe's own making."""

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

    @property
    def penalties(self) -> list[str]:
        """Gradient penalties that were heard."""
        return [h.what for h in self.heard if h.kind == "penalty"]

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
        """Whether ``after_update`` clips weights."""
        if self.parts.weight_clip:
            return True
        for kind in type(self.gan).__mro__:
            code = getattr(kind.__dict__.get("after_update"), "__code__", None)
            names = set(code.co_names) if code and kind not in (GAN, Composed) else set()
            if "clip_weights_" in names or ({"parameters"} & names and {"clamp_", "clip_", "clamp"} & names):
                return True
        return False


def look(case: Case, data: Any) -> None:
    """Call the loss of each phase that is active at the start, on a few samples; everything is put back afterwards."""
    gan, few = case.gan, 4 * case.parts.pack
    kept = (gan.kimg, [(m, m.training) for m in gan.modules()], [(b, b.clone()) for b in gan.buffers()])
    asked = [(p, p.requires_grad) for p in gan.parameters()]
    try:
        with torch.random.fork_rng(devices=[]), listen() as case.heard:
            torch.default_generator.manual_seed(randomness.key("lint"))
            gan.kimg = 0.0
            gan.train().requires_grad_(False)
            batch: Any = gan.draw(data, randomness.Rng(0))
            case.flat = float((batch.x.abs() > 0.9999).float().mean()) if batch.x.dim() == 4 else 0.0
            parts: list[Any] = [None if v is None else v[:few] for v in batch]
            batch = type(batch)(*parts)
            for phase in case.phases:
                if phase.kimg[0] <= 0:
                    _hear(case, phase, batch)
        case.looked = True
    except BadInput as error:
        case.fault = str(error)
    except Exception:  # a loss that cannot do with few samples, or a fault that training will show with its place
        case.heard = []
    finally:
        gan.kimg = kept[0]
        for module, mode in kept[1]:
            module.training = mode
        with torch.no_grad():
            for buffer, value in kept[2]:
                buffer.copy_(value)
        for parameter, asks in asked:
            parameter.requires_grad_(asks)


def _hear(case: Case, phase: Phase, batch: Any) -> None:
    own = [p for name in net_names(phase) for p in optimizers.find(case.gan, name).parameters()]
    of_d = phase.net.startswith("D") and isinstance(getattr(case.gan, "D", None), nn.Module)

    def watch(module: nn.Module, args: Any) -> None:
        case.leaf |= bool(args and isinstance(args[0], Tensor) and args[0].requires_grad and args[0].is_leaf)

    handle = case.gan.D.register_forward_pre_hook(watch) if of_d else None
    before = len(case.heard)
    for parameter in own:
        parameter.requires_grad_(True)
    try:
        phase.loss(batch)
    finally:
        for parameter in own:
            parameter.requires_grad_(False)
        if handle is not None:
            handle.remove()
    if of_d:
        case.bounded |= {name for h in case.heard[before:] if h.kind == "d" for name in _ends_in(h.real)}


def _ends_in(logits: Any) -> Iterator[str]:
    """The bounded function that made these logits, if the last one that computes is one."""
    step = getattr(logits, "grad_fn", None)
    while step is not None and step.name().startswith(VIEWS):
        step = step.next_functions[0][0]
    if step is not None:
        yield from (name.lower() for name in BOUNDED if step.name().startswith(name))
