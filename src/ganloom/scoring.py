"""Data classes for the inputs of a discriminator (samples) and its outputs (logits).

A model calls its discriminator through ``GAN.discriminate``, which returns ``Scores``. Losses and stabilisers work on these
values: nothing has to find out afterwards which call made which logits.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

import torch
from torch import Tensor

Logits = Tensor | tuple[Tensor, ...]
"""Logits with N as the first axis; a tuple of them from a discriminator with several scales."""


@dataclass(frozen=True)
class Generated:
    """Generated samples, and how they were made.

    Args:
        x: Samples (N, ...).
        z: The latents (N, z_dim) that G was called with.
        again: Calls G on other latents with the same further inputs.
    """

    x: Tensor
    z: Tensor
    again: Callable[[Tensor], Tensor]

    def __len__(self) -> int:
        return len(self.x)


@dataclass(frozen=True)
class Scores:
    """A discriminator's answer to one batch.

    Args:
        x: The batch (N, ...) before stabilisers changed it.
        logits: The logits, of the batch as the discriminator received it.
        output: All that the discriminator returned.
        again: Calls the discriminator on another batch with the same further inputs, and returns its logits.
        net: The discriminator's name in the model, such as "D" or "D.b".
        inputs: The further inputs, such as labels.
        source: How the batch was generated. None for real data, and for samples that were changed after G.
        features: Input (N, F) of the discriminator's last layer, if it was asked for.
    """

    x: Tensor
    logits: Logits
    output: Any
    again: Callable[[Tensor], Tensor]
    net: str = "D"
    inputs: tuple[Any, ...] = ()
    source: Generated | None = None
    features: Tensor | None = None

    @property
    def flat(self) -> Tensor:
        """The logits as one tensor (N, ...); several scales are joined to (N, logits of all scales)."""
        return joined(self.logits)

    @property
    def first(self) -> Tensor:
        """The logits of the first scale."""
        return self.logits[0] if isinstance(self.logits, tuple) else self.logits

    @property
    def has_second_image(self) -> bool:
        """Whether the discriminator sees another image in addition to ``x``."""
        return any(isinstance(value, Tensor) and value.dim() == self.x.dim() for value in self.inputs)


@dataclass
class Trace:
    """Which calls a loss makes: filled while the lint runs it on a few samples."""

    losses: list[tuple[str, Any, Logits | None]] = field(default_factory=list)
    """(side "d" or "g", the ``Loss``, D's logits on reals)."""
    penalties: list[str] = field(default_factory=list)
    """Names of the gradient penalties."""
    scored: list[Scores] = field(default_factory=list)
    """D's calls, in their order."""
    generated: list[tuple[Generated, tuple[Any, ...]]] = field(default_factory=list)
    """G's calls: the samples, and G's inputs beside z."""
    differentiated: bool = False
    """Whether D was called on a leaf that requires a gradient, as a penalty does."""


class Critic:
    """The discriminator as a function of the batch alone, for penalties: ``critic(x)`` are logits (N, ...).

    Args:
        call: From a batch (N, ...) to logits.
        trace: Where penalties note that they were used, or None.
    """

    def __init__(self, call: Callable[[Tensor], Tensor], trace: Trace | None = None) -> None:
        self.call, self.trace = call, trace

    def __call__(self, x: Tensor) -> Tensor:
        """Logits of a batch."""
        if self.trace is not None:
            self.trace.differentiated |= x.requires_grad and x.is_leaf
        return self.call(x)


def joined(logits: Logits) -> Tensor:
    """Logits as one tensor; several scales are flattened and joined along axis 1."""
    if isinstance(logits, Tensor):
        return logits
    return torch.cat([one.flatten(1) for one in logits], 1)


class Stabilising(Protocol):
    """What stabilisers do in a model's losses. ``stabilisers.apply.Stabilisers`` implements it."""

    def receive(self, gan: Any, x: Tensor, inputs: tuple[Any, ...], options: dict[str, Any]) -> Tensor:
        """What the discriminator receives instead of the batch ``x``."""

    def call(self, network: Any, call: Callable[[], Any]) -> tuple[Any, Tensor | None]:
        """Call the discriminator; return its output, and the input of its last layer if a term needs that."""

    def wrap(self, gan: Any, loss: Any) -> Any:
        """The adversarial loss as it is used."""

    def add_d_terms(self, gan: Any, loss: Any, real: Scores, fake: Scores, end: str) -> None:
        """Add terms to D's adversarial loss; ``end``: the end of their names."""

    def add_g_terms(self, gan: Any, fake: Scores, reals: tuple[Any, ...] | None, end: str) -> None:
        """Add terms to G's adversarial loss; ``end``: the end of their names."""

    def loss_terms(self, gan: Any, phase: Any, batch: Any) -> dict[str, Tensor]:
        """The terms of a phase, with those added."""

    def after_update(self, gan: Any, phase: Any) -> None:
        """Called after an update, under no_grad."""

    def check_used(self) -> None:
        """Raise BadInput for a stabiliser that the losses, once they have run, gave no chance to act."""
