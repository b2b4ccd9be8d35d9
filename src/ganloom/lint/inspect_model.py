"""Collect what the lint rules check: modules, settings and phases of a model, and the losses and penalties that it calls."""

import contextlib
import functools
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

BATCH_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.SyncBatchNorm)
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
"""Nodes of an autograd graph that only reshape, copy or cast."""


@dataclass
class Case:
    """Everything that a rule can check."""

    gan: GAN
    phases: list[Phase]
    cfg: TrainConfig
    images: int | None = None
    flipped: bool = False
    flat_share: float = 0.0
    """Share of image values that are exactly black or white."""
    losses: list[tuple[str, Any]] = field(default_factory=list)
    """(side "d" or "g", ``Loss``) of each adversarial loss that was called."""
    penalties: list[str] = field(default_factory=list)
    """Names of the gradient penalties that were called."""
    fault: str | None = None
    """Error message of a loss or stabiliser that rejects its settings."""
    failure: str | None = None
    """Why the losses could not be computed on a few samples."""
    bounded: set[str] = field(default_factory=set)
    """Bounded functions at the end of D, such as "sigmoid"."""
    lone: tuple[str, int] | None = None
    """Name of a BatchNorm that gets a single value per channel, and the number of samples of that pass."""
    differentiated: bool = False
    """Whether D's loss calls D on samples that require a gradient, as a custom gradient penalty does."""

    @property
    def parts(self) -> Stabilise:
        """The settings of the model's stabilisers."""
        return parts_of(self.gan)

    @property
    def batch(self) -> int:
        """Batch size, 0 if the config has none."""
        return int(getattr(self.gan.cfg, "batch_size", 0) or 0)

    @property
    def micro_batch(self) -> int:
        """Number of samples per forward pass."""
        return min(self.batch, self.cfg.micro_batch or self.batch)

    @property
    def last_part(self) -> int:
        """Number of samples in the last forward pass of a batch: what the micro-batches leave over."""
        return (self.batch % self.micro_batch or self.micro_batch) if self.micro_batch else 0

    @property
    def size_flag(self) -> str:
        """The flag that limits the number of samples per forward pass."""
        return "--micro-batch" if self.micro_batch < self.batch else "--batch-size"

    def has(self, net: str, *kinds: type[nn.Module]) -> bool:
        """Return whether a network contains a module of these types."""
        return any(isinstance(m, kinds) for m in getattr(self.gan, net, nn.Identity()).modules())

    @property
    def spectral(self) -> bool:
        """Whether D has spectral norm, from ganloom or from torch."""
        names = {type(m).__name__ for m in getattr(self.gan, "D", nn.Identity()).modules()}
        return bool(names & {"Spectral", "_SpectralNorm"})

    @property
    def clips(self) -> bool:
        """Whether D's weights are clipped after each update."""
        return bool(self.parts.weight_clip) or self.gan.clips_weights


def _starts(case: Case) -> list[float]:
    """When the stages begin whose losses are computed: at 0, and where a network is trained for the first time."""
    first = {name for phase in case.phases if phase.kimg[0] <= 0 for name in net_names(phase)}
    later = [phase.kimg[0] for phase in case.phases if phase.kimg[0] > 0 and not set(net_names(phase)) <= first]
    total = case.cfg.total_kimg
    return [0.0, *(at for at in (min(later, default=0.0),) if at > 0 and (total is None or at < total))]


