"""Real-ESRGAN. "Real-ESRGAN: Training Real-World Blind Super-Resolution with Pure Synthetic Data", Wang et al. 2021,
arXiv:2107.10833.

x is a crop of a photograph, x' the same crop sharpened by unsharp masking (sec. 3.3), c a damaged small copy of x':
blur, resize, noise and JPEG, twice, with sinc filters (sec. 3.1 and 3.2, fig. 2); see ``data.degradations``.
First stage, Real-ESRNet: G minimises |x' - G(c)|_1                                                 (sec. 4.1)
Then D minimises softplus(-D(x')) + softplus(D(G(c))), a mean over pixels, and
G minimises |x' - G(c)|_1 + |phi(x') - phi(G(c))| + 0.1 softplus(-D(G(c)))                           (sec. 3.3 and 4.1)
G is RRDBNet, D a U-Net with spectral norm (sec. 3.3); Adam 2e-4, then 1e-4, batches of 48 (sec. 4.1).

About: photographs of unknown origin are not small copies of sharp ones: they were compressed, scaled and compressed again.
This recipe learns to undo random chains of such damage, and its discriminator judges each pixel in its surroundings. Use it
for old, small or compressed images; on clean ones ESRGAN keeps more of what is there. Watch for textures that are replaced
by smooth paint: the network cannot tell fine detail from noise.

Departures from the paper: each image has its own chain, so the authors' pool of 180 pairs, which mixes the chains of
batches, is not needed; JPEG files of a real encoder instead of a differentiable one; grey
Poisson noise follows the mean of the channels instead of the luma; crops of 128 px (the paper: 256) and
batches of 16 by default; the frozen network is not VGG-19 but the one that ``perceptual_net`` names, by default one that
needs no download; the authors' code also does not sharpen the targets of D, which is done here for all three terms.
"""

from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from ganloom.data.degradations import degrade, sharpened
from ganloom.gan import Adam, Batch
from ganloom.losses import nonsaturating
from ganloom.networks.restore_critics import UNetCritic
from ganloom.recipes.base.upscaler import Upscaler, UpscalerConfig

TITLE = "Super-resolution of damaged images with a U-Net discriminator"
PAPER = "Wang et al. 2021, arXiv:2107.10833"
DATA = "DIV2K, Flickr2K and OutdoorSceneTraining"
KIMG = 22400.0  # default length of a run, thousands of images: a million steps of 16, then 400,000


@dataclass(frozen=True)
class Config(UpscalerConfig):
    """The paper's hyperparameters (sec. 4.1), with smaller crops and batches."""

    net: Literal["compact", "rrdb", "resnet"] = "rrdb"
    """Network: compact (SRVGGNetCompact, fast), resnet (MSRResNet) or rrdb (RRDBNet, large)."""
    blocks: int = 23
    """Convolutions of the compact network, or blocks of the others."""
    sharpen: bool = True
    """Train towards sharpened crops."""
    pixel_opt: Adam = Adam(2e-4, betas=(0.9, 0.99))
    """Optimizer of the first stage. Without a schedule, the learning rate rises over the first twentieth of the stage, and falls
    to 2 % over its second half."""


class RealESRGAN(Upscaler):
    """RRDBNet trained on damaged images, and a U-Net discriminator."""

    splits_by: Any = None  # spectral norm iterates at each pass
    loss = nonsaturating

    def __init__(self, cfg: Config) -> None:
        super().__init__(cfg)
        if cfg.adversarial:
            self.D = UNetCritic(cfg.shape[0], cfg.d_width)

    def degraded(self, x: Tensor, rng: torch.Generator, own: slice) -> Tensor:
        """Damage each image by a random chain of its own; see `Upscaler.degraded`."""
        world = own.step or 1
        seeds = torch.randint(2**62, (len(x) * world,), generator=rng)[own].tolist()
        images = self._sharp(x).add(1).div(2)
        parts = []
        for image, seed in zip(images, seeds, strict=True):
            parts.append(degrade(image[None], self.cfg.scale, torch.Generator().manual_seed(seed)))
        return torch.cat(parts).to(x.device) * 2 - 1

    def target(self, batch: Batch) -> Tensor:
        """Return the sharpened crops, without a gradient."""
        return self._sharp(batch.x)

    def _sharp(self, x: Tensor) -> Tensor:
        return sharpened((x + 1) / 2) * 2 - 1 if self.cfg.sharpen else x


MODEL = RealESRGAN
