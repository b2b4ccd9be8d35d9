"""R3GAN. "The GAN is dead; long live the GAN! A Modern Baseline GAN", Huang et al. 2024, arXiv:2501.05441.

D minimises E[softplus(D(G(z)) - D(x))] + gamma / 2 (E[|grad D(x)|^2] + E[|grad D(G(z))|^2]), each step
G minimises E[softplus(D(x) - D(G(z)))], real and fake in pairs of one label                                    (sec. 2)

Several quantities follow half a cosine over the first ``decay_kimg``: the learning rate (to a quarter), gamma (to a tenth),
Adam's beta2 (0.9 to 0.99), the half-life of G's EMA (from 0), and with ``augment`` the strength of the augmentation (from 0).
Networks: ResNeXt blocks; see networks/r3gan.py (sec. 3).

About: R3GAN is a GAN without tricks: a relativistic loss, which compares each fake with a real image, and two zero-centred
gradient penalties, on reals and on fakes. With them training provably converges near the optimum. So the networks can be
modern and plain, without norms, styles, noise, minibatch standard deviation or path length regularisation. Use it when
training must not collapse, with many classes or varied images, and as a base for your own changes. Watch gamma, which
depends on the data set and the image size (0.05 at 32 px, 2 at 64, 150 at 256), and the batch size, which is large in the
paper. It was published in 2024 and beats StyleGAN2 on the paper's data sets at equal size.

Departures from the paper: augmentation is off by default; with bf16, D runs once more in float32 for the penalties; samples
are clipped to [-1, 1]; in G's step D sees the reals without a gradient. ``tanh``, ``dense_base``, ``lazy`` and ``full`` are
not from the paper, and their defaults change nothing.
"""

import math
from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor

from ganloom import penalties
from ganloom.augment.ada import Ada
from ganloom.core.config import check_at_least_one, check_classes
from ganloom.core.errors import BadInput
from ganloom.gan import Adam, Batch, Phase, Terms, at, cosine
from ganloom.losses import relativistic
from ganloom.networks import r3gan
from ganloom.recipes.base.augmented import Augmented
from ganloom.scoring import Generated

TITLE = "R3GAN"
PAPER = "Huang et al. 2024, arXiv:2501.05441"
DATA = "CIFAR-10, FFHQ"
KIMG = 25000.0  # default length of a run, thousands of images


@dataclass(frozen=True)
class Config:
    """The authors' hyperparameters for CIFAR-10 (app. and code)."""

    shape: tuple[int, int, int] = (3, 32, 32)
    """Image shape: channels, height, width."""
    n_classes: int = 0
    """Number of classes, taken from labelled data; 0 trains without labels."""
    z_dim: int = 64
    """Length of the latent vector, and of the class vector."""
    width: int = 768
    """Channels up to 32 px; halved with each doubling beyond (1536 for ImageNet)."""
    d_width: int | None = None
    """The same for D; None: as in G."""
    group: int = 16
    """Channels per group of the 3x3 convolutions (32 for ImageNet)."""
    full: int = 3
    """Doublings of the base grid that keep the full width; each further one halves it (the paper: 3, to 32 px)."""
    blocks: int = 2
    """Residual blocks per grid."""
    gamma: float | None = None
    """Weight of both penalties at the start; None: by image size, as in the authors' code (0.05 at 32 px, 2 at 64, 150 at 256)
    and interpolated by a power of the number of pixels between and beyond these sizes.
    """
    gamma_end: float | None = None
    """Weight of both penalties after ``decay_kimg``; None: a tenth of that at the start."""
    decay_kimg: float = 20000.0
    """Thousands of images over which learning rate, gamma, beta2 and EMA half-life change (200000 for ImageNet)."""
    tanh: bool = False
    """Apply tanh to G's images, as in earlier GANs; helps with flat black or white backgrounds, which an unbounded G
    would have to match exactly.
    """
    dense_base: bool = False
    """Compute each position of G's base grid from z with separate weights, as in DCGAN; the samples of a narrow G vary more.
    In the paper z only scales the channels of a learned grid.
    """
    lazy: int = 1
    """Steps between two penalties, each with as many times the weight (the paper: 1; StyleGAN2: 16)."""
    augment: Literal["none", "ada"] = "none"
    """Augmentation of D's inputs: none, or ada as in the authors' code."""
    augment_p: float = 0.55
    """Final strength of the augmentation, 0 to 1 (0.3 for FFHQ, 0.5 for ImageNet-32, 0.4 for ImageNet-64)."""
    batch_size: int = 512
    """Real images per batch (256 for FFHQ)."""
    ema_kimg: float = 5000.0
    """Half-life of the EMA of G at the end, in thousands of images (500 for FFHQ, 50000 for ImageNet)."""
    lr: float = 2e-4
    """Learning rate of both networks at the start; it falls to a quarter."""

    def __post_init__(self) -> None:
        check_classes(self)
        for name in ("gamma", "gamma_end"):
            value = getattr(self, name)
            if value is not None and value < 0:
                raise BadInput(f"--{name.replace('_', '-')} must not be negative, got {value}")
        check_at_least_one(self, "group", "blocks", "lazy")
        if self.full < 0:
            raise BadInput(f"--full must not be negative, got {self.full}")
        if not 0 <= self.augment_p <= 1:
            raise BadInput(f"--augment-p (a strength) must be in 0..1, got {self.augment_p}")
        if not self.decay_kimg > 0:
            raise BadInput(f"--decay-kimg must be above 0, got {self.decay_kimg}")
        if not self.lr > 0:
            raise BadInput(f"--lr must be above 0, got {self.lr}")


