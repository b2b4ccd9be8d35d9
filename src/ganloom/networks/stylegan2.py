"""The networks of StyleGAN2 (Karras et al. 2019, arXiv:1912.04958, sec. 2 and app. B; arXiv:2006.06676, app. D).

G maps z to w and starts from a learned constant. In each level w scales the input maps of the convolutions, whose outputs
are brought back to unit variance (demodulation). This is computed with scaled maps and one weight for all samples, which
equals the grouped form with separate weights for each sample up to rounding. Level 0 is the base grid, each further level
doubles it, and every level adds its image to the upsampled one of the level below (skip). D is a residual network, or a
plain one ("orig").
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ganloom.networks.equalised import GAIN, Conv, Dense, bent, exact
from ganloom.networks.mapping import Mapping
from ganloom.networks.style_generator import StyleGenerator
from ganloom.nn.layers import Fir, MinibatchStddev, crop, frame, fresh_noise, plan_sizes


def channels_of(level: int, base: int, most: int) -> int:
    """Return the channels of a level: ``base`` over its side in a square pyramid from 4 x 4, at most ``most``."""
    return max(min(base // (4 << level), most), 1)


class Modulated(nn.Module):
    """A convolution whose input maps are scaled by an affine function of w.

    x (N, C, H, W), w (N, w_dim) -> conv(x * s(w)). Demodulation divides each output map by the standard deviation it would have
    for inputs of deviation 1, sqrt(sum of (weight * s)^2 + 1e-8).
    """

    def __init__(self, channels: int, out_channels: int, size: int, w_dim: int, up: bool = False) -> None:
        super().__init__()
        self.affine = Dense(w_dim, channels, bias=1.0)
        self.weight = nn.Parameter(torch.randn(out_channels, channels, size, size))
        self.bias = nn.Parameter(torch.zeros(out_channels))
        self.fir = Fir() if up else None

    def styles(self, w: Tensor) -> Tensor:
        """Return the scales s (N, C), float32."""
        with exact(w):
            s: Tensor = self.affine(w.float())
        return s

    def demodulation(self, s: Tensor) -> Tensor:
        """Return the factors of the output maps (N, O), float32."""
        with exact(s):
            power = s.square() @ self.weight.float().square().sum((2, 3)).t()
            scale: Tensor = (power + 1e-8).rsqrt()
        return scale

    def convolved(self, x: Tensor, s: Tensor) -> Tensor:
        """Scale and convolve x, with upsampling if the layer upsamples."""
        x = x * s.to(x.dtype)[:, :, None, None]
        if self.fir is None:
            return F.conv2d(x, self.weight, padding=self.weight.shape[2] // 2)
        y: Tensor = self.fir(F.conv_transpose2d(x, self.weight.transpose(0, 1), stride=2), padding=1, gain=4.0)
        return y


class StyledConv(Modulated):
    """A demodulated 3x3 convolution, noise with one learned strength, bias and LeakyReLU."""

    noise: Tensor

    def __init__(
        self, channels: int, out_channels: int, w_dim: int, size: tuple[int, int], up: bool, clamp: float | None
    ) -> None:
        super().__init__(channels, out_channels, 3, w_dim, up)
        self.clamp = clamp
        self.register_buffer("noise", torch.randn(size))
        self.strength = nn.Parameter(torch.zeros(()))

    def forward(self, x: Tensor, w: Tensor, noise: str) -> Tensor:
        """Map (N, C, H, W) and w (N, w_dim) to (N, O, H, W), or to twice each side."""
        s = self.styles(w)
        scale = (self.demodulation(s) * GAIN).to(x.dtype)[:, :, None, None]
        y = self.convolved(x, s)
        scale, bias = scale.to(y.dtype), (self.bias * GAIN).to(y.dtype)[:, None, None]
        if noise == "none":
            return bent(torch.addcmul(bias, y, scale), self.clamp)
        if noise == "const" and not torch.is_grad_enabled():  # one offset for all samples, computed in place
            offset = self.noise[:, :, None] * (self.strength * GAIN) + self.bias * GAIN
            offset = offset.permute(2, 0, 1).to(y.dtype)
            return bent(torch.addcmul(offset, y, scale, out=y), self.clamp)
        field = fresh_noise(self.noise, len(x)) if noise == "random" else self.noise
        grain = (field * (self.strength * GAIN)).to(y.dtype)
        return bent(torch.addcmul(grain, y, scale) + bias, self.clamp)


class ToImage(Modulated):
    """A modulated 1x1 convolution to the image's channels, without demodulation."""

    def __init__(self, channels: int, out_channels: int, w_dim: int, clamp: float | None) -> None:
        super().__init__(channels, out_channels, 1, w_dim)
        self.clamp = clamp

    def forward(self, x: Tensor, w: Tensor) -> Tensor:
        """Map (N, C, H, W) and w (N, w_dim) to (N, channels of the image, H, W)."""
        y = self.convolved(x, self.styles(w) / math.sqrt(self.weight.shape[1])) + self.bias.to(x.dtype)[:, None, None]
        return y if self.clamp is None else y.clamp(-self.clamp, self.clamp)


