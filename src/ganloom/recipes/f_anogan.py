"""f-AnoGAN. "f-AnoGAN: Fast unsupervised anomaly detection with generative adversarial networks", Schlegl et al. 2019,
doi:10.1016/j.media.2019.01.010. It builds on WGAN-GP, arXiv:1704.00028.

First D minimises E[D(G(z))] - E[D(x)] + gp_weight * E[(|grad D(x_hat)| - 1)^2] and G minimises -E[D(G(z))]   (WGAN-GP)
Then G and D are frozen, and the encoder E minimises                                          (izi_f, sec. 3.2, eq. 4)
L = mean (x - G(E(x)))^2 + kappa * mean (f(x) - f(G(E(x))))^2, f the features of D below its output
The anomaly score of an image is the same sum, A(x) = A_R(x) + kappa * A_D(x)                           (sec. 3.3, eq. 6)

Scores: ``f-anogan`` is A, ``f-anogan-residual`` A_R, ``f-anogan-features`` A_D.

About: A GAN learns normal images; an encoder then finds the latent whose image is most similar to a given one, and what the
pair cannot reproduce is an anomaly. Compared with AnoGAN, which searches the latent of each image with hundreds of steps,
one pass is enough. Use it when you want to see what the model expected instead, next to what is there. Watch the residual of
normal images: if G does not reproduce them, all scores are high. It was published in 2019; k nearest neighbours on small
copies of the images are often better, so ganloom always prints them beside it.

Departures from the paper: DCGAN's networks instead of residual ones unless ``body="resnet"``, no layer normalisation in D;
for points, dense networks. The lengths are those of the authors' program (7 epochs, and 50,000 batches for E) for a million
images. The EMA of G and E is not in the paper; its half-life is short, so that it equals the frozen G after some batches.
"""

import math
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from ganloom import penalties
from ganloom.core.errors import BadInput
from ganloom.gan import Adam, Batch, Phase, RMSprop, Terms
from ganloom.losses import wasserstein
from ganloom.networks import one_class, resnet
from ganloom.networks.one_class import Discriminator, Encoder, mean_square
from ganloom.recipes.base.one_class import OneClass

TITLE = "f-AnoGAN: anomalies by a GAN and an encoder"
PAPER = "Schlegl et al. 2019, doi:10.1016/j.media.2019.01.010"
DATA = "optical coherence tomography, 64 px patches"
KIMG = 10200.0  # default length of a run, thousands of images


@dataclass(frozen=True)
class Config:
    """The hyperparameters of the paper and of the authors' program."""

    shape: tuple[int, ...] = (1, 64, 64)
    """Image shape: channels, height, width; or the dimension of points."""
    body: Literal["dcgan", "resnet"] = "dcgan"
    """G's network: DCGAN's, or a residual one as in the paper."""
    z_dim: int = 128
    """Length of the latent vector."""
    width: int = 64
    """Channels of the layers next to the image."""
    multiple: int = 8
    """Most channels of D and E, as a multiple of the width."""
    n_critic: int = 5
    """Updates of D per update of G."""
    gp_weight: float = 10.0
    """Weight of the gradient penalty (lambda)."""
    kappa: float = 1.0
    """Weight of D's features in E's loss and in the score."""
    bound: float = 0.0
    """Largest absolute value of E's latents, reached by tanh; 0: not bounded."""
    gan_kimg: float = 7000.0
    """Length of the training of G and D, in thousands of images; then E is trained."""
    batch_size: int = 64
    """Real images per batch."""
    ema_kimg: float = 1.0
    """Half-life of the EMA of G and E, in thousands of images (not in the paper)."""
    g_opt: Adam = Adam(1e-4, betas=(0.0, 0.9))
    """Optimizer of G."""
    d_opt: Adam = Adam(1e-4, betas=(0.0, 0.9))
    """Optimizer of D."""
    e_opt: RMSprop = RMSprop(5e-5)
    """Optimizer of E."""

    def __post_init__(self) -> None:
        if self.kappa < 0 or self.bound < 0:
            raise BadInput(f"--kappa and --bound must not be negative, got {self.kappa} and {self.bound}")
        if not self.gan_kimg > 0:
            raise BadInput(f"--gan-kimg must be above 0, got {self.gan_kimg}")


class FAnoGAN(OneClass):
    """WGAN-GP, and an encoder that is trained afterwards."""

    averaged = ("G", "E")
    splits_by = None  # BatchNorm in G and E
    score_names = ("f-anogan", "f-anogan-residual", "f-anogan-features")

    def __init__(self, cfg: Config) -> None:
        super().__init__(cfg)
        if cfg.body == "resnet" and len(cfg.shape) == 3:
            self.G: Any = resnet.Generator((cfg.shape[0], cfg.shape[1], cfg.shape[2]), cfg.z_dim, cfg.width)
        else:
            self.G = one_class.generator(cfg.shape, cfg.z_dim, cfg.width)
        self.D = Discriminator(cfg.shape, cfg.width, multiple=cfg.multiple)
        self.E = Encoder(cfg.shape, cfg.z_dim, cfg.width, multiple=cfg.multiple, bound=cfg.bound)

    def phases(self) -> list[Phase]:
        first, then = (0.0, self.cfg.gan_kimg), (self.cfg.gan_kimg, math.inf)
        return [
            Phase("D", self.d_loss, repeat=self.cfg.n_critic, kimg=first),
            Phase("G", self.g_loss, kimg=first),
            Phase("E", self.e_loss, self.cfg.e_opt, kimg=then),
        ]

    def d_loss(self, batch: Batch) -> Terms:
        with torch.no_grad():
            fake = self.generated(self.z(len(batch.x)))
        terms = self.d_adversarial(wasserstein, self.discriminate(batch.x), self.discriminate(fake))
        terms["gp"] = self.cfg.gp_weight * penalties.wgan_gp(self.critic(), batch.x, fake.x)
        return terms

    def g_loss(self, batch: Batch) -> Terms:
        fake = self.generated(self.z(len(batch.x)))
        return self.g_adversarial(wasserstein, self.discriminate(fake), reals=(batch.x,))

    def e_loss(self, batch: Batch) -> Terms:
        rebuilt = self.G(self.E(batch.x))
        with torch.no_grad():
            wanted = self.discriminate(batch.x, features=True).output[1]
        features = mean_square(self.discriminate(rebuilt, features=True).output[1], wanted)
        return {"residual": mean_square(batch.x, rebuilt).mean(), "features": self.cfg.kappa * features.mean()}

    def scores_of(self, x: Tensor) -> dict[str, Tensor]:
        rebuilt = self.G(self.E(x))
        residual = mean_square(x, rebuilt)
        features = mean_square(*(self.D(images, features=True)[1] for images in (x, rebuilt)))
        return dict(zip(self.score_names, (residual + self.cfg.kappa * features, residual, features), strict=True))

    def rebuilt(self, x: Tensor) -> Tensor:
        out: Tensor = self.G(self.E(x))
        return out


MODEL = FAnoGAN
