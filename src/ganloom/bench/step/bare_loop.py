"""A bare training loop to compare the Trainer with: the updates of a recipe and nothing else.

A bare step calls the loss of each due phase on a prepared batch, adds the terms that have a gradient, calls ``backward``,
makes a step of the same optimizer class (fused, built by the same function), and deletes the gradients. Only the networks of
the phase require gradients. Memory layout and precision of the networks are those of the Trainer. Not included: data, the
gradient norm, the check for NaN, statistics, EMA, seeds by key, schedules, windows, micro-batches, ``after_update`` and the
clock.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch

from ganloom.core.precision import autocast_networks
from ganloom.gan import GAN
from ganloom.training import optimizers
from ganloom.training.memory_format import channels_last


class Bare:
    """The bare loop of a model that no Trainer uses.

    Args:
        gan: The model.
        batches: Prepared batches.
        device: The device.
        bf16: Use bf16 inside the networks.
    """

    def __init__(self, gan: GAN, batches: Sequence[NamedTuple], device: str, bf16: bool) -> None:
        self.gan, self.batches, self.count, self.at = gan.to(device).train().requires_grad_(False), batches, 0, 0
        channels_last(gan)
        if bf16:
            autocast_networks(gan, torch.device(device).type, torch.bfloat16)
        gan.kimg = 0.0
        self.phases = gan.phases()
        self.parameters = [[p for _, p in optimizers.named_parameters(gan, phase)] for phase in self.phases]
        built: dict[tuple[str, object], torch.optim.Optimizer] = {}
        for phase in self.phases:
            opt = optimizers.resolve(gan, phase)
            same = [p for p in self.phases if (p.net, optimizers.resolve(gan, p)) == (phase.net, opt)]
            if (phase.net, opt) not in built:
                built[phase.net, opt] = optimizers.build(
                    opt, optimizers.named_parameters(gan, phase), optimizers.pace(same)
                )
        self.optimizers = [built[phase.net, optimizers.resolve(gan, phase)] for phase in self.phases]

    def step(self) -> None:
        """Run each due phase, ``repeat`` times."""
        for phase, parameters, optimizer in zip(self.phases, self.parameters, self.optimizers, strict=True):
            if self.at % phase.lazy:
                continue
            for _ in range(phase.repeat):
                for parameter in parameters:
                    parameter.requires_grad_(True)
                terms = [t for t in phase.loss(self._next()).values() if t.requires_grad]
                (terms[0] if len(terms) == 1 else torch.stack(terms).sum()).backward()
                optimizer.step()
                for parameter in parameters:
                    parameter.grad = None
                    parameter.requires_grad_(False)
        self.at += 1

    def _next(self) -> NamedTuple:
        self.count += 1
        return self.batches[self.count % len(self.batches)]
