"""Solids: where rays hit them, and which points are inside.

``hit(origins, directions)`` takes rays (..., 3) and returns the distance along each ray (...,), infinite where it misses, the
outer normal (..., 3), and the number of the face (...,) int64. ``inside(points)`` takes points (..., 3).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

Hit = tuple[Tensor, Tensor, Tensor]
Vector = tuple[float, float, float]
_TINY = 1e-7


@dataclass(frozen=True)
class Box:
    """A box parallel to the axes, given by centre and half lengths.

    Faces: 2 i for the low side of axis i, 2 i + 1 for the high one.
    """

    centre: Vector
    half: Vector

    def hit(self, origins: Tensor, directions: Tensor) -> Hit:
        """Where rays enter the box."""
        centre, half = origins.new_tensor(self.centre), origins.new_tensor(self.half)
        inverse = 1 / _nonzero(directions)
        a, b = (centre - half - origins) * inverse, (centre + half - origins) * inverse
        near, axis = torch.minimum(a, b).max(-1)
        far = torch.maximum(a, b).amin(-1)
        side = -torch.gather(directions, -1, axis[..., None])[..., 0].sign()
        normal = torch.zeros_like(directions).scatter_(-1, axis[..., None], side[..., None])
        return _where((near < far) & (near > 0), near), normal, axis * 2 + (side > 0).long()

    def inside(self, points: Tensor) -> Tensor:
        """Which points are inside."""
        distance = (points - points.new_tensor(self.centre)).abs()
        return (distance <= points.new_tensor(self.half)).all(-1)


@dataclass(frozen=True)
class Sphere:
    """A sphere. Faces: 0 for its lower half, 1 for the upper one."""

    centre: Vector
    radius: float

    def hit(self, origins: Tensor, directions: Tensor) -> Hit:
        """Where rays enter the sphere."""
        p = origins - origins.new_tensor(self.centre)
        b = (p * directions).sum(-1)
        root = b * b - (p * p).sum(-1) + self.radius**2
        t = -b - root.clamp_min(0).sqrt()
        at = p + t[..., None] * directions
        return _where((root > 0) & (t > 0), t), at / self.radius, (at[..., 1] > 0).long()

    def inside(self, points: Tensor) -> Tensor:
        """Which points are inside."""
        return (points - points.new_tensor(self.centre)).square().sum(-1) <= self.radius**2


@dataclass(frozen=True)
class Cone:
    """An upright cone or cylinder, given by centre, radius at the bottom and at the top, and half height.

    Faces: 0 and 1 for the left and right half of the side, 2 for the top, 3 for the bottom.
    """

    centre: Vector
    bottom: float
    top: float
    half: float

    def hit(self, origins: Tensor, directions: Tensor) -> Hit:
        """Where rays enter the solid."""
        p = origins - origins.new_tensor(self.centre)
        slope = (self.top - self.bottom) / (2 * self.half)
        middle = (self.top + self.bottom) / 2
        # on the side x^2 + z^2 = (middle + slope y)^2
        radius = middle + slope * p[..., 1]
        change = slope * directions[..., 1]
        a = directions[..., 0] ** 2 + directions[..., 2] ** 2 - change**2
        b = p[..., 0] * directions[..., 0] + p[..., 2] * directions[..., 2] - radius * change
        root = b * b - a * (p[..., 0] ** 2 + p[..., 2] ** 2 - radius**2)
        a, sqrt = _nonzero(a), root.clamp_min(0).sqrt()
        hits = [self._side(p, directions, (-b + sign * sqrt) / a, root, slope, middle) for sign in (-1, 1)]
        hits += [self._cap(p, directions, sign, limit) for sign, limit in ((1.0, self.top), (-1.0, self.bottom))]
        return nearest(hits)

    def _side(self, p: Tensor, directions: Tensor, t: Tensor, root: Tensor, slope: float, middle: float) -> Hit:
        at = p + t[..., None] * directions
        within = (at[..., 1].abs() <= self.half) & (middle + slope * at[..., 1] >= 0)
        around = at[..., [0, 2]].norm(dim=-1).clamp_min(1e-6)
        normal = torch.stack([at[..., 0] / around, torch.full_like(around, -slope), at[..., 2] / around], -1)
        face = (at[..., 0] > 0).long()
        return _where((root > 0) & (t > 0) & within, t), normal / math.sqrt(1 + slope**2), face

    def _cap(self, p: Tensor, directions: Tensor, sign: float, radius: float) -> Hit:
        t = (sign * self.half - p[..., 1]) / _nonzero(directions[..., 1])
        at = p + t[..., None] * directions
        normal = torch.zeros_like(directions)
        normal[..., 1] = sign
        found = (at[..., 0] ** 2 + at[..., 2] ** 2 <= radius**2) & (t > 0) & (radius > 0)
        return _where(found, t), normal, torch.full_like(t, 2 if sign > 0 else 3).long()

    def inside(self, points: Tensor) -> Tensor:
        """Which points are inside."""
        p = points - points.new_tensor(self.centre)
        radius = (self.top + self.bottom) / 2 + (self.top - self.bottom) / (2 * self.half) * p[..., 1]
        around = p[..., 0] ** 2 + p[..., 2] ** 2
        return (around <= radius**2) & (p[..., 1].abs() <= self.half)


Solid = Box | Sphere | Cone


def cylinder(centre: Vector, radius: float, half: float) -> Cone:
    """Return an upright cylinder with the given radius and half height."""
    return Cone(centre, radius, radius, half)


def nearest(hits: Sequence[Hit]) -> Hit:
    """Return the nearest of several hits of the same rays."""
    distance, which = torch.stack([hit[0] for hit in hits]).min(0)
    normals, faces = torch.stack([hit[1] for hit in hits]), torch.stack([hit[2] for hit in hits])
    normal = torch.gather(normals, 0, which[None, ..., None].expand(1, *normals.shape[1:]))[0]
    return distance, normal, torch.gather(faces, 0, which[None])[0]


def inside(solids: Sequence[Solid], points: Tensor) -> Tensor:
    """Which points (..., 3) are inside of one of the solids."""
    return torch.stack([solid.inside(points) for solid in solids]).any(0)


def _where(found: Tensor, distance: Tensor) -> Tensor:
    return torch.where(found, distance, torch.full_like(distance, math.inf))


def _nonzero(x: Tensor) -> Tensor:
    return torch.where(x.abs() < _TINY, torch.full_like(x, _TINY), x)
