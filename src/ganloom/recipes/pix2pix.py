"""pix2pix. "Image-to-Image Translation with Conditional Adversarial Networks", Isola et al. 2016, arXiv:1611.07004.

x is a target image and c its input; the only noise is dropout in G.
D: the mean over patches of softplus(-D(x, c)) + softplus(D(G(c), c)), halved                    (eq. 1, sec. 3.3)
G: softplus(-D(G(c), c)) + lambda |x - G(c)|_1, lambda = 100                                       (eq. 4)
U-Net generator, 70 x 70 patches, weights N(0, 0.02), BatchNorm, Adam 2e-4 with beta1 0.5, batch 1; images are enlarged from
256 to 286 pixels and cropped at a random position (sec. 3.3 and appendix 6).

About: pix2pix is one network and one loss for any task with paired examples: a U-Net produces the target, an L1 term keeps
it close to the true image, and a discriminator of small patches, which also sees the input, demands the detail that L1
blurs. New is that the loss is learned and is the same for labels, maps, edges or grey images. Use it if you have pairs that
are aligned pixel by pixel. Watch the mode at test time: the paper runs G with dropout and with batch statistics;
``translate`` does so only with ``stochastic``. The paper made image-to-image translation a matter of data, and its patch
discriminator and U-Net are still in use.

Departures from the paper: mirroring is a data flag (``--flip``); ``translate`` is deterministic by default; below 256
pixels the U-Net has as many levels as fit, and the patches are smaller, so that at least one logit is left; the learning
rate is constant as in the authors' Torch code (their later PyTorch code decays it in the second half).
"""

import math
from dataclasses import dataclass
from typing import Any, Literal

from torch import Tensor

from ganloom.core.errors import BadInput
from ganloom.gan import Adam, Batch, Phase, Terms
from ganloom.losses import nonsaturating
from ganloom.networks.translators import NORMS, PatchGAN, ResNet, patch_layers
from ganloom.networks.unet import UNet
from ganloom.recipes.base.translator import Translator, TranslatorConfig

TITLE = "pix2pix: images from images, learned from pairs"
PAPER = "Isola et al. 2016, arXiv:1611.07004"
DATA = "facades, maps, edges2shoes at 256 px"
KIMG = 80.0  # default length of a run, thousands of images: facades, 200 epochs of 400


@dataclass(frozen=True)
class Config(TranslatorConfig):
    """The paper's hyperparameters."""

    net: Literal["unet", "resnet"] = "unet"
    """Generator: the paper's U-Net, or CycleGAN's residual generator as in the authors' later code."""
    levels: int = 0
    """Downsamplings of the U-Net, at most 10; 0: down to one pixel, at most 8 (256 px)."""
    blocks: int = 9
    """Number of residual blocks, 1 to 32 (net resnet only)."""
    antialias: bool = False
    """Filter the down- and upsampling (net resnet only)."""
    width: int = 64
    """Channels of G's first level; doubled at each downsampling, at most 8 times."""
    norm: str = "batch"
    """Normalization: batch, instance or none."""
    dropout: bool = True
    """Use dropout of 0.5 in the inner levels of the upsampling path."""
    l1: float = 100.0
    """Weight of the L1 term (lambda)."""
    g_opt: Adam = Adam(2e-4, betas=(0.5, 0.999))
    """Optimizer of G."""
    d_opt: Adam = Adam(2e-4, betas=(0.5, 0.999))
    """Optimizer of D."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.norm not in NORMS:
            raise BadInput(f"--norm must be one of {', '.join(NORMS)}, got {self.norm!r}")
        if not 1 <= self.blocks <= 32:
            raise BadInput(f"--blocks must be in 1..32, got {self.blocks}")
        if not 0 <= self.levels <= 10:
            raise BadInput(f"--levels must be in 0..10, got {self.levels}")


class Pix2Pix(Translator):
    """A U-Net, and a discriminator of patches that also sees the input."""

    paired = True

    def __init__(self, cfg: Config) -> None:
        super().__init__(cfg)
        self.splits_by = None if cfg.norm == "batch" else 1
        h, w = cfg.shape[1:]
        levels = cfg.levels or max(2, min(8, int(math.log2(max(min(h, w), 4)))))
        ends = cfg.in_channels, cfg.shape[0]
        options: dict[str, Any] = {"norm": cfg.norm, "dropout": cfg.dropout}
        if cfg.net == "unet":
            self.G = UNet(*ends, levels, cfg.width, **options)
        else:
            self.G = ResNet(*ends, cfg.blocks, cfg.width, **options, antialias=cfg.antialias)
        layers = patch_layers(h, w, cfg.layers)
        self.D = PatchGAN(cfg.shape[0] + cfg.in_channels, cfg.d_width, layers, norm=cfg.norm)

    def phases(self) -> list[Phase]:
        return [Phase("D", self.d_loss), Phase("G", self.g_loss)]

    def g_outputs(self, batch: Batch) -> tuple[Tensor]:
        """Return G(c), with the same dropout mask for both updates of a step."""
        assert batch.c is not None
        return (self.direct(batch.c),)

    def d_loss(self, batch: Batch) -> Terms:
        assert batch.c is not None
        fake = self.fakes_for_d(batch)
        return self.d_terms(nonsaturating, self.discriminate(batch.x, batch.c), self.discriminate(fake, batch.c))

    def g_loss(self, batch: Batch) -> Terms:
        assert batch.c is not None
        (fake,) = self.outputs_for_g(batch)
        terms = self.g_adversarial(nonsaturating, self.discriminate(fake, batch.c), reals=(batch.x, batch.c))
        return terms | {
            "l1": self.cfg.l1 * (fake - batch.x).abs().mean(),
            **self.perceptual_terms((fake, batch.x)),
        }


MODEL = Pix2Pix
