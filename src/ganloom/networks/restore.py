"""Networks that enlarge images: RRDBNet (ESRGAN, Real-ESRGAN), SRVGGNetCompact and MSRResNet, with the names of BasicSR.

Wang et al. 2018, arXiv:1809.00219 (RRDB); Wang et al. 2021, arXiv:2107.10833 (compact network, pixel unshuffle); Ledig et al.
2016, arXiv:1609.04802, without BatchNorm (MSRResNet). Images are in [0, 1], as in the published weights; the output is not
clipped. A network knows its ``scale``, and ``reach``: the pixels around an input pixel that its output depends on.
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

BASES = ("nearest", "bilinear", "bicubic")
"""What a residual network adds its output to: the input, enlarged in this way."""

STRIP = 1 << 14
"""Without gradients, RRDBNet enlarges its features in strips of about this many pixels. Enlarged at once, they would need several
times the memory of the blocks."""
MARGIN = 3
"""Rows of features that are computed above and below a strip. The layers that enlarge depend on fewer."""


def he_init(network: nn.Module, slope: float, factor: float = 1.0) -> None:
    """Initialize all convolutions of a network with He's normal distribution, and biases with 0.

    Args:
        network: The network.
        slope: Slope of the activation below 0.
        factor: Multiplied with the weights. ESRGAN uses 0.1 in its residual blocks.
    """
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, a=slope)
            with torch.no_grad():
                module.weight.mul_(factor)
            if module.bias is not None:
                nn.init.zeros_(module.bias)


def enlarged(x: Tensor, scale: int, base: str) -> Tensor:
    """Enlarge images (N, C, H, W) by a whole factor: "nearest", "bilinear" or "bicubic"."""
    if base == "nearest":
        return F.interpolate(x, scale_factor=scale, mode="nearest")
    return F.interpolate(x, scale_factor=scale, mode=base, align_corners=False)


def conv(inputs: int, outputs: int) -> nn.Conv2d:
    """Return a 3 x 3 convolution that keeps the size."""
    return nn.Conv2d(inputs, outputs, 3, padding=1)


class DenseBlock(nn.Module):
    """x + 0.2 times five convolutions, each of which gets the outputs of all before it."""

    def __init__(self, width: int, growth: int) -> None:
        super().__init__()
        self.conv1 = conv(width, growth)
        self.conv2 = conv(width + growth, growth)
        self.conv3 = conv(width + 2 * growth, growth)
        self.conv4 = conv(width + 3 * growth, growth)
        self.conv5 = conv(width + 4 * growth, width)

    def forward(self, x: Tensor) -> Tensor:
        """(N, width, H, W) -> (N, width, H, W)."""
        found = x
        for layer in (self.conv1, self.conv2, self.conv3, self.conv4):
            found = torch.cat([found, F.leaky_relu(layer(found), 0.2, inplace=not torch.is_grad_enabled())], 1)
        return torch.add(x, self.conv5(found), alpha=0.2)


class ResidualDenseBlock(nn.Module):
    """x + 0.2 times three dense blocks (RRDB)."""

    def __init__(self, width: int, growth: int) -> None:
        super().__init__()
        self.rdb1 = DenseBlock(width, growth)
        self.rdb2 = DenseBlock(width, growth)
        self.rdb3 = DenseBlock(width, growth)

    def forward(self, x: Tensor) -> Tensor:
        """(N, width, H, W) -> (N, width, H, W)."""
        return torch.add(x, self.rdb3(self.rdb2(self.rdb1(x))), alpha=0.2)


class RRDBNet(nn.Module):
    """Residual-in-residual dense blocks, then nearest-neighbour doublings with a convolution each.

    Args:
        channels: Channels of the image.
        width: Channels of the features.
        blocks: RRDB blocks: 23, or 6 in the small network for drawings.
        growth: Channels that a convolution in a dense block adds.
        doublings: Doublings after the blocks.
        unshuffle: Blocks of this many pixels a side become channels first: 2 for x2, 4 for x1.
    """

    channels_last = True

    def __init__(
        self,
        channels: int = 3,
        width: int = 64,
        blocks: int = 23,
        growth: int = 32,
        doublings: int = 2,
        unshuffle: int = 1,
    ) -> None:
        super().__init__()
        self.unshuffle, self.doublings = unshuffle, doublings
        self.scale = 2**doublings // unshuffle
        self.reach = unshuffle * (3 + 15 * blocks + doublings)
        # Features of the blocks for each pixel of the input: two tensors of a dense block, and those that are added later.
        self.bytes_per_pixel = 4 * (2 * (width + 4 * growth) + 6 * width) // unshuffle**2
        self.conv_first = conv(channels * unshuffle**2, width)
        self.body = nn.Sequential(*(ResidualDenseBlock(width, growth) for _ in range(blocks)))
        self.conv_body = conv(width, width)
        for i in range(doublings):
            setattr(self, f"conv_up{i + 1}", conv(width, width))
        self.conv_hr = conv(width, width)
        self.conv_last = conv(width, channels)
        he_init(self, 0.0)
        he_init(self.body, 0.0, 0.1)

    def forward(self, x: Tensor, each: Callable[[float], None] | None = None) -> Tensor:
        """Enlarge images.

        Args:
            x: (N, C, H, W) in [0, 1].
            each: Called after each block with the share of the blocks that is done.

        Returns:
            (N, C, scale x H, scale x W).
        """
        height, width = x.shape[2:]
        if self.unshuffle > 1:
            x = F.pixel_unshuffle(padded_to(x, self.unshuffle), self.unshuffle)
        feature = self.conv_first(x)
        deep = feature
        for number, block in enumerate(self.body, 1):
            deep = block(deep)
            if each is not None:
                each(number / (len(self.body) + 1))
        feature = feature + self.conv_body(deep)
        if torch.is_grad_enabled() or torch.onnx.is_in_onnx_export() or feature[0, 0].numel() <= STRIP:
            out = self._enlarged(feature)
        else:
            out = torch.cat([self._strip(feature, *rows) for rows in _strips(*feature.shape[2:])], 2)
        return out[:, :, : height * self.scale, : width * self.scale]

    def _enlarged(self, feature: Tensor) -> Tensor:
        """Map the features (N, width, h, w) to the image."""
        for i in range(self.doublings):
            bigger = F.interpolate(feature, scale_factor=2, mode="nearest")
            feature = F.leaky_relu(self.get_submodule(f"conv_up{i + 1}")(bigger), 0.2)
        out: Tensor = self.conv_last(F.leaky_relu(self.conv_hr(feature), 0.2))
        return out

    def _strip(self, feature: Tensor, top: int, bottom: int) -> Tensor:
        """Map rows of the features to rows of the image; a few rows above and below are computed too, and cut off."""
        above, below = max(0, top - MARGIN), min(feature.shape[2], bottom + MARGIN)
        factor = 2**self.doublings
        return self._enlarged(feature[:, :, above:below])[:, :, (top - above) * factor : (bottom - above) * factor]


def _strips(height: int, width: int) -> list[tuple[int, int]]:
    """Return (top, bottom) of strips of about STRIP pixels."""
    rows = max(MARGIN, STRIP // width)
    return [(top, min(top + rows, height)) for top in range(0, height, rows)]


def padded_to(x: Tensor, multiple: int) -> Tensor:
    """Pad images (N, C, H, W) below and at the right to a multiple: by reflection, or by the last pixel where it is small."""
    down, right = (-side % multiple for side in x.shape[2:])
    if not down and not right:
        return x
    mode = "reflect" if down < x.shape[2] and right < x.shape[3] else "replicate"
    return F.pad(x, (0, right, 0, down), mode)


class Compact(nn.Module):
    """Convolutions with PReLU at the size of the input, pixel shuffle, and the enlarged input added (SRVGGNetCompact).

    Args:
        channels: Channels of the image.
        width: Channels of the features.
        convs: Convolutions between the first and the last one: 16 or 32 in the published weights.
        scale: The factor.
        base: How the added input is enlarged. The published weights have "nearest"; "bicubic" gives training a head start.
    """

    channels_last = True

    def __init__(
        self, channels: int = 3, width: int = 64, convs: int = 16, scale: int = 4, base: str = "nearest"
    ) -> None:
        super().__init__()
        self.scale, self.base, self.reach = scale, base, max(convs + 2, 2 if base == "bicubic" else 1)
        layers: list[nn.Module] = [conv(channels, width), nn.PReLU(width, init=0.1)]
        for _ in range(convs):
            layers += [conv(width, width), nn.PReLU(width, init=0.1)]
        last = conv(width, channels * scale**2)
        self.body = nn.ModuleList([*layers, last])
        he_init(self, 0.1)
        with torch.no_grad():
            last.weight.mul_(0.1)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, C, scale x H, scale x W)."""
        y = x
        for layer in self.body:
            y = layer(y)
        return F.pixel_shuffle(y, self.scale) + enlarged(x, self.scale, self.base)


