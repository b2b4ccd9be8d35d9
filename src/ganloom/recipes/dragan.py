"""DRAGAN. "On Convergence and Stability of GANs", Kodali et al. 2017, arXiv:1705.07215.

D minimises softplus(-D(x)) + softplus(D(G(z))) + gp_weight * E[(|grad D(x')| - 1)^2], x' near the data (algorithm 1)
G minimises softplus(-D(G(z)))
Gradients are held at 1 around real data only, where sharp ones go with collapse to a mode; one step of D for one of G.

About: D's gradient is held at 1 just around the real data, on the view that sharp peaks there go with collapse. Against
wgan-gp the loss stays the ordinary one, D is updated once a step, and the penalty never looks at fakes. Use it as a
cheaper and easier stabiliser than wgan-gp for a DCGAN-like body. Watch the scale of the noise, which is measured in the
data's spread: it suits images of high contrast and should shrink for others. It is of 2017, one of the first works to
see GAN training as a game and not as the descent of a divergence.

Departures from the paper: x' is drawn as the authors' program does, between x and x + 0.5 sd(x) U(0, 1), where the paper
writes x + N(0, c I); D has no BatchNorm (``d_norm`` puts it back), because with it a sample's gradient is not its own;
Adam and batch are DCGAN's, whose networks these are (the authors' notebook, github.com/kodalinaveen3/DRAGAN, has 1e-4 with
betas 0.5 and 0.9 and batches of 128 on dense networks of one hidden layer of 128; lambda 10 and 0.5 sd are from it).
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
KIMG = 500.0  # the length of a run that does not say its own, thousands of images


@dataclass(frozen=True)
class Config:
    """The paper's penalty on DCGAN's networks."""

    shape: tuple[int, int, int] = (3, 32, 32)
    """Channels, height, width."""
    z_dim: int = 100
    """Numbers in a latent."""
    width: int = 64
    """Channels of the layer next to the image."""
    d_norm: bool = False
    """BatchNorm in D."""
    gp_weight: float = 10.0
    """Weight of the penalty (algorithm 1: lambda)."""
    scale: float = 0.5
    """How far from the data, in standard deviations of the batch (the authors' program)."""
    batch_size: int = 64
    """Real images a batch."""
    ema_kimg: float = 5.0
    """Half-life of G's average, thousands of images (not in the paper)."""
    g_opt: Adam = Adam(2e-4, betas=(0.5, 0.999))
    """Optimizer of G."""
    d_opt: Adam = Adam(2e-4, betas=(0.5, 0.999))
    """Optimizer of D."""

    def __post_init__(self) -> None:
        if self.scale <= 0:
            raise BadInput(f"--scale must be above 0, got {self.scale}")


class DRAGAN(Adversarial):
    """Non-saturating GAN with a gradient penalty around the data."""

    splits_by = None  # BatchNorm in G; the noise follows the whole batch's standard deviation
    loss = nonsaturating

    def __init__(self, cfg: Config) -> None:
        super().__init__(cfg)
        self.G = dcgan.Generator(cfg.shape, cfg.z_dim, cfg.width)
        self.D = dcgan.Discriminator(cfg.shape, cfg.width, norm=cfg.d_norm)

    def d_loss(self, batch: Batch) -> Terms:
        terms = super().d_loss(batch)
        terms["gp"] = self.cfg.gp_weight * penalties.dragan(self.critic(), batch.x, scale=self.cfg.scale)
        return terms


MODEL = DRAGAN
