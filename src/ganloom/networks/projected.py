"""The discriminators of Projected GAN (Sauer et al. 2021, arXiv:2111.01007, sec. 3 and app.), and their random projections.

A frozen network gives feature maps at four resolutions. Each is mixed over its channels by a random 1x1 convolution (CCM).
Then, starting with the coarsest, each is upsampled, mixed again and added to the next finer one (CSM). None of this is
trained. Four small discriminators each judge one scale.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ganloom.core.errors import BadInput
from ganloom.nn.norms import spectral_norm

SCALES = 4
Maps = Callable[[Tensor], list[Tensor]]
"""A function of images (N, C, H, W) in [-1, 1] that returns feature maps, finest first."""


class Projection:
    """Feature maps of a frozen network, mixed at random over channels and scales; not a module, so nothing is trained or saved.

    Args:
        open_net: Called with a device at the first use, so that a trained model can be loaded and sampled where the network is
            not installed.
        name: Name of the network, for messages.
        width: Channels of the finest mix.
    """

    def __init__(self, open_net: Callable[[torch.device], Maps], name: str, width: int) -> None:
        self.open_net, self.name, self.width = open_net, name, width
        self._maps: Maps | None = None
        self._device: torch.device | None = None
        self._mixed: tuple[Any, list[tuple[Tensor, Tensor]]] = None, []

    def __deepcopy__(self, memo: object) -> "Projection":
        return self  # frozen and large

    def __call__(self, x: Tensor, seed: Tensor) -> list[Tensor]:
        """Compute the mixed maps.

        Args:
            x: Images (N, C, H, W) in [-1, 1].
            seed: An integer tensor () that determines every random weight, the same on each machine.

        Returns:
            Four maps, finest first, of H / 2, H / 4, H / 8 and H / 16.

        Raises:
            BadInput: If the network returns fewer than four resolutions.
        """
        maps = self.network(x.device)(x)[-SCALES:]
        if len(maps) < SCALES:
            raise BadInput(
                f"--features {self.name} returns maps of {len(maps)} resolutions for images of {x.shape[2]} x {x.shape[3]}, but "
                f"the discriminators need {SCALES}: increase --side, or use effnet or random"
            )
        mix = self._mix([m.shape[1] for m in maps], seed, x.device)
        mixed = [F.conv2d(m, w.to(m.dtype), b.to(m.dtype)) for m, (w, b) in zip(maps, mix, strict=False)]
        outputs: list[Tensor] = []
        for scale in reversed(range(SCALES)):  # the coarsest first; each is added to the next
            y = mixed[scale]
            if outputs:
                y = y + fitted(outputs[-1], y)
            size = (max(x.shape[2] >> (scale + 1), 1), max(x.shape[3] >> (scale + 1), 1))
            weight, bias = mix[SCALES + scale]
            y = F.interpolate(y, size, mode="bilinear", align_corners=True)
            outputs.append(F.conv2d(y, weight.to(y.dtype), bias.to(y.dtype)))
        return outputs[::-1]

    def network(self, device: torch.device) -> Maps:
        """Return the frozen network on a device; raises what opening it raises, e.g. `BadInput` for a missing extra."""
        if self._maps is None or self._device != device:
            self._maps, self._device = self.open_net(device), device
        return self._maps

    def _mix(self, channels: list[int], seed: Tensor, device: torch.device) -> list[tuple[Tensor, Tensor]]:
        """Return the random weights; they are drawn again if the seed's value changed, e.g. by loading a checkpoint."""
        key = channels, device, int(seed)
        if self._mixed[0] != key:
            self._mixed = key, random_mixes(channels, self.width, int(seed), device)
        return self._mixed[1]


def fitted(x: Tensor, like: Tensor) -> Tensor:
    """Resize x to the grid of ``like``, if the network's padding made another."""
    return x if x.shape[2:] == like.shape[2:] else F.interpolate(x, like.shape[2:], mode="bilinear", align_corners=True)


