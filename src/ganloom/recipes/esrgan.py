"""ESRGAN. "ESRGAN: Enhanced Super-Resolution Generative Adversarial Networks", Wang et al. 2018, arXiv:1809.00219.

x is a crop of a photograph, c the same crop reduced by the scale (bicubic, 8 bits).
First stage: G minimises |x - G(c)|_1                                                               (sec. 4.1)
Then with D_ra(a, b) = sigmoid(D(a) - E[D(b)])
D minimises -E[log D_ra(x, G(c))] - E[log(1 - D_ra(G(c), x))]                                       (eq. 1)
G minimises pixel |x - G(c)|_1 + perceptual |phi(x) - phi(G(c))| + adversarial (eq. 2), weights 0.01, 1 and 0.005 (eq. 3)
G is RRDBNet with 23 blocks (sec. 3.1), D a VGG network; crops of 128 px, scale 4, batches of 16, Adam 1e-4 (sec. 4.1).

About: the successor of SRGAN. Dense residual blocks without BatchNorm make a larger network trainable, and D judges whether
a real image is more realistic than a fake one. It won the PIRM challenge of 2018, and its network is that of most published
upscalers. Use ``--net compact`` for training on a CPU. Watch the pixel loss in the adversarial stage: if it grows without
end, the weight of the adversarial term is too large.

Departures from the paper: the frozen network is not VGG-19 but the one that ``perceptual_net`` names, by default one that
needs no download, with features scaled to length 1; mirrored and turned crops; the EMA of G; constant learning rates in the
adversarial stage; no interpolation of networks at the end (``ganloom upscale --denoise`` interpolates published pairs).
"""

from dataclasses import dataclass
from typing import Any, Literal

from ganloom.losses import relativistic_average
from ganloom.networks.restore_critics import VGGCritic
from ganloom.recipes.base.upscaler import Upscaler, UpscalerConfig

TITLE = "Super-resolution with RRDBNet and a relativistic discriminator"
PAPER = "Wang et al. 2018, arXiv:1809.00219"
DATA = "DIV2K and Flickr2K"
KIMG = 22400.0  # default length of a run, thousands of images: a million steps, then 400,000


@dataclass(frozen=True)
class Config(UpscalerConfig):
    """The paper's hyperparameters (sec. 4.1)."""

    net: Literal["compact", "rrdb", "resnet"] = "rrdb"
    """Network: compact (SRVGGNetCompact, fast), resnet (MSRResNet) or rrdb (RRDBNet, large)."""
    blocks: int = 23
    """Convolutions of the compact network, or blocks of the others."""
    pixel_kimg: float = 16000.0
    """Length of the first stage, which has the pixel loss alone, in thousands of crops."""
    pixel: float = 0.01
    """Weight of the pixel loss (L1) in the adversarial stage (eta in eq. 3); in the first stage it is 1."""
    adversarial: float = 0.005
    """Weight of the adversarial loss of G (lambda in eq. 3); 0: neither D nor the loss is used."""


class ESRGAN(Upscaler):
    """RRDBNet, and a relativistic discriminator of whole crops."""

    splits_by: Any = None  # BatchNorm in D; the loss uses the mean of the other side
    loss = relativistic_average

    def __init__(self, cfg: Config) -> None:
        super().__init__(cfg)
        if cfg.adversarial:
            self.D = VGGCritic(cfg.shape[0], cfg.d_width, (cfg.shape[1], cfg.shape[2]))


MODEL = ESRGAN
