"""SAGAN. "Self-Attention Generative Adversarial Networks", Zhang et al. 2018, arXiv:1805.08318.

y = x + gamma * sum_j softmax_j(f(x_j) g(x_i)) h(x_j), gamma learned from 0, on the 32 x 32 grid of G and D    (eq. 1 to 3)
D minimises E[max(0, 1 - D(x, c))] + E[max(0, 1 + D(G(z, c), c))], G minimises -E[D(G(z, c), c)]                    (eq. 4)

Spectral norm in G and in D (sec. 4.1). One step of D per step of G, at learning rates 4e-4 and 1e-4 (TTUR, sec. 4.2). With
labels: conditional BatchNorm in G, projection in D. The networks are SNGAN's for ImageNet, with wide blocks in D.

About: With attention each position of the image can use all other positions; a convolution only sees its neighbourhood.
To sngan's networks SAGAN adds one attention layer each in G and D, spectral norm in G too, and a higher learning rate for D
instead of more updates. Use it for images whose distant parts must agree; at 28 px attention has little to add. Watch
``gamma``, which starts at 0, so that training switches the layer on; memory grows with the square of the number of pixels
in the grid. It was published in 2018, raised the best Inception score on ImageNet from 37 to 53, and is the starting point
of BigGAN.

Departures from the paper: if the shorter side of the images is 32 or less, attention is applied on the next coarser grid;
the class tables of the conditional norms have no spectral norm (as in the authors' code); 256 images per batch on one
device.
"""

from dataclasses import dataclass

from ganloom.core.config import check_classes
from ganloom.core.errors import BadInput
from ganloom.gan import Adam
from ganloom.losses import hinge
from ganloom.networks import sngan
from ganloom.nn.norms import batch_norm_eps
from ganloom.recipes.base.adversarial import Adversarial

TITLE = "Self-attention GAN"
PAPER = "Zhang et al. 2018, arXiv:1805.08318"
DATA = "ImageNet"
KIMG = 1000.0  # default length of a run, thousands of images


@dataclass(frozen=True)
class Config:
    """The paper's hyperparameters (sec. 5) for ImageNet at 128 px."""

    shape: tuple[int, int, int] = (3, 128, 128)
    """Image shape: channels, height, width."""
    n_classes: int = 0
    """Number of classes, taken from labelled data; 0 trains without labels."""
    z_dim: int = 128
    """Length of the latent vector (the authors' code)."""
    width: int = 64
    """Channels next to the image in both networks; doubled at each downsampling, at most 16 times (the authors' code)."""
    smallest: int = 4
    """Smallest side of the coarsest grid, in pixels; 3 gives images of 28 px a third doubling, from 4 px on."""
    flat: bool = False
    """Use the same channels on every grid, as in SNGAN's networks for CIFAR-10."""
    d_width: int | None = None
    """The same as ``width`` for D; None: as in G."""
    attention: int = 32
    """Grid size at which self-attention is applied (table 1: 32 is best); 0: no attention."""
    d_attention: int | None = None
    """The same for D; None: as in G."""
    d_gain: float = 1.0
    """Largest singular value of D's layers; 1 in the paper. More makes D steeper (``factor`` in the authors' code of SNGAN)."""
    d_wide: bool = True
    """Give the inner layer of D's blocks as many channels as the output has (the authors' code), not as the input has."""
    d_relu_skip: bool = False
    """Apply ReLU to the skip connection of D's blocks too (as mimicry and PyTorch-StudioGAN do with an in-place ReLU)."""
    spectral_tables: bool = False
    """Apply spectral norm to the class tables of the conditional norms too (PyTorch-StudioGAN)."""
    bilinear: bool = False
    """Upsample in G by bilinear interpolation instead of nearest neighbour (mimicry)."""
    bn_eps: float = 1e-5
    """Epsilon added to the variance in BatchNorm."""
    n_critic: int = 1
    """Updates of D per update of G (sec. 4.2)."""
    batch_size: int = 256
    """Real images per batch (the authors' code: 4 x 64)."""
    ema_kimg: float | None = None
    """Half-life of the EMA of G, in thousands of images (not in the paper). None: 1,000 updates of G."""
    g_opt: Adam = Adam(1e-4, betas=(0.0, 0.9))
    """Optimizer of G (sec. 5)."""
    d_opt: Adam = Adam(4e-4, betas=(0.0, 0.9))
    """Optimizer of D (sec. 5)."""

    def __post_init__(self) -> None:
        check_classes(self)
        if not self.d_gain > 0:
            raise BadInput(f"--d-gain must be above 0, got {self.d_gain}")
        if min(self.attention, self.d_attention or 0) < 0:
            raise BadInput(f"--attention must not be negative, got {self.attention}; 0 turns it off")


class SAGAN(Adversarial):
    """Self-attention GAN."""

    splits_by = None  # BatchNorm in G
    loss = hinge

    def __init__(self, cfg: Config) -> None:
        super().__init__(cfg)
        self.G = sngan.Generator(
            cfg.shape, cfg.z_dim, cfg.width,
            flat=cfg.flat, n_classes=cfg.n_classes, attention=cfg.attention, spectral=True,
            spectral_tables=cfg.spectral_tables, bilinear=cfg.bilinear, smallest=cfg.smallest,
        )  # fmt: skip
        self.D = sngan.Discriminator(
            cfg.shape, cfg.d_width or cfg.width, flat=cfg.flat, wide=cfg.d_wide, n_classes=cfg.n_classes,
            attention=cfg.attention if cfg.d_attention is None else cfg.d_attention, relu_skip=cfg.d_relu_skip,
            smallest=cfg.smallest, gain=cfg.d_gain,
        )  # fmt: skip
        batch_norm_eps(self.G, cfg.bn_eps)


MODEL = SAGAN
