"""EBGAN. "Energy-based Generative Adversarial Network", Zhao et al. 2016, arXiv:1609.03126.

E(v) = |Dec(Enc(v)) - v|, D an autoencoder                                                        (sec. 2.3)
D minimises E(x) + max(0, margin - E(G(z)))                                                          (eq. 1)
G minimises E(G(z)) + pt_weight * f_PT(Enc(G(z)))                                            (eq. 2, sec. 2.4)
f_PT(S) = mean over pairs i != j of (S_i S_j / |S_i| |S_j|)^2 keeps the codes of a batch apart           (eq. 4)

``self.D(v)`` is -E(v). Networks for 64 px (appendix D): D (64)4c2s-(128)4c2s-(256)4c2s and back, weights N(0, 0.002); G
(1024)4c-(512)4c2s-(256)4c2s-(128)4c2s-(C)4c2s, weights N(0, 0.02), which is DCGAN's G at width 128; BatchNorm in both.

About: D is an energy function that is low for real images; here it is the reconstruction error of an autoencoder. Fakes
are pushed up to a margin only, and a pulling-away term keeps the codes of a batch from pointing in the same direction. Use
it to study a GAN without a classifier, and when the reconstruction itself is useful. Watch the margin: once the energy of
the fakes is above it, D learns nothing; with a margin that is too large, G cannot follow. It was published in 2016 as one
of the first links between GANs and energy-based learning, and its autoencoder led to BEGAN.

Departures from the paper: the margin, 20 for CelebA's 3x64x64, is scaled with the square root of the number of values for
other shapes, because the energy is a Euclidean norm; LeakyReLU 0.2 in D.
"""

from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from ganloom import penalties
from ganloom.core.errors import BadInput
from ganloom.gan import GAN, Adam, Batch, Phase, Terms
from ganloom.networks import dcgan
from ganloom.networks.autoencoder import ConvRebuilder

TITLE = "Energy-based GAN with pulling-away term"
PAPER = "Zhao et al. 2016, arXiv:1609.03126"
DATA = "LSUN, CelebA"
KIMG = 500.0  # default length of a run, thousands of images


@dataclass(frozen=True)
class Config:
    """The paper's hyperparameters for CelebA (appendix D)."""

    shape: tuple[int, int, int] = (3, 64, 64)
    """Image shape: channels, height, width."""
    margin: float | None = None
    """Energy up to which D pushes fakes (m); None: 20 x sqrt(C x H x W / 12288)."""
    pt_weight: float = 0.1
    """Weight of the pulling-away term (sec. 2.4); 0: plain EBGAN."""
    z_dim: int = 100
    """Length of the latent vector."""
    width: int = 128
    """Channels of G next to the image."""
    smallest: int = 4
    """Smallest side of the coarsest grid, in pixels; 3 gives images of 28 px a third doubling, from 4 px on."""
    d_width: int = 64
    """Channels of D next to the image."""
    batch_size: int = 128
    """Real images per batch."""
    ema_kimg: float | None = None
    """Half-life of the EMA of G, in thousands of images (not in the paper). None: 1,000 updates of G."""
    g_opt: Adam = Adam(2e-4, betas=(0.5, 0.999))
    """Optimizer of G."""
    d_opt: Adam = Adam(2e-4, betas=(0.5, 0.999))
    """Optimizer of D."""

    def __post_init__(self) -> None:
        if self.margin is not None and self.margin <= 0:
            raise BadInput(f"--margin must be above 0 or none, got {self.margin}")
        if self.pt_weight < 0:
            raise BadInput(f"--pt-weight must not be negative, got {self.pt_weight}")


class EBGAN(GAN):
    """GAN whose discriminator is an energy function."""

    splits_by = None  # BatchNorm in both networks; the pulling-away term uses pairs of samples

    def __init__(self, cfg: Config) -> None:
        super().__init__(cfg)
        self.G = dcgan.Generator(cfg.shape, cfg.z_dim, cfg.width, smallest=cfg.smallest)
        self.D = ConvRebuilder(cfg.shape, cfg.d_width)
        values = cfg.shape[0] * cfg.shape[1] * cfg.shape[2]
        self.margin = 20 * (values / 12288) ** 0.5 if cfg.margin is None else cfg.margin

    def phases(self) -> list[Phase]:
        return [Phase("D", self.d_loss), Phase("G", self.g_loss)]

    def logits_of(self, output: Any) -> Tensor:
        """Minus the energies, also where D returns codes too."""
        logits: Tensor = output if isinstance(output, Tensor) else output[0]
        return logits

    def d_loss(self, batch: Batch) -> Terms:
        with torch.no_grad():
            fake = self.generated(self.z(len(batch.x)))
        real_energy, fake_energy = -self.discriminate(batch.x).first, -self.discriminate(fake).first
        return {
            "real": real_energy.mean(),
            "fake": F.relu(self.margin - fake_energy).mean(),
            "energy_fake": fake_energy.detach().mean(),
        }

    def g_loss(self, batch: Batch) -> Terms:
        logits, codes = self.discriminate(self.generated(self.z(len(batch.x))), codes=True).output
        terms = {"energy": -logits.mean()}
        if self.cfg.pt_weight:
            terms["pulling_away"] = self.cfg.pt_weight * penalties.pulling_away(codes)
        return terms


MODEL = EBGAN
