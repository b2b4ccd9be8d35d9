"""R3GAN. "The GAN is dead; long live the GAN! A Modern Baseline GAN", Huang et al. 2024, arXiv:2501.05441.

D minimises E[softplus(D(G(z)) - D(x))] + gamma / 2 (E[|grad D(x)|^2] + E[|grad D(G(z))|^2]), each step
G minimises E[softplus(D(x) - D(G(z)))], real and fake in pairs of one label                                    (sec. 2)

Over the first ``decay_kimg`` follow half a cosine: the learning rate (to a quarter), gamma (to a tenth), Adam's second decay
(0.9 to 0.99), the half-life of G's average (from 0), and with ``augment`` the augmentation's strength (from 0). Networks:
ResNeXt blocks, see networks/r3gan.py (sec. 3).

About: A GAN without tricks: a relativistic loss, which compares each fake with a real one, and two zero-centred gradient
penalties, on reals and on fakes, with which it provably converges near the optimum. So the networks may be modern and plain,
without norms, styles, noise, minibatch deviation or path lengths. Use it where training must not collapse, with many classes
or varied images, and where you want a base to change. Watch gamma, which belongs to the data set and the size (0.05 at 32
px, 2 at 64, 150 at 256), and the batch, which in the paper is large. It is of 2024 and beats StyleGAN2 on the paper's sets
at equal size.

Departures from the paper: without augmentation as it comes; under bf16 the penalties look at D once more, in float32; samples are
clipped to [-1, 1] when drawn; D sees reals without a gradient to G. ``tanh``, ``dense_base``, ``lazy`` and ``full`` are not
the paper's, and change nothing as they come.
"""

import math
from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor

from ganloom import penalties
from ganloom.augment.ada import Ada
from ganloom.core.config import check_classes
from ganloom.core.errors import BadInput
from ganloom.gan import Adam, Batch, Phase, Terms, at, cosine
from ganloom.losses import relativistic
from ganloom.networks import r3gan
from ganloom.recipes.base.augmented import Augmented
from ganloom.scoring import Generated

TITLE = "R3GAN"
PAPER = "Huang et al. 2024, arXiv:2501.05441"
DATA = "CIFAR-10, FFHQ"
KIMG = 25000.0  # the length of a run that does not say its own, thousands of images


@dataclass(frozen=True)
class Config:
    """The authors' numbers for CIFAR-10 (app. and code)."""

    shape: tuple[int, int, int] = (3, 32, 32)
    """Channels, height, width."""
    n_classes: int = 0
    """Number of classes; 0: without conditions."""
    z_dim: int = 64
    """Numbers in a latent, and in the vector of a class."""
    width: int = 768
    """Channels up to 32 px, halved with each doubling beyond (1536 for ImageNet)."""
    d_width: int | None = None
    """The same for D; none: as in G."""
    group: int = 16
    """Channels of a group of the 3x3 convolutions (32 for ImageNet)."""
    full: int = 3
    """Doublings of the base that keep the full width; it is halved with each further one (the paper: 3, to 32 px)."""
    blocks: int = 2
    """Residual blocks of a grid."""
    gamma: float | None = None
    """Weight of both penalties at the start (code: 0.05 at 32 px, 2 at 64, 150 at 256; none: that by size, between and
    beyond them by the power of the pixels that joins the two nearest)."""
    gamma_end: float | None = None
    """Weight of both penalties after ``decay_kimg``; none: a tenth."""
    decay_kimg: float = 20000.0
    """Thousands of images over which rate, gamma, second decay and half-life go their way (200000 for ImageNet)."""
    tanh: bool = False
    """Images pass through tanh in training too, as in earlier GANs: for images with flat black or white grounds, which
    an unbounded G can only meet by exact sums, and D sees at once where it does not."""
    dense_base: bool = False
    """Each place of G's base grid has weights of its own on z, as in DCGAN (the paper: z only scales the channels of a learned
    grid): samples of a narrow G differ more."""
    lazy: int = 1
    """Steps between two penalties, each with as many times the weight (the paper: 1; StyleGAN2: 16)."""
    augment: Literal["none", "ada"] = "none"
    """What D sees: images as they are, or augmented (the authors': ada)."""
    augment_p: float = 0.55
    """Strength of the augmentation at the end, from 0 (0.3 for FFHQ, 0.5 for ImageNet-32, 0.4 for ImageNet-64)."""
    batch_size: int = 512
    """Real images a batch (256 for FFHQ)."""
    ema_kimg: float = 5000.0
    """Half-life of G's average at the end, thousands of images (500 for FFHQ, 50000 for ImageNet)."""
    lr: float = 2e-4
    """Learning rate of both networks at the start; it ends at a quarter."""

    def __post_init__(self) -> None:
        check_classes(self)
        for name in ("gamma", "gamma_end"):
            value = getattr(self, name)
            if value is not None and value < 0:
                raise BadInput(f"--{name.replace('_', '-')} must not be negative, got {value}")
        for name in ("group", "blocks", "lazy"):
            if getattr(self, name) < 1:
                raise BadInput(f"--{name} must be at least 1, got {getattr(self, name)}")
        if self.full < 0:
            raise BadInput(f"--full must not be negative, got {self.full}")
        if not 0 <= self.augment_p <= 1:
            raise BadInput(f"--augment-p is a strength in 0..1, got {self.augment_p}")
        if not self.decay_kimg > 0:
            raise BadInput(f"--decay-kimg must be above 0, got {self.decay_kimg}")
        if not self.lr > 0:
            raise BadInput(f"--lr must be above 0, got {self.lr}")


def gamma_of(pixels: int) -> float:
    """The authors' gamma for images of so many pixels, a power of them between 32, 64 and 256 px."""
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
        apart = [Phase("D", self.d_reg, opt, lazy=self.cfg.lazy)] if self.cfg.lazy > 1 and any(self.gammas) else []
        return [Phase("D", self.d_loss, opt), *apart, Phase("G", self.g_loss, opt)]

    @property
    def gamma(self) -> float:
        """The penalties' weight now."""
        start, end = self.gammas
        return end + (start - end) * at(self.course, self.kimg)

    def average_kimg(self) -> float | None:
        """Half-life of G's average now."""
        return float(self.cfg.ema_kimg * (1 - at(self.course, self.kimg)))

    def set_strength(self, ada: Ada) -> None:
        """By the clock."""
        ada.p.fill_(self.cfg.augment_p * (1 - at(self.course, self.kimg)))

    def labels(self, n: int, batch: Batch) -> Tensor | None:
        """The batch's own."""
        return batch.c if self.cfg.n_classes else None

    def d_loss(self, batch: Batch) -> Terms:
        with torch.no_grad():
            fake, c = self.fakes(len(batch.x), batch)
        gamma = self.gamma
        now = {"gamma": torch.full((), gamma, device=batch.x.device)}
        if gamma and self.cfg.lazy == 1 and not getattr(self.D, "autocasts", False):
            return self._in_one_pass(batch, fake, c) | now
        terms = self.judged(batch, fake, c)
        return terms | now | (self._penalties(batch, fake.x, c) if gamma and self.cfg.lazy == 1 else {})

    def d_reg(self, batch: Batch) -> Terms:
        """Both penalties by themselves, where they are not taken each step."""
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
        """The penalties of the very passes whose logits are compared, as the authors have it: a third fewer products."""
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
        """Latents (N, z_dim) and labels (N,) to images (N, C, H, W) in [-1, 1]."""
        return super().sample(z, c).clamp(-1, 1)


MODEL = R3GAN
