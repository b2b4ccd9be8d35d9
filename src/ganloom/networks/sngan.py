"""The residual networks of SNGAN and SAGAN (Miyato et al. 2018, arXiv:1802.05957, app. B; arXiv:1802.05637; 1805.08318).

``flat``: the same channels on every grid (CIFAR-10); otherwise they double from the image to the base, at most 16 times
(ImageNet). Labels enter G by conditional BatchNorm and D by projection: logit = w h + e(c) h, where h are the features of x.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ganloom.networks.resnet import CriticBlock
from ganloom.nn.layers import (
    BilinearUpsampleConv,
    SelfAttention,
    UpsampleConv,
    attention_level,
    crop,
    one_hot,
    plan_sizes,
)
from ganloom.nn.norms import ConditionalBatchNorm, spectral_norm


class UpBlock(nn.Module):
    """Norm, ReLU, upsampling convolution, norm, ReLU, convolution, plus the upsampled input; (N, C, H, W) -> (N, O, 2H, 2W).

    Args:
        channels: Channels of the input.
        out_channels: Channels of the output.
        inputs: Length of the condition of both norms; 0: none.
        bilinear: Upsample bilinearly instead of by repeating pixels.
    """

    def __init__(self, channels: int, out_channels: int, inputs: int = 0, *, bilinear: bool = False) -> None:
        super().__init__()
        self.norm1 = ConditionalBatchNorm(channels, inputs)
        self.conv1 = (BilinearUpsampleConv if bilinear else UpsampleConv)(channels, out_channels)
        self.norm2 = ConditionalBatchNorm(out_channels, inputs)
        self.conv2 = nn.Conv2d(out_channels, out_channels, 3, padding=1)
        # A 1x1 convolution and upsampling commute; before upsampling it costs a quarter.
        double = nn.Upsample(scale_factor=2, mode="bilinear" if bilinear else "nearest")
        self.skip = nn.Sequential(nn.Conv2d(channels, out_channels, 1), double)

    def forward(self, x: Tensor, c: Tensor | None = None) -> Tensor:
        """Map (N, C, H, W) and a condition (N, inputs) to (N, O, 2H, 2W)."""
        y = self.conv1(F.relu(self.norm1(x, c)))
        y = self.conv2(F.relu(self.norm2(y, c)))
        out: Tensor = y + self.skip(x)
        return out


def glorot_init(network: nn.Module) -> None:
    """Initialize uniformly with variance 2 / (in + out), doubled for 3x3 convolutions; biases 0 (the authors' code)."""
    tables = {
        id(table) for norm in network.modules() if isinstance(norm, ConditionalBatchNorm) for table in norm.children()
    }
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear) and id(layer) not in tables:
            nn.init.xavier_uniform_(layer.weight, math.sqrt(2) if layer.weight[0, 0].numel() == 9 else 1.0)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)


class Generator(nn.Module):
    """Map z (N, z_dim) and labels c (N,) to images (N, C, H, W) in [-1, 1]; BatchNorm, conditional if there are classes.

    Args:
        shape: Image shape.
        z_dim: Length of z.
        width: Channels of the layer next to the image.
        flat: Use the same channels on every grid.
        n_classes: Number of classes; 0: without labels.
        attention: Grid size of self-attention; 0: none.
        spectral: Apply spectral norm to every layer but the class tables.
        spectral_tables: Apply it to the class tables too.
        bilinear: Upsample bilinearly instead of by repeating pixels.
        smallest: Smallest side of the base grid.
    """

    channels_last = True
    bf16 = True

    def __init__(
        self,
        shape: tuple[int, int, int],
        z_dim: int = 128,
        width: int = 256,
        *,
        flat: bool = True,
        n_classes: int = 0,
        attention: int = 0,
        spectral: bool = False,
        spectral_tables: bool = False,
        bilinear: bool = False,
        smallest: int = 4,
    ) -> None:
        super().__init__()
        self.shape, self.n_classes = shape, n_classes
        base_h, base_w, doublings = plan_sizes(shape[1], shape[2], smallest)
        widths = [width if flat else width * min(2**i, 16) for i in range(doublings, -1, -1)]
        self.base = (widths[0], base_h, base_w)
        self.project = nn.Linear(z_dim, widths[0] * base_h * base_w)
        blocks = [UpBlock(a, b, n_classes, bilinear=bilinear) for a, b in zip(widths, widths[1:], strict=False)]
        self.blocks = nn.ModuleList(blocks)
        self.level = attention_level(shape[1], shape[2], attention, smallest)
        if self.level:
            self.attention = SelfAttention(widths[self.level])
        self.norm = nn.BatchNorm2d(widths[-1])
        self.out = nn.Conv2d(widths[-1], shape[0], 3, padding=1)
        glorot_init(self)
        if spectral:
            spectral_norm(self, but=() if spectral_tables else (ConditionalBatchNorm,))

    def forward(self, z: Tensor, c: Tensor | None = None) -> Tensor:
        """Map z (N, z_dim) and labels (N,) to images (N, C, H, W) in [-1, 1]."""
        if self.n_classes:
            assert c is not None
            c = one_hot(c, self.n_classes)
        x = self.project(z).unflatten(1, self.base).contiguous(memory_format=torch.channels_last)
        for i, block in enumerate(self.blocks, 1):
            x = block(x, c)
            if i == self.level:
                x = self.attention(x)
        return crop(self.out(F.relu(self.norm(x))), *self.shape[1:]).tanh()


