"""DCGAN's networks: transposed 4x4 convolutions up, strided 4x4 convolutions down (Radford et al. 2015, arXiv:1511.06434).

Any height, width and number of channels: the base grid keeps the picture's aspect and the generator crops its top.
"""

import torch
from torch import Tensor, nn

from ganloom.layers import crop, label_maps, normal_init, one_hot, plan_sizes


def _channels(width: int, doublings: int) -> list[int]:
    """Channels from the picture's side to the base: width, 2 width, ... at most 8 width."""
    return [width * min(2**i, 8) for i in range(max(doublings, 1))]


class Generator(nn.Module):
    """z (N, z_dim), c (N,) -> (N, C, H, W) in [-1, 1]; BatchNorm and ReLU behind every layer but the last."""

    channels_last = True
    bf16 = True

    def __init__(self, shape: tuple[int, int, int], z_dim: int = 100, width: int = 64, *, n_classes: int = 0) -> None:
        super().__init__()
        self.shape, self.n_classes = shape, n_classes
        base_h, base_w, doublings = plan_sizes(shape[1], shape[2])
        channels = _channels(width, doublings)[::-1]
        self.base = (channels[0], base_h, base_w)
        self.project = nn.Linear(z_dim + n_classes, channels[0] * base_h * base_w, bias=False)
        layers: list[nn.Module] = [nn.BatchNorm2d(channels[0]), nn.ReLU()]
        for inputs, outputs in zip(channels, channels[1:], strict=False):
            layers += [nn.ConvTranspose2d(inputs, outputs, 4, 2, 1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU()]
        last = (4, 2, 1) if doublings else (3, 1, 1)
        self.body = nn.Sequential(*layers, nn.ConvTranspose2d(channels[-1], shape[0], *last))
        normal_init(self)

    def forward(self, z: Tensor, c: Tensor | None = None) -> Tensor:
        """z (N, z_dim) and labels (N,) to pictures (N, C, H, W) in [-1, 1]."""
        if self.n_classes and c is not None:
            z = torch.cat([z, one_hot(c, self.n_classes)], 1)
        x = self.project(z).unflatten(1, self.base).contiguous(memory_format=torch.channels_last)
        return crop(self.body(x), *self.shape[1:]).tanh()


class Discriminator(nn.Module):
    """x (N, C, H, W), c (N,) -> logits (N,); LeakyReLU 0.2, ``norm`` behind all but the first convolution.

    Labels enter as constant maps beside the picture. Under a gradient penalty give ``norm=False``: BatchNorm makes a
    sample's logit depend on its neighbours, and the penalty is then not the one of the paper.
    """

    channels_last = True
    bf16 = True

    def __init__(self, shape: tuple[int, int, int], width: int = 64, *, norm: bool = True, n_classes: int = 0) -> None:
        super().__init__()
        self.n_classes = n_classes
        _, _, doublings = plan_sizes(shape[1], shape[2])
        layers: list[nn.Module] = []
        inputs, (h, w) = shape[0] + n_classes, shape[1:]
        for i, outputs in enumerate(_channels(width, doublings)):
            strided = (4, 2, 1) if doublings else (3, 1, 1)
            layers.append(nn.Conv2d(inputs, outputs, *strided, bias=i == 0 or not norm))
            layers += [nn.BatchNorm2d(outputs)] if norm and i else []
            layers.append(nn.LeakyReLU(0.2))
            inputs = outputs
            h, w = (h // 2, w // 2) if doublings else (h, w)
        self.body = nn.Sequential(*layers)
        self.out = nn.Linear(inputs * h * w, 1)
        normal_init(self)

    def forward(self, x: Tensor, c: Tensor | None = None) -> Tensor:
        """Pictures (N, C, H, W) and labels (N,) to logits (N,)."""
        if self.n_classes and c is not None:
            x = torch.cat([x, label_maps(c, self.n_classes, x)], 1)
        logits: Tensor = self.out(self.body(x).flatten(1)).flatten()
        return logits
