"""DRAGAN. "On Convergence and Stability of GANs", Kodali et al. 2017, arXiv:1705.07215.

D minimises softplus(-D(x)) + softplus(D(G(z))) + gp_weight * E[(|grad D(x')| - 1)^2], x' near the data (algorithm 1)
G minimises softplus(-D(G(z)))
The penalty keeps the norm of D's gradient at 1 around real data, because sharp gradients there accompany mode collapse.
One step of D per step of G.

About: DRAGAN keeps the norm of D's gradient at 1 in a neighbourhood of the real data, on the view that sharp peaks there
go along with mode collapse. Compared with wgan-gp the loss stays the ordinary one, D is updated once per step, and the
penalty does not use fakes. Use it as a cheaper and easier stabiliser than wgan-gp for networks like DCGAN's. Watch the
scale of the noise, which is measured in standard deviations of the data: it suits images of high contrast and should be
smaller for others. It was published in 2017 and is one of the first works to treat GAN training as a game instead of the
minimisation of a divergence.

Departures from the paper: x' is drawn as in the authors' program, between x and x + 0.5 sd(x) U(0, 1); the paper
has x + N(0, c I). D has no BatchNorm (``d_norm`` adds it), because with BatchNorm the gradient of a sample depends on
the rest of the batch. Networks, Adam and batch size are DCGAN's. The authors' notebook (github.com/kodalinaveen3/DRAGAN)
has a learning rate of 1e-4 with betas 0.5 and 0.9 and batches of 128, on dense networks with one hidden layer of 128;
lambda 10 and 0.5 sd are taken from it.
"""

from dataclasses import dataclass

from ganloom import penalties
from ganloom.core.errors import BadInput
from ganloom.gan import Adam, Batch, Terms
from ganloom.losses import nonsaturating
from ganloom.networks import dcgan
from ganloom.recipes.base.adversarial import Adversarial

TITLE = "DRAGAN: gradient penalty around the data"
PAPER = "Kodali et al. 2017, arXiv:1705.07215"
DATA = "CIFAR-10"
KIMG = 500.0  # default length of a run, thousands of images


@dataclass(frozen=True)
class Config:
    """The paper's penalty with DCGAN's networks."""

    shape: tuple[int, int, int] = (3, 32, 32)
    """Image shape: channels, height, width."""
    z_dim: int = 100
    """Length of the latent vector."""
    width: int = 64
    """Channels of the layer next to the image."""
    smallest: int = 4
    """Smallest side of the coarsest grid, in pixels; 3 gives images of 28 px a third doubling, from 4 px on."""
    d_norm: bool = False
    """Use BatchNorm in D."""
    gp_weight: float = 10.0
    """Weight of the gradient penalty (algorithm 1: lambda)."""
    scale: float = 0.5
    """Distance from the data, in standard deviations of the batch (the authors' program)."""
    batch_size: int = 64
    """Real images per batch."""
    ema_kimg: float | None = None
    """Half-life of the EMA of G, in thousands of images (not in the paper). None: 1,000 updates of G."""
    g_opt: Adam = Adam(2e-4, betas=(0.5, 0.999))
    """Optimizer of G."""
    d_opt: Adam = Adam(2e-4, betas=(0.5, 0.999))
    """Optimizer of D."""

    def __post_init__(self) -> None:
        if self.scale <= 0:
            raise BadInput(f"--scale must be above 0, got {self.scale}")


class DRAGAN(Adversarial):
    """Non-saturating GAN with a gradient penalty around the data."""

    splits_by = None  # BatchNorm in G; the noise depends on the standard deviation of the whole batch
    loss = nonsaturating

    def __init__(self, cfg: Config) -> None:
        super().__init__(cfg)
        self.G = dcgan.Generator(cfg.shape, cfg.z_dim, cfg.width, smallest=cfg.smallest)
        self.D = dcgan.Discriminator(cfg.shape, cfg.width, norm=cfg.d_norm, smallest=cfg.smallest)
        self.penalises_normed_d = cfg.d_norm  # BatchNorm in D is off by default, so it was set on purpose

    def d_loss(self, batch: Batch) -> Terms:
        terms = super().d_loss(batch)
        terms["gp"] = self.cfg.gp_weight * penalties.dragan(self.critic(), batch.x, scale=self.cfg.scale)
        return terms


MODEL = DRAGAN
