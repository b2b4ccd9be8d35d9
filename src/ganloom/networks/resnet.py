"""The residual networks of WGAN-GP for small images (Gulrajani et al. 2017, arXiv:1704.00028, appendix F)."""

import torch
from torch import Tensor, nn

from ganloom.nn.layers import DownsampleConv, UpsampleConv, crop, label_maps, one_hot, plan_sizes


class UpBlock(nn.Module):
    """BatchNorm, ReLU, upsampling convolution, BatchNorm, ReLU, convolution, plus the upsampled input.

    (N, C, H, W) -> (N, O, 2H, 2W).
    """

    def __init__(self, channels: int, out_channels: int) -> None:
        super().__init__()
        self.main = nn.Sequential(
            nn.BatchNorm2d(channels),
            nn.ReLU(),
            UpsampleConv(channels, out_channels, bias=False),
            nn.BatchNorm2d(out_channels),
            nn.ReLU(),
            nn.Conv2d(out_channels, out_channels, 3, padding=1),
        )
        # A 1x1 convolution and upsampling commute; before upsampling it costs a quarter.
        self.skip = nn.Sequential(nn.Conv2d(channels, out_channels, 1), nn.Upsample(scale_factor=2))

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, O, 2H, 2W)."""
        out: Tensor = self.main(x) + self.skip(x)
        return out


class CriticBlock(nn.Module):
    """ReLU, convolution, ReLU, convolution, plus the input.

    Args:
        channels: Channels of the input.
        out_channels: Channels of the output.
        down: Downsample both paths with a 2x2 mean.
        first: Leave out the first ReLU, for a block on images.
        hidden: Channels between the two convolutions; None: as the output.
        relu_skip: Apply the ReLU to the skip connection too, as in programs with an in-place ReLU.
    """

    def __init__(
        self,
        channels: int,
        out_channels: int,
        *,
        down: bool,
        first: bool = False,
        hidden: int | None = None,
        relu_skip: bool = False,
    ) -> None:
        super().__init__()
        self.relu_skip = relu_skip and not first
        hidden = hidden or out_channels
        last: nn.Module
        last = DownsampleConv(hidden, out_channels) if down else nn.Conv2d(hidden, out_channels, 3, padding=1)
        start: list[nn.Module] = [] if first else [nn.ReLU()]
        self.main = nn.Sequential(*start, nn.Conv2d(channels, hidden, 3, padding=1), nn.ReLU(), last)
        skip: list[nn.Module] = [nn.AvgPool2d(2)] if down else []
        if channels != out_channels or down:
            skip.append(nn.Conv2d(channels, out_channels, 1))
        self.skip = nn.Sequential(*skip)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, H, W) to (N, O, H, W), downsampled if ``down``."""
        x = x.relu() if self.relu_skip else x
        out: Tensor = self.main(x) + self.skip(x)
        return out


class Generator(nn.Module):
    """Map z (N, z_dim) and labels c (N,) to images (N, C, H, W) in [-1, 1]."""

    channels_last = True
    bf16 = True

    def __init__(
        self, shape: tuple[int, int, int], z_dim: int = 128, width: int = 128, *, n_classes: int = 0, smallest: int = 4
    ) -> None:
        super().__init__()
        self.shape, self.n_classes = shape, n_classes
        base_h, base_w, doublings = plan_sizes(shape[1], shape[2], smallest)
        self.base = (width, base_h, base_w)
        self.project = nn.Linear(z_dim + n_classes, width * base_h * base_w)
        self.body = nn.Sequential(*[UpBlock(width, width) for _ in range(doublings)])
        self.out = nn.Sequential(nn.BatchNorm2d(width), nn.ReLU(), nn.Conv2d(width, shape[0], 3, padding=1))

    def forward(self, z: Tensor, c: Tensor | None = None) -> Tensor:
        """Map z (N, z_dim) and labels (N,) to images (N, C, H, W) in [-1, 1]."""
        if self.n_classes and c is not None:
            z = torch.cat([z, one_hot(c, self.n_classes)], 1)
        x = self.project(z).unflatten(1, self.base).contiguous(memory_format=torch.channels_last)
        return crop(self.out(self.body(x)), *self.shape[1:]).tanh()


class Discriminator(nn.Module):
    """Map images x (N, C, H, W) and labels c (N,) to critic values (N,); no norms, so a gradient penalty is per sample."""

    channels_last = True
    bf16 = True

    def __init__(self, shape: tuple[int, int, int], width: int = 128, *, n_classes: int = 0, smallest: int = 4) -> None:
        super().__init__()
        self.n_classes = n_classes
        _, _, doublings = plan_sizes(shape[1], shape[2], smallest)
        downs = max(doublings - 1, 1) if min(shape[1:]) >= 4 else 0
        blocks = [
            CriticBlock(shape[0] + n_classes if i == 0 else width, width, down=i < downs, first=i == 0)
            for i in range(downs + 2)
        ]
        self.body = nn.Sequential(*blocks, nn.ReLU())
        self.out = nn.Linear(width, 1)

    def forward(self, x: Tensor, c: Tensor | None = None) -> Tensor:
        """Map images (N, C, H, W) and labels (N,) to critic values (N,)."""
        if self.n_classes and c is not None:
            x = torch.cat([x, label_maps(c, self.n_classes, x)], 1)
        logits: Tensor = self.out(self.body(x).mean((2, 3))).flatten()
        return logits
