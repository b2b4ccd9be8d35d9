"""The networks of progressive growing (Karras et al. 2017, arXiv:1710.10196, tables 2 and 3).

All levels exist from the start: level 0 is the base grid, and each further level doubles it. ``level`` says how far the
networks have grown: 2 uses levels 0 to 2; 1.3 blends level 2 with weight 0.3 with the upsampled output of level 1. Images
have their full size at every level: G repeats its pixels up to it, and D averages them down from it.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ganloom.nn.layers import DownsampleConv, Fir, MinibatchStddev, UpsampleConv, crop, frame, one_hot, plan_sizes
from ganloom.nn.norms import PixelNorm, equalised


def channels_of(width: int, doublings: int, full: int = 3) -> list[int]:
    """Return the channels of each level: ``width`` for ``full`` doublings of the base, then halved with each (table 2)."""
    return [max(width >> max(level - full, 0), 1) for level in range(doublings + 1)]


def newest_of(level: float, top: int) -> tuple[int, float]:
    """Return (newest level in use, its weight in the blend with the level below)."""
    newest = math.ceil(min(level, top))
    return newest, 1.0 - (newest - min(level, top))


def enlarged(x: Tensor, doublings: int) -> Tensor:
    """Upsample x by 2^doublings with nearest neighbour."""
    return F.interpolate(x, scale_factor=float(2**doublings)) if doublings else x


def _down(x: Tensor, halvings: int) -> Tensor:
    """Downsample x by 2^halvings with means."""
    return F.avg_pool2d(x, 2**halvings) if halvings else x


def at_level(x: Tensor, level: float) -> Tensor:
    """Return images (N, C, H, W) as seen at a level: as coarse as G's own, and blended as D blends (app. A)."""
    framed, top = frame(x)
    newest, weight = newest_of(level, top)
    if newest == top and weight == 1.0:
        return x
    y = _down(framed, top - newest)
    if weight < 1.0:
        y = torch.lerp(enlarged(_down(y, 1), 1), y, weight)
    return crop(enlarged(y, top - newest), *x.shape[2:])


class Blur(nn.Module):
    """The filter [1, 2, 1] along both axes, (N, C, H, W) -> (N, C, H, W)."""

    def __init__(self) -> None:
        super().__init__()
        self.fir = Fir((1.0, 2.0, 1.0))

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, C, H, W)."""
        y: Tensor = self.fir(x, padding=1)
        return y


class Generator(nn.Module):
    """Map z (N, z_dim) to images (N, C, H, W), unbounded or with ``tanh``.

    Equalised convolutions, LeakyReLU 0.2, pixel norm.
    """

    channels_last = True
    bf16 = True

    def __init__(
        self, shape: tuple[int, int, int], z_dim: int = 512, width: int = 512, tanh: bool = False, full: int = 3
    ) -> None:
        super().__init__()
        self.shape, self.tanh = shape, tanh
        base_h, base_w, self.top = plan_sizes(shape[1], shape[2])
        channels = channels_of(width, self.top, full)
        act = [nn.LeakyReLU(0.2), PixelNorm()]
        project = equalised(nn.Linear(z_dim, channels[0] * base_h * base_w), math.sqrt(2) / 4)
        start = nn.Unflatten(1, (channels[0], base_h, base_w))
        levels = [nn.Sequential(PixelNorm(), project, start, *act, *_conv(channels[0], channels[0]), *act)]
        for a, b in zip(channels, channels[1:], strict=False):
            levels.append(nn.Sequential(equalised(UpsampleConv(a, b)), *act, *_conv(b, b), *act))
        self.levels = nn.ModuleList(levels)
        self.rgb = nn.ModuleList([equalised(nn.Conv2d(a, shape[0], 1), 1.0) for a in channels])

    def forward(self, z: Tensor, c: Tensor | None = None, level: float = math.inf) -> Tensor:
        """Map z (N, z_dim) to images (N, C, H, W) at ``level``."""
        newest, weight = newest_of(level, self.top)
        x = below = z
        for module in self.levels[: newest + 1]:
            below, x = x, module(x)
        y = self.rgb[newest](x)
        if weight < 1.0:
            y = torch.lerp(enlarged(self.rgb[newest - 1](below), 1), y, weight)
        y = crop(enlarged(y, self.top - newest), *self.shape[1:])
        return y.tanh() if self.tanh else y


class Discriminator(nn.Module):
    """Map images x (N, C, H, W) to critic values (N,): the mirror of G, with minibatch standard deviation near the end.

    ``blurred``: apply the filter [1, 2, 1] before each downsampling, as in StyleGAN. With classes there is one output per class,
    and c selects one.
    """

    channels_last = True
    bf16 = True

    def __init__(
        self, shape: tuple[int, int, int], width: int = 512, n_classes: int = 0, blurred: bool = False, full: int = 3
    ) -> None:
        super().__init__()
        self.n_classes = n_classes
        base_h, base_w, top = plan_sizes(shape[1], shape[2])
        channels = channels_of(width, top, full)
        act, last = nn.LeakyReLU(0.2), channels[0]
        dense = equalised(nn.Linear(last * base_h * base_w, last))
        out = equalised(nn.Linear(last, max(n_classes, 1)), 1.0)
        levels = [nn.Sequential(MinibatchStddev(4), *_conv(last + 1, last), act, nn.Flatten(), dense, act, out)]
        for a, b in zip(channels, channels[1:], strict=False):
            soft = [Blur()] if blurred else []
            levels.append(nn.Sequential(*_conv(b, b), act, *soft, equalised(DownsampleConv(b, a)), act))
        self.levels = nn.ModuleList(levels)
        self.head = f"levels.0.{len(levels[0]) - 1}"  # the layer that gives the logits
        self.rgb = nn.ModuleList([nn.Sequential(equalised(nn.Conv2d(shape[0], a, 1)), act) for a in channels])

    def forward(self, x: Tensor, c: Tensor | None = None, level: float = math.inf) -> Tensor:
        """Map images (N, C, H, W), reduced to ``level``, to critic values (N,)."""
        x, top = frame(x)
        newest, weight = newest_of(level, top)
        x = _down(x, top - newest)
        y = self.rgb[newest](x)
        for i in range(newest, -1, -1):
            y = self.levels[i](y)
            if i == newest and weight < 1.0:
                y = torch.lerp(self.rgb[newest - 1](_down(x, 1)), y, weight)
        if self.n_classes:
            assert c is not None
            y = (y * one_hot(c, self.n_classes).to(y.dtype)).sum(1)
        values: Tensor = y.flatten()
        return values


def _conv(channels: int, out_channels: int) -> list[nn.Module]:
    return [equalised(nn.Conv2d(channels, out_channels, 3, padding=1))]
