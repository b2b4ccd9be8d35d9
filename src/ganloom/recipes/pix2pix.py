"""pix2pix. "Image-to-Image Translation with Conditional Adversarial Networks", Isola et al. 2016, arXiv:1611.07004.

x is a target and c its input; the only noise is dropout in G.
D: the mean over patches of softplus(-D(x, c)) + softplus(D(G(c), c)), halved                    (eq. 1, sec. 3.3)
G: softplus(-D(G(c), c)) + lambda |x - G(c)|_1, lambda = 100                                       (eq. 4)
U-Net generator, 70 x 70 patches, N(0, 0.02), BatchNorm, Adam 2e-4 with beta1 0.5, batch 1; images are enlarged from 256
to 286 pixels and cut at a random place (sec. 3.3 and appendix 6).

About: One network and one loss for any task whose examples are pairs: a U-Net makes the target, an L1 term holds it to the
truth, and a discriminator of small patches, which sees the input too, asks for what L1 blurs. New is that the loss is
learned and the same for labels, maps, edges or greys. Use it where pairs exist and lie on each other to the pixel. Watch
the mode: the paper runs G with dropout and with batch statistics when it is used, and ``translate`` does so only when
asked (stochastic). It made image-to-image translation a matter of data, and its patches and U-Net stayed.

Departures from the paper: mirroring is the data's own flag (``--flip``); ``translate`` is deterministic by default; at
fewer than 256 pixels the U-Net has as many levels as fit, and the patches are smaller where no logit would be left; the
learning rate is constant as in the authors' Torch code (their later PyTorch code lets it fall in the second half).
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
KIMG = 80.0  # the length of a run that does not say its own, thousands of images: facades, 200 epochs of 400


@dataclass(frozen=True)
class Config(TranslatorConfig):
    """The paper's numbers."""

    net: Literal["unet", "resnet"] = "unet"
    """G: the paper's U-Net, or the residual generator of CycleGAN, as the authors' later code offers."""
    levels: int = 0
    """Halvings of the U-Net; 0: down to one pixel, at most 8 (256 px)."""
    blocks: int = 9
    """Residual blocks of --net resnet."""
    antialias: bool = False
    """Filtered halvings and doublings in --net resnet."""
    width: int = 64
    """Channels of G's first level; doubled downwards, at most 8 times."""
    norm: str = "batch"
    """batch, instance or none."""
    dropout: bool = True
    """Half of the features left out in the inner levels of the up path."""
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
            raise BadInput(f"--blocks must lie in 1..32, got {self.blocks}")
        if not 0 <= self.levels <= 10:
            raise BadInput(f"--levels must lie in 0..10, got {self.levels}")


class Pix2Pix(Translator):
    """A U-Net and a discriminator of patches that sees the input too."""

    paired = True

    def __init__(self, cfg: Config) -> None:
        super().__init__(cfg)
        self.splits_by = None if cfg.norm == "batch" else 1
        h, w = cfg.shape[1:]
        levels = cfg.levels or max(2, min(8, int(math.log2(max(min(h, w), 4)))))
        ends = cfg.in_channels, cfg.shape[0]
        told: dict[str, Any] = {"norm": cfg.norm, "dropout": cfg.dropout}
        if cfg.net == "unet":
            self.G = UNet(*ends, levels, cfg.width, **told)
        else:
            self.G = ResNet(*ends, cfg.blocks, cfg.width, **told, antialias=cfg.antialias)
        layers = patch_layers(h, w, cfg.layers)
        self.D = PatchGAN(cfg.shape[0] + cfg.in_channels, cfg.d_width, layers, norm=cfg.norm)

    def phases(self) -> list[Phase]:
        return [Phase("D", self.d_loss), Phase("G", self.g_loss)]

    def whole(self, batch: Batch) -> tuple[Tensor]:
        """G(c), with one draw of the dropout for both updates."""
        assert batch.c is not None
        return (self.direct(batch.c),)

    def d_loss(self, batch: Batch) -> Terms:
        assert batch.c is not None
        fake = self.for_d(batch)
        return self.judged(nonsaturating, self.discriminate(batch.x, batch.c), self.discriminate(fake, batch.c))

    def g_loss(self, batch: Batch) -> Terms:
        assert batch.c is not None
        (fake,) = self.for_g(batch)
        terms = self.g_adversarial(nonsaturating, self.discriminate(fake, batch.c), reals=(batch.x, batch.c))
        return terms | {
            "l1": self.cfg.l1 * (fake - batch.x).abs().mean(),
            **self.perceived((fake, batch.x)),
        }


MODEL = Pix2Pix
