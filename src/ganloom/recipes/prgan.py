"""PrGAN. "3D Shape Induction from 2D Views of Multiple Objects", Gadelha et al. 2017, arXiv:1612.05872.

D minimises -log D(x) - log(1 - D(P(V(z), v)))
G minimises -log D(P(V(z), v))
V(z) is a volume of occupancies, v a random view, P the projection 1 - exp(-sum of the occupancies along each ray).

Networks: V goes from z through transposed 3D convolutions with BatchNorm and ReLU to a sigmoid; D goes through strided 2D
convolutions with BatchNorm and LeakyReLU.

About: 3D shapes from silhouettes alone, of one or several kinds of objects, without any 3D data and without knowing from where
an image was taken. D judges random views of a generated volume, so only a volume that looks right from all sides passes. Choose
it for binary masks of objects on a plain background, seen from known ranges of azimuth and elevation (--azimuth, --elevation):
these ranges must be right. It learns no colours; eg3d does. Watch the views of unseen elevations in `ganloom sample RUN
--turntable`, and measure with `ganloom bench volumes`: a single blob fits all objects well, so a high overlap alone says little.

Departures from the paper: views are continuous and uniform in azimuth and elevation, not 8 fixed ones; latents are normal, not
uniform; G's loss is the non-saturating one. D's loss is 0 where its accuracy on a batch is above --d-accuracy, but its optimizer
still takes the step. Two additions are off by default and on in --small: a fixed [1, 2, 1] blur along each axis after each
transposed convolution (--blur), and R1 with a minibatch standard deviation in a D without BatchNorm (--r1-weight, --d-stddev).
Several views of each volume in a batch (--views). EMA of G.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from ganloom.core.errors import BadInput
from ganloom.gan import Adam
from ganloom.networks import views, voxel
from ganloom.recipes.base.volumetric import TURNS_VOLUMES, ViewCode, Volumes, Volumetric, check_volumetric
from ganloom.scoring import Generated

TITLE = "PrGAN: voxels from silhouettes"
PAPER = "Gadelha et al. 2017, arXiv:1612.05872"
DATA = "silhouettes of ShapeNet"
KIMG = 1500.0  # default length of a run, thousands of images

LEVEL = 0.2
"""Occupancy from which a voxel is inside: a ray through five such voxels sees 63 % of a solid."""


@dataclass(frozen=True)
class Config(ViewCode):
    """The paper's hyperparameters for silhouettes of 32 px."""

    shape: tuple[int, int, int] = (1, 32, 32)
    """Image shape: channels, height, width. The side of the volume is that of the images or the next larger power of two."""
    z_dim: int = 200
    """Length of the part of the latent that describes the object."""
    width: int = 64
    """Channels of G next to the volume; doubled towards the base, at most 8 times."""
    d_width: int = 64
    """Channels of D next to the image; doubled at most 8 times."""
    blur: bool = False
    """Blur after each transposed convolution of G (not in the paper): without it, thin slats appear."""
    d_norm: bool = True
    """BatchNorm in D. Leave it out with R1."""
    d_stddev: int = 0
    """Samples whose standard deviation D sees (not in the paper); 0: none."""
    views: int = 1
    """Views of each volume in a batch of fakes."""
    azimuth: tuple[float, float] = (-180.0, 180.0)
    """Smallest and largest azimuth of the images in degrees; 0 is the front, 90 the right side."""
    elevation: tuple[float, float] = (0.0, 40.0)
    """Smallest and largest elevation of the images in degrees."""
    d_accuracy: float = 0.75
    """Do not train D on a batch where its accuracy is above this; 1: always train it."""
    r1_weight: float = 0.0
    """Weight of R1 (not in the paper); 0: off."""
    lazy: int = 1
    """Compute R1 every this many steps, with that many times the weight."""
    batch_size: int = 64
    """Real images per batch."""
    ema_kimg: float | None = None
    """Half-life of the EMA of G, in thousands of images (not in the paper). None: 1,000 updates of G."""
    g_opt: Adam = Adam(2.5e-3, betas=(0.5, 0.999))
    """Optimizer of G."""
    d_opt: Adam = Adam(1e-5, betas=(0.5, 0.999))
    """Optimizer of D."""

    def __post_init__(self) -> None:
        check_volumetric(self)
        if self.views < 1 or self.d_stddev < 0:
            raise BadInput(
                f"--views must be at least 1 and --d-stddev at least 0, got {self.views} and {self.d_stddev}"
            )


class PrGAN(Volumetric):
    """PrGAN."""

    splits_by = None  # BatchNorm, and the standard deviation of the batch
    not_onnx = TURNS_VOLUMES

    def __init__(self, cfg: Config) -> None:
        super().__init__(cfg)
        volumes = voxel.VolumeGenerator(max(cfg.shape[1:]), cfg.z_dim, cfg.width, cfg.blur, bias=-3.0)
        self.G = voxel.Silhouettes(cfg.shape, volumes, self.cameras)
        self.D = views.Discriminator(cfg.shape, cfg.d_width, norm=cfg.d_norm, stddev=cfg.d_stddev)

    def fakes(self, n: int) -> Generated:
        """Return n silhouettes, ``views`` of each volume one after the other."""
        z, each = self.shared_z(n, self.cfg.views)
        return self.generated(z, each=each)

    def view(self, codes: Tensor, azimuth: Tensor, elevation: Tensor) -> Tensor:
        return voxel.silhouettes(self.G.volumes(codes), azimuth, elevation, self.cfg.shape)

    def volume(self, codes: Tensor, side: int | None = None) -> Volumes:
        return Volumes(voxel.resized(self.G.volumes(codes), side)[:, 0], LEVEL)

    @classmethod
    def check_data(cls, data: object) -> None:
        check_silhouettes(data)


def check_silhouettes(data: object) -> None:
    """Raise BadInput if images are bright at their border: the object must be white and the background black."""
    rows = getattr(data, "rows", None)
    if rows is None or rows.ndim != 4:
        return
    some = rows[:: max(1, len(rows) // 64)][..., : 3 if rows.shape[-1] >= 3 else 1]
    border = torch.cat([torch.from_numpy(some[:, [0, -1]]).flatten(), torch.from_numpy(some[:, :, [0, -1]]).flatten()])
    if float(border.float().mean()) > 191:
        raise BadInput("the images are bright at their border: silhouettes must be white objects on black; invert them")


MODEL = PrGAN
