"""What is measured: objects of a generator, and known ones, with the same interface."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from ganloom import sampling
from ganloom.apps.volumetric import object_codes
from ganloom.core.precision import full_precision
from ganloom.data import solid_objects
from ganloom.imaging.grid import alike
from ganloom.recipes.base.volumetric import Volumetric
from ganloom.volumes import rendering


class Subject(Protocol):
    """Some objects."""

    @property
    def count(self) -> int:
        """Number of objects."""

    def views(self, azimuth: Tensor, elevation: float) -> Tensor:
        """Render each object from some sides (V,), in radians, (count * V, C, H, W): all views of the first object first."""

    def volumes(self) -> tuple[Tensor, float]:
        """Return occupancies (count, 32, 32, 32), and the level from which a point is inside."""

    def samples(self, count: int) -> Tensor:
        """Return images from random views of the training's range, each of another object if there are enough."""


@dataclass(frozen=True)
class Generated:
    """The objects of the first seeds of a model.

    Attributes:
        gan: The model.
        count: Number of objects.
        seed: Seed of the first one.
        channels: Channels of the images; None: the model's own.
    """

    gan: Volumetric
    count: int = 96
    seed: int = 0
    channels: int | None = None

    @torch.no_grad()
    def views(self, azimuth: Tensor, elevation: float) -> Tensor:
        """See ``Subject``."""
        parts = []
        with sampling.unchanged(self.gan), full_precision():
            for codes in object_codes(self.gan, self.count, self.seed).split(8):
                angles = azimuth.repeat(len(codes)).to(codes.device)
                parts.append(self.gan.view(codes, angles, torch.full_like(angles, elevation)).float().cpu())
        return self._channels(torch.cat(parts))

    @torch.no_grad()
    def volumes(self) -> tuple[Tensor, float]:
        """See ``Subject``."""
        found = []
        with sampling.unchanged(self.gan), full_precision():
            for codes in object_codes(self.gan, self.count, self.seed).split(16):
                made = self.gan.volume(codes, 32)
                found.append(made.occupancy.float().cpu())
        return torch.cat(found), made.level

    def samples(self, count: int) -> Tensor:
        """See ``Subject``."""
        return self._channels(self.gan.generate(count, seed=self.seed + self.count).cpu().as_subclass(Tensor))

    def _channels(self, x: Tensor) -> Tensor:
        return alike(x, self.channels) if self.channels else x


@dataclass(frozen=True)
class Known:
    """Known objects of a set, from number ``first`` on."""

    name: str
    first: int
    count: int = 96

    def views(self, azimuth: Tensor, elevation: float) -> Tensor:
        """See ``Subject``."""
        one = solid_objects.SETS[self.name]
        angles = azimuth, torch.full_like(azimuth, elevation)
        numbers = range(self.first, self.first + self.count)
        return torch.cat([solid_objects.views(self.name, number, *angles, one.shape) for number in numbers])

    def volumes(self) -> tuple[Tensor, float]:
        """See ``Subject``."""
        thing = solid_objects.SETS[self.name].thing
        numbers = range(self.first, self.first + self.count)
        return torch.stack([rendering.voxels(thing(number).solids, 32) for number in numbers]).float(), 0.5

    def samples(self, count: int) -> Tensor:
        """See ``Subject``."""
        one = solid_objects.SETS[self.name]
        rows, _ = solid_objects.images(self.name, count, one.shape, first=self.first)
        return torch.from_numpy(np.array(rows)).permute(0, 3, 1, 2).float() / 127.5 - 1

    def kinds(self) -> Tensor:
        """The class of each object, (count,)."""
        return torch.arange(self.first, self.first + self.count) % len(solid_objects.SETS[self.name].classes)
