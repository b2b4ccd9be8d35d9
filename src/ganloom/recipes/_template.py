"""NAME. "Title of the paper", Authors et al. YEAR, arXiv:0000.00000.

D minimises ...                                                                                   (eq. ...)
G minimises ...

About: what it is in five sentences: the idea; what is new against its kin; when to use it; what to watch; what became
of it.

Departures from the paper: ...

(To add a recipe: copy this file to recipes/your_name.py, make it the paper's, and add one line to _FILES in
recipes/__init__.py. The command line, the conformance suite and its page in the docs then know it.)
"""

from dataclasses import dataclass

import torch

from ganloom.gan import GAN, Adam, Batch, Phase, Terms
from ganloom.losses import hinge
from ganloom.networks import dcgan

TITLE = "What it is in a few words"
PAPER = "Authors et al. YEAR, arXiv:0000.00000"
DATA = "what the paper's numbers are for"
KIMG = 500.0  # the length of a run that does not say its own, thousands of images


@dataclass(frozen=True)
class Config:
    """The paper's numbers, each with its section or table."""

    shape: tuple[int, int, int] = (3, 32, 32)
    """Channels, height, width."""
    z_dim: int = 128
    """Numbers in a latent (sec. ...)."""
    width: int = 64
    """Channels of the layer next to the image."""
    batch_size: int = 64
    """Real images a batch (sec. ...)."""
    n_critic: int = 1
    """Updates of D for one of G (sec. ...)."""
    ema_kimg: float = 5.0
    """Half-life of G's average, thousands of images."""
    g_opt: Adam = Adam(2e-4, betas=(0.0, 0.9))
    """Optimizer of G (sec. ...)."""
    d_opt: Adam = Adam(2e-4, betas=(0.0, 0.9))
    """Optimizer of D (sec. ...)."""


class Template(GAN):
    """What the class is called in the paper."""

    splits_by = None  # BatchNorm: the loss of a part of a batch is not a part of the loss; 1 where samples are apart

    def __init__(self, cfg: Config) -> None:
        super().__init__(cfg)
        self.G = dcgan.Generator(cfg.shape, cfg.z_dim, cfg.width)
        self.D = dcgan.Discriminator(cfg.shape, cfg.width, norm=False)

    def phases(self) -> list[Phase]:
        return [Phase("D", self.d_loss, repeat=self.cfg.n_critic), Phase("G", self.g_loss)]

    def d_loss(self, batch: Batch) -> Terms:
        with torch.no_grad():
            fake = self.generated(self.z(len(batch.x)))
        return self.d_adversarial(hinge, self.discriminate(batch.x), self.discriminate(fake))

    def g_loss(self, batch: Batch) -> Terms:
        fake = self.discriminate(self.generated(self.z(len(batch.x))))
        return self.g_adversarial(hinge, fake, reals=(batch.x,))


MODEL = Template
