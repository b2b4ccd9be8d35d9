"""The autoencoders and discriminators of UNIT, as the paper has them and as the later code has them.

Liu, Breuel & Kautz 2017, arXiv:1703.00848, appendix A and the code of that year; the later variant is that of the code of
Huang et al. 2018, arXiv:1804.04732, which trains UNIT too. Both halve an image twice and have residual blocks there.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ganloom.networks.translators import InstanceNorm, ResidualBlock, patch_layers
from ganloom.nn.layers import normal_init


class ImageNorm(nn.Module):
    """(x - mean) / (sd + 1e-5) over all numbers of an image, with a gain and a bias for each channel."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.rand(channels)), nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, C, H, W)."""
        sd, mean = torch.std_mean(x.float().flatten(1), 1)
        y = (x - mean[:, None, None, None]) / (sd[:, None, None, None] + 1e-5)
        return (y * self.weight[:, None, None] + self.bias[:, None, None]).to(x.dtype)


class Part(nn.Sequential):
    """A stretch of the way from image to latent or back, or the whole of it; ``multiple``: of the images' sides."""

    bf16 = True
    multiple = 4

    def __init__(self, *layers: nn.Module) -> None:
        super().__init__(*layers)
        # Of features while it computes, about.
        self.bytes_per_pixel: int = max((p.bytes_per_pixel for p in layers if isinstance(p, Part)), default=0)


def encoder(channels: int, width: int, count: int, released: bool) -> Part:
    """(N, channels, H, W) -> (N, 4 * width, H / 4, W / 4), with ``count`` residual blocks at the end."""
    if released:
        layers: list[nn.Module] = [nn.ReflectionPad2d(3), nn.Conv2d(channels, width, 7), InstanceNorm(), nn.ReLU()]
    else:
        layers = [nn.Conv2d(channels, width, 7, 1, 3), nn.LeakyReLU()]
    for inputs in (width, 2 * width):
        if released:
            layers += [nn.ReflectionPad2d(1), nn.Conv2d(inputs, 2 * inputs, 4, 2), InstanceNorm(), nn.ReLU()]
        else:
            layers += [nn.Conv2d(inputs, 2 * inputs, 3, 2, 1), nn.LeakyReLU()]
    return _part([*layers, *_blocks(count, width, released)], width, released)


def decoder(channels: int, width: int, count: int, released: bool) -> Part:
    """(N, 4 * width, h, w) -> (N, channels, 4 h, 4 w) in [-1, 1], with ``count`` residual blocks first."""
    layers = _blocks(count, width, released)
    for inputs in (4 * width, 2 * width):
        outputs = inputs // 2
        if released:
            layers += [nn.Upsample(scale_factor=2), nn.ReflectionPad2d(2), nn.Conv2d(inputs, outputs, 5)]
            layers += [ImageNorm(outputs), nn.ReLU()]
        else:
            layers += [nn.ConvTranspose2d(inputs, outputs, 3, 2, 1, output_padding=1), nn.LeakyReLU()]
    if released:
        layers += [nn.ReflectionPad2d(3), nn.Conv2d(width, channels, 7), nn.Tanh()]
    else:
        layers += [nn.ConvTranspose2d(width, channels, 1), nn.Tanh()]
    return _part(layers, width, released)


def middle(width: int, count: int, released: bool) -> Part:
    """``count`` residual blocks on the latent's grid, (N, 4 * width, h, w) -> the same."""
    return _part(_blocks(count, width, released), width, released)


def _blocks(count: int, width: int, released: bool) -> list[nn.Module]:
    pad: type[nn.Module] = nn.ReflectionPad2d if released else nn.ZeroPad2d
    return [ResidualBlock(4 * width, "instance", pad=pad) for _ in range(count)]


def _part(layers: list[nn.Module], width: int, released: bool) -> Part:
    """Weights N(0, 0.02), in the later code N(0, 2 / inputs) (He et al. 2015, arXiv:1502.01852)."""
    part = Part(*layers)
    part.bytes_per_pixel = 24 * width
    normal_init(part)
    for layer in part.modules():
        if released and isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight)
    return part


class Critic(nn.Module):
    """x (N, C, H, W) -> a tuple of logits (N, 1, h, w), one for each scale: ``layers`` halvings, then one number a place.

    The paper's has one scale and 3x3 convolutions; the later code's three scales, each half of the last, reflected borders
    and 4x4 convolutions. An image that is too small for it has fewer halvings, and a scale without any is left out.
    """

    bf16 = True

    def __init__(self, shape: tuple[int, int, int], width: int, layers: int, scales: int, released: bool) -> None:
        super().__init__()
        channels, h, w = shape
        fitting = [patch_layers(h >> scale, w >> scale, layers) for scale in range(scales)]
        self.scales = nn.ModuleList(
            _scale(channels, width, max(fit, 1), released) for i, fit in enumerate(fitting) if fit or i == 0
        )
        normal_init(self)

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """(N, C, H, W) to logits, the finest scale first."""
        found = []
        for i, net in enumerate(self.scales):
            x = F.avg_pool2d(x, 3, 2, 1, count_include_pad=False) if i else x
            found.append(net(x))
        return tuple(found)


def _scale(channels: int, width: int, layers: int, released: bool) -> nn.Sequential:
    body: list[nn.Module] = []
    for i in range(layers):
        inputs, outputs = (width * 2 ** (i - 1) if i else channels), width * 2**i
        if released:
            body += [nn.ReflectionPad2d(1), nn.Conv2d(inputs, outputs, 4, 2), nn.LeakyReLU(0.2)]
        else:
            body += [nn.Conv2d(inputs, outputs, 3, 2, 1), nn.LeakyReLU()]
    return nn.Sequential(*body, nn.Conv2d(width * 2 ** (layers - 1), 1, 1))
