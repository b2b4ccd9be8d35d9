"""The networks of BigGAN and BigGAN-deep (Brock et al. 2018, arXiv:1809.11096, app. B, tables 4 to 9).

Both norms of each block of G are linear in a condition: a part of z and the shared class vector (BigGAN), or all of z and
the class vector (BigGAN-deep). D is the projection discriminator. Every layer of both networks has spectral norm except the
shared class vectors of G, which are kept apart (``G.classes``) from the rest (``G.body``), so that a regulariser can exclude
them.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ganloom.networks.resnet import CriticBlock
from ganloom.networks.sngan import Projection, UpBlock
from ganloom.nn import initial_weights
from ganloom.nn.layers import SelfAttention, attention_level, crop, one_hot, plan_sizes
from ganloom.nn.norms import ConditionalBatchNorm, keep_standing, spectral_norm

_MULTIPLES = {4: (16, 16, 8, 4, 2), 6: (16, 16, 8, 8, 4, 2, 1), 7: (16, 16, 8, 8, 4, 2, 1, 1)}


def _multiples(doublings: int) -> tuple[int, ...]:
    """Return the channels of G in widths, from the base to the image (tables 4 to 6); below 64 px 4 throughout (CIFAR-10)."""
    if doublings < 4:
        return (4,) * (doublings + 1)
    if doublings == 5:
        return 16, 16, 8, 4, 2, 1
    return _MULTIPLES.get(doublings, _MULTIPLES[7] + (1,) * (doublings - 7))


def orthogonal_init(network: nn.Module) -> None:
    """Initialize weights orthogonally and biases with 0 (sec. 3)."""
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            initial_weights.orthogonal(layer.weight)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)


def _zero_tables(network: nn.Module) -> None:
    """Set conditional norms to start as plain ones: orthogonal initialization does not suit a table with a row per class."""
    for norm in network.modules():
        if isinstance(norm, ConditionalBatchNorm) and norm.inputs:
            nn.init.zeros_(norm.gain.weight)
            nn.init.zeros_(norm.bias.weight)


class DeepUpBlock(nn.Module):
    """A bottleneck block of G: 1x1 to a quarter of the channels, two 3x3, 1x1 out, each after a norm and ReLU (fig. 16).

    The skip connection drops channels.
    """

    def __init__(self, channels: int, out_channels: int, inputs: int, *, up: bool) -> None:
        super().__init__()
        inner = max(channels // 4, 1)
        self.out_channels, self.up = out_channels, up
        self.norms = nn.ModuleList([ConditionalBatchNorm(c, inputs) for c in (channels, inner, inner, inner)])
        self.convs = nn.ModuleList(
            [
                nn.Conv2d(channels, inner, 1),
                nn.Conv2d(inner, inner, 3, padding=1),
                nn.Conv2d(inner, inner, 3, padding=1),
                nn.Conv2d(inner, out_channels, 1),
            ]
        )

    def forward(self, x: Tensor, c: Tensor) -> Tensor:
        """Map (N, C, H, W) and a condition (N, inputs) to (N, O, H, W), upsampled if ``up``."""
        y, skip = x, x[:, : self.out_channels]
        for i, (norm, conv) in enumerate(zip(self.norms, self.convs, strict=True)):
            y = F.relu(norm(y, c))
            if i == 1 and self.up:
                y, skip = F.interpolate(y, scale_factor=2.0), F.interpolate(skip, scale_factor=2.0)
            y = conv(y)
        return y + skip


class DeepStage(nn.Module):
    """A block that keeps the grid size, followed by one that doubles it."""

    def __init__(self, channels: int, out_channels: int, inputs: int) -> None:
        super().__init__()
        self.first = DeepUpBlock(channels, channels, inputs, up=False)
        self.second = DeepUpBlock(channels, out_channels, inputs, up=True)

    def forward(self, x: Tensor, c: Tensor) -> Tensor:
        """Map (N, C, H, W) and a condition (N, inputs) to (N, O, 2H, 2W)."""
        out: Tensor = self.second(self.first(x, c), c)
        return out


class DeepDownBlock(nn.Module):
    """A bottleneck block of D, without norms (fig. 16).

    A 1x1 convolution in the skip connection adds the missing channels.
    """

    def __init__(self, channels: int, out_channels: int, *, down: bool, relu_skip: bool = False) -> None:
        super().__init__()
        self.relu_skip = relu_skip
        inner = max(out_channels // 4, 1)
        pool: list[nn.Module] = [nn.AvgPool2d(2)] if down else []
        self.main = nn.Sequential(
            nn.ReLU(),
            nn.Conv2d(channels, inner, 1),
            nn.ReLU(),
            nn.Conv2d(inner, inner, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(inner, inner, 3, padding=1),
            nn.ReLU(),
            *pool,
            nn.Conv2d(inner, out_channels, 1),
        )
        self.pool = nn.Sequential(*pool)
        self.more = nn.Conv2d(channels, out_channels - channels, 1) if out_channels > channels else None

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, H, W) to (N, O, H, W), downsampled if ``down``."""
        x = x.relu() if self.relu_skip else x
        skip = self.pool(x)
        if self.more is not None:
            skip = torch.cat([skip, self.more(skip)], 1)
        out: Tensor = self.main(x) + skip
        return out


