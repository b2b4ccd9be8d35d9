"""WGAN-GP. "Improved Training of Wasserstein GANs", Gulrajani et al. 2017, arXiv:1704.00028.

D minimises E[D(G(z))] - E[D(x)] + gp_weight * E[(|grad D(x_hat)| - 1)^2], x_hat between G(z) and x     (eq. 3)
G minimises -E[D(G(z))], once per n_critic steps of D                                         (algorithm 1)
D has no BatchNorm, because the penalty applies to the gradient of each single sample               (sec. 4)

``body="resnet"`` is the CIFAR-10 model of appendix F, "dcgan" the DCGAN architecture without BatchNorm in D (table 1),
"dense" the fully connected one.

About: A penalty keeps the norm of the critic's gradient near 1 between real and fake images and replaces the clipping of
weights. Compared with wgan, Adam can be used again, the critic has no BatchNorm, and almost any network trains with the
same hyperparameters. Use it when training must not fail and time matters less: five critic updates per step and second
derivatives make it several times as slow as dcgan. Watch the difference between ``logits_real`` and ``logits_fake``, not
G's loss, and do not add BatchNorm to D. It was published in 2017 and was the standard for years; one-centred penalties
circle near the optimum, zero-centred ones (see default) converge.

Departures from the paper: the learning rate decays over 32,000 kimg, the images of 100,000 steps of G, whatever the length
of the run.
"""

from dataclasses import dataclass
from typing import Literal

import torch

from ganloom import penalties
from ganloom.gan import GAN, Adam, Batch, Phase, Terms, linear
from ganloom.losses import wasserstein
from ganloom.networks import dcgan, dense, resnet

TITLE = "Wasserstein GAN with gradient penalty"
PAPER = "Gulrajani et al. 2017, arXiv:1704.00028"
DATA = "CIFAR-10"
KIMG = 1000.0  # default length of a run, thousands of images


@dataclass(frozen=True)
class Config:
    """The paper's hyperparameters for the residual CIFAR-10 model (appendix F)."""

    shape: tuple[int, int, int] = (3, 32, 32)
    """Image shape: channels, height, width."""
    body: Literal["resnet", "dcgan", "dense"] = "resnet"
    """Network type: residual, convolutional or fully connected."""
    z_dim: int = 128
    """Length of the latent vector."""
    width: int = 128
    """Channels of every layer (resnet) or of the layer next to the image (dcgan)."""
    smallest: int = 4
    """Smallest side of the coarsest grid, in pixels; 3 gives images of 28 px a third doubling, from 4 px on."""
    n_critic: int = 5
    """Updates of D per update of G (algorithm 1)."""
    gp_weight: float = 10.0
    """Weight of the gradient penalty (algorithm 1: lambda)."""
    batch_size: int = 64
    """Real images per batch of D (algorithm 1: m)."""
    g_batch: int = 2
    """Fakes in a step of G, as a multiple of the batch size (appendix F: 128 to 64)."""
    ema_kimg: float | None = None
    """Half-life of the EMA of G, in thousands of images (not in the paper). None: 1,000 updates of G."""
    g_opt: Adam = Adam(2e-4, betas=(0.0, 0.9), schedule=linear(0.0, 32000.0))
    """Optimizer of G; the learning rate falls to 0 over 100,000 steps of G = 32,000 kimg (appendix F)."""
    d_opt: Adam = Adam(2e-4, betas=(0.0, 0.9), schedule=linear(0.0, 32000.0))
    """Optimizer of D, with the same schedule."""


class WGANGP(GAN):
    """Wasserstein GAN with gradient penalty."""

    splits_by = None  # BatchNorm in G

    def __init__(self, cfg: Config) -> None:
        super().__init__(cfg)
        if cfg.body == "resnet":
            self.G = resnet.Generator(cfg.shape, cfg.z_dim, cfg.width, smallest=cfg.smallest)
            self.D = resnet.Discriminator(cfg.shape, cfg.width, smallest=cfg.smallest)
        elif cfg.body == "dcgan":
            self.G = dcgan.Generator(cfg.shape, cfg.z_dim, cfg.width, smallest=cfg.smallest)
            self.D = dcgan.Discriminator(cfg.shape, cfg.width, norm=False, smallest=cfg.smallest)
        else:
            self.G = dense.Generator(cfg.shape, cfg.z_dim)
            self.D = dense.Discriminator(cfg.shape)

    def phases(self) -> list[Phase]:
        return [Phase("D", self.d_loss, repeat=self.cfg.n_critic), Phase("G", self.g_loss)]

    def d_loss(self, batch: Batch) -> Terms:
        with torch.no_grad():
            fake = self.generated(self.z(len(batch.x)))
        terms = self.d_adversarial(wasserstein, self.discriminate(batch.x), self.discriminate(fake))
        terms["gp"] = self.cfg.gp_weight * penalties.wgan_gp(self.critic(), batch.x, fake.x)
        return terms

    def g_loss(self, batch: Batch) -> Terms:
        fake = self.generated(self.z(len(batch.x) * self.cfg.g_batch))
        return self.g_adversarial(wasserstein, self.discriminate(fake), reals=(batch.x,))


MODEL = WGANGP