class Projection(nn.Module):
    """Map images x (N, C, H, W) and labels c (N,) to logits (N,): blocks, features h summed over the grid, w h + e(c) h.

    Args:
        blocks: The blocks.
        features: Length of h.
        n_classes: Number of classes; 0: without labels.
        level: Number of blocks before self-attention; 0: no attention.
        channels: Channels at the attention.
    """

    channels_last = True
    bf16 = True

    def __init__(self, blocks: list[nn.Module], features: int, n_classes: int, level: int, channels: int) -> None:
        super().__init__()
        self.n_classes, self.level = n_classes, level
        self.blocks = nn.ModuleList(blocks)
        if level:
            self.attention = SelfAttention(channels)
        self.out = nn.Linear(features, 1)
        if n_classes:
            self.classes = nn.Linear(n_classes, features, bias=False)

    def forward(self, x: Tensor, c: Tensor | None = None) -> Tensor:
        """Map images (N, C, H, W) and labels (N,) to logits (N,)."""
        for i, block in enumerate(self.blocks, 1):
            x = block(x)
            if i == self.level:
                x = self.attention(x)
        h = F.relu(x).sum((2, 3))
        logits: Tensor = self.out(h).flatten()
        if self.n_classes:
            assert c is not None
            logits = logits + (h * self.classes(one_hot(c, self.n_classes))).sum(1)
        return logits


def _plan(shape: tuple[int, int, int], flat: bool, smallest: int) -> tuple[int, int]:
    """Return (blocks that downsample, blocks after them) of D."""
    base_h, base_w, doublings = plan_sizes(shape[1], shape[2], smallest)
    if flat:
        return min(max(doublings - 1, 1), doublings), 2
    return doublings + (doublings > 0 and min(base_h, base_w) > 4), 1


class Discriminator(Projection):
    """Map images x (N, C, H, W) and labels c (N,) to logits (N,); spectral norm on every layer and on the class table.

    Args:
        shape: Image shape.
        width: Channels of the first block.
        flat: Use the same channels on every grid.
        wide: Give a block's inner layer as many channels as the output has (SAGAN), not as the input has (SNGAN).
        n_classes: Number of classes; 0: without labels.
        attention: Grid size of self-attention; 0: none.
        plan: Number of blocks that downsample and of blocks after them. None: two and two if ``flat`` (table 4), else down to 4
            pixels or fewer and one more (ImageNet; STL-10's 48 px end at 3).
        relu_skip: Apply the ReLU to the skip connections too.
        smallest: Smallest side of G's base grid, from which the plan follows.
        gain: Largest singular value of each layer; the papers have 1.
    """

    def __init__(
        self,
        shape: tuple[int, int, int],
        width: int = 128,
        *,
        flat: bool = True,
        wide: bool = False,
        n_classes: int = 0,
        attention: int = 0,
        plan: tuple[int, int] | None = None,
        relu_skip: bool = False,
        smallest: int = 4,
        gain: float = 1.0,
    ) -> None:
        _, _, doublings = plan_sizes(shape[1], shape[2], smallest)
        downs, more = plan or _plan(shape, flat, smallest)
        widths = [shape[0]] + [width if flat else width * min(2**i, 16) for i in range(downs + more)]
        blocks: list[nn.Module] = [
            CriticBlock(a, b, down=i < downs, first=i == 0, hidden=b if wide or i == 0 else a, relu_skip=relu_skip)
            for i, (a, b) in enumerate(zip(widths, widths[1:], strict=False))
        ]
        place = attention_level(shape[1], shape[2], attention, smallest)
        level = doublings - place if place else 0
        super().__init__(blocks, widths[-1], n_classes, level, widths[level])
        glorot_init(self)
        spectral_norm(self, gain=gain)
