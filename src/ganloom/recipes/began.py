"""BEGAN. "Boundary Equilibrium Generative Adversarial Networks", Berthelot et al. 2017, arXiv:1703.10717.

L(v) = |v - D(v)|, D an autoencoder                                                               (sec. 3.1)
D minimises L(x) - k_t L(G(z_D)), G minimises L(G(z_G))                                      (sec. 3.4, system)
k_{t+1} = k_t + lambda_k (gamma L(x) - L(G(z_G))), clipped to [0, 1], k_0 = 0. k limits how far D separates fakes from
reals, so that E L(G(z)) / E L(x) stays at gamma; gamma trades variety for quality.
M = L(x) + |gamma L(x) - L(G(z_G))| measures convergence; it is logged as ``measure``               (sec. 3.4.1)

gamma, lambda_k, N_h, the batch size, Adam's betas and the halving of the learning rate every 100,000 steps are also
those of the public program github.com/carpedm20/BEGAN-tensorflow. That program has a learning rate of 8e-5 (the paper
1e-4), no skip connections, and TensorFlow's Glorot initialization, which is used here.

``self.D(v)`` is -L(v). k is a buffer that is updated once per step, after G's update.

About: D is an autoencoder, and the comparison is not between images but between the reconstruction errors of real and
fake images. A number k, set by a simple proportional controller, lets D push fakes away only far enough to keep a chosen
ratio gamma. Use it for faces and other aligned images when smooth samples matter more than varied ones. Watch
``measure``, which falls as training converges, and k: at 0, D no longer learns to reject fakes. gamma below 0.5 gives
smoother and less varied samples. The paper of 2017 showed 128 px faces of a quality that was new then; progressive
growing overtook it within the year.

Departures from the paper: the learning rate halves every ``1,600`` kimg (100,000 steps) instead of when M stalls; D and G
are updated one after the other; no "vanishing residuals" (identity connections that are faded out in the first 16,000
steps); samples are clipped to [-1, 1], but G's images are unbounded in training.
"""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from ganloom.core.errors import BadInput
from ganloom.gan import GAN, Adam, Batch, Knots, Phase, Terms
from ganloom.networks import dcgan
from ganloom.networks.autoencoder import ConvRebuilder, Decoder, Rebuilder

TITLE = "BEGAN: boundary equilibrium"
PAPER = "Berthelot et al. 2017, arXiv:1703.10717"
DATA = "faces"
KIMG = 3200.0  # default length of a run, thousands of images: 200,000 steps


def _halving(every: float, times: int) -> Knots:
    """Halve the learning rate every ``every`` kimg: two knots at each time."""
    return tuple(knot for i in range(1, times + 1) for knot in ((every * i, 0.5 ** (i - 1)), (every * i, 0.5**i)))


@dataclass(frozen=True)
class Config:
    """The paper's hyperparameters (sec. 4.1)."""

    shape: tuple[int, int, int] = (3, 64, 64)
    """Image shape: channels, height, width."""
    body: Literal["paper", "dcgan"] = "paper"
    """Network type: the paper's, or DCGAN's generator and EBGAN's autoencoder, which have BatchNorm."""
    gamma: float = 0.5
    """Diversity ratio: energy of fakes over energy of reals at equilibrium, in (0, 1] (sec. 3.3; 0.3 to 0.7 in sec. 4.2)."""
    k_rate: float = 0.001
    """Proportional gain of the controller of k (lambda_k)."""
    z_dim: int = 64
    """Length of the latent vector and of D's code (N_z = N_h)."""
    width: int = 64
    """Channels; the encoder adds as many at each downsampling (n; 128 for 128 px)."""
    smallest: int = 8
    """Smallest side of the coarsest grid, in pixels; 7 gives images of 28 px a second doubling, from 7 px on, and 3 with DCGAN's
    networks a third one, from 4 px on.
    """
    skip: bool = True
    """Concatenate the decoder's smallest map with the input of each upsampling."""
    batch_size: int = 16
    """Real images per batch."""
    ema_kimg: float | None = None
    """Half-life of the EMA of G, in thousands of images (not in the paper). None: 1,000 updates of G."""
    g_opt: Adam = Adam(1e-4, betas=(0.5, 0.999), schedule=_halving(1600.0, 4))
    """Optimizer of G."""
    d_opt: Adam = Adam(1e-4, betas=(0.5, 0.999), schedule=_halving(1600.0, 4))
    """Optimizer of D."""

    def __post_init__(self) -> None:
        if not 0 < self.gamma <= 1:
            raise BadInput(f"--gamma must be in (0, 1], got {self.gamma}")
        if self.k_rate < 0:
            raise BadInput(f"--k-rate must not be negative, got {self.k_rate}")


class BEGAN(GAN):
    """GAN whose discriminator is an autoencoder, balanced by k."""

    k: Tensor
    sums: Tensor

    def __init__(self, cfg: Config) -> None:
        super().__init__(cfg)
        if cfg.body == "paper":
            self.G: nn.Module = Decoder(cfg.shape, cfg.z_dim, cfg.width, skip=cfg.skip, smallest=cfg.smallest)
            self.D: nn.Module = Rebuilder(cfg.shape, cfg.z_dim, cfg.width, skip=cfg.skip, smallest=cfg.smallest)
        else:
            self.splits_by = None  # BatchNorm
            self.G = dcgan.Generator(cfg.shape, cfg.z_dim, cfg.width, smallest=cfg.smallest)
            self.D = ConvRebuilder(cfg.shape, cfg.width, absolute=True)
        self.register_buffer("k", torch.zeros(()))
        self.register_buffer("sums", torch.zeros(4))  # sum and count of the reals' energies, then of the fakes'

    def phases(self) -> list[Phase]:
        return [Phase("D", self.d_loss), Phase("G", self.g_loss)]

    def z(self, n: int) -> Tensor:
        """Draw latents (n, z_dim), uniform in [-1, 1]."""
        return self.rand(n, self.cfg.z_dim) * 2 - 1

    def sample(self, z: Tensor, c: Tensor | None = None) -> Tensor:
        """Map latents (N, z_dim) to images (N, C, H, W), clipped to [-1, 1]."""
        out: Tensor = self.G(z)
        return out.clamp(-1, 1)

    def d_loss(self, batch: Batch) -> Terms:
        with torch.no_grad():
            fake = self.generated(self.z(len(batch.x)))
        real, fakes = -self.discriminate(batch.x).first, -self.discriminate(fake).first
        self._add(0, real)
        return {"real": real.mean(), "fake": -self.k * fakes.mean(), "k": self.k}

    def g_loss(self, batch: Batch) -> Terms:
        fakes = -self.discriminate(self.generated(self.z(len(batch.x)))).first
        self._add(2, fakes)
        real, fake = self.sums[0] / self.sums[1].clamp_min(1), fakes.detach().mean()
        return {"fake": fakes.mean(), "measure": real + (self.cfg.gamma * real - fake).abs()}

    @torch.no_grad()
    def _add(self, place: int, energies: Tensor) -> None:
        self.sums[place] += energies.sum()
        self.sums[place + 1] += len(energies)

    def after_update(self, phase: Phase) -> None:
        if phase.net == "G":
            real, fake = self.sums[0] / self.sums[1].clamp_min(1), self.sums[2] / self.sums[3].clamp_min(1)
            self.k.add_(self.cfg.k_rate * (self.cfg.gamma * real - fake)).clamp_(0, 1)
            self.sums.zero_()


MODEL = BEGAN
