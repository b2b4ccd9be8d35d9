"""A discriminator of views of 3D objects: strided convolutions with a minibatch standard deviation, given the pose or not."""

import math

import torch
from torch import Tensor, nn

from ganloom.nn.layers import MinibatchStddev, plan_sizes


class Discriminator(nn.Module):
    """Map images (N, C, H, W), and poses (N, 2) if it takes them, to logits (N,); LeakyReLU 0.2.

    With a pose the logit has a second part, the product of the last features with an embedding of the pose, as in a projection
    discriminator (Miyato & Koyama 2018, arXiv:1802.05637).

    Args:
        shape: Image shape.
        width: Channels of the first layer; doubled at most 8 times.
        hidden: Width of a dense layer before the last one; 0: none.
        norm: Use BatchNorm after all but the first convolution.
        stddev: Samples whose standard deviation is appended to the last grid; 0: none.
        pose: Whether it takes poses.
    """

    channels_last = True
    bf16 = True

    def __init__(
        self,
        shape: tuple[int, int, int],
        width: int = 32,
        *,
        hidden: int = 0,
        norm: bool = False,
        stddev: int = 4,
        pose: bool = False,
    ) -> None:
        super().__init__()
        inputs, h, w = shape
        doublings = max(1, plan_sizes(h, w)[2])
        layers: list[nn.Module] = []
        for i in range(doublings):
            outputs = width * min(2**i, 8)
            layers.append(nn.Conv2d(inputs, outputs, 4, 2, 1, bias=i == 0 or not norm))
            layers += [nn.BatchNorm2d(outputs)] if norm and i else []
            layers.append(nn.LeakyReLU(0.2))
            inputs, h, w = outputs, h // 2, w // 2
        self.body = nn.Sequential(*layers)
        self.stddev = MinibatchStddev(stddev) if stddev else None
        self.mix = nn.Sequential(nn.Conv2d(inputs + (stddev > 0), inputs, 3, 1, 1), nn.LeakyReLU(0.2))
        features = hidden or inputs * h * w
        self.dense = nn.Sequential(nn.Linear(inputs * h * w, hidden), nn.LeakyReLU(0.2)) if hidden else nn.Sequential()
        self.out = nn.Linear(features, 1)
        if pose:
            self.pose = nn.Sequential(nn.Linear(3, 64), nn.LeakyReLU(0.2), nn.Linear(64, features))

    def forward(self, x: Tensor, pose: Tensor | None = None) -> Tensor:
        """Map images (N, C, H, W), and poses (N, 2) of azimuth and elevation in radians, to logits (N,)."""
        grid = self.body(x)
        grid = grid if self.stddev is None else self.stddev(grid)
        features = self.dense(self.mix(grid).flatten(1))
        logits: Tensor = self.out(features).flatten()
        if pose is not None:
            code = torch.stack([pose[:, 0].sin(), pose[:, 0].cos(), pose[:, 1] * 2], 1).to(features.dtype)
            logits = logits + (self.pose(code) * features).sum(1) / math.sqrt(features.shape[1])
        return logits
