"""Networks of the anomaly detectors: an encoder, and a discriminator that gives its features, for images and for points.

Convolutions of stride 2 halve the grid, rounding up, until its shorter side is at most 4.
"""

import math

import torch
from torch import Tensor, nn

from ganloom.networks import dcgan, dense
from ganloom.nn.layers import normal_init

SMALLEST = 4
"""A grid whose shorter side is at most this is not halved again."""


def widths_of(width: int) -> tuple[int, int]:
    """Return the widths of the two hidden layers for points; ``width`` is that of the first layer for images."""
    return 4 * width, 2 * width


def generator(shape: tuple[int, ...], z_dim: int, width: int) -> nn.Module:
    """Build DCGAN's generator for images, or a dense one for points."""
    if len(shape) == 1:
        return dense.Generator(shape, z_dim, widths_of(width)[::-1])
    return dcgan.Generator((shape[0], shape[1], shape[2]), z_dim, width)


def _stages(shape: tuple[int, int, int], width: int, multiple: int, norm: bool) -> tuple[nn.ModuleList, int]:
    """Build the convolutions that halve the grid; return them and the number of values of the last grid."""
    channels, height, breadth = shape
    stages: list[nn.Module] = []
    while min(height, breadth) > SMALLEST or not stages:
        outputs, bias = width * min(2 ** len(stages), multiple), not (norm and stages)
        odd = height % 2 or breadth % 2
        halving = nn.Conv2d(channels, outputs, 3 if odd else 4, 2, 1, bias=bias)
        norms: list[nn.Module] = [nn.BatchNorm2d(outputs)] if norm and stages else []
        stages.append(nn.Sequential(halving, *norms, nn.LeakyReLU(0.2)))
        channels, height, breadth = outputs, -(-height // 2), -(-breadth // 2)
    return nn.ModuleList(stages), channels * height * breadth


def _layers(shape: tuple[int, ...], width: int, norm: bool) -> tuple[nn.ModuleList, int]:
    """Build two hidden layers for points; return them and the width of the last."""
    inputs = math.prod(shape)
    layers: list[nn.Module] = []
    for outputs in widths_of(width):
        norms: list[nn.Module] = [nn.BatchNorm1d(outputs)] if norm and layers else []
        layers.append(nn.Sequential(nn.Linear(inputs, outputs), *norms, nn.LeakyReLU(0.2)))
        inputs = outputs
    return nn.ModuleList(layers), inputs


class Trunk(nn.Module):
    """The layers below the head of an encoder or a discriminator.

    Args:
        shape: Shape of a sample.
        width: Channels of the first layer; for points, a quarter of its width.
        multiple: Most channels, as a multiple of ``width``; they double from layer to layer.
        norm: Use BatchNorm after all but the first layer.
    """

    channels_last = True

    def __init__(self, shape: tuple[int, ...], width: int, *, multiple: int = 8, norm: bool = False) -> None:
        super().__init__()
        self.bf16 = len(shape) == 3
        if len(shape) == 3:
            self.stages, self.features = _stages((shape[0], shape[1], shape[2]), width, multiple, norm)
        else:
            self.stages, self.features = _layers(shape, width, norm)
        if norm:  # without it, DCGAN's small weights would make the features of the first steps vanish
            normal_init(self)

    def maps(self, x: Tensor) -> list[Tensor]:
        """Map samples (N, *shape) to the outputs of all layers, such as (N, C, H, W)."""
        outputs = []
        for stage in self.stages:
            x = stage(x)
            outputs.append(x)
        return outputs


class Encoder(Trunk):
    """Map samples x (N, *shape) to latents (N, z_dim).

    Args:
        shape: Shape of a sample.
        z_dim: Length of the latents.
        width: See ``Trunk``.
        multiple: See ``Trunk``.
        norm: See ``Trunk``.
        bound: Largest absolute value of a latent, reached by tanh; 0: not bounded.
    """

    def __init__(
        self,
        shape: tuple[int, ...],
        z_dim: int,
        width: int,
        *,
        multiple: int = 8,
        norm: bool = True,
        bound: float = 0.0,
    ) -> None:
        super().__init__(shape, width, multiple=multiple, norm=norm)
        self.bound = bound
        self.out = nn.Linear(self.features, z_dim)

    def forward(self, x: Tensor) -> Tensor:
        """Map samples (N, *shape) to latents (N, z_dim)."""
        z: Tensor = self.out(self.maps(x)[-1].flatten(1))
        return self.bound * (z / self.bound).tanh() if self.bound else z


class Discriminator(Trunk):
    """Map samples x (N, *shape) to logits (N,); with ``features`` to (logits, features (N, F)), with ``turns`` to (logits, turn
    logits (N, K)).

    The features are the output of the layer below the logit.

    Args:
        shape: Shape of a sample.
        width: See ``Trunk``.
        multiple: See ``Trunk``.
        norm: See ``Trunk``.
        turns: Number of transformations that a second head tells apart; 0: without it.
    """

    def __init__(
        self, shape: tuple[int, ...], width: int, *, multiple: int = 8, norm: bool = False, turns: int = 0
    ) -> None:
        super().__init__(shape, width, multiple=multiple, norm=norm)
        self.out = nn.Linear(self.features, 1)
        if turns:
            self.turns = nn.Linear(self.features, turns)

    def forward(
        self, x: Tensor, c: Tensor | None = None, *, features: bool = False, turns: bool = False
    ) -> Tensor | tuple[Tensor, Tensor]:
        """Map samples (N, *shape) to logits (N,), or to a pair of them and what was asked for."""
        last = self.maps(x)[-1].flatten(1)
        logits: Tensor = self.out(last).flatten()
        if features:
            return logits, last
        return (logits, self.turns(last)) if turns else logits


def mean_square(a: Tensor, b: Tensor) -> Tensor:
    """Return the mean squared difference of each sample: (N, ...), (N, ...) -> (N,)."""
    difference: Tensor = (a.float() - b.float()).square().flatten(1).mean(1)
    return torch.nan_to_num(difference, nan=math.inf)