class Body(nn.Module):
    """Map z (N, z_dim) and class vectors (N, c_dim) to images (N, C, H, W) in [-1, 1].

    Args:
        shape: Image shape.
        z_dim: Length of z.
        c_dim: Length of a class vector; 0 without classes.
        width: Channels of the layer next to the image.
        attention: Grid size of self-attention; 0: none.
        deep: Use the blocks of BigGAN-deep.
        hierarchical: Give each block a part of z; otherwise only the first layer gets z.
        multiples: Channels from the base to the image, in widths; empty: those of the paper.
        spare: Give the last layer as many outputs as inputs, of which those for the image are used.
        smallest: Smallest side of the base grid.
    """

    def __init__(
        self,
        shape: tuple[int, int, int],
        z_dim: int,
        c_dim: int,
        width: int,
        attention: int,
        deep: bool,
        *,
        hierarchical: bool = True,
        multiples: tuple[int, ...] = (),
        spare: bool = False,
        smallest: int = 4,
    ) -> None:
        super().__init__()
        self.shape, self.deep = shape, deep
        base_h, base_w, doublings = plan_sizes(shape[1], shape[2], smallest)
        widths = [width * m for m in multiples or _multiples(doublings)]
        # Hierarchical latents (sec. 3): a part for the first layer and for each block; if uneven, longer parts come first.
        parts = doublings + 1
        self.sizes = [z_dim // parts + (i < z_dim % parts) for i in range(parts)]
        if not hierarchical:
            self.sizes = [z_dim] + [0] * doublings
        inputs = [z_dim + c_dim] * parts if deep else [self.sizes[0], *(size + c_dim for size in self.sizes[1:])]
        self.base = (widths[0], base_h, base_w)
        self.project = nn.Linear(inputs[0], widths[0] * base_h * base_w)
        block = DeepStage if deep else UpBlock
        self.blocks = nn.ModuleList([block(a, b, n) for a, b, n in zip(widths, widths[1:], inputs[1:], strict=False)])
        self.level = attention_level(shape[1], shape[2], attention, smallest)
        if self.level:
            self.attention = SelfAttention(widths[self.level])
        self.norm = nn.BatchNorm2d(widths[-1])
        self.out = nn.Conv2d(widths[-1], widths[-1] if spare else shape[0], 3, padding=1)

    def forward(self, z: Tensor, c: Tensor | None) -> Tensor:
        """Map z (N, z_dim) and class vectors (N, c_dim) to images (N, C, H, W) in [-1, 1]."""
        if self.deep:
            conditions = [z if c is None else torch.cat([z, c], 1)] * len(self.sizes)
        else:
            first, *rest = z.split(self.sizes, 1)
            conditions = [first, *(part if c is None else torch.cat([part, c], 1) for part in rest)]
        x = self.project(conditions[0]).unflatten(1, self.base).contiguous(memory_format=torch.channels_last)
        for i, (block, condition) in enumerate(zip(self.blocks, conditions[1:], strict=True), 1):
            x = block(x, condition)
            if i == self.level:
                x = self.attention(x)
        return crop(self.out(F.relu(self.norm(x)))[:, : self.shape[0]], *self.shape[1:]).tanh()


class Generator(nn.Module):
    """Map z (N, z_dim) and labels c (N,) to images (N, C, H, W) in [-1, 1]: shared class vectors and the body.

    Args:
        shape: Image shape.
        z_dim: Length of z.
        width: Channels of the layer next to the image.
        c_dim: Length of the shared class vectors.
        n_classes: Number of classes; 0: without labels.
        attention: Grid size of self-attention; 0: none.
        deep: Use the blocks of BigGAN-deep.
        hierarchical: Give each block a part of z; otherwise only the first layer gets z.
        shared: Share class vectors among norms; otherwise each norm has a table with a row per class, without spectral norm.
        multiples: Channels from the base to the image, in widths; empty: those of the paper.
        hub: Number of sets of BatchNorm statistics, and a last layer as wide as its input; 0: neither.
        smallest: Smallest side of the base grid.
    """

    channels_last = True
    bf16 = True

    def __init__(
        self,
        shape: tuple[int, int, int],
        z_dim: int = 120,
        width: int = 96,
        *,
        c_dim: int = 128,
        n_classes: int = 0,
        attention: int = 64,
        deep: bool = False,
        hierarchical: bool = True,
        shared: bool = True,
        multiples: tuple[int, ...] = (),
        hub: int = 0,
        smallest: int = 4,
    ) -> None:
        super().__init__()
        self.n_classes, self.shared = n_classes, shared
        if n_classes and shared:
            self.classes = nn.Linear(n_classes, c_dim, bias=False)
        self.body = Body(
            shape, z_dim, (c_dim if shared else n_classes) if n_classes else 0, width, attention, deep,
            hierarchical=hierarchical, multiples=multiples, spare=hub > 0, smallest=smallest,
        )  # fmt: skip
        orthogonal_init(self)
        if not shared:
            _zero_tables(self.body)
        spectral_norm(self.body, but=() if shared else (ConditionalBatchNorm,))
        if hub:
            keep_standing(self.body, hub)

    def forward(self, z: Tensor, c: Tensor | None = None) -> Tensor:
        """Map z (N, z_dim) and labels (N,), or class weights (N, n_classes), to images (N, C, H, W) in [-1, 1]."""
        if self.n_classes:
            assert c is not None
            c = one_hot(c, self.n_classes)
            c = self.classes(c) if self.shared else c
        out: Tensor = self.body(z, c)
        return out


class Discriminator(Projection):
    """Map images x (N, C, H, W) and labels c (N,) to logits (N,); spectral norm on every layer and on the class table."""

    def __init__(
        self,
        shape: tuple[int, int, int],
        width: int = 96,
        *,
        n_classes: int = 0,
        attention: int = 64,
        deep: bool = False,
        relu_skip: bool = False,
        smallest: int = 4,
    ) -> None:
        _, _, doublings = plan_sizes(shape[1], shape[2], smallest)
        multiples = (1, 2, 4, 8, 16) if doublings == 4 else _multiples(doublings)[::-1]
        widths = [width * m for m in multiples]
        small = doublings < 4  # CIFAR-10: two blocks downsample, two more follow
        downs = min(max(doublings - 1, 1), doublings) if small else doublings
        blocks: list[nn.Module]
        if deep:
            blocks = [
                nn.Sequential(
                    DeepDownBlock(a, b, down=i < downs, relu_skip=relu_skip),
                    DeepDownBlock(b, b, down=False, relu_skip=relu_skip),
                )
                for i, (a, b) in enumerate(zip(widths, widths[1:], strict=False))
            ]
            start = nn.Conv2d(shape[0], widths[0], 3, padding=1)
            blocks = [nn.Sequential(start, *blocks[:1]), *blocks[1:]]
        else:
            widths = widths[:1] * (downs + 2) if small else widths
            blocks = [
                CriticBlock(a, b, down=i < downs, first=i == 0, relu_skip=relu_skip)
                for i, (a, b) in enumerate(zip([shape[0], *widths], widths, strict=False))
            ]
        place = attention_level(shape[1], shape[2], attention, smallest)
        level = doublings - place if place else 0
        super().__init__(blocks, widths[-1], n_classes, level, widths[level if deep else level - 1])
        orthogonal_init(self)
        spectral_norm(self)
