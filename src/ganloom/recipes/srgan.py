"""SRGAN. "Photo-Realistic Single Image Super-Resolution Using a Generative Adversarial Network", Ledig et al. 2016,
arXiv:1609.04802.

x is a crop of a photograph, c the same crop reduced by the scale (bicubic, 8 bits).
First stage, SRResNet: G minimises |x - G(c)|_1                                                     (sec. 3.2, eq. 4)
Then D minimises softplus(-D(x)) + softplus(D(G(c))), and
G minimises pixel |x - G(c)|_1 + perceptual |phi(x) - phi(G(c))| + adversarial softplus(-D(G(c)))    (eq. 3, 5, 6)
D is a VGG network with BatchNorm and dense layers (sec. 2.1.1); crops of 128 px, scale 4, batches of 16, Adam (sec. 3.2).

About: a network trained with a pixel loss returns the mean of all sharp images that fit, which is blurred. SRGAN adds a
distance in the features of a frozen network, and a discriminator that asks for the look of photographs. New in 2016 was
that such images, with lower PSNR, were preferred by people. Use it to learn the method; for a given budget the first stage
alone has the better PSNR. Watch the colours and regular patterns on flat areas once the adversarial stage begins.

Departures from the paper: G is MSRResNet (no BatchNorm, LeakyReLU), and the weights of the terms are those of the later code
of BasicSR; L1 instead of MSE; images in [0, 1] inside the network; the frozen network is not VGG-19 but the one that
``perceptual_net`` names, by default one that needs no download, with features scaled to length 1; mirrored and turned crops;
the EMA of G.
"""

from dataclasses import dataclass
from typing import Any

from ganloom.gan import Adam
from ganloom.losses import nonsaturating
from ganloom.networks.restore_critics import VGGCritic
from ganloom.recipes.base.upscaler import Upscaler, UpscalerConfig

TITLE = "Super-resolution with a pixel stage, a perceptual term and a VGG discriminator"
PAPER = "Ledig et al. 2016, arXiv:1609.04802"
DATA = "ImageNet"
KIMG = 19200.0  # default length of a run, thousands of images: a million steps of SRResNet, 200,000 of SRGAN


@dataclass(frozen=True)
class Config(UpscalerConfig):
    """The paper's hyperparameters; the weights of the terms are those of BasicSR."""

    pixel_kimg: float = 16000.0
    """Length of the first stage, which has the pixel loss alone, in thousands of crops (sec. 3.2: a million steps)."""
    pixel: float = 0.01
    """Weight of the pixel loss (L1) in the adversarial stage; in the first stage it is 1."""
    adversarial: float = 0.005
    """Weight of the adversarial loss of G; 0: neither D nor the loss is used."""
    pixel_opt: Adam = Adam(2e-4, betas=(0.9, 0.99))
    """Optimizer of the first stage. Without a schedule, the learning rate rises over the first twentieth of the stage, and falls
    to 2 % over its second half."""
    g_opt: Adam = Adam(1e-4, betas=(0.9, 0.99))
    """Optimizer of G in the adversarial stage (sec. 3.2)."""
    d_opt: Adam = Adam(1e-4, betas=(0.9, 0.99))
    """Optimizer of D (sec. 3.2)."""


class SRGAN(Upscaler):
    """A residual network that enlarges, and a discriminator of whole crops."""

    splits_by: Any = None  # BatchNorm in D
    loss = nonsaturating

    def __init__(self, cfg: Config) -> None:
        super().__init__(cfg)
        if cfg.adversarial:
            self.D = VGGCritic(cfg.shape[0], cfg.d_width, (cfg.shape[1], cfg.shape[2]))


MODEL = SRGAN
