"""Inpainting networks of LaMa: the Fourier generator and the discriminator.

LaMa: Suvorov et al. 2021, arXiv:2109.07161, with the layer names of the published checkpoints; fast Fourier convolutions: Chi
et al. 2020, NeurIPS, "Fast Fourier Convolution". The generator maps an image whose holes are filled somehow, and the mask, to an
image.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

MOST_CHANNELS = 1024


class FourierUnit(nn.Module):
    """A 1x1 convolution, BatchNorm and ReLU on the real and imaginary parts of the Fourier transform; it sees the whole image."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv_layer = nn.Conv2d(2 * channels, 2 * channels, 1, bias=False)
        self.bn = nn.BatchNorm2d(2 * channels)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, C, H, W). The transforms run in float32."""
        with torch.autocast(x.device.type, enabled=False):
            real, imaginary = transform(x.float())
        n, c, h, w = real.shape
        parts = torch.stack((real, imaginary), 2).view(n, 2 * c, h, w)
        parts = F.relu(self.bn(self.conv_layer(parts))).float().view(n, c, 2, h, w)
        with torch.autocast(x.device.type, enabled=False):
            return inverse(parts[:, :, 0], parts[:, :, 1], int(x.shape[-1]))


def transform(x: Tensor) -> tuple[Tensor, Tensor]:
    """Return the real and imaginary part of the Fourier transform of (N, C, H, W), each (N, C, H, W // 2 + 1)."""
    if torch.onnx.is_in_onnx_export():  # ONNX's operator for it has no exporter: two products with matrices
        height, width = int(x.shape[2]), int(x.shape[3])
        (row_cos, row_sin), (cos, sin) = _waves(height, height), _waves(width, width // 2 + 1)
        real, imaginary = x @ cos, -(x @ sin)
        return row_cos @ real + row_sin @ imaginary, row_cos @ imaginary - row_sin @ real
    whole = torch.fft.rfft2(x, norm="ortho")
    return whole.real, whole.imag


def inverse(real: Tensor, imaginary: Tensor, width: int) -> Tensor:
    """Return the image (N, C, H, width) of a Fourier transform."""
    if torch.onnx.is_in_onnx_export():
        height = int(real.shape[2])
        (row_cos, row_sin), (cos, sin) = _waves(height, height), _waves(width, width // 2 + 1)
        twice = torch.full((width // 2 + 1, 1), 2.0)  # the other half of the frequencies
        twice[0] = 1.0
        if width % 2 == 0:
            twice[-1] = 1.0
        back, turned = row_cos @ real - row_sin @ imaginary, row_cos @ imaginary + row_sin @ real
        return back @ (twice * cos.T) - turned @ (twice * sin.T)
    image: Tensor = torch.fft.irfft2(torch.complex(real, imaginary), s=(int(real.shape[2]), width), norm="ortho")
    return image


def _waves(length: int, frequencies: int) -> tuple[Tensor, Tensor]:
    """Return cosines and sines (length, frequencies) of an orthonormal transform."""
    turns = torch.arange(length)[:, None] * torch.arange(frequencies)[None] % length
    angles = 2 * torch.pi * turns.double() / length
    return (angles.cos() / length**0.5).float(), (angles.sin() / length**0.5).float()


class SpectralTransform(nn.Module):
    """Half the channels by a 1x1 convolution, a Fourier unit with a skip, and a 1x1 convolution to all channels."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        half = out_channels // 2
        self.conv1 = nn.Sequential(nn.Conv2d(in_channels, half, 1, bias=False), nn.BatchNorm2d(half), nn.ReLU())
        self.fu = FourierUnit(half)
        self.conv2 = nn.Conv2d(half, out_channels, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, O, H, W)."""
        x = self.conv1(x)
        out: Tensor = self.conv2(x + self.fu(x))
        return out


Halves = tuple[Tensor, Tensor | None]
"""Local channels, and global channels if there are any."""


class FFC(nn.Module):
    """A fast Fourier convolution: local and global channels, each computed from both; only global to global is spectral.

    Args:
        in_channels: (local, global) channels of the input.
        out_channels: (local, global) channels of the output.
        kernel: Side of the convolutions' kernels.
        stride: Their stride.
        padding: Their padding, by reflection.
    """

    def __init__(
        self,
        in_channels: tuple[int, int],
        out_channels: tuple[int, int],
        kernel: int,
        stride: int = 1,
        padding: int = 0,
    ) -> None:
        super().__init__()
        options: dict[str, Any] = {"bias": False, "padding_mode": "reflect"}
        for name, a, b in (("l2l", 0, 0), ("l2g", 0, 1), ("g2l", 1, 0)):
            if in_channels[a] and out_channels[b]:
                conv = nn.Conv2d(in_channels[a], out_channels[b], kernel, stride, padding, **options)
                self.add_module(f"conv{name}", conv)
        if in_channels[1] and out_channels[1]:
            self.convg2g = SpectralTransform(in_channels[1], out_channels[1])
        self.to_global = bool(out_channels[1])

    def forward(self, x: Halves) -> Halves:
        """Map (local, global) channels to such."""
        near, far = x
        local = self.get_submodule("convl2l")(near)
        if far is not None:
            local = local + self.get_submodule("convg2l")(far)
        if not self.to_global:
            return local, None
        spread = self.get_submodule("convl2g")(near)
        return local, spread if far is None else spread + self.convg2g(far)


class FFCNormAct(nn.Module):
    """A fast Fourier convolution, then BatchNorm and ReLU on each kind of channels."""

    def __init__(
        self,
        in_channels: tuple[int, int],
        out_channels: tuple[int, int],
        kernel: int,
        stride: int = 1,
        padding: int = 0,
    ) -> None:
        super().__init__()
        self.ffc = FFC(in_channels, out_channels, kernel, stride, padding)
        self.bn_l = nn.BatchNorm2d(out_channels[0])
        if out_channels[1]:
            self.bn_g = nn.BatchNorm2d(out_channels[1])

    def forward(self, x: Halves) -> Halves:
        """Map (local, global) channels to such."""
        near, far = self.ffc(x)
        return F.relu(self.bn_l(near)), None if far is None else F.relu(self.bn_g(far))


class FFCBlock(nn.Module):
    """x + two fast Fourier convolutions."""

    def __init__(self, channels: tuple[int, int]) -> None:
        super().__init__()
        self.conv1 = FFCNormAct(channels, channels, 3, padding=1)
        self.conv2 = FFCNormAct(channels, channels, 3, padding=1)

    def forward(self, x: Halves) -> Halves:
        """Map (local, global) channels to such."""
        near, far = self.conv2(self.conv1(x))
        return x[0] + near, far if far is None or x[1] is None else x[1] + far


class Join(nn.Module):
    """Concatenate local and global channels."""

    def forward(self, x: Halves) -> Tensor:
        """(local, global) -> (N, C, H, W)."""
        return x[0] if x[1] is None else torch.cat([x[0], x[1]], 1)


class Pair(nn.Module):
    """Take a tensor as local channels."""

    def forward(self, x: Tensor) -> Halves:
        """(N, C, H, W) -> (local, no global) channels."""
        return F.pad(x, (3, 3, 3, 3), "reflect"), None


class FFCResNet(nn.Module):
    """The generator of LaMa, for images and masks (N, C + 1, H, W). H and W must be multiples of 2^downs.

    lama-fourier has 9 blocks, big-lama 18, both with width 64, 3 downsamplings and three quarters of global channels.

    Args:
        in_channels: Channels of the input: those of the image and the mask.
        out_channels: Channels of the output.
        width: Channels of the first layer; doubled by each downsampling.
        downs: Number of downsamplings.
        blocks: Number of residual blocks.
        ratio: Share of global channels in the blocks.
    """

    bf16 = True

    def __init__(
        self,
        in_channels: int = 4,
        out_channels: int = 3,
        width: int = 64,
        downs: int = 3,
        blocks: int = 9,
        ratio: float = 0.75,
    ) -> None:
        super().__init__()
        self.multiple, self.smallest = 2**downs, 2 ** (downs + 1)
        self.bytes_per_pixel = 28 * width
        channels = [min(MOST_CHANNELS, width * 2**i) for i in range(downs + 1)]
        far = int(channels[-1] * ratio)
        both = channels[-1] - far, far
        layers: list[nn.Module] = [Pair(), FFCNormAct((in_channels, 0), (width, 0), 7)]
        for i, (a, b) in enumerate(zip(channels, channels[1:], strict=False)):
            layers.append(FFCNormAct((a, 0), both if i == downs - 1 else (b, 0), 3, 2, 1))
        layers += [*(FFCBlock(both) for _ in range(blocks)), Join()]
        for a, b in zip(channels[:0:-1], channels[-2::-1], strict=True):
            layers += [nn.ConvTranspose2d(a, b, 3, 2, 1, output_padding=1), nn.BatchNorm2d(b), nn.ReLU()]
        layers += [nn.ReflectionPad2d(3), nn.Conv2d(width, out_channels, 7)]
        self.model = nn.Sequential(*layers)

    @property
    def last(self) -> nn.Conv2d:
        """The layer that gives the image."""
        layer = self.model[-1]
        assert isinstance(layer, nn.Conv2d)
        return layer

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C + 1, H, W) to (N, C, H, W), before the sigmoid."""
        y: Tensor = self.model(x)
        return y


class NLayerDiscriminator(nn.Module):
    """LaMa's discriminator of patches (that of pix2pixHD): 4x4 convolutions with padding 2, BatchNorm, LeakyReLU 0.2.

    Args:
        in_channels: Channels of the images.
        width: Channels of the first layer, doubled up to 512.
        layers: Number of downsamplings.
    """

    bf16 = True

    def __init__(self, in_channels: int = 3, width: int = 64, layers: int = 4) -> None:
        super().__init__()
        self.layers = layers
        self.model0 = nn.Sequential(nn.Conv2d(in_channels, width, 4, 2, 2), nn.LeakyReLU(0.2))
        channels = width
        for i in range(1, layers + 1):
            outputs, stride = min(2 * channels, 512), 2 if i < layers else 1
            conv = nn.Conv2d(channels, outputs, 4, stride, 2)
            self.add_module(f"model{i}", nn.Sequential(conv, nn.BatchNorm2d(outputs), nn.LeakyReLU(0.2)))
            channels = outputs
        self.add_module(f"model{layers + 1}", nn.Sequential(nn.Conv2d(channels, 1, 4, 1, 2)))
        self.head = f"model{layers + 1}.0"  # the layer that gives the logits

    def forward(self, x: Tensor, *, features: bool = False) -> Any:
        """Map images (N, C, H, W) in [-1, 1] to logits (N, 1, h, w); with ``features`` to (logits, list of feature maps)."""
        x = (x + 1) / 2  # the authors' images are in [0, 1]
        maps = []
        for i in range(self.layers + 2):
            x = self.get_submodule(f"model{i}")(x)
            maps.append(x)
        return (x, maps[:-1]) if features else x
