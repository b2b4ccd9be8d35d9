"""The networks of FastGAN (Liu et al. 2021, arXiv:2101.04775, fig. 3 and 4, and the authors' code).

G outputs the image and a smaller one; skip-layer excitation connects coarse grids to fine ones. D sees both sizes and has
decoders that reconstruct, from its features, the image, the smaller image and a quarter of the image. Spectral norm
throughout.
"""

import math
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ganloom.nn.layers import Noise, SkipExcitation, UpsampleConv, crop, normal_init, plan_sizes
from ganloom.nn.norms import spectral_norm

_MULTIPLES = (16, 8, 4, 2, 2, 1, 0.5, 0.25, 0.125)


class Pair(NamedTuple):
    """G's images at both sizes."""

    x: Tensor
    small: Tensor


class DiscriminatorOutput(NamedTuple):
    """Full output of D: one logit per patch (N, patches), and the reconstructions if requested."""

    logits: Tensor
    whole: Tensor | None = None
    small: Tensor | None = None
    part: Tensor | None = None


def _up(channels: int, out_channels: int, noise: tuple[int, int] | None = None) -> list[nn.Module]:
    """Return an upsampling convolution, BatchNorm and a gated linear unit; with ``noise`` of that size, a second such
    block.
    """
    layers: list[nn.Module] = [UpsampleConv(channels, 2 * out_channels, bias=False)]
    layers += [Noise(*noise)] if noise else []
    layers += [nn.BatchNorm2d(2 * out_channels), nn.GLU(1)]
    if noise:
        again = nn.Conv2d(out_channels, 2 * out_channels, 3, padding=1, bias=False)
        layers += [again, Noise(*noise), nn.BatchNorm2d(2 * out_channels), nn.GLU(1)]
    return layers


def small_size(height: int, width: int) -> tuple[int, int]:
    """Return the size of the smaller image: a half, and at most as fine as 128 of 256."""
    halvings = max(plan_sizes(height, width)[2] - 5, 1)
    return max(height >> halvings, 1), max(width >> halvings, 1)


class Generator(nn.Module):
    """Map z (N, z_dim) to images (N, C, H, W) in [-1, 1], or to a ``Pair`` with ``both``."""

    channels_last = True
    bf16 = True

    def __init__(self, shape: tuple[int, int, int], z_dim: int = 256, width: int = 64) -> None:
        super().__init__()
        self.shape = shape
        base_h, base_w, self.top = plan_sizes(shape[1], shape[2])
        multiples = [*_MULTIPLES, *[0.125] * max(self.top - 8, 0)]
        channels = [max(int(width * m), 1) for m in multiples[: self.top + 1]]
        self.project = nn.Linear(z_dim, 2 * channels[0] * base_h * base_w, bias=False)
        self.start = nn.Sequential(
            nn.Unflatten(1, (2 * channels[0], base_h, base_w)), nn.BatchNorm2d(2 * channels[0]), nn.GLU(1)
        )
        self.levels = nn.ModuleList()
        for i, (a, b) in enumerate(zip(channels, channels[1:], strict=False), 1):
            self.levels.append(nn.Sequential(*_up(a, b, (base_h << i, base_w << i) if i % 2 else None)))
        self.gap = min(4, self.top)  # 4 x 4 excites 64 x 64
        skips = range(self.gap, self.top + 1) if self.gap else ()
        self.skips = nn.ModuleList([SkipExcitation(channels[i - self.gap], channels[i]) for i in skips])
        self.at_small = max(min(self.top - 1, 5), 0)
        self.small = nn.Conv2d(channels[self.at_small], shape[0], 1, bias=False)
        self.out = nn.Conv2d(channels[-1], shape[0], 3, padding=1, bias=False)
        normal_init(self)
        spectral_norm(self)

    def forward(self, z: Tensor, c: Tensor | None = None, *, both: bool = False) -> Any:
        """Map z (N, z_dim) to images (N, C, H, W) in [-1, 1]; ``both``: to a ``Pair`` with the smaller images."""
        features = [self.start(self.project(z))]
        for i, level in enumerate(self.levels, 1):
            x = level(features[-1])
            features.append(self.skips[i - self.gap](features[i - self.gap], x) if i >= self.gap else x)
        x = crop(self.out(features[-1]), *self.shape[1:]).tanh()
        if not both:
            return x
        small = crop(self.small(features[self.at_small]), *small_size(*self.shape[1:])).tanh()
        return Pair(x, small)


class DownBlock(nn.Module):
    """Mean of two paths that downsample by 2: strided 4x4 and 3x3 convolutions; 2x2 means and a 1x1 convolution."""

    def __init__(self, channels: int, out_channels: int) -> None:
        super().__init__()
        self.main = nn.Sequential(
            *_strided(channels, out_channels),
            nn.Conv2d(out_channels, out_channels, 3, padding=1, bias=False),
            nn.BatchNorm2d(out_channels),
            nn.LeakyReLU(0.2),
        )
        self.direct = nn.Sequential(
            nn.AvgPool2d(2),
            nn.Conv2d(channels, out_channels, 1, bias=False),
            nn.BatchNorm2d(out_channels),
            nn.LeakyReLU(0.2),
        )

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, O, H // 2, W // 2)."""
        out: Tensor = (self.main(x) + self.direct(x)) / 2
        return out