class ResidualConvs(nn.Module):
    """x + two convolutions with ReLU in between."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv1 = conv(width, width)
        self.conv2 = conv(width, width)
        he_init(self, 0.0, 0.1)

    def forward(self, x: Tensor) -> Tensor:
        """(N, width, H, W) -> (N, width, H, W)."""
        out: Tensor = x + self.conv2(F.relu(self.conv1(x)))
        return out


class MSRResNet(nn.Module):
    """SRResNet without BatchNorm: residual blocks, pixel shuffle, and the bilinearly enlarged input added.

    Args:
        channels: Channels of the image.
        width: Channels of the features.
        blocks: Residual blocks.
        scale: 2, 3 or 4.
    """

    channels_last = True

    def __init__(self, channels: int = 3, width: int = 64, blocks: int = 16, scale: int = 4) -> None:
        super().__init__()
        self.scale, self.reach = scale, 2 * blocks + 5
        self.steps = (2, 2) if scale == 4 else (scale,)
        self.conv_first = conv(channels, width)
        self.body = nn.Sequential(*(ResidualConvs(width) for _ in range(blocks)))
        for i, step in enumerate(self.steps):
            setattr(self, f"upconv{i + 1}", conv(width, width * step**2))
        self.conv_hr = conv(width, width)
        self.conv_last = conv(width, channels)
        for layer in (self.conv_first, *self._upconvs(), self.conv_hr):
            he_init(layer, 0.1)
        he_init(self.conv_last, 0.1, 0.1)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, C, scale x H, scale x W)."""
        feature = self.body(F.leaky_relu(self.conv_first(x), 0.1))
        for step, layer in zip(self.steps, self._upconvs(), strict=True):
            feature = F.leaky_relu(F.pixel_shuffle(layer(feature), step), 0.1)
        out: Tensor = self.conv_last(F.leaky_relu(self.conv_hr(feature), 0.1))
        return out + enlarged(x, self.scale, "bilinear")

    def _upconvs(self) -> list[nn.Module]:
        return [self.get_submodule(f"upconv{i + 1}") for i in range(len(self.steps))]