def gamma_of(pixels: int) -> float:
    """Return the authors' gamma for images of ``pixels`` pixels, interpolated by a power of them between 32, 64 and 256 px."""
    (p0, g0), (p1, g1) = ((1024, 0.05), (4096, 2.0)) if pixels < 4096 else ((4096, 2.0), (65536, 150.0))
    return float(g0 * (pixels / p0) ** (math.log(g1 / g0) / math.log(p1 / p0)))


class R3GAN(Augmented):
    """R3GAN."""

    loss = relativistic

    def __init__(self, cfg: Config) -> None:
        super().__init__(cfg)
        shared = {"group": cfg.group, "blocks": cfg.blocks, "full": cfg.full, "n_classes": cfg.n_classes}
        self.G = r3gan.Generator(cfg.shape, cfg.z_dim, cfg.width, tanh=cfg.tanh, dense_base=cfg.dense_base, **shared)
        self.D = r3gan.Discriminator(cfg.shape, cfg.d_width or cfg.width, **shared)
        if cfg.augment == "ada":
            self.ada = Ada({"blit": 1.0, "geometry": 1.0, "colour": 0.5, "cutout": 1.0})
        start = gamma_of(cfg.shape[1] * cfg.shape[2]) if cfg.gamma is None else cfg.gamma
        self.gammas = start, start / 10 if cfg.gamma_end is None else cfg.gamma_end
        self.course = cosine(0.0, cfg.decay_kimg)  # 1 at the start, 0 at the end

    def phases(self) -> list[Phase]:
        decay = self.cfg.decay_kimg
        beta2 = tuple((t, 0.99 - 0.09 * left) for t, left in self.course)
        opt = Adam(self.cfg.lr, betas=(0.0, 0.9), schedule=cosine(0.0, decay, 0.25), beta2=beta2)
        lazy_phases = (
            [Phase("D", self.d_reg, opt, lazy=self.cfg.lazy)] if self.cfg.lazy > 1 and any(self.gammas) else []
        )
        return [Phase("D", self.d_loss, opt), *lazy_phases, Phase("G", self.g_loss, opt)]

    @property
    def gamma(self) -> float:
        """Current weight of the penalties."""
        start, end = self.gammas
        return end + (start - end) * at(self.course, self.kimg)

    def average_kimg(self) -> float | None:
        """Return the current half-life of G's EMA, in thousands of images."""
        return float(self.cfg.ema_kimg * (1 - at(self.course, self.kimg)))

    def set_strength(self, ada: Ada) -> None:
        """Set the augmentation's strength by the clock."""
        ada.p.fill_(self.cfg.augment_p * (1 - at(self.course, self.kimg)))

    def labels(self, n: int, batch: Batch) -> Tensor | None:
        """Return the labels of the batch."""
        return batch.c if self.cfg.n_classes else None

    def d_loss(self, batch: Batch) -> Terms:
        with torch.no_grad():
            fake, c = self.fakes(len(batch.x), batch)
        gamma = self.gamma
        now = {"gamma": torch.full((), gamma, device=batch.x.device)}
        if gamma and self.cfg.lazy == 1 and not getattr(self.D, "autocasts", False):
            return self._in_one_pass(batch, fake, c) | now
        terms = self.d_terms(batch, fake, c)
        return terms | now | (self._penalties(batch, fake.x, c) if gamma and self.cfg.lazy == 1 else {})

    def d_reg(self, batch: Batch) -> Terms:
        """Compute both penalties alone, for steps that are not every step."""
        with torch.no_grad():
            fake, c = self.fakes(len(batch.x), batch)
        return self._penalties(batch, fake.x, c)

    def _penalties(self, batch: Batch, fake: Tensor, c: Tensor | None) -> Terms:
        critic = self.augmented_critic(c)
        return {
            "r1": self.gamma * penalties.r1(critic, batch.x),
            "r2": self.gamma * penalties.r2(critic, None, fake),
        }

    def _in_one_pass(self, batch: Batch, fake: Generated, c: Tensor | None) -> Terms:
        """Compute loss and penalties from the same passes of D, as the authors do: a third fewer operations."""
        real, fake = batch.x.detach().requires_grad_(True), replace(fake, x=fake.x.detach().requires_grad_(True))
        real_scores = self.scores(real, batch.c if c is not None else None)
        fake_scores = self.scores(fake, c)
        self.note_reals(real_scores.first)
        terms = self.d_adversarial(self.loss, real_scores, fake_scores)
        if self.trace is not None:
            self.trace.penalties += ["r1", "r2"]
        terms["r1"] = self.gamma * penalties.of_pass("r1", real_scores.first, real)
        terms["r2"] = self.gamma * penalties.of_pass("r2", fake_scores.first, fake.x)
        return terms

    def sample(self, z: Tensor, c: Tensor | None = None) -> Tensor:
        """Map latents (N, z_dim) and labels (N,) to images (N, C, H, W) in [-1, 1]."""
        return super().sample(z, c).clamp(-1, 1)


MODEL = R3GAN
