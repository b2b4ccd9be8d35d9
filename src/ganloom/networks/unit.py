"""The autoencoders and discriminators of UNIT, as in the paper and as in the later code.

Liu, Breuel & Kautz 2017, arXiv:1703.00848, appendix A and the code of that year; the later variant follows the code of
Huang et al. 2018, arXiv:1804.04732, which trains UNIT too. Both downsample an image twice and have residual blocks there.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ganloom.networks.translators import InstanceNorm, ResidualBlock, patch_layers
from ganloom.nn.layers import normal_init


class ImageNorm(nn.Module):
    """(x - mean) / (sd + 1e-5) over all values of an image, with a gain and a bias for each channel."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.rand(channels)), nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, C, H, W)."""
        sd, mean = torch.std_mean(x.float().flatten(1), 1)
        y = (x - mean[:, None, None, None]) / (sd[:, None, None, None] + 1e-5)
        return (y * self.weight[:, None, None] + self.bias[:, None, None]).to(x.dtype)


class Part(nn.Sequential):
    """A part of the path from image to latent or back, or all of it; image sides must be multiples of ``multiple``."""

    bf16 = True
    multiple = 4

    def __init__(self, *layers: nn.Module) -> None:
        super().__init__(*layers)
        # Approximate memory of features.
        self.bytes_per_pixel: int = max((p.bytes_per_pixel for p in layers if isinstance(p, Part)), default=0)


def encoder(channels: int, width: int, count: int, released: bool) -> Part:
    """Return an encoder (N, channels, H, W) -> (N, 4 * width, H / 4, W / 4).

    Args:
        channels: Channels of the image.
        width: Channels of the first layer.
        count: Residual blocks at the end.
        released: Use the layers of the later code.
    """
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
    """Return a decoder (N, 4 * width, h, w) -> (N, channels, 4 h, 4 w) in [-1, 1].

    Args:
        channels: Channels of the image.
        width: Channels of the last hidden layer.
        count: Residual blocks at the start.
        released: Use the layers of the later code.
    """
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
    """Return ``count`` residual blocks on the latent's grid, (N, 4 * width, h, w) -> (N, 4 * width, h, w)."""
    return _part(_blocks(count, width, released), width, released)


def _blocks(count: int, width: int, released: bool) -> list[nn.Module]:
    pad: type[nn.Module] = nn.ReflectionPad2d if released else nn.ZeroPad2d
    return [ResidualBlock(4 * width, "instance", pad=pad) for _ in range(count)]


def _part(layers: list[nn.Module], width: int, released: bool) -> Part:
    """Initialize weights with N(0, 0.02), in the later code with N(0, 2 / inputs) (He et al. 2015, arXiv:1502.01852)."""
    part = Part(*layers)
    part.bytes_per_pixel = 24 * width
    normal_init(part)
    for layer in part.modules():
        if released and isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight)
    return part


class Critic(nn.Module):
    """Map images x (N, C, H, W) to a tuple of logits (N, 1, h, w), one for each scale.

    The paper's version has one scale and 3x3 convolutions; the later code has three scales, each half of the previous one,
    reflection padding and 4x4 convolutions.

    Args:
        shape: Image shape.
        width: Channels of the first layer.
        layers: Downsamplings; fewer if the image is too small.
        scales: Number of scales; a scale without any downsampling is left out.
        released: Use the layers of the later code.
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
        """Map (N, C, H, W) to logits, the finest scale first."""
        logits = []
        for i, net in enumerate(self.scales):
            x = F.avg_pool2d(x, 3, 2, 1, count_include_pad=False) if i else x
            logits.append(net(x))
        return tuple(logits)


def _scale(channels: int, width: int, layers: int, released: bool) -> nn.Sequential:
    body: list[nn.Module] = []
    for i in range(layers):
        inputs, outputs = (width * 2 ** (i - 1) if i else channels), width * 2**i
        if released:
            body += [nn.ReflectionPad2d(1), nn.Conv2d(inputs, outputs, 4, 2), nn.LeakyReLU(0.2)]
        else:
            body += [nn.Conv2d(inputs, outputs, 3, 2, 1), nn.LeakyReLU()]
    return nn.Sequential(*body, nn.Conv2d(width * 2 ** (layers - 1), 1, 1))
