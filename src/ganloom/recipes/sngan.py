"""SNGAN. "Spectral Normalization for Generative Adversarial Networks", Miyato et al. 2018, arXiv:1802.05957.

Every weight of D is divided by its largest singular value, from one power iteration per forward pass     (eq. 8, alg. 1)
D minimises E[max(0, 1 - D(x))] + E[max(0, 1 + D(G(z)))], n_critic times for each step of G                      (eq. 17)
G minimises -E[D(G(z))]                                                                                          (eq. 16)

With labels: conditional BatchNorm in G, and in D the projection D(x, c) = w h(x) + e(c) h(x) of "cGANs with Projection
Discriminator", Miyato & Koyama 2018, arXiv:1802.05637. The fakes of both steps have classes drawn evenly.

Without ``pyramid`` the residual networks are those of CIFAR-10 (table 4: G 256 channels, D 128). With ``pyramid`` they are
those of STL-10 and ImageNet, whose channels double towards the base (width 64).

About: Each weight of D is divided by its largest singular value, which bounds D's Lipschitz constant at almost no cost.
Compared with wgan-gp there is no penalty, no second derivative and no weight to tune; the hinge loss replaces the
Wasserstein loss. Use it as the first choice for residual networks, and with labels through its projection discriminator.
Watch the balance: a D that is bounded so strongly needs several updates per step of G (5 here) or a higher learning rate.
It was published in 2018; sagan and biggan are built on it, and spectral norm is in use far beyond GANs.

Departures from the paper: the learning rate decays over 16,000 kimg, the images of 50,000 steps of G, whatever the length
of the run; samples come from an EMA of G.
"""

from dataclasses import dataclass

from ganloom.core.config import check_classes
from ganloom.core.errors import BadInput
from ganloom.gan import Adam, linear
from ganloom.losses import hinge
from ganloom.networks import sngan
from ganloom.nn.norms import batch_norm_eps
from ganloom.recipes.base.adversarial import Adversarial

TITLE = "Spectral normalisation, projection discriminator"
PAPER = "Miyato et al. 2018, arXiv:1802.05957"
DATA = "CIFAR-10"
KIMG = 1000.0  # default length of a run, thousands of images


@dataclass(frozen=True)
class Config:
    """The paper's hyperparameters for CIFAR-10."""

    shape: tuple[int, int, int] = (3, 32, 32)
    """Image shape: channels, height, width."""
    n_classes: int = 0
    """Number of classes, taken from labelled data; 0 trains without labels."""
    z_dim: int = 128
    """Length of the latent vector (table 4)."""
    pyramid: bool = False
    """Double the channels at each downsampling, at most 16 times (ImageNet), instead of one width throughout (CIFAR-10)."""
    width: int = 256
    """Channels of G; with ``pyramid`` those next to the image, for which the paper has 64 (table 4)."""
    smallest: int = 4
    """Smallest side of the coarsest grid, in pixels; 3 gives images of 28 px a third doubling, from 4 px on."""
    d_width: int | None = None
    """Channels of D; None: half of G's, with ``pyramid`` as many as in G (table 4)."""
    d_wide: bool = False
    """Give the inner layer of D's blocks as many channels as the output has, not as the input has (PyTorch-StudioGAN)."""
    d_relu_skip: bool = False
    """Apply ReLU to the skip connection of D's blocks too (as mimicry and PyTorch-StudioGAN do with an in-place ReLU)."""
    d_gain: float = 1.0
    """Largest singular value of D's layers; 1 in the paper. More makes D steeper (``factor`` in the authors' code of SNGAN)."""
    d_plan: tuple[int, int] | None = None
    """Number of blocks of D that downsample, and of blocks after them; None: as in the paper."""
    bilinear: bool = False
    """Upsample in G by bilinear interpolation instead of nearest neighbour (mimicry)."""
    bn_eps: float = 1e-5
    """Epsilon added to the variance in BatchNorm."""
    n_critic: int = 5
    """Updates of D per update of G (sec. 4.1)."""
    batch_size: int = 64
    """Real images per batch of D (sec. 4)."""
    g_batch: int = 2
    """Fakes in a step of G, as a multiple of the batch size (the authors' code: 128 to 64)."""
    ema_kimg: float | None = None
    """Half-life of the EMA of G, in thousands of images (not in the paper). None: 1,000 updates of G."""
    g_opt: Adam = Adam(2e-4, betas=(0.0, 0.9), schedule=linear(0.0, 16000.0))
    """Optimizer of G; the learning rate falls to 0 over 50,000 steps of G = 16,000 kimg (sec. 4.2 and the authors' code)."""
    d_opt: Adam = Adam(2e-4, betas=(0.0, 0.9), schedule=linear(0.0, 16000.0))
    """Optimizer of D, with the same schedule."""

    def __post_init__(self) -> None:
        check_classes(self)
        if not self.d_gain > 0:
            raise BadInput(f"--d-gain must be above 0, got {self.d_gain}")


class SNGAN(Adversarial):
    """GAN with spectral normalization."""

    splits_by = None  # BatchNorm in G
    loss = hinge

    def __init__(self, cfg: Config) -> None:
        super().__init__(cfg)
        flat, labels = not cfg.pyramid, cfg.n_classes
        d_width = cfg.d_width or (max(cfg.width // 2, 1) if flat else cfg.width)
        self.G = sngan.Generator(
            cfg.shape, cfg.z_dim, cfg.width, flat=flat, n_classes=labels, bilinear=cfg.bilinear, smallest=cfg.smallest,
        )  # fmt: skip
        self.D = sngan.Discriminator(
            cfg.shape, d_width, flat=flat, wide=cfg.d_wide, n_classes=labels, plan=cfg.d_plan,
            relu_skip=cfg.d_relu_skip, smallest=cfg.smallest, gain=cfg.d_gain,
        )  # fmt: skip
        batch_norm_eps(self.G, cfg.bn_eps)


MODEL = SNGAN