def _strided(channels: int, out_channels: int) -> list[nn.Module]:
    return [
        nn.Conv2d(channels, out_channels, 4, 2, 1, bias=False),
        nn.BatchNorm2d(out_channels),
        nn.LeakyReLU(0.2),
    ]


def _halvings(height: int, width: int) -> int:
    """Return how often a grid is downsampled to reach about 8 x 8."""
    return max(0, int(math.log2(max(min(height, width) / 6, 1))))


def _decoder(channels: int, out_channels: int, width: int, ups: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for multiple in (4, 2, 2, 1)[:ups]:
        inner = max(width * multiple // 2, 1)
        layers += _up(channels, inner)
        channels = inner
    return nn.Sequential(*layers, nn.Conv2d(channels, out_channels, 3, padding=1, bias=False), nn.Tanh())


class Discriminator(nn.Module):
    """Map images x (N, C, H, W) to logits (N,), the mean over patches; ``full``: to ``DiscriminatorOutput``."""

    channels_last = True
    bf16 = True

    def __init__(self, shape: tuple[int, int, int], width: int = 64) -> None:
        super().__init__()
        self.small_size = small_size(*shape[1:])
        downs = _halvings(*shape[1:])
        channels = [max(8 * width >> (downs - i), 1) for i in range(downs + 1)]
        self.start = nn.Sequential(nn.Conv2d(shape[0], channels[0], 3, padding=1, bias=False), nn.LeakyReLU(0.2))
        self.levels = nn.ModuleList([DownBlock(a, b) for a, b in zip(channels, channels[1:], strict=False)])
        self.gap = min(3, downs)  # 256 x 256 excites 32 x 32
        skips = range(self.gap, downs + 1) if self.gap else ()
        self.skips = nn.ModuleList([SkipExcitation(channels[i - self.gap], channels[i]) for i in skips])
        last = channels[-1]
        kernel = min(4, shape[1] >> downs, shape[2] >> downs)
        self.out = nn.Sequential(
            nn.Conv2d(last, 2 * last, 1, bias=False),
            nn.BatchNorm2d(2 * last),
            nn.LeakyReLU(0.2),
            nn.Conv2d(2 * last, 1, kernel, bias=False),
        )
        few = _halvings(*self.small_size)
        inner = [max(4 * width >> (few - i), 1) for i in range(1, few + 1)] or [4 * width]
        stride = (4, 2, 1) if few else (3, 1, 1)
        first = [nn.Conv2d(shape[0], inner[0], *stride, bias=False), nn.LeakyReLU(0.2)]
        more = [layer for a, b in zip(inner, inner[1:], strict=False) for layer in _strided(a, b)]
        self.small = nn.Sequential(*first, *more)
        kernel = min(4, self.small_size[0] >> few, self.small_size[1] >> few)
        self.small_out = nn.Conv2d(inner[-1], 1, kernel, bias=False)
        self.paint_whole = _decoder(last, shape[0], width, min(4, downs))
        self.paint_small = _decoder(inner[-1], shape[0], width, min(4, few))
        self.paint_part = _decoder(channels[max(downs - 1, 0)], shape[0], width, min(4, max(downs - 1, 0)))
        normal_init(self)
        spectral_norm(self)

    def forward(
        self,
        x: Tensor,
        c: Tensor | None = None,
        *,
        small: Tensor | None = None,
        part: Tensor | None = None,
        full: bool = False,
    ) -> Any:
        """Judge images.

        Args:
            x: Images (N, C, H, W).
            c: Not used.
            small: Smaller images; None: made from x.
            part: Which quarter to reconstruct, (N,); None: no reconstructions.
            full: Return ``DiscriminatorOutput`` instead of logits (N,).
        """
        small = F.interpolate(x, self.small_size, mode="area") if small is None else small
        features = [self.start(x)]
        for i, level in enumerate(self.levels, 1):
            y = level(features[-1])
            features.append(self.skips[i - self.gap](features[i - self.gap], y) if i >= self.gap else y)
        of_small = self.small(small)
        logits = torch.cat([self.out(features[-1]).flatten(1), self.small_out(of_small).flatten(1)], 1)
        if not full:
            return logits.mean(1)
        if part is None:
            return DiscriminatorOutput(logits)
        piece = quarter(features[-2] if len(features) > 1 else features[-1], part)
        return DiscriminatorOutput(
            logits, self.paint_whole(features[-1]), self.paint_small(of_small), self.paint_part(piece)
        )


def quarter(x: Tensor, which: Tensor) -> Tensor:
    """Return for each sample of (N, C, H, W) the quarter 0 to 3 in ``which`` (N,): (N, C, H // 2, W // 2), at least 1 x 1."""
    h, w = max(x.shape[2] // 2, 1), max(x.shape[3] // 2, 1)
    quarters = torch.stack([x[..., :h, :w], x[..., :h, -w:], x[..., -h:, :w], x[..., -h:, -w:]], 1)
    return quarters[torch.arange(len(x), device=x.device), which]
