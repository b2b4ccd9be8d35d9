"""Base class of recipes that generate 3D objects: a latent is an object and a camera, a sample is a view.

The last two numbers of a latent, in [-1, 1], are the camera's azimuth and elevation within the ranges of the config (a
``code`` as InfoGAN's, so that an exported page has two sliders for them). Everything that works on images works on views; what
needs the object itself uses ``view`` and ``volume``.
"""

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ganloom import penalties
from ganloom.core.config import check_at_least_one
from ganloom.core.errors import BadInput
from ganloom.gan import GAN, Batch, Phase, SampleOptions, Terms
from ganloom.losses import nonsaturating
from ganloom.scoring import Generated, Scores
from ganloom.volumes.cameras import Cameras


@dataclass(frozen=True)
class Volumes:
    """Volumes of N objects.

    Attributes:
        occupancy: (N, S, S, S) in [0, 1], index [z, y, x] in the cube [-1, 1]^3.
        level: A point with at least this occupancy is inside.
    """

    occupancy: Tensor
    level: float


TURNS_VOLUMES = "it turns volumes, for which ONNX files of this version have no operation; use `ganloom mesh`"


class ViewCode:
    """Base of the configs: the camera is a code of two continuous numbers at the end of a latent, as InfoGAN's codes are."""

    code_dim = 2
    categories: tuple[int, ...] = ()
    continuous = 2


class Volumetric(GAN):
    """A GAN of 3D objects. The config has ``azimuth``, ``elevation``, ``r1_weight``, ``lazy`` and ``d_accuracy``.

    Attributes:
        cameras: The views of the training images.
    """

    sample_options = SampleOptions(truncation=True)
    coloured = False
    """Whether objects have colours."""

    def __init__(self, cfg: Any) -> None:
        super().__init__(cfg)
        self.cameras = Cameras(cfg.azimuth, cfg.elevation)

    # ---- objects
    def codes(self, z: Tensor, truncation: float | Tensor = 1.0) -> Tensor:
        """Return what describes the objects of latents (N, z_dim + 2) without their views, (N, k).

        Args:
            z: Latents.
            truncation: Below 1 objects are more typical and less diverse.
        """
        return z[:, : self.cfg.z_dim] * truncation

    def view(self, codes: Tensor, azimuth: Tensor, elevation: Tensor) -> Tensor:
        """Render objects.

        Args:
            codes: What ``codes`` returned, (N, k).
            azimuth: Radians (N * views,): the views of the first object, then those of the second, and so on.
            elevation: The same.

        Returns:
            Images (N * views, C, H, W) in [-1, 1].
        """
        raise NotImplementedError

    def volume(self, codes: Tensor, side: int | None = None) -> Volumes:
        """Return the volumes of objects.

        Args:
            codes: What ``codes`` returned, (N, k).
            side: Points along each side; None: the model's own.
        """
        raise NotImplementedError

    def colours_at(self, codes: Tensor, points: Tensor) -> Tensor:
        """Return RGB (N, M, 3) in [0, 1] of points (N, M, 3) of coloured objects."""
        raise NotImplementedError

    # ---- what generate and training use
    def z(self, n: int) -> Tensor:
        """Draw latents (n, z_dim + 2): an object, and a view of it uniform in [-1, 1]."""
        return torch.cat([self.randn(n, self.cfg.z_dim), self.rand(n, 2) * 2 - 1], 1)

    def shared_z(self, n: int, each: int) -> tuple[Tensor, int]:
        """Draw latents (n, z_dim + 2) in which ``each`` rows after the other share an object; return them and that number.

        Where n is no multiple of ``each``, the greatest common divisor counts.
        """
        each = math.gcd(n, each)
        objects = self.randn(n // each, self.cfg.z_dim).repeat_interleave(each, 0)
        return torch.cat([objects, self.rand(n, 2) * 2 - 1], 1), each

    def sample(self, z: Tensor, c: Tensor | None = None, *, truncation: float | Tensor = 1.0) -> Tensor:
        """Map latents (N, z_dim + 2) to views (N, C, H, W); ``truncation`` changes the objects only."""
        return self.view(self.codes(z, truncation), *self.cameras.of_code(z[:, self.cfg.z_dim :]))

    def phases(self) -> list[Phase]:
        lazy = [Phase("D", self.d_reg, lazy=self.cfg.lazy)] if self.cfg.r1_weight and self.cfg.lazy > 1 else []
        return [Phase("D", self.d_loss), *lazy, Phase("G", self.g_loss)]

    def fakes(self, n: int) -> Generated:
        """Return n samples as D sees them."""
        return self.generated(self.z(n))

    def reals(self, batch: Batch) -> Tensor:
        """Return real data as D sees them."""
        return batch.x

    def real_poses(self, batch: Batch) -> tuple[Tensor, ...]:
        """Return the views (N, 2) of a batch, in radians, as D's further input; nothing for a D that takes none."""
        return ()

    def fake_poses(self, z: Tensor) -> tuple[Tensor, ...]:
        """Return the views (N, 2) of latents, in radians, as D's further input; nothing for a D that takes none."""
        return ()

    def d_loss(self, batch: Batch) -> Terms:
        real = self.reals(batch)
        with torch.no_grad():
            fake = self.fakes(len(real))
        real_scores = self.discriminate(real, *self.real_poses(batch))
        fake_scores = self.discriminate(fake, *self.fake_poses(fake.z))
        terms = self.d_adversarial(nonsaturating, real_scores, fake_scores)
        terms = self._held_back(terms, real_scores, fake_scores)
        return terms | (self.d_reg(batch) if self.cfg.r1_weight and self.cfg.lazy == 1 else {})

    def _held_back(self, terms: Terms, real: Scores, fake: Scores) -> Terms:
        """Set D's loss to 0 where its accuracy on the batch is above ``d_accuracy``."""
        if self.cfg.d_accuracy >= 1:
            return terms
        right = ((real.flat.detach() > 0).float().mean() + (fake.flat.detach() < 0).float().mean()) / 2
        return {**terms, "adv": terms["adv"] * (right <= self.cfg.d_accuracy), "d_accuracy": right}

    def d_reg(self, batch: Batch) -> Terms:
        """Compute R1 on real data."""
        return {"r1": self.cfg.r1_weight * penalties.r1(self.critic(*self.real_poses(batch)), self.reals(batch))}

    def g_loss(self, batch: Batch) -> Terms:
        real = self.reals(batch)
        fake = self.fakes(len(real))
        scores = self.discriminate(fake, *self.fake_poses(fake.z))
        return self.g_adversarial(nonsaturating, scores, reals=(real, *self.real_poses(batch)))


def check_volumetric(cfg: Any) -> None:
    """Check the settings of all recipes of 3D objects. Raises BadInput."""
    Cameras(cfg.azimuth, cfg.elevation)
    check_at_least_one(cfg, "z_dim", "width", "d_width", "lazy")
    if not cfg.r1_weight >= 0:
        raise BadInput(f"--r1-weight must not be negative, got {cfg.r1_weight}")
    if not 0.5 <= cfg.d_accuracy <= 1:
        raise BadInput(f"--d-accuracy must be in 0.5..1, got {cfg.d_accuracy}")
