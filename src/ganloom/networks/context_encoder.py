"""The context encoder: an image with a hole is compressed to one vector, from which the hole or the whole image is made.

Pathak et al. 2016, arXiv:1604.07379, figure 9, and the layers of the authors' code. The decoder is DCGAN's generator.
"""

import torch
from torch import Tensor, nn

from ganloom.networks.dcgan import Generator
from ganloom.nn.layers import normal_init, plan_sizes


class ContextEncoder(nn.Module):
    """Map images x (N, C, H, W) of one size to (N, C, h, w) in [-1, 1].

    4x4 convolutions of stride 2 down to a grid of about 4x4, a layer of ``bottleneck`` units that sees all of it, and
    transposed convolutions up; BatchNorm, LeakyReLU 0.2 on the way down and ReLU on the way up.

    Args:
        shape: Shape of the inputs.
        size: Height and width of the outputs.
        width: Channels of the first layer.
        bottleneck: Number of units in the middle.
    """

    channels_last = True
    bf16 = True

    def __init__(
        self, shape: tuple[int, int, int], size: tuple[int, int], width: int = 64, bottleneck: int = 4000
    ) -> None:
        super().__init__()
        channels, height, grid_w = shape
        _, _, halvings = plan_sizes(height, grid_w)
        layers: list[nn.Module] = []
        for i in range(max(halvings, 1)):
            outputs = width * min(2 ** max(i - 1, 0), 8)  # the first two layers have equal widths, as in the code
            strided = (4, 2, 1) if halvings else (3, 1, 1)
            layers.append(nn.Conv2d(channels, outputs, *strided, bias=False))
            layers += [nn.BatchNorm2d(outputs)] if i else []
            layers.append(nn.LeakyReLU(0.2))
            channels = outputs
            height, grid_w = (height // 2, grid_w // 2) if halvings else (height, grid_w)
        layers += [nn.Flatten(), nn.Linear(channels * height * grid_w, bottleneck, bias=False)]
        self.encoder = nn.Sequential(*layers, nn.BatchNorm1d(bottleneck), nn.LeakyReLU(0.2))
        normal_init(self.encoder)
        self.decoder = Generator((shape[0], *size), bottleneck, width)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, H, W) to (N, C, h, w)."""
        y: Tensor = self.decoder(self.encoder(x.contiguous(memory_format=torch.channels_last)))
        return y
