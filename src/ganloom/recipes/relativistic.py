"""Relativistic GAN. "The relativistic discriminator", Jolicoeur-Martineau 2018, arXiv:1807.00734.

``pairing="average"`` (RaSGAN): each side is compared with the mean of the other                      (eq. 11 to 13)
  D minimises E[softplus(-(D(x) - E D(G(z))))] + E[softplus(D(G(z)) - E D(x))], G the same with real and fake exchanged
``pairing="paired"`` (RSGAN, also RpGAN): one real image with one fake                                (sec. 4.1)
  D minimises E[softplus(-(D(x) - D(G(z))))], G minimises E[softplus(-(D(G(z)) - D(x)))]
G's loss also pushes the logits of real images below those of fakes, so G's step needs real images too.

``gamma`` > 0 adds R1 + R2 each step, gamma / 2 (E|grad D(x)|^2 + E|grad D(G(z))|^2), and removes BatchNorm from D. With
"paired" this is the loss of R3GAN (Huang et al. 2024, arXiv:2501.05441), which does not converge without both penalties.

About: D no longer estimates how real an image is, but how much more real it is than images of the other kind. So both
losses see real and fake images, and G's loss also lowers D's outputs on real images, as it should when half of all samples
are fake. Use it as a drop-in loss; with ``pairing="paired"`` and ``gamma`` it is the loss of R3GAN. Note that G's step
needs real images, and that "paired" without the penalties need not converge. It was published in 2018, ESRGAN used it in
the same year, and in 2024 it became the base of R3GAN.

Departures from the paper: DCGAN's networks, without the spectral norm of the paper's CIFAR-10 runs.
"""

from dataclasses import dataclass
from typing import Literal

import torch

from ganloom import losses, penalties
from ganloom.core.errors import BadInput
from ganloom.gan import Adam, Batch, Terms
from ganloom.networks import dcgan
from ganloom.recipes.base.adversarial import Adversarial

TITLE = "Relativistic GAN, average or paired"
PAPER = "Jolicoeur-Martineau 2018, arXiv:1807.00734"
DATA = "CIFAR-10"
KIMG = 500.0  # default length of a run, thousands of images


@dataclass(frozen=True)
class Config:
    """The paper's hyperparameters for CIFAR-10, first setting (sec. 5.1)."""

    shape: tuple[int, int, int] = (3, 32, 32)
    """Image shape: channels, height, width."""
    pairing: Literal["average", "paired"] = "average"
    """Variant of the loss: average (RaSGAN) or paired (RSGAN, RpGAN)."""
    gamma: float = 0.0
    """Weight of R1 + R2 (not in the paper; from R3GAN); 0: no penalties, and BatchNorm in D."""
    z_dim: int = 128
    """Length of the latent vector."""
    width: int = 64
    """Channels of the layer next to the image."""
    smallest: int = 4
    """Smallest side of the coarsest grid, in pixels; 3 gives images of 28 px a third doubling, from 4 px on."""
    batch_size: int = 32
    """Real images per batch (sec. 5.1)."""
    ema_kimg: float | None = None
    """Half-life of the EMA of G, in thousands of images (not in the paper). None: 1,000 updates of G."""
    g_opt: Adam = Adam(2e-4, betas=(0.5, 0.999))
    """Optimizer of G (sec. 5.1)."""
    d_opt: Adam = Adam(2e-4, betas=(0.5, 0.999))
    """Optimizer of D (sec. 5.1)."""

    def __post_init__(self) -> None:
        if self.gamma < 0:
            raise BadInput(f"--gamma must not be negative, got {self.gamma}")


class Relativistic(Adversarial):
    """Relativistic GAN."""

    splits_by = None  # BatchNorm; the loss uses the mean of the other side

    def __init__(self, cfg: Config) -> None:
        super().__init__(cfg)
        self.loss = losses.relativistic_average if cfg.pairing == "average" else losses.relativistic
        self.G = dcgan.Generator(cfg.shape, cfg.z_dim, cfg.width, smallest=cfg.smallest)
        self.D = dcgan.Discriminator(cfg.shape, cfg.width, norm=not cfg.gamma, smallest=cfg.smallest)

    def d_loss(self, batch: Batch) -> Terms:
        with torch.no_grad():
            fake, _ = self.fakes(len(batch.x), batch)
        terms = self.d_terms(batch, fake, None)
        if self.cfg.gamma:
            terms["r1"] = self.cfg.gamma * penalties.r1(self.critic(), batch.x)
            terms["r2"] = self.cfg.gamma * penalties.r2(self.critic(), None, fake.x)
        return terms


MODEL = Relativistic