class Level(nn.Module):
    """The convolutions of one grid, and its contribution to the image."""

    def __init__(
        self, channels: int, out_channels: int, images: int, w_dim: int, size: tuple[int, int], clamp: float | None
    ) -> None:
        super().__init__()
        self.conv0 = StyledConv(channels, out_channels, w_dim, size, True, clamp) if channels else None
        self.conv1 = StyledConv(out_channels, out_channels, w_dim, size, False, clamp)
        # The name is part of the weights' names in checkpoints.
        self.picture = ToImage(out_channels, images, w_dim, clamp)

    def forward(self, x: Tensor, ws: list[Tensor], noise: str) -> tuple[Tensor, Tensor]:
        """Map the maps of the grid below and one w per layer to this grid's maps and its image."""
        if self.conv0 is not None:
            x = self.conv0(x, ws[0], noise)
        x = self.conv1(x, ws[-2], noise)
        return x, self.picture(x, ws[-1])


class Synthesis(nn.Module):
    """Map ws (N, layers, w_dim) to images (N, C, H, W), unbounded or with ``tanh``.

    The base grid is learned and the same for all samples; with ``dense_base`` an affine function of the first w is added.
    """

    def __init__(
        self,
        shape: tuple[int, int, int],
        w_dim: int,
        base: int,
        most: int,
        clamp: float | None = None,
        tanh: bool = False,
        dense_base: bool = False,
    ) -> None:
        super().__init__()
        self.shape, self.tanh = shape, tanh
        height, width, doublings = plan_sizes(shape[1], shape[2])
        maps = [channels_of(i, base, most) for i in range(doublings + 1)]
        self.const = nn.Parameter(torch.randn(maps[0], height, width))
        self.place = Dense(w_dim, self.const.numel()) if dense_base else None
        self.levels = nn.ModuleList(
            Level(below, own, shape[0], w_dim, (height << i, width << i), clamp)
            for i, (below, own) in enumerate(zip([0, *maps], maps, strict=False))
        )
        self.fir = Fir()
        self.n_layers = 2 * doublings + 2

    def base(self, w: Tensor) -> Tensor:
        """Map w (N, w_dim) to the maps of the base grid, (N, C, H, W)."""
        if self.place is None:
            return self.const.expand(w.shape[0], -1, -1, -1)
        grid = self.const.permute(1, 2, 0)
        features: Tensor = self.place(w).to(grid.dtype).unflatten(1, grid.shape) + grid
        return features.permute(0, 3, 1, 2)  # channels last without a copy

    def forward(self, ws: Tensor, noise: str = "const") -> Tensor:
        """Map ws (N, layers, w_dim) to images (N, C, H, W)."""
        w = list(ws.unbind(1))
        x, y = self.base(w[0]), None
        for i, level in enumerate(self.levels):
            x, own = level(x, w[max(2 * i - 1, 0) : 2 * i + 2], noise)
            y = own.float() if y is None else self.fir.doubled(y) + own.float()
        assert y is not None
        y = crop(y, *self.shape[1:])
        return y.tanh() if self.tanh else y


