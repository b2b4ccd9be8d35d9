"""WGAN. "Wasserstein GAN", Arjovsky et al. 2017, arXiv:1701.07875.

D minimises E[D(G(z))] - E[D(x)], then each of its weights is clipped to [-clip, clip]            (algorithm 1)
G minimises -E[D(G(z))], once per n_critic steps of D                                           (algorithm 1)
Minus D's loss estimates the Wasserstein distance up to a factor, and is logged as ``distance``       (eq. 3)
RMSprop without momentum, because the critic's loss is too nonstationary for Adam                    (sec. 4)

The authors' program gives the critic 100 updates in each of G's first 25 steps and in every 500th. Here this is done with
three phases of D: n_critic updates always, 95 more until the clock has passed 25 such steps, and 95 more every 500th step
after that. ``warm_steps=0`` turns the extra updates off: with a batch of 64 the first 25 steps show D 160,000 images.

``body="dcgan"`` is the DCGAN architecture; "mlp" the fully connected ReLU network of 4 layers with 512 units (sec. 4.3).

About: D becomes a critic. The difference of its outputs on real and fake samples estimates a distance between the two
distributions that is smooth even if they do not overlap. The sigmoid and the logarithm are dropped, the critic's weights
are clipped to bound its Lipschitz constant, the critic is trained more than G, and RMSprop replaces Adam. Use it to study
the idea, or if you need a loss that falls as samples improve; for good results use wgan-gp. Watch the clipping: if the
bound is too small, gradients vanish; if it is too large, the critic converges slowly; either way it learns simple functions
only. The paper of 2017 changed how the field thinks about the loss, and called weight clipping a terrible way to enforce a
Lipschitz constraint.

Departures from the paper: the extra updates have separate running squares in RMSprop, one set for the start and one for the
steps after it, because an optimizer belongs to its phase; the first of the extra updates sees the step's first batch again
(99 new batches of 100). Weights are clipped after each update, as in algorithm 1 (the authors' program clips before it). The
images of "mlp" pass through tanh.
"""

from dataclasses import dataclass
from typing import Literal

import torch

from ganloom import penalties
from ganloom.core.errors import BadInput
from ganloom.gan import GAN, Batch, Phase, RMSprop, Terms
from ganloom.losses import wasserstein
from ganloom.networks import dcgan, dense

TITLE = "Wasserstein GAN with weight clipping"
PAPER = "Arjovsky et al. 2017, arXiv:1701.07875"
DATA = "LSUN"
KIMG = 1000.0  # default length of a run, thousands of images


@dataclass(frozen=True)
class Config:
    """The paper's hyperparameters (algorithm 1), and the warm-up of the authors' program."""

    shape: tuple[int, int, int] = (3, 64, 64)
    """Image shape: channels, height, width."""
    body: Literal["dcgan", "mlp"] = "dcgan"
    """Network type: convolutional or fully connected."""
    z_dim: int = 100
    """Length of the latent vector."""
    width: int = 64
    """Channels of the layer next to the image (body dcgan only)."""
    smallest: int = 4
    """Smallest side of the coarsest grid, in pixels; 3 gives images of 28 px a third doubling, from 4 px on."""
    d_norm: bool = True
    """Use BatchNorm in the critic (body dcgan only; sec. 4.3 has both)."""
    clip: float = 0.01
    """Largest absolute weight of the critic (algorithm 1: c)."""
    n_critic: int = 5
    """Updates of D per update of G (algorithm 1)."""
    warm_critic: int = 100
    """Updates of D in the warm-up steps and in every ``warm_every``-th step."""
    warm_steps: int = 25
    """Steps of G in the warm-up; 0: no extra updates at all."""
    warm_every: int = 500
    """Give the critic ``warm_critic`` updates again every this many steps of G; 0: never."""
    batch_size: int = 64
    """Real images per batch (algorithm 1: m)."""
    ema_kimg: float | None = None
    """Half-life of the EMA of G, in thousands of images (not in the paper). None: 1,000 updates of G."""
    g_opt: RMSprop = RMSprop(5e-5)
    """Optimizer of G (algorithm 1: alpha)."""
    d_opt: RMSprop = RMSprop(5e-5)
    """Optimizer of D."""

    def __post_init__(self) -> None:
        if self.clip <= 0:
            raise BadInput(f"--clip must be above 0, got {self.clip}")
        if self.warm_steps < 0 or self.warm_every < 0:
            raise BadInput(
                f"--warm-steps and --warm-every must not be negative, got {self.warm_steps} and {self.warm_every}"
            )
        if self.warm_steps and self.warm_critic <= self.n_critic:
            raise BadInput(
                f"--warm-critic must be above --n-critic, got {self.warm_critic} and {self.n_critic}; "
                "--warm-steps 0 turns the warm-up off"
            )


class WGAN(GAN):
    """Wasserstein GAN with weight clipping."""

    splits_by = None  # BatchNorm
    clips_weights = True

    def __init__(self, cfg: Config) -> None:
        super().__init__(cfg)
        if cfg.body == "dcgan":
            self.G = dcgan.Generator(cfg.shape, cfg.z_dim, cfg.width, smallest=cfg.smallest)
            self.D = dcgan.Discriminator(cfg.shape, cfg.width, norm=cfg.d_norm, smallest=cfg.smallest)
        else:
            self.G = dense.Generator(cfg.shape, cfg.z_dim, (512, 512, 512), norm=False, slope=0.0)
            self.D = dense.Discriminator(cfg.shape, (512, 512, 512), slope=0.0)

    def phases(self) -> list[Phase]:
        cfg = self.cfg
        critic = [Phase("D", self.d_loss, repeat=cfg.n_critic)]
        if cfg.warm_steps:
            extra = cfg.warm_critic - cfg.n_critic
            fresh = cfg.warm_critic - 1  # new batches per step: each phase starts from the first batch of the step
            end = cfg.warm_steps * fresh * cfg.batch_size / 1000
            critic.append(Phase("D", self.d_loss, repeat=extra, kimg=(0.0, end)))
            if cfg.warm_every:
                # Alone in its time window, so this is not lazy regularisation: no gain, and an unchanged learning rate.
                critic.append(Phase("D", self.d_loss, repeat=extra, lazy=cfg.warm_every, kimg=(end, float("inf"))))
        return [*critic, Phase("G", self.g_loss)]

    def after_update(self, phase: Phase) -> None:
        if phase.net == "D":
            penalties.clip_weights_(self.D, self.cfg.clip)

    def d_loss(self, batch: Batch) -> Terms:
        with torch.no_grad():
            fake = self.generated(self.z(len(batch.x)))
        terms = self.d_adversarial(wasserstein, self.discriminate(batch.x), self.discriminate(fake))
        return terms | {"distance": -terms["adv"].detach()}

    def g_loss(self, batch: Batch) -> Terms:
        fake = self.generated(self.z(len(batch.x)))
        return self.g_adversarial(wasserstein, self.discriminate(fake), reals=(batch.x,))


MODEL = WGAN
