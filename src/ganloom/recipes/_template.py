"""NAME. "Title of the paper", Authors et al. YEAR, arXiv:0000.00000.

D minimises ...                                                                                   (eq. ...)
G minimises ...

About: what it is in five sentences: the idea; what is new compared with related models; when to use it; what to watch; its
place in history.

Departures from the paper: ...

(To add a recipe: copy this file to recipes/your_name.py, change it to follow the paper, and add one line to _FILES in
recipes/__init__.py. The command line, the conformance suite and the docs then include it.)
"""

from dataclasses import dataclass

import torch

from ganloom.gan import GAN, Adam, Batch, Phase, Terms
from ganloom.losses import hinge
from ganloom.networks import dcgan

TITLE = "What it is in a few words"
PAPER = "Authors et al. YEAR, arXiv:0000.00000"
DATA = "what the paper's numbers are for"
KIMG = 500.0  # default length of a run, thousands of images


@dataclass(frozen=True)
class Config:
    """The paper's hyperparameters, each with its section or table."""

    shape: tuple[int, int, int] = (3, 32, 32)
    """Image shape: channels, height, width."""
    z_dim: int = 128
    """Length of the latent vector (sec. ...)."""
    width: int = 64
    """Channels of the layer next to the image."""
    batch_size: int = 64
    """Real images per batch (sec. ...)."""
    n_critic: int = 1
    """Updates of D per update of G (sec. ...)."""
    ema_kimg: float | None = None
    """Half-life of the EMA of G, in thousands of images. None: 1,000 updates of G."""
    g_opt: Adam = Adam(2e-4, betas=(0.0, 0.9))
    """Optimizer of G (sec. ...)."""
    d_opt: Adam = Adam(2e-4, betas=(0.0, 0.9))
    """Optimizer of D (sec. ...)."""


class Template(GAN):
    """The name of the model in the paper."""

    splits_by = None  # BatchNorm needs the whole batch; 1 if the loss treats each sample separately

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