class Generator(StyleGenerator):
    """Map z (N, z_dim) and labels c (N,) to images (N, C, H, W), unbounded or with ``tanh``."""

    bf16 = True
    channels_last = True

    def __init__(
        self,
        shape: tuple[int, int, int],
        z_dim: int = 512,
        w_dim: int = 512,
        *,
        n_classes: int = 0,
        layers: int = 8,
        base: int = 32768,
        most: int = 512,
        clamp: float | None = None,
        tanh: bool = False,
        dense_base: bool = False,
    ) -> None:
        super().__init__()
        self.mapping = Mapping(z_dim, w_dim, layers, n_classes)
        self.synthesis = Synthesis(shape, w_dim, base, most, clamp, tanh, dense_base)

    def affines(self) -> list[list[Dense]]:
        """Return one affine layer per convolution; the last layer of ws only makes the image and has none."""
        convs = [module for module in self.synthesis.modules() if isinstance(module, StyledConv)]
        return [*([conv.affine] for conv in convs), []]


class Halving(nn.Module):
    """One grid of D: two convolutions, the second with downsampling, and if ``residual`` a downsampled 1x1 skip ("resnet")."""

    def __init__(self, channels: int, out_channels: int, residual: bool, clamp: float | None) -> None:
        super().__init__()
        self.conv0 = Conv(channels, channels, 3, clamp=clamp)
        self.conv1 = Conv(channels, out_channels, 3, down=True, clamp=clamp)
        self.skip = Conv(channels, out_channels, 1, down=True, bias=False, active=False) if residual else None

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, H, W) to (N, O, H / 2, W / 2)."""
        y = self.conv0(x)
        if self.skip is None:
            out: Tensor = self.conv1(y)
            return out
        half = math.sqrt(0.5)
        both: Tensor = self.skip(x, half) + self.conv1(y, half)
        return both


class Discriminator(nn.Module):
    """Map images x (N, C, H, W) and labels c (N,) to logits (N,); labels by projection on a mapped class vector."""

    bf16 = True
    channels_last = True

    def __init__(
        self,
        shape: tuple[int, int, int],
        *,
        n_classes: int = 0,
        base: int = 32768,
        most: int = 512,
        group: int = 4,
        maps: int = 1,
        residual: bool = True,
        clamp: float | None = None,
        layers: int = 8,
    ) -> None:
        super().__init__()
        height, width, doublings = plan_sizes(shape[1], shape[2])
        widths = [channels_of(i, base, most) for i in range(doublings, -1, -1)]
        last = widths[-1]
        self.start = Conv(shape[0], widths[0], 1, clamp=clamp)
        self.levels = nn.Sequential(
            *(Halving(a, b, residual, clamp) for a, b in zip(widths, widths[1:], strict=False)),
            MinibatchStddev(group, maps),
        )
        self.conv = Conv(last + maps, last, 3, clamp=clamp)
        self.dense = Dense(last * height * width, last, active=True)
        self.out = Dense(last, last if n_classes else 1)
        self.mapping = Mapping(0, last, layers, n_classes) if n_classes else None

    def forward(self, x: Tensor, c: Tensor | None = None) -> Tensor:
        """Map images (N, C, H, W) and labels (N,) to logits (N,)."""
        y = self.conv(self.levels(self.start(frame(x)[0])))
        y = self.out(self.dense(y.flatten(1)))
        if self.mapping is None:
            logits: Tensor = y.flatten()
            return logits
        class_logits: Tensor = (y * self.mapping(None, c).to(y.dtype)).sum(1) / math.sqrt(y.shape[1])
        return class_logits
