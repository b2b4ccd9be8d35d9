"""The networks of R3GAN (Huang et al. 2024, arXiv:2501.05441, sec. 3 and app.): ResNeXt blocks and nothing else.

There are no norms, noise or styles. Each residual branch is a 1x1, a grouped 3x3 and a 1x1 convolution with biases and
LeakyReLU; its last weight starts at 0, and the others are scaled at initialization by the number of blocks (fix-up). Grids
are upsampled and downsampled with the filter [1, 3, 3, 1].
"""

import math
from typing import Any

import torch
from torch import Tensor, nn

from ganloom.nn import initial_weights
from ganloom.nn.layers import Fir, crop, frame, one_hot, plan_sizes, pointwise

LRELU_GAIN = math.sqrt(2 / (1 + 0.2**2))
"""Gain that keeps the variance through LeakyReLU 0.2."""


def widths(width: int, doublings: int, full: int = 3) -> list[int]:
    """Return the channels of each level from the base: ``width`` for ``full`` doublings, then halved with each further one."""
    return [max(width >> max(i - full, 0), 1) for i in range(doublings + 1)]


def scaled(layer: nn.Conv2d | nn.Linear, gain: float = 1.0) -> nn.Conv2d | nn.Linear:
    """Initialize weights with N(0, gain / sqrt(inputs of an output)) and biases with 0; return the layer."""
    initial_weights.normal(layer.weight, 0.0, gain / math.sqrt(layer.weight[0].numel()))
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
    return layer


class Block(nn.Module):
    """x + branch(x), with twice the channels inside the branch.

    Args:
        channels: Channels of x.
        group: Channels per group of the 3x3 convolution.
        blocks: Number of blocks in the network, for the initialization.
    """

    def __init__(self, channels: int, group: int, blocks: int) -> None:
        super().__init__()
        inner, gain = 2 * channels, LRELU_GAIN * blocks**-0.25
        groups = math.gcd(inner, max(inner // group, 1))
        self.branch = nn.Sequential(
            scaled(nn.Conv2d(channels, inner, 1), gain),
            nn.LeakyReLU(0.2),
            scaled(nn.Conv2d(inner, inner, 3, padding=1, groups=groups), gain),
            nn.LeakyReLU(0.2),
            scaled(nn.Conv2d(inner, channels, 1, bias=False), 0.0),
        )

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, C, H, W)."""
        branch: Tensor = self.branch(x)
        return x + branch


class Up(nn.Module):
    """A 1x1 convolution to other channels, then upsampling: (N, C, H, W) -> (N, O, 2H, 2W)."""

    def __init__(self, channels: int, out_channels: int) -> None:
        super().__init__()
        self.conv = _between(channels, out_channels)
        self.fir = Fir()

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, O, 2H, 2W)."""
        return self.fir.doubled(self.conv(x))


class Down(nn.Module):
    """Downsampling, then a 1x1 convolution to other channels: (N, C, H, W) -> (N, O, H / 2, W / 2)."""

    def __init__(self, channels: int, out_channels: int) -> None:
        super().__init__()
        self.conv = _between(channels, out_channels)
        self.fir = Fir()

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, O, H / 2, W / 2)."""
        y: Tensor = self.conv(self.fir.halved(x))
        return y


def _between(channels: int, out_channels: int) -> nn.Module:
    if channels == out_channels:
        return nn.Identity()
    return scaled(nn.Conv2d(channels, out_channels, 1, bias=False))


class Generator(nn.Module):
    """Map z (N, z_dim) and labels c (N,) to images (N, C, H, W), unbounded or with ``tanh``.

    The base grid is learned, and z scales its channels; with ``dense_base`` each of its positions is computed from z with
    separate weights.
    """

    bf16 = True
    channels_last = True

    def __init__(
        self,
        shape: tuple[int, int, int],
        z_dim: int,
        width: int,
        *,
        group: int = 16,
        blocks: int = 2,
        full: int = 3,
        n_classes: int = 0,
        tanh: bool = False,
        dense_base: bool = False,
    ) -> None:
        super().__init__()
        self.shape, self.n_classes, self.tanh = shape, n_classes, tanh
        height, across, doublings = plan_sizes(shape[1], shape[2])
        maps = widths(width, doublings, full)
        if n_classes:
            self.classes = scaled(nn.Linear(n_classes, z_dim, bias=False))
        self.base = (height, across, maps[0])
        self.const = None if dense_base else nn.Parameter(torch.randn(maps[0], height, across))
        places = height * across if dense_base else 1
        self.project = scaled(nn.Linear(z_dim * (2 if n_classes else 1), places * maps[0], bias=False))
        layers: list[nn.Module] = []
        for i, own in enumerate(maps):
            layers += [Up(maps[i - 1], own)] if i else []
            layers += [Block(own, group, blocks * len(maps)) for _ in range(blocks)]
        self.body = nn.Sequential(*layers)
        self.out = scaled(nn.Conv2d(maps[-1], shape[0], 1, bias=False))

    def forward(self, z: Tensor, c: Tensor | None = None) -> Tensor:
        """Map z (N, z_dim) and labels (N,) to images (N, C, H, W)."""
        if self.n_classes:
            assert c is not None
            z = torch.cat([z, self.classes(one_hot(c, self.n_classes)).to(z.dtype)], 1)
        x = self.project(z)
        if self.const is None:
            x = x.unflatten(1, self.base).permute(0, 3, 1, 2)  # channels last without a copy
        else:
            x = self.const * x[:, :, None, None]
        y = crop(self.out(self.body(x)), *self.shape[1:])
        return y.tanh() if self.tanh else y


class Discriminator(nn.Module):
    """Map images x (N, C, H, W) and labels c (N,) to logits (N,): the mirror of the generator; labels by projection."""

    bf16 = True
    channels_last = True

    def __init__(
        self,
        shape: tuple[int, int, int],
        width: int,
        *,
        group: int = 16,
        blocks: int = 2,
        full: int = 3,
        n_classes: int = 0,
    ) -> None:
        super().__init__()
        height, across, doublings = plan_sizes(shape[1], shape[2])
        maps = widths(width, doublings, full)[::-1]
        last, self.n_classes = maps[-1], n_classes
        layers: list[nn.Module] = [scaled(nn.Conv2d(shape[0], maps[0], 1, bias=False))]
        for i, own in enumerate(maps):
            layers += [Block(own, group, blocks * len(maps)) for _ in range(blocks)]
            layers += [Down(own, maps[i + 1])] if i + 1 < len(maps) else []
        self.body = nn.Sequential(*layers)
        self.basis = scaled(nn.Conv2d(last, last, (height, across), groups=last, bias=False))
        self.out = scaled(nn.Linear(last, last if n_classes else 1, bias=False))
        if n_classes:
            self.classes = scaled(nn.Linear(n_classes, last, bias=False), 1 / math.sqrt(last))

    def forward(self, x: Tensor, c: Tensor | None = None) -> Tensor:
        """Map images (N, C, H, W) and labels (N,) to logits (N,)."""
        first: Any = self.body[0]
        y = self.body[1:](pointwise(frame(x)[0], first.weight))
        logits: Tensor = self.out(self.basis(y).flatten(1))
        if not self.n_classes:
            return logits.flatten()
        assert c is not None
        class_logits: Tensor = (logits * self.classes(one_hot(c, self.n_classes)).to(logits.dtype)).sum(1)
        return class_logits
