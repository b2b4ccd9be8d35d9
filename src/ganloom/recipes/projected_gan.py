"""Projected GAN. "Projected GANs Converge Faster", Sauer et al. 2021, arXiv:2111.01007.

D minimises the mean over patches and scales l of max(0, 1 - D_l(P_l(T x))) + max(0, 1 + D_l(P_l(T G(z))))
G minimises minus the mean over patches and scales l of D_l(P_l(T G(z)))                                      (eq. 2 and 4)

The paper writes the sum over the four scales; the authors' code, and this recipe, take the mean over all patches of all
scales, which is a quarter of the sum where each scale has as many patches (5 x 5 at 256 px).

P_l: feature maps of a frozen network trained on ImageNet, mixed at random over channels and scales (sec. 3.2); see
networks/projected.py. T: DiffAugment (Zhao et al. 2020, arXiv:2006.10738). G: FastGAN's, with z normalised to the sphere.

About: The discriminators of Projected GAN look at images through a network trained on ImageNet. They need not learn what
edges, textures and object parts are, so samples look like the data after a fraction of the usual images. Four
discriminators judge four resolutions; random projections keep them from using only a part of the frozen features. Use it
for few images and for short budgets; use stylegan2 when the latent space matters. Watch what the features do not capture:
hair, faces and text can stay wrong. Distances measured with ImageNet features flatter this model, so measure with other
features too. It was published in 2021, and StyleGAN-XL is built on it.

Departures from the paper: EfficientNet-Lite1 as published on PyPI, whose coarsest map is the one after its last 1x1
convolution; grids smaller than the paper's are downsampled fewer times; G is FastGAN's as in the recipe
fastgan, with that paper's alternation of blocks and a tanh; in ``generate`` the injected noise is fixed; no blur at the
start; labels are not used.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from ganloom.augment.diffaugment import check_policy, diff_augment
from ganloom.core.errors import BadInput
from ganloom.gan import GAN, Adam, Batch, Phase, Terms
from ganloom.losses import hinge
from ganloom.networks import fastgan, projected
from ganloom.networks.mapping import normed
from ganloom.nn.perceptual import Perceptual
from ganloom.scoring import Scores

TITLE = "Projected GAN: D over frozen features"
PAPER = "Sauer et al. 2021, arXiv:2111.01007"
DATA = "100 to 100,000 images"
EXTRA = "effnet"
"""The extra that the recipe needs."""
KIMG = 1000.0  # default length of a run, thousands of images

OPT = Adam(2e-4, betas=(0.0, 0.99))


@dataclass(frozen=True)
class Config:
    """The paper's hyperparameters (sec. 4, app. and the authors' code)."""

    shape: tuple[int, int, int] = (3, 256, 256)
    """Image shape: channels, height, width."""
    z_dim: int = 256
    """Length of the latent vector (the authors' code)."""
    width: int = 128
    """Channels of G on the grid of 128 pixels (the authors' code)."""
    features: str = "effnet"
    """Feature network of D: effnet (an extra), random, or a file .pt2 or .pt, as for ``evaluate --features``."""
    side: int = 224
    """Images with a shorter side are enlarged to this many pixels before D sees them, 16 to 1024 (the authors' code: 224)."""
    d_width: int = 64
    """Channels of the finest projection; the coarsest has 4 times as many, D 8 times (the authors' code)."""
    policy: tuple[str, ...] = ("colour", "translation", "cutout")
    """DiffAugment operations: colour, translation, cutout, flip; ``()``: no augmentation."""
    batch_size: int = 64
    """Real images per batch (sec. 4)."""
    ema_kimg: float = 20.0
    """Half-life of the EMA of G, in thousands of images (the authors' code: 10 x batch / 32)."""
    g_opt: Adam = OPT
    """Optimizer of G (the authors' code)."""
    d_opt: Adam = OPT
    """Optimizer of D (the authors' code)."""

    def __post_init__(self) -> None:
        check_policy(self.policy, "--policy")
        if self.features in ("task", "inception", "fashion"):
            raise BadInput(f"--features {self.features}: use effnet, random or a .pt2 file that returns features")
        if not 16 <= self.side <= 1024:
            raise BadInput(f"--side must be in 16..1024, got {self.side}")


class ProjectedGAN(GAN):
    """Projected GAN."""

    splits_by = None  # BatchNorm in both networks

    def __init__(self, cfg: Config) -> None:
        super().__init__(cfg)
        self.G = fastgan.Generator(cfg.shape, cfg.z_dim, cfg.width)
        projection = projected.Projection(
            lambda device: Perceptual(cfg.features, device).maps, cfg.features, cfg.d_width
        )
        self.D = projected.Discriminator(cfg.shape, projection, cfg.side)

    def phases(self) -> list[Phase]:
        return [Phase("D", self.d_loss), Phase("G", self.g_loss)]

    def make_ready(self, device: torch.device) -> None:
        """Open the frozen network. Raises BadInput with the install command if its extra is missing."""
        self.D.projection.network(device)

    def sample(self, z: Tensor, c: Tensor | None = None) -> Tensor:
        """Map latents (N, z_dim) to images (N, C, H, W) in [-1, 1]; the length of a latent has no effect."""
        images: Tensor = self.G(normed(z))
        return images

    def d_scores(self, x: Tensor) -> Scores:
        """D's scores of augmented images, a logit per patch of all scales."""
        return self.discriminate(diff_augment(x, self.cfg.policy), patches=True)

    def d_loss(self, batch: Batch) -> Terms:
        with torch.no_grad():
            fake = self.sample(self.z(len(batch.x)))
        return self.d_adversarial(hinge, self.d_scores(batch.x), self.d_scores(fake))

    def g_loss(self, batch: Batch) -> Terms:
        return self.g_adversarial(hinge, self.d_scores(self.sample(self.z(len(batch.x)))))


MODEL = ProjectedGAN
