"""Projected GAN. "Projected GANs Converge Faster", Sauer et al. 2021, arXiv:2111.01007.

D minimises sum over scales l of E[max(0, 1 - D_l(P_l(T x)))] + E[max(0, 1 + D_l(P_l(T G(z))))]
G minimises -(sum over l of E[D_l(P_l(T G(z)))])                                                              (eq. 2 and 4)

P_l: maps of a network trained on ImageNet and frozen, mixed at random over channels and scales (sec. 3.2), see
networks/projected.py. T: DiffAugment (Zhao et al. 2020, arXiv:2006.10738). G: FastGAN's, z brought to the sphere.

About: A GAN whose discriminators look through a network that has seen ImageNet: they need not learn what edges, textures and
parts are, so samples look like the data after a fraction of the images. Four of them judge four resolutions, through random
projections that make the frozen features harder to use in part only. Choose it for few images and for a short budget; choose
stylegan2 where the latent space matters. Watch what the features do not see: hair, faces and text can stay wrong, and a
distance measured by ImageNet's features flatters it, so measure by others too. It is of 2021, and StyleGAN-XL is built on it.

Departures from the paper: EfficientNet-Lite1 as PyPI has it, whose coarsest map is that after its last 1x1 convolution; grids
of another count than the paper's are halved less often; FastGAN's G as in the recipe fastgan, with that paper's alternation
of blocks and a tanh; in ``generate`` the injected noise is fixed; no blur at the start; labels are not used.
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
KIMG = 1000.0  # the length of a run that does not say its own, thousands of images

OPT = Adam(2e-4, betas=(0.0, 0.99))


@dataclass(frozen=True)
class Config:
    """The paper's numbers (sec. 4, app. and the authors' code)."""

    shape: tuple[int, int, int] = (3, 256, 256)
    """Channels, height, width."""
    z_dim: int = 256
    """Numbers in a latent (the authors' code)."""
    width: int = 128
    """Channels of G's grid of 128 (the authors' code)."""
    features: str = "effnet"
    """Whose features D sees: effnet (an extra), random, or a file .pt2 or .pt, as for ``evaluate --features``."""
    side: int = 224
    """Images whose shorter side is less are enlarged to it before they are looked at (the authors' code: 224)."""
    d_width: int = 64
    """Channels of the finest projection; the coarsest has four times as many, D eight times (the authors' code)."""
    policy: tuple[str, ...] = ("colour", "translation", "cutout")
    """DiffAugment's parts: colour, translation, cutout, flip; none: ``()``."""
    batch_size: int = 64
    """Real images a batch (sec. 4)."""
    ema_kimg: float = 20.0
    """Half-life of G's average, thousands of images (the authors' code: 10 x batch / 32)."""
    g_opt: Adam = OPT
    """Optimizer of G (the authors' code)."""
    d_opt: Adam = OPT
    """Optimizer of D (the authors' code)."""

    def __post_init__(self) -> None:
        check_policy(self.policy, "--policy")
        if self.features in ("task", "inception", "fashion"):
            raise BadInput(f"--features {self.features}: give effnet, random or a file .pt2 with its features")
        if not 16 <= self.side <= 1024:
            raise BadInput(f"--side must lie in 16..1024, got {self.side}")


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
        """Opens the frozen network, or says what to install."""
        self.D.projection.opened(device)

    def sample(self, z: Tensor, c: Tensor | None = None) -> Tensor:
        """Latents (N, z_dim) to images (N, C, H, W) in [-1, 1]; a latent's length does not matter."""
        images: Tensor = self.G(normed(z))
        return images

    def judged(self, x: Tensor) -> Scores:
        """D's scores of augmented images, a logit per patch of all scales."""
        return self.discriminate(diff_augment(x, self.cfg.policy), patches=True)

    def d_loss(self, batch: Batch) -> Terms:
        with torch.no_grad():
            fake = self.sample(self.z(len(batch.x)))
        return self.d_adversarial(hinge, self.judged(batch.x), self.judged(fake))

    def g_loss(self, batch: Batch) -> Terms:
        return self.g_adversarial(hinge, self.judged(self.sample(self.z(len(batch.x)))))


MODEL = ProjectedGAN