def mixes(width: int) -> list[tuple[int, int]]:
    """Return (inputs, outputs) of the mixes over scales, finest first; a mix over channels outputs the inputs."""
    return [(width, width), (2 * width, width), (4 * width, 2 * width), (8 * width, 4 * width)]


def random_mixes(channels: Sequence[int], width: int, seed: int, device: torch.device) -> list[tuple[Tensor, Tensor]]:
    """Draw weights and biases of the four mixes over channels, then of the four over scales: uniform in +-1 / sqrt(inputs)."""
    rng = torch.Generator().manual_seed(seed)
    pairs = []
    for a, b in [*zip(channels, (a for a, _ in mixes(width)), strict=True), *mixes(width)]:
        weight, bias = ((torch.rand(shape, generator=rng) * 2 - 1) / a**0.5 for shape in ((b, a, 1, 1), (b,)))
        pairs.append((weight.to(device), bias.to(device)))
    return pairs


def halvings(grid: int, scale: int) -> int:
    """Return how often the discriminator of a scale downsamples its grid: 4, 3, 2 or 1 times, and never below 4 x 4."""
    return max(min(SCALES - scale, (grid // 4).bit_length() - 1), 0)


class Single(nn.Module):
    """Map maps (N, C, H, W) of one scale to one logit per patch (N, patches); channels double as grids halve."""

    def __init__(self, channels: int, size: tuple[int, int], scale: int, most: int) -> None:
        super().__init__()
        downs = halvings(min(size), scale)
        layers: list[nn.Module] = []
        for left in reversed(range(downs)):
            out = max(most >> left, 1)
            layers += [nn.Conv2d(channels, out, 4, 2, 1), nn.BatchNorm2d(out), nn.LeakyReLU(0.2)]
            channels, size = out, (size[0] // 2, size[1] // 2)
        layers.append(nn.Conv2d(channels, 1, (min(4, size[0]), min(4, size[1])), bias=False))
        self.main = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, H, W) to (N, patches)."""
        y: Tensor = self.main(x)
        return y.flatten(1)


class Discriminator(nn.Module):
    """Map images x (N, C, H, W) in [-1, 1] to logits (N,), the mean over the patches of four scales.

    Args:
        shape: Image shape.
        projection: The frozen network and its random mixes.
        side: Images with a shorter side are enlarged to this many pixels.
    """

    channels_last = True
    bf16 = True
    seed: Tensor

    def __init__(self, shape: tuple[int, int, int], projection: Projection, side: int) -> None:
        super().__init__()
        self.size = enlarged(shape[1], shape[2], side)
        self.projection = projection
        # Saved with the model, so that resumed and fine-tuned runs use the same projections.
        self.register_buffer("seed", torch.randint(2**31, ()))
        width = projection.width
        self.scales = nn.ModuleList(
            Single(channels, (max(self.size[0] >> (i + 1), 1), max(self.size[1] >> (i + 1), 1)), i, 8 * width)
            for i, (_, channels) in enumerate(mixes(width))
        )
        spectral_norm(self)

    def forward(self, x: Tensor, c: Tensor | None = None, *, patches: bool = False) -> Tensor:
        """Map images (N, C, H, W) to logits (N,), or with ``patches`` to (N, patches) of all scales, finest first."""
        if x.shape[2:] != self.size:
            x = F.interpolate(x, self.size, mode="bilinear", align_corners=False)
        mixed = self.projection(x, self.seed)
        logits = torch.cat([single(maps) for single, maps in zip(self.scales, mixed, strict=True)], 1)
        return logits if patches else logits.mean(1)


def enlarged(height: int, width: int, side: int) -> tuple[int, int]:
    """Return height and width scaled so that the shorter side is at least ``side``; larger images keep their size."""
    ratio = max(side / min(height, width), 1.0)
    return round(height * ratio), round(width * ratio)
