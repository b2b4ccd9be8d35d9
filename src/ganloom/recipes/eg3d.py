"""EG3D. "Efficient Geometry-aware 3D Generative Adversarial Networks", Chan et al. 2022, arXiv:2112.07945.

D minimises softplus(-D(x, v)) + softplus(D(R(T(z), v'), v')) + gamma / 2 |grad_x D(x, v)|^2
G minimises softplus(-D(R(T(z), v'), v'))
T(z) are the features of three planes, v' is a random view, R renders the radiance field that a small network reads from the
sum of the three features at each point. v is the view of the image x, if D is given views (--pose).

Networks: T is a StyleGAN2 generator; the field is a network with one hidden layer; D is convolutional, with a minibatch standard
deviation.

About: A generator of coloured 3D objects from plain images of one kind of object, each image of another object. Views, meshes
and turntables come from the same field, so they agree with each other. It needs to know how the views of the images are
distributed (--azimuth, --elevation), but not the view of each image; where these are known (factor_azimuth and
factor_elevation of a .npz), --pose gives them to D. Choose it for objects on a plain background (--background). On a CPU, 32 px
work; 64 px and photographs need a GPU and have not been tried. Solids may stay half transparent, and what no view shows is
free: look at `ganloom sample RUN --turntable` and at a mesh.

Departures from the paper: images are rendered at full size, without super-resolution and without the second discriminator's
input; points are spread evenly along each ray, without a second, finer pass; G's first layers do not see the view; the field
has LeakyReLU instead of softplus; D is plain, not residual, and takes the pose by a projection. Densities outside the unit
sphere are 0. With --coarse-kimg, the first part of training renders at half the size, and D sees enlarged images. No style
mixing, no density regularisation.
"""

from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from ganloom.core.config import check_at_least_one
from ganloom.core.errors import BadInput
from ganloom.gan import Adam, Batch, Phase
from ganloom.networks import triplane, views
from ganloom.recipes.base.volumetric import ViewCode, Volumes, Volumetric, check_volumetric
from ganloom.scoring import Generated
from ganloom.volumes.rendering import grid_points

TITLE = "EG3D: a radiance field on three planes, from images"
PAPER = "Chan et al. 2022, arXiv:2112.07945"
DATA = "FFHQ, AFHQ cats"
KIMG = 25000.0  # default length of a run, thousands of images

VOXEL = 1 / 16
"""Length over which the occupancy of a point is measured: a voxel of a 32^3 grid."""
LEVEL = 0.3
"""Occupancy from which a point is inside."""
POSES = ("azimuth", "elevation")
"""The factors of a data set that hold the view of each image, in degrees."""


@dataclass(frozen=True)
class Config(ViewCode):
    """The paper's hyperparameters (sec. 4 and supplement), for images that are rendered without super-resolution."""

    shape: tuple[int, int, int] = (3, 64, 64)
    """Image shape: channels, height, width."""
    z_dim: int = 512
    """Length of the part of the latent that describes the object."""
    w_dim: int = 512
    """Length of w."""
    layers: int = 8
    """Layers of the mapping network."""
    plane: int = 256
    """Side of the three planes."""
    plane_channels: int = 32
    """Features of each plane."""
    width: int = 128
    """Channels of the finest grid of the planes' generator."""
    plane_most: int = 512
    """Largest number of channels of the planes' generator."""
    field_width: int = 64
    """Width of the hidden layer of the field."""
    ray_points: int = 96
    """Points along each ray."""
    d_width: int = 64
    """Channels of D next to the image; doubled at most 8 times."""
    d_hidden: int = 512
    """Width of D's dense layer."""
    pose: bool = False
    """Give D the view of each image: the data must know it. Off: only the distribution of views is known."""
    azimuth: tuple[float, float] = (-180.0, 180.0)
    """Smallest and largest azimuth of the images in degrees; 0 is the front, 90 the right side."""
    elevation: tuple[float, float] = (5.0, 40.0)
    """Smallest and largest elevation of the images in degrees."""
    background: float = 1.0
    """Brightness of the background, from -1 (black) to 1 (white)."""
    coarse_kimg: float = 0.0
    """Render at half the size until this many thousand images (not in the paper)."""
    d_accuracy: float = 1.0
    """Do not train D on a batch where its accuracy is above this; 1: always train it."""
    r1_weight: float = 1.0
    """gamma, the weight of R1; 0: off."""
    lazy: int = 16
    """Compute R1 every this many steps, with that many times the weight."""
    batch_size: int = 32
    """Real images per batch."""
    ema_kimg: float | None = 10.0
    """Half-life of the EMA of G, in thousands of images."""
    g_opt: Adam = Adam(2.5e-3, betas=(0.0, 0.99))
    """Optimizer of G."""
    d_opt: Adam = Adam(2e-3, betas=(0.0, 0.99))
    """Optimizer of D."""

    def __post_init__(self) -> None:
        check_volumetric(self)
        check_at_least_one(
            self, "w_dim", "layers", "plane_channels", "plane_most", "field_width", "ray_points", "d_hidden"
        )
        if self.plane < 4:
            raise BadInput(f"--plane must be at least 4, got {self.plane}")
        if not -1 <= self.background <= 1:
            raise BadInput(f"--background must be in -1..1, got {self.background}")


