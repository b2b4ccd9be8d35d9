"""Image-to-image networks: the residual generator of CycleGAN, and discriminators of patches.

Zhu et al. 2017, arXiv:1703.10593, appendix 7.2 (after Johnson et al. 2016, arXiv:1603.08155); patches: Isola et al. 2016,
arXiv:1611.07004, appendix 6.1.2; anti-aliased sampling: Zhang 2019, arXiv:1904.11486, as in the code of CUT.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ganloom.nn.layers import crop, normal_init

NORMS = ("batch", "instance", "none")


class InstanceNorm(nn.Module):
    """(x - mean) / sqrt(variance + 1e-5) over the pixels of each image and channel, without gain and bias."""

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, C, H, W)."""
        if x.shape[2] * x.shape[3] == 1:  # torch refuses one pixel, which has no variance
            return torch.zeros_like(x)
        return F.instance_norm(x)


def norm_layer(name: str, channels: int) -> nn.Module:
    """Return a norm: "batch" (with gain and bias), "instance" (without) or "none" (identity)."""
    if name == "batch":
        return nn.BatchNorm2d(channels)
    return InstanceNorm() if name == "instance" else nn.Identity()


class Blur(nn.Module):
    """Downsample an image by 2 with the binomial filter 1 2 1, or upsample it with 1 3 3 1.

    Down: reflection padding, then every second pixel. Up: replication padding, zeros between the pixels, four times the filter.
    On a CPU it runs in float32 even with bf16, because depthwise bf16 convolutions are several times as slow there.
    """

    filt: Tensor

    def __init__(self, channels: int, *, up: bool) -> None:
        super().__init__()
        self.up = up
        taps = torch.tensor([1.0, 3.0, 3.0, 1.0] if up else [1.0, 2.0, 1.0])
        kernel = taps[:, None] * taps[None, :]
        self.register_buffer("filt", (kernel / kernel.sum() * (4 if up else 1)).expand(channels, 1, -1, -1).clone())

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, H, W) to half or double the height and width."""
        if x.dtype != torch.bfloat16 or x.device.type != "cpu":
            return self._filtered(x)
        with torch.autocast("cpu", enabled=False):
            return self._filtered(x.float()).to(x.dtype)

    def _filtered(self, x: Tensor) -> Tensor:
        kernel = self.filt.to(x.dtype)
        if not self.up:
            return F.conv2d(F.pad(x, (1, 1, 1, 1), "reflect"), kernel, stride=2, groups=x.shape[1])
        x = F.pad(x, (1, 1, 1, 1), "replicate")
        y = F.conv_transpose2d(x, kernel, stride=2, padding=2, groups=x.shape[1])
        return y[:, :, 1:-1, 1:-1]


class ResidualBlock(nn.Module):
    """x + two 3x3 convolutions, each with a norm, and ReLU and optional dropout in between; ``pad`` is the padding layer."""

    def __init__(
        self, channels: int, norm: str, dropout: bool = False, pad: type[nn.Module] = nn.ReflectionPad2d
    ) -> None:
        super().__init__()
        bias = norm == "instance"
        self.body = nn.Sequential(
            pad(1), nn.Conv2d(channels, channels, 3, bias=bias), norm_layer(norm, channels), nn.ReLU(),
            *([nn.Dropout(0.5)] if dropout else []),
            pad(1), nn.Conv2d(channels, channels, 3, bias=bias), norm_layer(norm, channels),
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, C, H, W)."""
        y: Tensor = x + self.body(x)
        return y


