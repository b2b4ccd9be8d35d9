"""Discriminators that are autoencoders: the energy of an image is its reconstruction error (BEGAN, EBGAN).

``D(x)`` returns minus the energy, (N,), so that higher means more real, as with every other D.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ganloom.nn.layers import UpsampleConv, crop, normal_init, plan_sizes


def glorot_init(network: nn.Module) -> None:
    """Initialize weights uniformly with variance 2 / (in + out), and biases with 0.

    This is TensorFlow's default, which BEGAN's public program uses. PyTorch's default has a third of that variance.
    """
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            nn.init.xavier_uniform_(layer.weight)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)


class Decoder(nn.Module):
    """Map h (N, z_dim) to unbounded images (N, C, H, W): two 3x3 convolutions and nearest-neighbour upsampling per size, ELU.

    BEGAN's decoder and generator (Berthelot et al. 2017, arXiv:1703.10717, fig. 1). With ``skip`` the first, smallest map is
    concatenated with the input of each upsampling (sec. 3.5).
    """

    channels_last = True
    bf16 = True

    def __init__(
        self, shape: tuple[int, int, int], z_dim: int, width: int, *, skip: bool = True, smallest: int = 8
    ) -> None:
        super().__init__()
        self.shape, self.skip = shape, skip
        base_h, base_w, doublings = plan_sizes(*shape[1:], smallest)
        self.base = (width, base_h, base_w)
        self.project = nn.Linear(z_dim, width * base_h * base_w)
        joined = 2 * width if skip else width
        self.start = nn.Sequential(*_convolutions(width, width))
        self.ups = nn.ModuleList([UpsampleConv(joined, width) for _ in range(doublings)])
        self.convs = nn.ModuleList(
            [nn.Sequential(nn.ELU(), *_convolutions(width, width)[2:]) for _ in range(doublings)]
        )
        self.out = nn.Conv2d(width, shape[0], 3, padding=1)
        glorot_init(self)

    def forward(self, z: Tensor, c: Tensor | None = None) -> Tensor:
        """Map h (N, z_dim) to images (N, C, H, W)."""
        first = self.project(z).unflatten(1, self.base).contiguous(memory_format=torch.channels_last)
        x = self.start(first)
        for up, conv in zip(self.ups, self.convs, strict=True):
            # Upsampling and concatenation commute.
            x = conv(up(torch.cat([x, first], 1) if self.skip else x))
            first = F.interpolate(first, scale_factor=2.0) if self.skip else first
        return crop(self.out(x), *self.shape[1:])


class Encoder(nn.Module):
    """Map images x (N, C, H, W) to codes h (N, z_dim).

    Two 3x3 convolutions per size, then one of stride 2 with ``width`` more channels, ELU.
    """

    def __init__(self, shape: tuple[int, int, int], z_dim: int, width: int, smallest: int = 8) -> None:
        super().__init__()
        base_h, base_w, doublings = plan_sizes(*shape[1:], smallest)
        layers: list[nn.Module] = [nn.Conv2d(shape[0], width, 3, padding=1), nn.ELU()]
        for i in range(1, doublings + 1):
            layers += [*_convolutions(i * width, i * width), nn.Conv2d(i * width, (i + 1) * width, 3, 2, 1), nn.ELU()]
        last = (doublings + 1) * width
        self.body = nn.Sequential(*layers, *_convolutions(last, last), nn.Flatten())
        self.out = nn.Linear(last * base_h * base_w, z_dim)
        glorot_init(self)

    def forward(self, x: Tensor) -> Tensor:
        """Map images (N, C, H, W) to codes (N, z_dim)."""
        h: Tensor = self.out(self.body(x))
        return h


def _convolutions(channels: int, out_channels: int) -> list[nn.Module]:
    """Return two 3x3 convolutions, each with ELU."""
    return [
        nn.Conv2d(channels, out_channels, 3, padding=1),
        nn.ELU(),
        nn.Conv2d(out_channels, out_channels, 3, padding=1),
        nn.ELU(),
    ]


class Rebuilder(nn.Module):
    """BEGAN's discriminator: map x (N, C, H, W) to minus the mean absolute reconstruction error (N,)."""

    channels_last = True
    bf16 = True

    def __init__(
        self, shape: tuple[int, int, int], z_dim: int, width: int, *, skip: bool = True, smallest: int = 8
    ) -> None:
        super().__init__()
        self.encoder = Encoder(shape, z_dim, width, smallest)
        self.decoder = Decoder(shape, z_dim, width, skip=skip, smallest=smallest)

    def rebuild(self, x: Tensor) -> Tensor:
        """Encode and decode images (N, C, H, W)."""
        out: Tensor = self.decoder(self.encoder(x))
        return out

    def forward(self, x: Tensor, c: Tensor | None = None) -> Tensor:
        """Map images (N, C, H, W) to minus their energy (N,)."""
        return -(self.rebuild(x).float() - x).abs().flatten(1).mean(1)


class ConvRebuilder(nn.Module):
    """EBGAN's discriminator: map x (N, C, H, W) to minus the Euclidean reconstruction error (N,).

    Three 4x4 convolutions of stride 2 (64, 128, 256 channels), and back (Zhao et al. 2016, arXiv:1609.03126, app. D); BatchNorm
    after all but the first and the last. With ``codes`` it also returns the encoder's output (N, K, h, w). ``absolute``: use the
    mean absolute error instead, as BEGAN does.
    """

    channels_last = True
    bf16 = True

    def __init__(self, shape: tuple[int, int, int], width: int = 64, absolute: bool = False) -> None:
        super().__init__()
        self.absolute = absolute
        height, breadth = shape[1:]
        base_h, base_w, halvings = plan_sizes(height, breadth, smallest=2, most=3)
        over = (base_h * 2**halvings - height, base_w * 2**halvings - breadth)
        self.size = (height, breadth)
        self.pad = (over[1] // 2, over[1] - over[1] // 2, over[0] // 2, over[0] - over[0] // 2)
        step = (4, 2, 1) if halvings else (3, 1, 1)
        channels = [shape[0]] + [width * 2**i for i in range(max(halvings, 1))]
        down: list[nn.Module] = []
        for i, (inputs, outputs) in enumerate(zip(channels, channels[1:], strict=False)):
            down.append(nn.Conv2d(inputs, outputs, *step, bias=i == 0))
            down += ([nn.BatchNorm2d(outputs)] if i else []) + [nn.LeakyReLU(0.2)]
        up: list[nn.Module] = []
        for inputs, outputs in zip(channels[:1:-1], channels[-2:0:-1], strict=True):
            up += [nn.ConvTranspose2d(inputs, outputs, *step, bias=False), nn.BatchNorm2d(outputs), nn.LeakyReLU(0.2)]
        self.encoder = nn.Sequential(*down)
        self.decoder = nn.Sequential(*up, nn.ConvTranspose2d(channels[1], shape[0], *step))
        normal_init(self, 0.002)

    def forward(self, x: Tensor, c: Tensor | None = None, *, codes: bool = False) -> Tensor | tuple[Tensor, Tensor]:
        """Map images (N, C, H, W) to minus their energy (N,); with ``codes`` to (that, codes)."""
        h = self.encoder(F.pad(x, self.pad))
        error = (crop(self.decoder(h), *self.size).float() - x).flatten(1)
        logits = -error.abs().mean(1) if self.absolute else -error.norm(dim=1)
        return (logits, h) if codes else logits