class EG3D(Volumetric):
    """A generative radiance field on three planes."""

    splits_by = None  # the standard deviation of the batch
    coloured = True

    def __init__(self, cfg: Config) -> None:
        super().__init__(cfg)
        self.G = triplane.Generator(
            cfg.shape, cfg.z_dim, self.cameras, w_dim=cfg.w_dim, layers=cfg.layers, plane=cfg.plane,
            features=cfg.plane_channels, width=cfg.width, most=cfg.plane_most, hidden=cfg.field_width, samples=cfg.ray_points,
            background=cfg.background,
        )  # fmt: skip
        self.D = views.Discriminator(cfg.shape, cfg.d_width, hidden=cfg.d_hidden, pose=cfg.pose)

    def draw(self, data: Any, rng: Any) -> Batch:
        """Draw images, with their views as ``y`` (N, 2) in radians if D takes them."""
        if not self.cfg.pose:
            return Batch(*super().draw(data, rng))
        batch: Batch = data.draw_with_factors(self.cfg.batch_size, rng, POSES)
        assert batch.y is not None
        return batch._replace(y=torch.deg2rad(batch.y))

    @property
    def coarse(self) -> bool:
        """Whether images are rendered at half the size now."""
        return self.training and self.kimg < self.cfg.coarse_kimg

    # ---- what D sees
    def reals(self, batch: Batch) -> Tensor:
        if not self.coarse:
            return batch.x
        return F.interpolate(F.avg_pool2d(batch.x, 2, ceil_mode=True), batch.x.shape[2:], mode="bilinear")

    def fakes(self, n: int) -> Generated:
        return self.generated(self.z(n), coarse=self.coarse)

    def fake_poses(self, z: Tensor) -> tuple[Tensor, ...]:
        return (torch.stack(self.cameras.of_code(z[:, self.cfg.z_dim :]), 1),) if self.cfg.pose else ()

    def real_poses(self, batch: Batch) -> tuple[Tensor, ...]:
        return (batch.y,) if self.cfg.pose and batch.y is not None else ()

    def after_update(self, phase: Phase) -> None:
        if phase.net == "G":
            self.G.mapping.move_mean()

    # ---- objects
    def codes(self, z: Tensor, truncation: float | Tensor = 1.0) -> Tensor:
        """Return w of latents, pulled towards its mean by ``truncation``."""
        w: Tensor = self.G.mapping(z[:, : self.cfg.z_dim])
        if isinstance(truncation, float | int) and truncation == 1:
            return w
        return torch.lerp(self.G.mapping.w_mean.expand_as(w), w, truncation)

    def view(self, codes: Tensor, azimuth: Tensor, elevation: Tensor) -> Tensor:
        planes = self.G.planes(codes).repeat_interleave(len(azimuth) // len(codes), 0)
        out: Tensor = self.G.view(planes, azimuth, elevation)
        return out

    def volume(self, codes: Tensor, side: int | None = None) -> Volumes:
        side = side or 32
        points = grid_points(side).to(codes.device).view(1, -1, 3)
        each = [self.G.at(self.G.planes(code[None]), points)[0] for code in codes]
        return Volumes(1 - torch.exp(-VOXEL * torch.cat(each).view(-1, side, side, side)), LEVEL)

    def colours_at(self, codes: Tensor, points: Tensor) -> Tensor:
        colours: Tensor = (self.G.at(self.G.planes(codes), points)[1] + 1) / 2
        return colours[..., :3] if self.cfg.shape[0] >= 3 else colours[..., :1].expand(-1, -1, 3)


MODEL = EG3D
