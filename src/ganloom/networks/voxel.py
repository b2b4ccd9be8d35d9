"""Networks of voxels: 3D convolutions from latents to a volume, seen as silhouettes, and from a volume to a logit.

A volume (N, 1, S, S, S) has the index [z, y, x] and fills the cube [-1, 1]^3; its values are occupancies in [0, 1].
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ganloom.nn import initial_weights
from ganloom.volumes.cameras import Cameras
from ganloom.volumes.rendering import project


def plan_side(size: int, smallest: int = 4) -> tuple[int, int]:
    """Return (base, doublings) of a cube whose side reaches ``size`` by doublings from a base of at least ``smallest``."""
    doublings = max(1, int(math.log2(max(size / smallest, 1))))
    return -(-size // 2**doublings), doublings


def blur(x: Tensor) -> Tensor:
    """Filter a volume with [1, 2, 1] / 4 along each axis; the border is repeated."""
    for axis in (2, 3, 4):
        last = x.shape[axis] - 1
        before = torch.cat([x.narrow(axis, 0, 1), x.narrow(axis, 0, last)], axis)
        after = torch.cat([x.narrow(axis, 1, last), x.narrow(axis, last, 1)], axis)
        x = torch.lerp(x, (before + after) / 2, 0.5)
    return x


class Upsample(nn.ConvTranspose3d):
    """A transposed 4x4x4 convolution of stride 2, followed by the fixed blur if it is asked for."""

    def __init__(self, channels: int, out_channels: int, blurred: bool, bias: bool) -> None:
        super().__init__(channels, out_channels, 4, 2, 1, bias=bias)
        self.blurred = blurred

    def forward(self, x: Tensor) -> Tensor:  # type: ignore[override]
        """(N, C, S, S, S) -> (N, O, 2S, 2S, 2S)."""
        y = super().forward(x)
        return blur(y) if self.blurred else y


class VolumeGenerator(nn.Module):
    """Map z (N, z_dim) to volumes (N, 1, S, S, S) in [0, 1]; BatchNorm and ReLU after every layer but the last.

    Args:
        side: Least side of the volume; S is the next number that doublings reach.
        z_dim: Length of z.
        width: Channels of the layer next to the volume; doubled towards the base, at most 8 times.
        blurred: Blur after each transposed convolution.
        bias: First value of the last bias; below 0 the volume is nearly empty at the start.
        sd: Standard deviation of the last layer's first weights.
    """

    def __init__(self, side: int, z_dim: int, width: int, blurred: bool, bias: float, sd: float = 0.1) -> None:
        super().__init__()
        base, doublings = plan_side(side)
        channels = [width * min(2**i, 8) for i in range(doublings)][::-1]
        self.base = channels[0], base, base, base
        self.side = base * 2**doublings
        self.project = nn.Linear(z_dim, channels[0] * base**3, bias=False)
        layers: list[nn.Module] = [nn.BatchNorm3d(channels[0]), nn.ReLU()]
        for inputs, outputs in zip(channels, channels[1:], strict=False):
            layers += [Upsample(inputs, outputs, blurred, False), nn.BatchNorm3d(outputs), nn.ReLU()]
        last = Upsample(channels[-1], 1, blurred, True)
        initial_weights.normal(last.weight, 0.0, sd)
        assert last.bias is not None
        nn.init.constant_(last.bias, bias)
        self.body = nn.Sequential(*layers, last)

    def forward(self, z: Tensor) -> Tensor:
        """Map z (N, z_dim) to occupancies (N, 1, S, S, S)."""
        return torch.sigmoid(self.body(self.project(z).unflatten(1, self.base)))


def silhouettes(volumes: Tensor, azimuth: Tensor, elevation: Tensor, shape: tuple[int, int, int]) -> Tensor:
    """Project volumes (N, 1, S, S, S) to images (N * views, C, H, W) in [-1, 1] with equal channels; see ``project``."""
    return project(volumes, azimuth, elevation, *shape[1:]).expand(-1, shape[0], -1, -1) * 2 - 1


def resized(volumes: Tensor, side: int | None) -> Tensor:
    """Interpolate volumes (N, 1, S, S, S) to another side; None or S: return them as they are."""
    if side in (None, volumes.shape[-1]):
        return volumes
    return F.interpolate(volumes, size=(side,) * 3, mode="trilinear")


class Silhouettes(nn.Module):
    """Map latents with a view (N, z_dim + 2) to silhouettes (N, C, H, W) in [-1, 1]: a volume, seen by a camera.

    Args:
        shape: Image shape; all channels are equal.
        volumes: From latents to volumes.
        cameras: The views that the last two numbers of a latent, in [-1, 1], stand for.
    """

    def __init__(self, shape: tuple[int, int, int], volumes: VolumeGenerator, cameras: Cameras) -> None:
        super().__init__()
        self.shape, self.volumes, self.cameras = shape, volumes, cameras

    def forward(self, z: Tensor, *, each: int = 1) -> Tensor:
        """Map latents (N, z_dim + 2) to silhouettes; rows i * each to (i + 1) * each - 1 show the volume of the first of them."""
        volumes = self.volumes(z[::each, :-2])
        azimuth, elevation = self.cameras.of_code(z[:, -2:])
        return silhouettes(volumes, azimuth, elevation, self.shape)


class VolumeDiscriminator(nn.Module):
    """Map volumes (N, 1, S, S, S) to logits (N,): strided 4x4x4 convolutions, LeakyReLU 0.2.

    Args:
        side: Side of the volumes.
        width: Channels of the first layer; doubled at most 8 times.
        norm: Use BatchNorm after all but the first convolution.
    """

    def __init__(self, side: int, width: int, norm: bool) -> None:
        super().__init__()
        doublings = plan_side(side)[1]
        layers: list[nn.Module] = []
        inputs = 1
        for i in range(doublings):
            outputs = width * min(2**i, 8)
            layers.append(nn.Conv3d(inputs, outputs, 4, 2, 1, bias=i == 0 or not norm))
            layers += [nn.BatchNorm3d(outputs)] if norm and i else []
            layers.append(nn.LeakyReLU(0.2))
            inputs, side = outputs, side // 2
        self.body = nn.Sequential(*layers)
        self.out = nn.Linear(inputs * side**3, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Map volumes (N, 1, S, S, S) to logits (N,)."""
        logits: Tensor = self.out(self.body(x).flatten(1)).flatten()
        return logits
