"""Cameras that look at the origin: rays of pixels, and the range of views that a model is trained with.

At azimuth 0 and elevation 0 the camera is at +z and sees x to the right. A positive azimuth moves it towards +x, a positive
elevation towards +y. Angles are in radians unless a name says degrees.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from ganloom.core.errors import BadInput

DISTANCE = 4.0
"""Distance of the camera from the origin."""
FIELD_OF_VIEW = 30.0
"""Angle of a perspective image in degrees, along its longer side."""


@dataclass(frozen=True)
class Cameras:
    """The views that are drawn, uniform in azimuth and elevation.

    Args:
        azimuth: Smallest and largest azimuth in degrees.
        elevation: Smallest and largest elevation in degrees.

    Raises:
        BadInput: If a range is empty, or an elevation is not in -90..90.
    """

    azimuth: tuple[float, float] = (-180.0, 180.0)
    elevation: tuple[float, float] = (0.0, 40.0)

    def __post_init__(self) -> None:
        for name, (low, high), most in (("azimuth", self.azimuth, 360.0), ("elevation", self.elevation, 90.0)):
            if not -most <= low <= high <= most:
                raise BadInput(f"--{name} is a range of degrees within -{most:g}..{most:g}, got {low:g} {high:g}")

    def of_code(self, code: Tensor) -> tuple[Tensor, Tensor]:
        """Return azimuth and elevation (N,) of codes (N, 2) in [-1, 1]."""
        angles = []
        for i, (low, high) in enumerate((self.azimuth, self.elevation)):
            angles.append(math.radians((low + high) / 2) + code[:, i] * math.radians((high - low) / 2))
        return angles[0], angles[1]

    @property
    def middle(self) -> float:
        """The elevation in the middle of the range, in radians."""
        return math.radians(sum(self.elevation) / 2)


def basis(azimuth: Tensor, elevation: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return the axes of cameras: unit vectors (N, 3) forwards, right and up."""
    sin_a, cos_a, sin_e, cos_e = azimuth.sin(), azimuth.cos(), elevation.sin(), elevation.cos()
    forwards = -torch.stack([cos_e * sin_a, sin_e, cos_e * cos_a], -1)
    right = torch.stack([cos_a, torch.zeros_like(cos_a), -sin_a], -1)
    up = torch.stack([-sin_e * sin_a, cos_e, -sin_e * cos_a], -1)
    return forwards, right, up


def pixel_centres(height: int, width: int) -> tuple[Tensor, Tensor]:
    """Return the coordinates (H, W) of pixel centres, right and up; the longer side spans [-1, 1]."""
    longer = max(height, width)
    x = ((torch.arange(width) + 0.5) * 2 - width) / longer
    y = (height - (torch.arange(height) + 0.5) * 2) / longer
    up, right = torch.meshgrid(y, x, indexing="ij")
    return right, up


def parallel_rays(azimuth: Tensor, elevation: Tensor, height: int, width: int) -> tuple[Tensor, Tensor]:
    """Return origins and unit directions (N, H, W, 3) of the rays of orthographic images; the longer side spans [-1, 1]."""
    forwards, right, up = (axis[:, None, None] for axis in basis(azimuth, elevation))
    x, y = (c.to(azimuth.device)[None, ..., None] for c in pixel_centres(height, width))
    origins = x * right + y * up - DISTANCE * forwards
    return origins, forwards.expand_as(origins)


def perspective_rays(azimuth: Tensor, elevation: Tensor, height: int, width: int) -> tuple[Tensor, Tensor]:
    """Return origins and unit directions (N, H, W, 3) of the rays of perspective images."""
    forwards, right, up = (axis[:, None, None] for axis in basis(azimuth, elevation))
    slope = math.tan(math.radians(FIELD_OF_VIEW / 2))
    x, y = (c.to(azimuth.device)[None, ..., None] * slope for c in pixel_centres(height, width))
    directions = forwards + x * right + y * up
    directions = directions / directions.norm(dim=-1, keepdim=True)
    return (-DISTANCE * forwards).expand_as(directions), directions
