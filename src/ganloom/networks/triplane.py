"""A generative radiance field on three planes (Chan et al. 2022, arXiv:2112.07945, sec. 3).

A StyleGAN2 generator maps z to the features of three planes. A point is projected onto each plane; a small network maps the
sum of the three features to a density and a colour. Images are rendered by the volume rendering integral (Mildenhall et al.
2020, arXiv:2003.08934). Objects are inside of the unit sphere: densities outside are 0, and only rays that meet it are sampled.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ganloom.core import randomness
from ganloom.networks.mapping import Mapping
from ganloom.networks.stylegan2 import Synthesis
from ganloom.nn import initial_weights
from ganloom.volumes.cameras import DISTANCE, FIELD_OF_VIEW, Cameras, basis, pixel_centres


class Field(nn.Module):
    """Map features of points (..., C) to densities (...) and colours (..., channels) in [-1, 1].

    Args:
        channels: Length of the features.
        hidden: Width of the hidden layer.
        colours: Number of colour channels.
        bias: Added to the density before its softplus; below 0 space is nearly empty at the start.
        scale: Density per unit of length where the softplus is 1.
    """

    def __init__(self, channels: int, hidden: int, colours: int, bias: float = -2.5, scale: float = 10.0) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(channels, hidden), nn.Linear(hidden, 1 + colours)
        initial_weights.normal(self.first.weight, 0.0, channels**-0.5)
        initial_weights.normal(self.second.weight, 0.0, 0.5 * hidden**-0.5)
        self.bias, self.scale = bias, scale

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Map features (..., C) to densities per unit of length (...), and colours (..., channels)."""
        out = self.second(F.leaky_relu(self.first(features), 0.2)).float()
        density = F.softplus(out[..., 0] + self.bias) * self.scale
        return density, (torch.sigmoid(out[..., 1:]) * 2.004 - 1.002).clamp(-1, 1)


class Generator(nn.Module):
    """Map latents with a view (N, z_dim + 2) to images (N, C, H, W) in [-1, 1].

    Args:
        shape: Image shape.
        z_dim: Length of the part of a latent that describes the object.
        cameras: The views that the last two numbers of a latent stand for.
        w_dim: Length of w.
        layers: Layers of the mapping network.
        plane: Side of the planes.
        features: Channels of each plane.
        width: Channels of the finest grid of the planes' generator.
        most: Largest number of channels.
        hidden: Width of the hidden layer of the field.
        samples: Points along each ray.
        background: Colour of the background in [-1, 1]; an alpha channel is transparent there.
    """

    def __init__(
        self,
        shape: tuple[int, int, int],
        z_dim: int,
        cameras: Cameras,
        *,
        w_dim: int,
        layers: int,
        plane: int,
        features: int,
        width: int,
        most: int,
        hidden: int,
        samples: int,
        background: float,
    ) -> None:
        super().__init__()
        self.shape, self.z_dim, self.cameras = shape, z_dim, cameras
        self.features, self.samples = features, samples
        self.background = [background] * shape[0]
        if shape[0] in (2, 4):
            self.background[-1] = -1.0
        self.mapping = Mapping(z_dim, w_dim, layers)
        self.synthesis = Synthesis((3 * features, plane, plane), w_dim, width * plane, most)
        self.gain = (3 * len(self.synthesis.levels)) ** -0.5
        self.field = Field(features, hidden, shape[0])

    def planes(self, w: Tensor) -> Tensor:
        """Map w (N, w_dim) to the features of three planes (N, 3 * features, S, S)."""
        planes = self.synthesis(w[:, None].expand(-1, self.synthesis.n_layers, -1), "none")
        scaled: Tensor = planes * self.gain
        return scaled

    def at(self, planes: Tensor, points: Tensor) -> tuple[Tensor, Tensor]:
        """Return densities (N, M) and colours (N, M, C) of points (N, M, 3) in the unit sphere."""
        # no shape depends on N, so that an export to ONNX keeps it free
        places = torch.stack([points[..., [0, 1]], points[..., [2, 1]], points[..., [0, 2]]], 1).flatten(0, 1)[:, None]
        each = planes.unflatten(1, (3, self.features)).flatten(0, 1)
        sampled = F.grid_sample(each, places, align_corners=False, padding_mode="border")
        density, colour = self.field(sampled[:, :, 0].unflatten(0, (-1, 3)).sum(1).transpose(1, 2))
        return density * (points.square().sum(-1) < 1.0001), colour

    def render(self, planes: Tensor, azimuth: Tensor, elevation: Tensor, height: int, width: int) -> Tensor:
        """Render perspective images (N, C, H, W) of N objects; in training mode the points along each ray are jittered."""
        samples = self.samples
        x, y = (c.to(planes.device).flatten() for c in pixel_centres(height, width))
        rays = torch.stack([x, y, torch.full_like(x, 1 / math.tan(math.radians(FIELD_OF_VIEW / 2)))], -1)
        rays = rays / rays.norm(dim=-1, keepdim=True)
        middle = rays[:, 2] * DISTANCE  # where a ray is nearest to the origin, the same for all cameras
        half = (1 - DISTANCE**2 + middle**2).clamp_min(0).sqrt()
        hits = torch.nonzero(half > 0).flatten()
        rays, middle, half = rays[hits], middle[hits], half[hits]
        count = int(hits.shape[0])
        if self.training:
            offsets = randomness.rand(len(planes), count, samples, device=planes.device)
        else:
            offsets = torch.full((1, 1, 1), 0.5, device=planes.device)
        steps = (torch.arange(samples, device=planes.device) + offsets) / samples
        along = (middle - half)[:, None] + 2 * half[:, None] * steps
        forwards, right, up = basis(azimuth, elevation)
        directions = rays @ torch.stack([right, up, forwards], 1)
        points = -DISTANCE * forwards[:, None, None] + along[..., None] * directions[:, :, None]
        density, colour = self.at(planes, points.flatten(1, 2))
        optical = density.unflatten(1, (count, samples)) * (2 * half / samples)[:, None]
        before = torch.cumsum(optical, 2) - optical
        weight = torch.exp(-before) * (1 - torch.exp(-optical))
        background = planes.new_tensor(self.background)
        seen = (weight[..., None] * colour.unflatten(1, (count, samples))).sum(2)
        seen = seen + (1 - weight.sum(2, keepdim=True)) * background
        # a ray that misses the sphere takes the last column, the background
        lookup = torch.full((height * width,), count, device=planes.device)
        lookup[hits] = torch.arange(count, device=planes.device)
        columns = torch.cat([seen, torch.zeros_like(seen[:, :1]) + background], 1)
        image: Tensor = columns[:, lookup].transpose(1, 2).unflatten(2, (height, width))
        return image

    def forward(self, z: Tensor, *, coarse: bool = False) -> Tensor:
        """Map latents (N, z_dim + 2) to images (N, C, H, W); ``coarse``: rendered at half the size and enlarged."""
        azimuth, elevation = self.cameras.of_code(z[:, self.z_dim :])
        return self.view(self.planes(self.mapping(z[:, : self.z_dim])), azimuth, elevation, coarse=coarse)

    def view(self, planes: Tensor, azimuth: Tensor, elevation: Tensor, *, coarse: bool = False) -> Tensor:
        """Render images (N, C, H, W) of planes; see ``forward``."""
        height, width = self.shape[1:]
        if not coarse:
            return self.render(planes, azimuth, elevation, height, width)
        small = self.render(planes, azimuth, elevation, -(-height // 2), -(-width // 2))
        return F.interpolate(small, (height, width), mode="bilinear")
