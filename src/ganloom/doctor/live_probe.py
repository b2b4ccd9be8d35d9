"""Compare the EMA's samples with those of the networks in training, and find the limits of G's output."""

from typing import Any

import torch
from torch import Tensor, nn

from ganloom.doctor.queries import Refused
from ganloom.doctor.two_samples import energy_distance

FEW = 64
"""Samples of the live networks."""
NARROW = 2
"""A layer with so few inputs reads a grey image, or belongs to a network that is too narrow."""
EXTREME = 100.0
"""Factor on the latents whose samples show the limits of G's output."""
NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)
Figures = dict[str, float]


def live(
    trainer: Any, features: Any, real: Tensor, trained: Tensor | None, c: Tensor | None, refused: Refused
) -> Figures:
    """Measure the energy distance to the data of samples of G in training mode and in eval mode, both without the EMA.

    Args:
        trainer: The trainer.
        features: Function from images to features.
        real: Features of real samples.
        trained: Samples of G in training mode, or None.
        c: Labels, or None.
        refused: Queries that the model does not support.
    """
    figures: Figures = {}
    if trained is not None and len(trained) > 1 and bool(trained.isfinite().all()):
        figures["train_distance"] = energy_distance(features(trained[:FEW].cpu()), real)
    labels = None if c is None else c[:FEW]
    if {"samples", "z()"} & refused.keys():
        return figures
    n = FEW if labels is None else len(labels)
    fake = refused.unless("samples without the EMA", lambda: trainer.gan.generate(n, seed=1_000_003, c=labels))
    if fake is not None and bool(fake.isfinite().all()):
        figures["live_distance"] = energy_distance(features(fake.cpu()), real)
    z = refused.unless("extreme latents", lambda: EXTREME * trainer.gan.z(16))
    if isinstance(z, Tensor):
        some = None if c is None else c[:16]
        m = 16 if some is None else len(some)
        extreme = refused.unless("extreme latents", lambda: trainer.gan.generate(m, z=z[:m].cpu(), c=some))
        if extreme is not None and bool(extreme.isfinite().all()):
            figures["reach_low"], figures["reach_high"] = extreme.min().item(), extreme.max().item()
    return figures


def activity(trainer: Any) -> Figures:
    """Return for D and G whether they are idle (1.0), the lowest momentum of their BatchNorm layers, and the width of their
    narrowest hidden layer.

    A network is idle if no active phase trains it. In an image-to-image model it is so only after a phase has trained it. A
    network whose phases ended as planned, such as D while f-AnoGAN trains its encoder, is not idle.
    """
    figures: Figures = {}
    trained = {net for _, phase in trainer.active if phase.lazy == 1 for net in _networks(phase)}
    for net in "DG":
        module = getattr(trainer.gan, net, None)
        if not isinstance(module, nn.Module) or not any(p.numel() for p in module.parameters()):
            continue
        waits = trainer.gan.conditions_on == "images" and not _was_trained(trainer, net)
        figures[f"{net}_idle"] = float(net not in trained and not waits and not _has_ended(trainer, net))
        momenta = [
            layer.momentum for layer in module.modules() if isinstance(layer, NORMS) and layer.track_running_stats
        ]
        if known := [m for m in momenta if m is not None]:
            figures[f"{net}_momentum"] = min(known)
        layers = [layer for layer in module.modules() if isinstance(layer, nn.Linear | nn.Conv2d)]
        if len(layers) > 2:
            # A layer from many channels to few is a head (logits, colours, attention); one from few to few is a narrow body.
            figures[f"{net}_narrowest"] = float(
                min(len(a.weight) if _inputs(a) <= NARROW else _inputs(a) for a in layers)
            )
    return figures


def _networks(phase: Any) -> set[str]:
    """Return the networks that a phase trains, such as {"D"}."""
    return {name.split(".")[0] for name in phase.net.split()}


def _was_trained(trainer: Any, net: str) -> bool:
    """Return whether a phase of a network has begun. Image-to-image models may train without D at first, or always."""
    kimg = trainer.nimg / 1000
    return any(phase.kimg[0] <= kimg for phase in trainer.phases if net in _networks(phase))


def _has_ended(trainer: Any, net: str) -> bool:
    """Return whether the windows of all phases of a network are over."""
    own = [phase for phase in trainer.phases if net in _networks(phase)]
    return bool(own) and all(phase.kimg[1] <= trainer.nimg / 1000 for phase in own)


def _inputs(layer: nn.Linear | nn.Conv2d) -> int:
    return layer.in_features if isinstance(layer, nn.Linear) else layer.in_channels


def spread_of(z: Tensor) -> int:
    """Return the number of directions in which latents (n, d) vary."""
    centred = (z - z.mean(0)).double()
    values: Tensor = torch.linalg.svdvals(centred)
    return int((values > 0.01 * values.max().clamp_min(1e-12)).sum())


def small(x: Tensor) -> Tensor:
    """Return images (N, C, H, W) as at most 8 x 8 means of their pixels, flattened to (N, C * h * w)."""
    h, w = min(8, x.shape[2]), min(8, x.shape[3])
    return nn.functional.adaptive_avg_pool2d(x.float().clamp(-1, 1), (h, w)).flatten(1)
