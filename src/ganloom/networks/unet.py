"""The U-Net of pix2pix: 4x4 convolutions down to one pixel and up again, with skip connections between equal levels.

Isola et al. 2016, arXiv:1611.07004, appendix 6.1.1, in the layer order of the authors' PyTorch code. Height and width must be
multiples of 2^levels; the translators pad to that and crop.
"""

import torch
from torch import Tensor, nn

from ganloom.networks.translators import norm_layer
from ganloom.nn.layers import normal_init


class UNet(nn.Module):
    """Map images x (N, C, H, W) to (N, O, H, W) in [-1, 1].

    Level i has width * min(2^i, 8) channels.

    Args:
        in_channels: Channels of x.
        out_channels: Channels of the output.
        levels: Number of downsamplings.
        width: Channels of the first level.
        norm: batch, instance or none; after every convolution but the first, the last and the one that makes the smallest grid.
        dropout: Use dropout of 0.5 on the way up, in the levels between the fifth and the smallest; it is pix2pix's only noise.
    """

    bf16 = True

    def __init__(
        self, in_channels: int, out_channels: int, levels: int = 8, width: int = 64, *, norm: str = "batch",
        dropout: bool = False,
    ) -> None:  # fmt: skip
        super().__init__()
        self.levels, self.multiple = levels, 2**levels
        self.bytes_per_pixel = 12 * width  # approximate memory of features
        channels = [width * min(2**i, 8) for i in range(levels)]
        bias = norm == "instance"  # as in the reference code, which has no bias with norm none either
        self.down, self.up = nn.ModuleList(), nn.ModuleList()
        for i, outputs in enumerate(channels):
            inputs = in_channels if i == 0 else channels[i - 1]
            layers: list[nn.Module] = [nn.LeakyReLU(0.2)] if i else []
            layers.append(nn.Conv2d(inputs, outputs, 4, 2, 1, bias=bias))
            layers += [norm_layer(norm, outputs)] if 0 < i < levels - 1 else []
            self.down.append(nn.Sequential(*layers))
            inputs = outputs if i == levels - 1 else 2 * outputs
            back = out_channels if i == 0 else channels[i - 1]
            layers = [nn.ReLU(), nn.ConvTranspose2d(inputs, back, 4, 2, 1, bias=bias or i == 0)]
            layers += [norm_layer(norm, back)] if i else [nn.Tanh()]
            layers += [nn.Dropout(0.5)] if dropout and 4 <= i < levels - 1 else []
            self.up.append(nn.Sequential(*layers))
        normal_init(self)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, H, W) to (N, O, H, W) in [-1, 1]; H and W must be multiples of 2^levels."""
        skips = []
        for down in self.down:
            x = down(x)
            skips.append(x)
        y = skips.pop()
        for i in range(self.levels - 1, -1, -1):
            y = self.up[i](y)
            if i:
                y = torch.cat([skips.pop(), y], 1)
        return y