def run_losses(case: Case, data: Any) -> None:
    """Compute the losses of all phases that are active at the start on a few samples, and store the results in ``case``.

    If a network is trained from a later stage on only, the losses of this stage are computed too.

    If the smallest part of a batch has fewer samples, the losses are computed on as many, so that what fails on so few
    samples fails here. The model and the random state are restored afterwards.

    Args:
        case: The case to fill in.
        data: The data to draw the samples from.
    """
    gan = case.gan
    few = 4 * case.parts.pack * case.gan.rows_together
    n_samples = min(few, case.last_part or few)
    kimg, modes = gan.kimg, [(m, m.training) for m in gan.modules()]
    buffers = [(b, b.clone()) for b in gan.buffers()]
    requires_grad = [(p, p.requires_grad) for p in gan.parameters()]
    phase: Phase | None = None
    try:
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(randomness.key("lint"))
            gan.kimg = 0.0
            gan.train().requires_grad_(False)
            batch: Any = gan.draw(data, randomness.Rng(0))
            case.flat_share = float((batch.x.abs() > 0.9999).float().mean()) if batch.x.dim() == 4 else 0.0
            fields: list[Any] = [None if v is None else v[:n_samples] for v in batch]
            batch = type(batch)(*fields)
            with _watched(case, n_samples):
                for at in _starts(case):
                    gan.kimg = at
                    for phase in case.phases:
                        if phase.kimg[0] == at or phase.kimg[0] <= 0 == at:
                            _run_phase(case, phase, batch)
        if gan.stabilisers is not None:
            gan.stabilisers.check_used()
    except BadInput as error:
        case.fault = str(error)
    except MissingExtra:
        pass  # ``make_ready`` reports what to install
    except _LoneSample:
        pass  # ``case.lone`` has it
    except Exception as error:  # the loss needs more samples, or it has a bug that training will report
        where = "drawing a batch" if phase is None else f'the loss of phase "{phase.net}"'
        detail = " ".join(str(error).split())[:120]
        case.failure = f"{where} failed on {n_samples} samples ({type(error).__name__}{': ' if detail else ''}{detail})"
    finally:
        gan.kimg, gan.trace = kimg, None
        for module, mode in modes:
            module.training = mode
        with torch.no_grad():
            for buffer, value in buffers:
                buffer.copy_(value)
        for parameter, required in requires_grad:
            parameter.requires_grad_(required)


class _LoneSample(Exception):
    """A BatchNorm got a single value per channel, of which no variance can be computed."""


@contextlib.contextmanager
def _watched(case: Case, n_samples: int) -> Iterator[None]:
    """Stop the losses inside at the first BatchNorm of a trained network that gets a single value per channel."""
    trained = {net for phase in case.phases for net in net_names(phase)}
    norms = {
        name: module
        for name, module in case.gan.named_modules()
        if isinstance(module, BATCH_NORMS) and any(name == net or name.startswith(f"{net}.") for net in trained)
    }

    def watch(name: str, module: nn.Module, inputs: tuple[Any, ...]) -> None:
        x = inputs[0]
        if module.training and x.numel() == x.shape[1]:
            case.lone = name, n_samples
            raise _LoneSample

    handles = [module.register_forward_pre_hook(functools.partial(watch, name)) for name, module in norms.items()]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _run_phase(case: Case, phase: Phase, batch: Any) -> None:
    """Compute the loss of one phase and record which losses and penalties it calls."""
    parameters = [p for name in net_names(phase) for p in optimizers.find(case.gan, name).parameters()]
    trace = case.gan.trace = Trace()
    for parameter in parameters:
        parameter.requires_grad_(True)
    try:
        case.gan.loss_terms(phase, batch)
    finally:
        for parameter in parameters:
            parameter.requires_grad_(False)
    case.losses += [(side, loss) for side, loss, _ in trace.losses]
    case.penalties += trace.penalties
    if phase.net.startswith("D"):
        case.differentiated |= trace.differentiated
        case.bounded |= {name for side, _, real in trace.losses if side == "d" for name in _bounded_functions(real)}


def _bounded_functions(logits: Logits | None) -> Iterator[str]:
    """Yield the name of the last operation that computed the logits, if it is a bounded function."""
    for tensor in logits if isinstance(logits, tuple) else (logits,):
        node = getattr(tensor, "grad_fn", None)
        while node is not None and node.name().startswith(VIEWS):
            node = node.next_functions[0][0]
        if node is not None:
            yield from (name.lower() for name in BOUNDED if node.name().startswith(name))
