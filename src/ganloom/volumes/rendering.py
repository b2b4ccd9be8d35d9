"""Render objects of known shape: silhouettes, depth, and colours with light; convert them to voxels; project volumes."""

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from ganloom.volumes.cameras import basis, parallel_rays, perspective_rays, pixel_centres
from ganloom.volumes.objects import Thing
from ganloom.volumes.solids import Hit, Solid, inside, nearest

AMBIENT = 0.45
"""Brightness of a face that the light does not reach; one that faces the light has 1."""
_LIGHT = (0.45, 0.8, 0.4)
_FINER = 2
"""Rays along each side of a pixel."""


def silhouettes(solids: Sequence[Solid], azimuth: Tensor, elevation: Tensor, height: int, width: int) -> Tensor:
    """Render orthographic silhouettes.

    Args:
        solids: The object.
        azimuth: Of each view, radians (N,).
        elevation: Of each view, radians (N,).
        height: Height of the images.
        width: Width of the images.

    Returns:
        The share of each pixel that the object covers, (N, 1, H, W) in [0, 1].
    """
    origins, directions = parallel_rays(azimuth, elevation, height * _FINER, width * _FINER)
    covered = torch.stack([solid.hit(origins, directions)[0] for solid in solids]).amin(0) < math.inf
    return F.avg_pool2d(covered.float()[:, None], _FINER)


def depth(solids: Sequence[Solid], azimuth: Tensor, elevation: Tensor, height: int, width: int) -> Tensor:
    """Return the distance from the camera along the ray through each pixel's centre, (N, H, W); infinite beside the object.

    The images are perspective, as those of ``colours``.
    """
    return _hits(solids, *perspective_rays(azimuth, elevation, height, width))[0]


def colours(thing: Thing, azimuth: Tensor, elevation: Tensor, height: int, width: int) -> Tensor:
    """Render perspective images of a coloured object in front of white; the light comes from above, right and front.

    Args:
        thing: An object with colours.
        azimuth: Of each view, radians (N,).
        elevation: Of each view, radians (N,).
        height: Height of the images.
        width: Width of the images.

    Returns:
        RGB images (N, 3, H, W) in [0, 1].
    """
    rays = perspective_rays(azimuth, elevation, height * _FINER, width * _FINER)
    distance, normal, face = _hits(thing.solids, *rays)
    light = F.normalize(normal.new_tensor(_LIGHT), dim=0)
    brightness = AMBIENT + (1 - AMBIENT) * (normal @ light).clamp_min(0)
    colour = normal.new_tensor(thing.colours)[face] * brightness[..., None]
    image = torch.where((distance < math.inf)[..., None], colour, torch.ones(3))
    return F.avg_pool2d(image.movedim(-1, 1), _FINER)


def grid_points(side: int) -> Tensor:
    """Return the centres of the voxels of the cube [-1, 1]^3, (side, side, side, 3): index [z, y, x], coordinates (x, y, z)."""
    line = (torch.arange(side) + 0.5) / side * 2 - 1
    z, y, x = torch.meshgrid(line, line, line, indexing="ij")
    return torch.stack([x, y, z], -1)


def voxels(solids: Sequence[Solid], side: int) -> Tensor:
    """Return which voxels are at least half full, bool (side, side, side) with the index [z, y, x]."""
    fine = inside(solids, grid_points(2 * side)).float()[None, None]
    return F.avg_pool3d(fine, 2)[0, 0] >= 0.5


def project(volumes: Tensor, azimuth: Tensor, elevation: Tensor, height: int, width: int) -> Tensor:
    """Compute 1 - exp(-sum of the occupancies along each ray), of orthographic views.

    Args:
        volumes: (N, 1, S, S, S).
        azimuth: Of each view, radians (N * views,): the views of the first volume, then those of the second, and so on.
        elevation: The same.
        height: Height of the images; the longer side spans [-1, 1].
        width: Width of the images.

    Returns:
        (N * views, 1, H, W) in [0, 1].
    """
    count, side = len(volumes), volumes.shape[-1]
    views = len(azimuth) // count
    forwards, right, up = basis(azimuth, elevation)
    x, y = (c.to(volumes.device) for c in pixel_centres(height, width))
    along = (torch.arange(side, device=volumes.device) + 0.5) / side * 2 - 1
    steps, rows, columns = side, height, width
    points = torch.stack([x.expand(steps, rows, columns), y.expand(steps, rows, columns),
                          along[:, None, None].expand(steps, rows, columns)], -1)  # fmt: skip
    axes = torch.stack([right, up, forwards], 1)
    at = (points.view(1, -1, 3) @ axes).view(count, views * steps, rows, columns, 3)
    values = F.grid_sample(volumes, at.to(volumes.dtype), align_corners=False)
    thickness = values.view(count * views, steps, rows, columns).sum(1, keepdim=True)
    return 1 - torch.exp(-thickness)


def _hits(solids: Sequence[Solid], origins: Tensor, directions: Tensor) -> Hit:
    return nearest([solid.hit(origins, directions) for solid in solids])
