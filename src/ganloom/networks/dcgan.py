"""DCGAN's networks: transposed 4x4 convolutions in G, strided 4x4 convolutions in D (Radford et al. 2015, arXiv:1511.06434).

Any height, width and number of channels: the base grid keeps the aspect ratio of the image, and the generator crops its
last grid.
"""

import torch
from torch import Tensor, nn

from ganloom.nn.layers import crop, label_maps, normal_init, one_hot, plan_sizes
from ganloom.nn.norms import ConditionalBatchNorm


def _channels(width: int, doublings: int) -> list[int]:
    """Return the channels from the image to the base: width, 2 width, ... at most 8 width."""
    return [width * min(2**i, 8) for i in range(max(doublings, 1))]


class Generator(nn.Module):
    """Map z (N, z_dim) and labels c (N,) to images (N, C, H, W) in [-1, 1]; BatchNorm and ReLU after every layer but the last.

    Args:
        shape: Image shape.
        z_dim: Length of z.
        width: Channels of the layer next to the image.
        n_classes: Number of classes; 0: without labels.
        conditional_norm: Give each class its own gain and bias in every BatchNorm, instead of concatenating labels with z.
        smallest: Smallest side of the base grid.
    """

    channels_last = True
    bf16 = True

    def __init__(
        self,
        shape: tuple[int, int, int],
        z_dim: int = 100,
        width: int = 64,
        *,
        n_classes: int = 0,
        conditional_norm: bool = False,
        smallest: int = 4,
    ) -> None:
        super().__init__()
        self.shape, self.n_classes = shape, n_classes
        self.conditional_norm = conditional_norm and n_classes > 0
        norm = self._conditional if self.conditional_norm else nn.BatchNorm2d
        joined = 0 if self.conditional_norm else n_classes
        base_h, base_w, doublings = plan_sizes(shape[1], shape[2], smallest)
        channels = _channels(width, doublings)[::-1]
        self.base = (channels[0], base_h, base_w)
        self.project = nn.Linear(z_dim + joined, channels[0] * base_h * base_w, bias=False)
        layers: list[nn.Module] = [norm(channels[0]), nn.ReLU()]
        for inputs, outputs in zip(channels, channels[1:], strict=False):
            layers += [nn.ConvTranspose2d(inputs, outputs, 4, 2, 1, bias=False), norm(outputs), nn.ReLU()]
        last = (4, 2, 1) if doublings else (3, 1, 1)
        self.body = nn.Sequential(*layers, nn.ConvTranspose2d(channels[-1], shape[0], *last))
        normal_init(self)

    def _conditional(self, channels: int) -> nn.Module:
        return ConditionalBatchNorm(channels, self.n_classes)

    def forward(self, z: Tensor, c: Tensor | None = None) -> Tensor:
        """Map z (N, z_dim) and labels (N,) to images (N, C, H, W) in [-1, 1]."""
        hot = one_hot(c, self.n_classes) if self.n_classes and c is not None else None
        if hot is not None and not self.conditional_norm:
            z = torch.cat([z, hot], 1)
        x = self.project(z).unflatten(1, self.base).contiguous(memory_format=torch.channels_last)
        if self.conditional_norm:
            for layer in self.body:
                x = layer(x, hot) if isinstance(layer, ConditionalBatchNorm) else layer(x)
        else:
            x = self.body(x)
        return crop(x, *self.shape[1:]).tanh()


class Discriminator(nn.Module):
    """Map images x (N, C, H, W) and labels c (N,) to logits (N,); LeakyReLU 0.2.

    Args:
        shape: Image shape.
        width: Channels of the first layer.
        norm: Use BatchNorm after all but the first convolution. Set it to False with a gradient penalty: with BatchNorm the logit
            of a sample depends on the rest of the batch, and the penalty is then not the paper's.
        n_classes: Number of classes; 0: without labels. Labels enter as constant maps.
        projection: Add e(c) h to the logit instead, where h is the sum of the last features over the grid (Miyato & Koyama 2018,
            arXiv:1802.05637, eq. 3).
        smallest: Smallest side of G's base grid: D has as many strided convolutions as G.
    """

    channels_last = True
    bf16 = True

    def __init__(
        self,
        shape: tuple[int, int, int],
        width: int = 64,
        *,
        norm: bool = True,
        n_classes: int = 0,
        projection: bool = False,
        smallest: int = 4,
    ) -> None:
        super().__init__()
        self.n_classes = n_classes
        self.projection = projection and n_classes > 0
        _, _, doublings = plan_sizes(shape[1], shape[2], smallest)
        layers: list[nn.Module] = []
        inputs, (h, w) = shape[0] + (0 if self.projection else n_classes), shape[1:]
        for i, outputs in enumerate(_channels(width, doublings)):
            strided = (4, 2, 1) if doublings else (3, 1, 1)
            layers.append(nn.Conv2d(inputs, outputs, *strided, bias=i == 0 or not norm))
            layers += [nn.BatchNorm2d(outputs)] if norm and i else []
            layers.append(nn.LeakyReLU(0.2))
            inputs = outputs
            h, w = (h // 2, w // 2) if doublings else (h, w)
        self.body = nn.Sequential(*layers)
        self.out = nn.Linear(inputs * h * w, 1)
        if self.projection:
            self.classes = nn.Linear(n_classes, inputs, bias=False)
        normal_init(self)

    def forward(self, x: Tensor, c: Tensor | None = None) -> Tensor:
        """Map images (N, C, H, W) and labels (N,) to logits (N,)."""
        if self.n_classes and c is not None and not self.projection:
            x = torch.cat([x, label_maps(c, self.n_classes, x)], 1)
        features = self.body(x)
        logits: Tensor = self.out(features.flatten(1)).flatten()
        if self.projection:
            assert c is not None
            logits = logits + (self.classes(one_hot(c, self.n_classes)) * features.sum((2, 3))).sum(1)
        return logits
