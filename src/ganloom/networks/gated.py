"""A small generator of gated convolutions for inpainting.

"Free-Form Image Inpainting with Gated Convolution", Yu et al. 2018, arXiv:1806.03589. It maps an image whose holes are filled
somehow, and the mask, to an image.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Gated(nn.Module):
    """A gated convolution: ELU(a) * sigmoid(b) of two convolutions a and b, which are one layer."""

    def __init__(self, n_in: int, n_out: int, kernel: int = 3, stride: int = 1, dilation: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv2d(n_in, 2 * n_out, kernel, stride, dilation * (kernel // 2), dilation)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, O, H / stride, W / stride)."""
        a, b = self.conv(x).chunk(2, 1)
        return F.elu(a) * torch.sigmoid(b)


class GatedNet(nn.Module):
    """A smaller generator: gated convolutions, dilated ones on a quarter of the size, with skips to the finer grids.

    Args:
        in_channels: Channels of the input: those of the image and the mask.
        out_channels: Channels of the output.
        width: Channels of the first layer; four times as many on the coarsest grid.
        blocks: Number of residual layers on the coarsest grid; their dilations are 1, 2, 4, 8, 1, 2, ...
    """

    bf16 = True
    channels_last = True
    multiple, smallest = 4, 8

    def __init__(self, in_channels: int = 4, out_channels: int = 3, width: int = 24, blocks: int = 6) -> None:
        super().__init__()
        self.bytes_per_pixel = 36 * width
        # The farthest pixel that an output depends on: 1 + 2 + 4 + 8 + ... on a quarter of the size, and the other layers.
        self.reach = 4 * sum(2 ** (i % 4) for i in range(blocks)) + 24
        self.first = Gated(in_channels, width, 5)
        self.down1, self.down2 = Gated(width, 2 * width, 3, 2), Gated(2 * width, 4 * width, 3, 2)
        self.body = nn.ModuleList(Gated(4 * width, 4 * width, 3, 1, 2 ** (i % 4)) for i in range(blocks))
        self.up2, self.up1 = Gated(4 * width, 2 * width), Gated(4 * width, width)
        self.last = nn.Conv2d(2 * width, out_channels, 3, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C + 1, H, W) to (N, C, H, W), before the sigmoid; H and W must be multiples of 4."""
        fine = self.first(x)
        middle = self.down1(fine)
        coarse = self.down2(middle)
        for layer in self.body:
            coarse = coarse + layer(coarse)
        y = torch.cat([self.up2(_doubled(coarse)), middle], 1)
        out: Tensor = self.last(torch.cat([self.up1(_doubled(y)), fine], 1))
        return out


def _doubled(x: Tensor) -> Tensor:
    return F.interpolate(x, scale_factor=2.0, mode="nearest")
