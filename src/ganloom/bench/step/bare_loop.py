"""The yardstick for the loop: a recipe's own updates and nothing else.

A bare step calls each due phase's loss on a batch that lies ready, adds its terms that have a gradient, calls
``backward``, takes a step of the same optimizer class (fused, built by the same function) and drops the gradients. Only
the phase's own networks require gradients, for nobody would train otherwise. Layout and precision of the networks are the
Trainer's. Not in it: drawing data, the gradient norm, the guard against NaN, statistics, the average of the weights,
seeds by key, schedules, windows, micro-batches, ``after_update`` and the clock.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch

from ganloom.core.precision import autocast_networks
from ganloom.gan import GAN
from ganloom.training import optimizers
from ganloom.training.memory_format import channels_last


class Bare:
    """The bare step of a model that no Trainer has touched."""

    def __init__(self, gan: GAN, batches: Sequence[NamedTuple], device: str, bf16: bool) -> None:
        self.gan, self.batches, self.drawn, self.at = gan.to(device).train().requires_grad_(False), batches, 0, 0
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
        """Each due phase once, ``repeat`` times."""
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
        self.drawn += 1
        return self.batches[self.drawn % len(self.batches)]
