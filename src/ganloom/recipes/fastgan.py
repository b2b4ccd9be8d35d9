"""FastGAN. "Towards Faster and Stabilized GAN Training ... Few-shot Image Synthesis", Liu et al. 2021, arXiv:2101.04775.

D minimises E[max(0, 1 - D(T x))] + E[max(0, 1 + D(T G(z)))] + E[|f(D's features) - T x|]                   (eq. 2 and 4)
G minimises -E[D(T G(z))]                                                                                       (eq. 3)

f reconstructs the image, its smaller version and one random quarter from D's features of real images, so that D must keep
the content of an image (sec. 3.2). G: skip-layer excitation (sec. 3.1). T: DiffAugment (Zhao et al. 2020,
arXiv:2006.10738), applied to both sizes. For a hundred to a few thousand images; samples improve from the first minutes.

About: FastGAN is a light GAN for a hundred to a few thousand images. Low-resolution maps gate high-resolution ones in G,
and D must be able to reconstruct a real image from its features, which keeps it from memorising a few images; both
networks are trained with augmented images only. Use it when you have few images and want 256 px or more within hours on
one GPU. Watch for copies of the data: compare samples with their nearest real neighbours. It was published in 2021 and is
one of the standard baselines for few-shot synthesis, together with StyleGAN2-ADA.

Departures from the paper: reconstructions are compared pixel by pixel (mean absolute difference) instead of by a
perceptual network, which would have to be downloaded; the margins of the hinge are 1 (the code draws them from 0.8 to 1);
below 128 px the excitation spans as many upsamplings as there are; in ``generate`` the injected noise is fixed.
"""

from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from ganloom.augment.diffaugment import check_policy, diff_augment, resize
from ganloom.core.errors import BadInput
from ganloom.gan import GAN, Adam, Batch, Phase, Terms
from ganloom.losses import hinge
from ganloom.networks import fastgan

TITLE = "FastGAN, for few images"
PAPER = "Liu et al. 2021, arXiv:2101.04775"
DATA = "100 to 5,000 images"
KIMG = 400.0  # default length of a run, thousands of images


@dataclass(frozen=True)
class Config:
    """The paper's hyperparameters (sec. 4 and the authors' code)."""

    shape: tuple[int, int, int] = (3, 256, 256)
    """Image shape: channels, height, width."""
    z_dim: int = 256
    """Length of the latent vector (the authors' code)."""
    width: int = 64
    """Channels on the grid of 128 pixels in G and of 64 pixels in D (the authors' code)."""
    d_width: int | None = None
    """The same for D alone; None: as in G."""
    policy: tuple[str, ...] = ("colour", "translation")
    """DiffAugment operations: colour, translation, cutout, flip (the authors' code: the first two); ``()``: no
    augmentation.
    """
    recon: float = 1.0
    """Weight of the reconstruction loss (eq. 4)."""
    batch_size: int = 8
    """Real images per batch (sec. 4)."""
    ema_kimg: float = 5.5
    """Half-life of the EMA of G, in thousands of images (the authors' code: decay 0.999 per step)."""
    g_opt: Adam = Adam(2e-4, betas=(0.5, 0.999))
    """Optimizer of G (the authors' code)."""
    d_opt: Adam = Adam(2e-4, betas=(0.5, 0.999))
    """Optimizer of D (the authors' code)."""

    def __post_init__(self) -> None:
        check_policy(self.policy, "--policy")
        if self.recon < 0:
            raise BadInput(f"--recon must not be negative, got {self.recon}")


class FastGAN(GAN):
    """FastGAN."""

    splits_by = None  # BatchNorm in both networks

    def __init__(self, cfg: Config) -> None:
        super().__init__(cfg)
        self.G = fastgan.Generator(cfg.shape, cfg.z_dim, cfg.width)
        self.D = fastgan.Discriminator(cfg.shape, cfg.d_width or cfg.width)

    def phases(self) -> list[Phase]:
        return [Phase("D", self.d_loss), Phase("G", self.g_loss)]

    def logits_of(self, output: Any) -> Tensor:
        """The logits of ``DiscriminatorOutput``."""
        logits: Tensor = output if isinstance(output, Tensor) else output.logits
        return logits

    def augmented(self, n: int) -> fastgan.Pair:
        """Return T G(z) at both sizes, each with its own random T."""
        fake = self.G(self.z(n), both=True)
        return fastgan.Pair(*(diff_augment(x, self.cfg.policy) for x in fake))

    def d_loss(self, batch: Batch) -> Terms:
        n, x = len(batch.x), diff_augment(batch.x, self.cfg.policy)
        part = (self.rand(n) * 4).long()
        with torch.no_grad():
            fake = self.augmented(n)
        real_scores = self.discriminate(x, part=part, full=True)
        fake_scores = self.discriminate(fake.x, small=fake.small, full=True)
        real = real_scores.output
        decoded = [(real.whole, x), (real.small, x), (real.part, fastgan.quarter(x, part))]
        recon = torch.stack([_distance(output, target) for output, target in decoded]).sum()
        return self.d_adversarial(hinge, real_scores, fake_scores) | {"recon": self.cfg.recon * recon}

    def g_loss(self, batch: Batch) -> Terms:
        fake = self.augmented(len(batch.x))
        return self.g_adversarial(hinge, self.discriminate(fake.x, small=fake.small, full=True))


def _distance(output: Tensor, target: Tensor) -> Tensor:
    """Return E[|output - target|], with ``target`` resized to the size of ``output``."""
    return F.l1_loss(output, resize(target, *output.shape[2:]))


MODEL = FastGAN
