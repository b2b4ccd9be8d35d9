"""The generator of StyleGAN (Karras et al. 2018, arXiv:1812.04948, fig. 1 and sec. 2), which grows level by level.

It has a learned constant, then two layers per level: convolution, noise with a learned strength for each map, bias,
LeakyReLU, and AdaIN with gain and bias from w. The first layer of a level doubles the grid and is followed by the filter
[1, 2, 1]. D is ProGAN's with that filter before each downsampling (``progressive.Discriminator``).
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ganloom.networks.equalised import Dense
from ganloom.networks.mapping import Mapping
from ganloom.networks.progressive import Blur, channels_of, enlarged, newest_of
from ganloom.networks.style_generator import StyleGenerator
from ganloom.nn.layers import UpsampleConv, crop, fresh_noise, plan_sizes
from ganloom.nn.norms import AdaptiveInstanceNorm, equalised


class Layer(nn.Module):
    """A convolution (or the constant), noise, bias, LeakyReLU 0.2 and AdaIN."""

    noise: Tensor

    def __init__(self, conv: nn.Module, channels: int, w_dim: int, size: tuple[int, int]) -> None:
        super().__init__()
        self.conv = conv
        self.register_buffer("noise", torch.randn(size))
        self.strength = nn.Parameter(torch.zeros(channels))
        self.bias = nn.Parameter(torch.zeros(channels))
        self.norm = AdaptiveInstanceNorm(channels, w_dim)
        self.norm.style = Dense(w_dim, 2 * channels)  # with equalised learning rate

    def forward(self, x: Tensor, w: Tensor, noise: str) -> Tensor:
        """Map (N, C, H, W) and w (N, w_dim) to (N, O, H, W)."""
        x = self.conv(x)
        if noise != "none":
            field = fresh_noise(self.noise, len(x)) if noise == "random" else self.noise
            x = torch.addcmul(x, field.to(x.dtype), self.strength.to(x.dtype)[:, None, None])
        y: Tensor = self.norm(F.leaky_relu(x + self.bias.to(x.dtype)[:, None, None], 0.2), w)
        return y


class Constant(nn.Module):
    """The learned constant (C, H, W) at the start, initialized with ones."""

    def __init__(self, channels: int, height: int, width: int) -> None:
        super().__init__()
        self.value = nn.Parameter(torch.ones(channels, height, width))

    def forward(self, x: Tensor) -> Tensor:
        """Return the constant for each sample of ws (N, layers, w_dim), (N, C, H, W)."""
        return self.value.expand(x.shape[0], -1, -1, -1)


class Synthesis(nn.Module):
    """Map ws (N, layers, w_dim) to images (N, C, H, W) at ``level``, unbounded or with ``tanh``."""

    def __init__(self, shape: tuple[int, int, int], w_dim: int, width: int, tanh: bool = False, full: int = 3) -> None:
        super().__init__()
        self.shape, self.tanh = shape, tanh
        height, across, self.top = plan_sizes(shape[1], shape[2])
        maps = channels_of(width, self.top, full)
        levels = []
        for i, own in enumerate(maps):
            size = (height << i, across << i)
            start: nn.Module = Constant(own, height, across)
            if i:
                start = nn.Sequential(equalised(UpsampleConv(maps[i - 1], own, bias=False)), Blur())
            second = equalised(nn.Conv2d(own, own, 3, padding=1, bias=False))
            levels.append(nn.ModuleList([Layer(start, own, w_dim, size), Layer(second, own, w_dim, size)]))
        self.levels = nn.ModuleList(levels)
        self.rgb = nn.ModuleList([equalised(nn.Conv2d(own, shape[0], 1), 1.0) for own in maps])
        self.n_layers = 2 * len(maps)

    def forward(self, ws: Tensor, noise: str = "const", level: float = math.inf) -> Tensor:
        """Map ws (N, layers, w_dim) to images (N, C, H, W); layers beyond the level are not used."""
        newest, weight = newest_of(level, self.top)
        x = below = ws
        for i in range(newest + 1):
            below = x
            for k, layer in enumerate(self.levels[i].children()):
                x = layer(x, ws[:, 2 * i + k], noise)
        y = self.rgb[newest](x)
        if weight < 1.0:
            y = torch.lerp(enlarged(self.rgb[newest - 1](below), 1), y, weight)
        y = crop(enlarged(y, self.top - newest), *self.shape[1:])
        return y.tanh() if self.tanh else y


class Generator(StyleGenerator):
    """Map z (N, z_dim) and labels c (N,) to images (N, C, H, W), unbounded or with ``tanh``."""

    bf16 = True

    def __init__(
        self,
        shape: tuple[int, int, int],
        z_dim: int,
        w_dim: int,
        width: int,
        layers: int = 8,
        n_classes: int = 0,
        tanh: bool = False,
        full: int = 3,
    ) -> None:
        super().__init__()
        self.mapping = Mapping(z_dim, w_dim, layers, n_classes)
        self.synthesis = Synthesis(shape, w_dim, width, tanh, full)

    def affines(self) -> list[list[Dense]]:
        """Return one affine layer per layer of ws."""
        return [[m] for m in self.synthesis.modules() if isinstance(m, Dense)]
