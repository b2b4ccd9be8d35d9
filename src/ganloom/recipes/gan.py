"""GAN. "Generative Adversarial Nets", Goodfellow et al. 2014, arXiv:1406.2661. Dense networks.

D maximises E[log D(x)] + E[log(1 - D(G(z)))]                                                   (eq. 1)
G minimises -E[log D(G(z))], the non-saturating form                                            (sec. 3)
written on logits: D minimises softplus(-D(x)) + softplus(D(G(z))), G minimises softplus(-D(G(z))).

``body="dense"`` is the 28x28 architecture of most tutorials: G 100-256-512-1024-784 with LeakyReLU 0.2 and BatchNorm, D
784-512-256-1, Adam. ``body="paper"`` is the MNIST model of 2014: G with two ReLU layers of 1200 and a sigmoid output, with
uniform noise as input; D with two maxout layers of 240 x 5 and dropout; SGD with momentum.

About: Two networks play against each other: G makes samples from noise, D says how real they look, and each learns from
the other's mistakes. All later GANs change parts of this model. New in 2014 was that training needs neither a likelihood
nor a Markov chain. Use it to learn how a GAN works, on 28 px images or on points; for better images use a convolutional
GAN. Watch the logits: if D(real) and D(fake) move apart and stay apart, G learns little; if samples repeat, modes have
been dropped. The field of GANs begins with this paper.

Departures from the paper: the paper's slow growth of the momentum (0.5 to 0.7) and decay of the learning rate are left
out, and layers have PyTorch's default initialization. "dense" is not from a paper.
"""

from dataclasses import dataclass
from typing import Literal

from torch import Tensor

from ganloom.gan import SGD, Adam, Phase
from ganloom.losses import LOSSES
from ganloom.networks import dense
from ganloom.recipes.base.adversarial import Adversarial

TITLE = "Generative Adversarial Nets"
PAPER = "Goodfellow et al. 2014, arXiv:1406.2661"
DATA = "MNIST"
KIMG = 500.0  # default length of a run, thousands of images


@dataclass(frozen=True)
class Config:
    """The tutorials' hyperparameters, and the paper's where it gives them."""

    shape: tuple[int, ...] = (1, 28, 28)
    """Image shape: channels, height, width; or the dimension of points."""
    body: Literal["dense", "paper"] = "dense"
    """Network type: the tutorials' or the paper's."""
    z_dim: int = 100
    """Length of the latent vector."""
    loss: Literal["nonsaturating", "minimax"] = "nonsaturating"
    """Loss of G (sec. 3: minimax saturates early in training)."""
    g_widths: tuple[int, ...] = (256, 512, 1024)
    """Widths of the hidden layers of G (body dense only)."""
    d_widths: tuple[int, ...] = (512, 256)
    """Widths of the hidden layers of D (body dense only)."""
    batch_size: int = 64
    """Real images per batch."""
    ema_kimg: float | None = None
    """Half-life of the EMA of G, in thousands of images. None: 1,000 updates of G."""
    g_opt: Adam = Adam(2e-4, betas=(0.5, 0.999))
    """Optimizer of G (body dense only)."""
    d_opt: Adam = Adam(2e-4, betas=(0.5, 0.999))
    """Optimizer of D (body dense only)."""
    paper_opt: SGD = SGD(0.1, momentum=0.5)
    """Optimizer of both networks (body paper only)."""


class VanillaGAN(Adversarial):
    """The GAN of 2014."""

    splits_by = None  # BatchNorm in G
    supports_points = True

    def __init__(self, cfg: Config) -> None:
        super().__init__(cfg)
        self.loss = LOSSES[cfg.loss]
        if cfg.body == "paper":
            self.G = dense.Generator(cfg.shape, cfg.z_dim, (1200, 1200), norm=False, slope=0.0, sigmoid=True)
            self.D = dense.Discriminator(cfg.shape, (240, 240), pieces=5, dropout=(0.2, 0.5))
        else:
            self.G = dense.Generator(cfg.shape, cfg.z_dim, cfg.g_widths)
            self.D = dense.Discriminator(cfg.shape, cfg.d_widths)

    def phases(self) -> list[Phase]:
        opt = self.cfg.paper_opt if self.cfg.body == "paper" else None
        return [Phase("D", self.d_loss, opt), Phase("G", self.g_loss, opt)]

    def z(self, n: int) -> Tensor:
        """Draw latents (n, z_dim): normal, or for the paper's body uniform with the same variance."""
        return (
            self.randn(n, self.cfg.z_dim)
            if self.cfg.body == "dense"
            else (self.rand(n, self.cfg.z_dim) - 0.5) * 12**0.5
        )


MODEL = VanillaGAN
