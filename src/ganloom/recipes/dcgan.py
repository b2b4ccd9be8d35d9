"""DCGAN. "Unsupervised Representation Learning with Deep Convolutional GANs", Radford et al. 2015, arXiv:1511.06434.

D minimises softplus(-D(x)) + softplus(D(G(z))), G minimises softplus(-D(G(z))), on logits.
Strided convolutions instead of pooling, BatchNorm in both networks except at G's output and D's input, ReLU in G and
LeakyReLU 0.2 in D, tanh output, weights N(0, 0.02), Adam 2e-4 with beta1 0.5, batch 128 (sec. 3 and 4).

About: DCGAN is a short list of rules that make convolutional GANs trainable: strided convolutions instead of pooling,
BatchNorm, no dense hidden layers, ReLU in G and LeakyReLU in D. The loss is that of the first GAN; only the networks and
Adam's settings changed. Use it as a fast baseline up to 64 px, and as the networks for other losses. Watch for repeated
samples: BatchNorm in D couples the images of a batch and hides mode collapse in the losses, so look at the grids and at
recall. The paper of late 2015 made GANs usable and became known for its latent arithmetic; many recipes here still use
its layers.

Departures from the paper: ``width`` is 64 as in the authors' Torch code (figure 1 of the paper has 128); latents are
normal, not uniform (``uniform_z`` makes them uniform); no weight decay (the Theano code has 1e-5).
"""

from dataclasses import dataclass

from torch import Tensor

from ganloom.gan import Adam
from ganloom.losses import nonsaturating
from ganloom.networks import dcgan
from ganloom.recipes.base.adversarial import Adversarial

TITLE = "Deep Convolutional GAN"
PAPER = "Radford et al. 2015, arXiv:1511.06434"
DATA = "LSUN"
KIMG = 500.0  # default length of a run, thousands of images


@dataclass(frozen=True)
class Config:
    """The paper's hyperparameters."""

    shape: tuple[int, int, int] = (3, 64, 64)
    """Image shape: channels, height, width."""
    z_dim: int = 100
    """Length of the latent vector (sec. 4)."""
    uniform_z: bool = False
    """Draw latents uniformly from [-1, 1] (sec. 4.1) instead of from a normal distribution."""
    width: int = 64
    """Channels of the layer next to the image; doubled towards the base, at most 8 times."""
    smallest: int = 4
    """Smallest side of the coarsest grid, in pixels; 3 gives images of 28 px a third doubling, from 4 px on."""
    batch_size: int = 128
    """Real images per batch (sec. 4)."""
    ema_kimg: float | None = None
    """Half-life of the EMA of G, in thousands of images (not in the paper). None: 1,000 updates of G."""
    g_opt: Adam = Adam(2e-4, betas=(0.5, 0.999))
    """Optimizer of G (sec. 4)."""
    d_opt: Adam = Adam(2e-4, betas=(0.5, 0.999))
    """Optimizer of D (sec. 4)."""


class DCGAN(Adversarial):
    """Deep convolutional GAN."""

    splits_by = None  # BatchNorm in both networks
    loss = nonsaturating

    def __init__(self, cfg: Config) -> None:
        super().__init__(cfg)
        self.G = dcgan.Generator(cfg.shape, cfg.z_dim, cfg.width, smallest=cfg.smallest)
        self.D = dcgan.Discriminator(cfg.shape, cfg.width, smallest=cfg.smallest)

    def z(self, n: int) -> Tensor:
        """Draw latents (n, z_dim)."""
        return self.rand(n, self.cfg.z_dim) * 2 - 1 if self.cfg.uniform_z else self.randn(n, self.cfg.z_dim)


MODEL = DCGAN
