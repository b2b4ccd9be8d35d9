"""Discriminators of super-resolution: a U-Net with spectral norm, and a VGG network with a dense output.

U-Net: Wang et al. 2021, arXiv:2107.10833 (after Schoenfeld et al. 2020, arXiv:2002.12655), the names of BasicSR without the
suffixes of spectral norm; its published weights are for images in [0, 1], and so it maps images to that range. VGG: Ledig et
al. 2016, arXiv:1609.04802, as in BasicSR.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ganloom.nn.norms import spectral_norm


class UNetCritic(nn.Module):
    """Three halvings and three doublings with skip connections; a logit for each pixel.

    Args:
        channels: Channels of the image.
        width: Channels of the first layer.
    """

    channels_last = True

    def __init__(self, channels: int = 3, width: int = 64) -> None:
        super().__init__()
        self.conv0 = nn.Conv2d(channels, width, 3, padding=1)
        for i in range(3):
            self.add_module(f"conv{i + 1}", _spectral(width * 2**i, width * 2 ** (i + 1), 4, 2))
        for i in range(3):
            self.add_module(f"conv{i + 4}", _spectral(width * 2 ** (3 - i), width * 2 ** (2 - i), 3, 1))
        self.conv7 = _spectral(width, width, 3, 1)
        self.conv8 = _spectral(width, width, 3, 1)
        self.conv9 = nn.Conv2d(width, 1, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) in [-1, 1] -> logits (N, 1, H, W); at least 8 pixels a side."""
        levels = [F.leaky_relu(self.conv0((x + 1) / 2), 0.2)]
        for i in range(3):
            levels.append(F.leaky_relu(self._layer(i + 1, levels[-1]), 0.2))
        y = levels.pop()
        for i in range(3):
            skip = levels.pop()
            bigger = F.interpolate(y, tuple(skip.shape[2:]), mode="bilinear", align_corners=False)
            y = F.leaky_relu(self._layer(i + 4, bigger), 0.2) + skip
        y = F.leaky_relu(self.conv8(F.leaky_relu(self.conv7(y), 0.2)), 0.2)
        out: Tensor = self.conv9(y)
        return out

    def _layer(self, number: int, x: Tensor) -> Tensor:
        out: Tensor = self.get_submodule(f"conv{number}")(x)
        return out


def _spectral(inputs: int, outputs: int, size: int, stride: int) -> nn.Conv2d:
    return spectral_norm(nn.Conv2d(inputs, outputs, size, stride, 1, bias=False))


class VGGCritic(nn.Module):
    """Pairs of a convolution and a halving one, BatchNorm, and two dense layers: one logit for an image.

    Args:
        channels: Channels of the image.
        width: Channels of the first layer; doubled with each halving, at most 8 times.
        size: (height, width) of the images. The published network has 128 pixels and five halvings.
    """

    channels_last = True

    def __init__(self, channels: int, width: int, size: tuple[int, int]) -> None:
        super().__init__()
        height, across = size
        inputs, self.stages = channels, 0
        while self.stages < 5 and min(height, across) > 4:
            outputs = min(width * 2**self.stages, width * 8)
            first = nn.Conv2d(inputs, outputs, 3, padding=1, bias=self.stages == 0)
            self.add_module(f"conv{self.stages}_0", first)
            self.add_module(f"conv{self.stages}_1", nn.Conv2d(outputs, outputs, 4, 2, 1, bias=False))
            if self.stages:
                self.add_module(f"bn{self.stages}_0", nn.BatchNorm2d(outputs))
            self.add_module(f"bn{self.stages}_1", nn.BatchNorm2d(outputs))
            inputs, height, across, self.stages = outputs, height // 2, across // 2, self.stages + 1
        self.linear1 = nn.Linear(inputs * height * across, 100)
        self.linear2 = nn.Linear(100, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) of the given size -> logits (N, 1)."""
        for i in range(self.stages):
            x = self.get_submodule(f"conv{i}_0")(x)
            x = F.leaky_relu(self.get_submodule(f"bn{i}_0")(x) if i else x, 0.2)
            x = F.leaky_relu(self.get_submodule(f"bn{i}_1")(self.get_submodule(f"conv{i}_1")(x)), 0.2)
        out: Tensor = self.linear2(F.leaky_relu(self.linear1(torch.flatten(x, 1)), 0.2))
        return out
