"""Estimate what a probe and a step of training cost, from their numbers of operations."""

from typing import Any

import torch
from torch import nn

from ganloom.core import randomness
from ganloom.doctor import live_probe, loss_probe, queries
from ganloom.doctor.probe import FEW, NOISE_ROWS, Probe

RATE, FIXED, LAYER = 3e10, 0.04, 6e-4
"""Cost model: operations per second of one core, fixed seconds per probe, seconds per layer of a training step. It is the same
on every machine, so that a resumed run probes at the same ticks as an uninterrupted one."""


def cost(trainer: Any, probe: Probe) -> tuple[float, float]:
    """Estimate the cost of a probe and of training with the model of ``RATE``, ``FIXED`` and ``LAYER``.

    Returns:
        (seconds of a probe, seconds of training on 1,000 images).
    """
    gan = trainer.gan
    batch = int(getattr(getattr(gan, "cfg", None), "batch_size", 64) or 64)
    with torch.no_grad(), queries.apart(trainer.gan, trainer.ema):
        randomness.seed_all(0)
        g = _operations(lambda: probe._generated(trainer, 4, 0, None)) / 4
        x = trainer.data.get(probe.train_picks[:4])
        c = None if trainer.data.labels is None else torch.as_tensor(trainer.data.labels)[probe.train_picks[:4]].long()
        conditional = int(getattr(getattr(gan, "cfg", None), "n_classes", 0) or 0)
        has_d = isinstance(getattr(gan, "D", None), nn.Module) and gan.conditions_on != "images"
        c = c if conditional else None
        if gan.conditions_on == "captions":
            c = gan.inputs(trainer.data, probe.train_picks[:4])
        d = _operations(lambda: queries.logits(gan, x, c, 4, probe.refused)) / len(x) if has_d else 0.0
        own = 0.0 if has_d else _step(trainer, probe.refused)
    f = _operations(lambda: probe.features(x)) / len(x)
    n, layers = probe.n, sum(not list(m.children()) for m in gan.modules())
    losses = 2 * min(batch, loss_probe.ROWS) * (2 * g + 6 * d)  # both losses once, with their gradients
    few = live_probe.FEW * (1.3 * g + 2 * f) + FEW * f + 2 * NOISE_ROWS * (g + d)
    probe_seconds = (n * (1.5 * g + 1.5 * d + f) + few + losses) / RATE + FIXED
    # A step: generate fakes, then D forward and backward on both. G's update is left out because it may be rare.
    train_seconds = 1000 * (g + 6 * d if d else 3 * (own or g)) / RATE + 1000 / batch * LAYER * layers
    return probe_seconds, train_seconds


def _step(trainer: Any, refused: queries.Refused) -> float:
    """Count operations per image of the first phase's loss, for a model without D: its samples may cost many passes.

    Returns 0 if the loss cannot be computed on its own.
    """
    gan, phase = trainer.gan, trainer.phases[0]
    batch = gan.draw(trainer.data, randomness.Rng(0, 0, 0))
    small = type(batch)(*(None if v is None else v[:4] for v in batch))
    operations = refused.unless("what its loss costs", lambda: _operations(lambda: gan.loss_terms(phase, small)))
    return (operations or 0.0) / len(small.x)


def _operations(call: Any) -> float:
    """Count the floating-point operations of a call."""
    from torch.utils.flop_counter import FlopCounterMode

    counter = FlopCounterMode(display=False)
    with counter:
        call()
    return float(counter.get_total_flops())