class ResNet(nn.Module):
    """Map images x (N, C, H, W) to (N, O, H, W) in [-1, 1]: c7s1-w, d2w, d4w, ``blocks`` residual blocks, u2w, uw, c7s1-O.

    H and W must be multiples of 4, at least 8.

    Args:
        in_channels: Channels of x.
        out_channels: Channels of the output.
        blocks: Number of residual blocks.
        width: Channels of the first layer.
        norm: batch, instance or none.
        dropout: Use dropout in the residual blocks.
        antialias: Filter the down- and upsampling, as CUT does.
    """

    bf16 = True
    multiple = 4

    def __init__(
        self, in_channels: int, out_channels: int, blocks: int = 9, width: int = 64, *, norm: str = "instance",
        dropout: bool = False, antialias: bool = False,
    ) -> None:  # fmt: skip
        super().__init__()
        self.blocks = blocks
        self.bytes_per_pixel = (32 if antialias else 24) * width  # approximate memory of features
        bias = norm == "instance"
        layers: list[nn.Module] = [
            nn.ReflectionPad2d(3), nn.Conv2d(in_channels, width, 7, bias=bias), norm_layer(norm, width), nn.ReLU()
        ]  # fmt: skip
        self.channels = [in_channels, width]
        for outputs in (2 * width, 4 * width):
            stride = 1 if antialias else 2
            layers += [nn.Conv2d(outputs // 2, outputs, 3, stride, 1, bias=bias), norm_layer(norm, outputs), nn.ReLU()]
            layers += [Blur(outputs, up=False)] if antialias else []
            self.channels.append(outputs)
        self.taps = tuple(i + 1 for i, layer in enumerate(layers) if isinstance(layer, nn.ReLU))  # after each level
        layers += [ResidualBlock(4 * width, norm, dropout) for _ in range(blocks)]
        for inputs in (4 * width, 2 * width):
            if antialias:
                layers += [Blur(inputs, up=True), nn.Conv2d(inputs, inputs // 2, 3, 1, 1, bias=bias)]
            else:
                layers.append(nn.ConvTranspose2d(inputs, inputs // 2, 3, 2, 1, output_padding=1, bias=bias))
            layers += [norm_layer(norm, inputs // 2), nn.ReLU()]
        layers += [nn.ReflectionPad2d(3), nn.Conv2d(width, out_channels, 7), nn.Tanh()]
        self.body = nn.Sequential(*layers)
        normal_init(self)

    def forward(self, x: Tensor, upto: tuple[int, ...] = (), whole: bool = False) -> Any:
        """Map images to images, or to features.

        Args:
            x: Images (N, C, H, W).
            upto: Numbers of layers; return the features after each of them instead, and compute nothing beyond the last.
            whole: Return (images, features) from one pass.
        """
        if not upto:
            return self.body(x)
        features = [x] if 0 in upto else []
        for i, layer in enumerate(list(self.body)[: None if whole else max(upto)], 1):
            x = layer(x)
            if i in upto:
                features.append(x)
        return (x, features) if whole else features


def patch_layers(height: int, width: int, most: int = 3) -> int:
    """Return how many downsamplings leave a patch discriminator at least one logit; 0 if not even one does."""
    layers = most
    while layers > 0 and min(height, width) >> layers < 3:
        layers -= 1
    return layers


class PatchGAN(nn.Module):
    """Map images x (N, C, H, W) to logits (N, 1, h, w), one per patch: 70 x 70 pixels with three downsamplings, one pixel with 0.

    4x4 convolutions, LeakyReLU 0.2, ``norm`` after all but the first and the last.
    """

    bf16 = True

    def __init__(self, in_channels: int, width: int = 64, layers: int = 3, *, norm: str = "batch") -> None:
        super().__init__()
        bias = norm == "instance"
        body: list[nn.Module] = []
        if layers == 0:
            body += [nn.Conv2d(in_channels, width, 1), nn.LeakyReLU(0.2), nn.Conv2d(width, 2 * width, 1, bias=bias)]
            body += [norm_layer(norm, 2 * width), nn.LeakyReLU(0.2), nn.Conv2d(2 * width, 1, 1, bias=bias)]
        else:
            body += [nn.Conv2d(in_channels, width, 4, 2, 1), nn.LeakyReLU(0.2)]
            inputs = width
            for i in range(1, layers + 1):
                outputs = width * min(2**i, 8)
                body.append(nn.Conv2d(inputs, outputs, 4, 2 if i < layers else 1, 1, bias=bias))
                body += [norm_layer(norm, outputs), nn.LeakyReLU(0.2)]
                inputs = outputs
            body.append(nn.Conv2d(inputs, 1, 4, 1, 1))
        self.body = nn.Sequential(*body)
        self.head = f"body.{len(body) - 1}"  # the layer that gives the logits
        normal_init(self)

    def forward(self, x: Tensor, c: Tensor | None = None) -> Tensor:
        """Map images x (N, C, H, W), and a condition image c that is judged with them, to logits (N, 1, h, w)."""
        logits: Tensor = self.body(x if c is None else torch.cat([c, x], 1))
        return logits


def reflect_to(x: Tensor, height: int, width: int) -> Tensor:
    """Enlarge (N, C, H, W) to (N, C, height, width) by reflection on all sides, repeatedly if an image is small."""
    for axis, size in ((2, height), (3, width)):
        length = int(x.shape[axis])
        if size > length:
            before = (size - length) // 2
            places = torch.arange(-before, size - before, device=x.device)
            period = max(2 * (length - 1), 1)
            places = places.remainder(period)
            x = x.index_select(axis, torch.minimum(places, period - places) if length > 1 else places * 0)
    return x


def pad_to_multiple(x: Tensor, multiple: int) -> Tensor:
    """Enlarge (N, C, H, W) by reflection to the next multiples of ``multiple``; to at least twice it if it is below 8."""
    height, width = (max(-(-n // multiple), 2 if multiple < 8 else 1) * multiple for n in map(int, x.shape[2:]))
    return reflect_to(x, height, width)


def through(net: nn.Module, x: Tensor) -> Tensor:
    """Run ``net`` on images of any size: reflect them to the multiple it needs, and crop its output."""
    out: Tensor = net(pad_to_multiple(x, int(getattr(net, "multiple", 1))))
    return crop(out, int(x.shape[2]), int(x.shape[3]))  # plain numbers in a trace too
