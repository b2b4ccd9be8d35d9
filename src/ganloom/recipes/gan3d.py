"""3D-GAN. "Learning a Probabilistic Latent Space of Object Shapes via 3D Generative-Adversarial Modeling", Wu et al. 2016,
arXiv:1610.07584.

D maximises log D(x) + log(1 - D(G(z)))                                                              (eq. 1)
G maximises log D(G(z))
x and G(z) are volumes of occupancies in [0, 1].

Networks (sec. 3.1): G goes from z through transposed 4x4x4 convolutions with BatchNorm and ReLU to a sigmoid; D mirrors it with
strided convolutions, BatchNorm and LeakyReLU 0.2.

About: 3D shapes from 3D shapes: the DCGAN of voxels, and the baseline of all later work. It needs volumes to learn from: an
array (N, S, S, S), or the true voxels of the built-in set silhouettes. Grids and measures show silhouettes of the volumes from
random sides. If there are only images, use prgan (silhouettes) or eg3d (colours). Volumes of one class in one orientation are
easy; the memory of D grows with the third power of the side. Look at meshes: `ganloom mesh RUN`.

Departures from the paper: any side is reached from a grid of about 4 by doublings; latents are normal, not uniform. D's loss is 0
where its accuracy on a batch is above --d-accuracy, but its optimizer still takes the step. R1 instead is an addition
(--r1-weight), on in --small. EMA of G. 3D-VAE-GAN is left out.
"""

from dataclasses import dataclass
from typing import Any

from torch import Tensor

from ganloom.core.errors import BadInput
from ganloom.data.volumes import Volumes as VolumeData
from ganloom.gan import Adam, Batch
from ganloom.networks import voxel
from ganloom.recipes.base.volumetric import TURNS_VOLUMES, ViewCode, Volumes, Volumetric, check_volumetric
from ganloom.scoring import Generated

TITLE = "3D-GAN: voxels from voxels"
PAPER = "Wu et al. 2016, arXiv:1610.07584"
DATA = "ModelNet, IKEA"
KIMG = 2000.0  # default length of a run, thousands of volumes

LEVEL = 0.5
"""Occupancy from which a voxel is inside."""


@dataclass(frozen=True)
class Config(ViewCode):
    """The paper's hyperparameters (sec. 3.1, 3.3)."""

    shape: tuple[int, int, int] = (1, 64, 64)
    """Shape of the silhouettes that are shown: channels, height, width. The side of the volumes is the larger of the sides."""
    z_dim: int = 200
    """Length of the part of the latent that describes the object."""
    width: int = 64
    """Channels of G next to the volume; doubled towards the base, at most 8 times."""
    d_width: int = 64
    """Channels of D next to the volume; doubled at most 8 times."""
    d_norm: bool = True
    """BatchNorm in D. Leave it out with R1."""
    azimuth: tuple[float, float] = (-180.0, 180.0)
    """Smallest and largest azimuth of the silhouettes that are shown, in degrees."""
    elevation: tuple[float, float] = (0.0, 40.0)
    """Smallest and largest elevation of the silhouettes that are shown, in degrees."""
    d_accuracy: float = 0.8
    """Do not train D on a batch where its accuracy is above this; 1: always train it."""
    r1_weight: float = 0.0
    """Weight of R1 (not in the paper); 0: off."""
    lazy: int = 1
    """Compute R1 every this many steps, with that many times the weight."""
    batch_size: int = 100
    """Volumes per batch."""
    ema_kimg: float | None = None
    """Half-life of the EMA of G, in thousands of volumes (not in the paper). None: 1,000 updates of G."""
    g_opt: Adam = Adam(2.5e-3, betas=(0.5, 0.999))
    """Optimizer of G."""
    d_opt: Adam = Adam(1e-5, betas=(0.5, 0.999))
    """Optimizer of D."""

    def __post_init__(self) -> None:
        check_volumetric(self)


class GAN3D(Volumetric):
    """3D-GAN."""

    splits_by = None  # BatchNorm
    learns = "volumes"
    not_onnx = TURNS_VOLUMES

    def __init__(self, cfg: Config) -> None:
        super().__init__(cfg)
        self.G = voxel.VolumeGenerator(max(cfg.shape[1:]), cfg.z_dim, cfg.width, False, bias=-1.0)
        self.D = voxel.VolumeDiscriminator(self.G.side, cfg.d_width, cfg.d_norm)

    @classmethod
    def check_data(cls, data: Any) -> None:
        if not isinstance(data, VolumeData):
            raise BadInput(
                f"{data.name} has no volumes: give a .npy file (N, S, S, S), a .npz file with voxels, or silhouettes"
            )

    def fakes(self, n: int) -> Generated:
        """Return n volumes."""
        return self.generated(self.z(n)[:, : self.cfg.z_dim])

    def reals(self, batch: Batch) -> Tensor:
        """Return the volumes of a batch, at the side of the model."""
        assert batch.y is not None
        return voxel.resized(batch.y, self.G.side)

    def view(self, codes: Tensor, azimuth: Tensor, elevation: Tensor) -> Tensor:
        return voxel.silhouettes(self.G(codes), azimuth, elevation, self.cfg.shape)

    def volume(self, codes: Tensor, side: int | None = None) -> Volumes:
        return Volumes(voxel.resized(self.G(codes), side)[:, 0], LEVEL)


MODEL = GAN3D
