"""The U-Net of pix2pix: 4x4 convolutions down to one pixel and up again, each level joined to its mirror.

Isola et al. 2016, arXiv:1611.07004, appendix 6.1.1, in the order of layers of the authors' PyTorch code. Of any height and
width that are multiples of 2^levels; the translators pad to that and cut again.
"""

import torch
from torch import Tensor, nn

from ganloom.networks.translators import norm_layer
from ganloom.nn.layers import normal_init


class UNet(nn.Module):
    """x (N, C, H, W) -> (N, O, H, W) in [-1, 1].

    Level i has width * min(2^i, 8) channels. ``norm`` stands behind every convolution but the first, the last and the one
    that makes the smallest grid. ``dropout``: a half of the features in the up path of the levels between the fifth and the
    smallest is left out in training mode, which is the only noise that pix2pix has.
    """

    bf16 = True

    def __init__(
        self, in_channels: int, out_channels: int, levels: int = 8, width: int = 64, *, norm: str = "batch",
        dropout: bool = False,
    ) -> None:  # fmt: skip
        super().__init__()
        self.levels, self.multiple = levels, 2**levels
        self.bytes_per_pixel = 12 * width  # of features while it computes, about
        channels = [width * min(2**i, 8) for i in range(levels)]
        bias = norm == "instance"  # as in the reference, where no norm has no bias either
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
        """(N, C, H, W) -> (N, O, H, W) in [-1, 1]; H and W multiples of 2^levels."""
        kept = []
        for down in self.down:
            x = down(x)
            kept.append(x)
        y = kept.pop()
        for i in range(self.levels - 1, -1, -1):
            y = self.up[i](y)
            if i:
                y = torch.cat([kept.pop(), y], 1)
        return y
