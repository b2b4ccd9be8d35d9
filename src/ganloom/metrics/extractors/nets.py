"""Small feature nets: a classifier to be trained, and a random net."""

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

N_FEATURES = 64


class SmallNet(nn.Module):
    """A classifier of three convolutions with 64 features: about 110,000 parameters at 28 px.

    Input (N, ``channels``, ``size``, ``size``) float32 in [-1, 1], output features (N, 64) and logits (N, ``classes``).
    The features come from a batch norm before the last ReLU, so training keeps their scale near 1.

    Args:
        channels: of the images.
        classes: number of logits.
        size: of the images in pixels, 8 or more.
        width: channels of the first convolution.
    """

    def __init__(self, channels: int = 1, classes: int = 10, size: int = 28, width: int = 24) -> None:
        super().__init__()
        if size < 8:
            raise ValueError(f"SmallNet pools three times: size must be at least 8, not {size}")
        self.channels, self.classes, self.size = channels, classes, size
        widths = (channels, width, 2 * width, 4 * width)
        self.convs = nn.ModuleList(nn.Conv2d(a, b, 3, padding=1, bias=False) for a, b in pairwise(widths))
        self.norms = nn.ModuleList(nn.BatchNorm2d(b) for b in widths[1:])
        self.project = nn.Linear(widths[-1] * (size // 8) ** 2, N_FEATURES, bias=False)
        self.feature_norm = nn.BatchNorm1d(N_FEATURES)
        self.head = nn.Linear(N_FEATURES, classes)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        for conv, norm in zip(self.convs, self.norms, strict=True):
            x = F.max_pool2d(F.relu(norm(conv(x))), 2)
        features = self.feature_norm(self.project(x.flatten(1)))
        return features, self.head(F.relu(features))

    def spatial_map(self, x: Tensor) -> Tensor:
        """Compute the last map before its pool: (N, 4 ``width``, h, w)."""
        last = len(self.convs) - 1
        for i, (conv, norm) in enumerate(zip(self.convs, self.norms, strict=True)):
            x = F.relu(norm(conv(x)))
            x = x if i == last else F.max_pool2d(x, 2)
        return x


class RandomNet(nn.Module):
    """A net with 256 random features at four scales. It is not trained, so it knows nothing about meaning.

    At each scale (the image, then halved) the outputs of two random convolutions are averaged over a 2 x 2 grid: 16 x 4
    numbers. Naeem et al. (2020, arXiv:2002.09797, section 4) find random embeddings fairer than ImageNet ones on images
    far from ImageNet. Half of the first filters have zero mean (edges), half do not (brightness, colour). Weights are
    uniform, from ``torch.rand`` with a generator on the CPU: the same bits on each machine.

    Input (N, 3, 64, 64) float32 in [-1, 1] (or any size from 16 px), output (N, 256).

    Args:
        seed: keys the weights.
    """

    scales = 4

    def __init__(self, seed: int = 0) -> None:
        super().__init__()
        rng = torch.Generator().manual_seed(seed)
        for i in range(self.scales):
            first = self._draw(rng, 32, 3)
            first[:16] -= first[:16].mean((2, 3), keepdim=True)
            self.register_buffer(f"first{i}", first)
            self.register_buffer(f"second{i}", self._draw(rng, 16, 32))

    @staticmethod
    def _draw(rng: torch.Generator, n_out: int, n_in: int) -> Tensor:
        """Uniform (n_out, n_in, 3, 3) weights that keep the second moment through a ReLU (He et al. 2015)."""
        bound = (6 / (9 * n_in)) ** 0.5
        weights: Tensor = (torch.rand(n_out, n_in, 3, 3, generator=rng) * 2 - 1) * bound
        return weights

    def maps(self, x: Tensor) -> list[Tensor]:
        """Compute the features before they are averaged: (N, 16, h, w) for each scale, largest first."""
        maps = []
        for i in range(self.scales):
            h = F.leaky_relu(F.conv2d(x, self.get_buffer(f"first{i}"), padding=1), 0.2)
            maps.append(F.leaky_relu(F.conv2d(h, self.get_buffer(f"second{i}"), padding=1), 0.2))
            x = F.avg_pool2d(x, 2)
        return maps

    def spatial_map(self, x: Tensor) -> Tensor:
        """Compute the map at a quarter of the image's size: (N, 16, h / 4, w / 4)."""
        return self.maps(x)[2]

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([F.adaptive_avg_pool2d(h, 2).flatten(1) for h in self.maps(x)], 1)
