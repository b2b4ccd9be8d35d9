"""ProGAN. "Progressive Growing of GANs for Improved Quality, Stability, and Variation", Karras et al. 2017, arXiv:1710.10196.

Training begins on the 4 x 4 grid; each doubling is faded in over ``stage_kimg`` and trained for as long      (sec. 2, app. A)
D minimises E[D(G(z))] - E[D(x)] + 10 E[(|grad D(x_hat)| - 1)^2] + 0.001 E[D(x)^2], G minimises -E[D(G(z))]        (app. A.1)

Equalised learning rate in all layers, pixel norm in G, the latent normalised, minibatch standard deviation in D (sec. 3, 4).
What is in use follows the clock ``kimg`` (a model without one is finished, at full size); the optimizers begin anew where a
fade begins or ends, and the batch is the larger the coarser the grid. A run shorter than ``stage_kimg`` x 2 x doublings ends
before the full size: for small images and short runs give a smaller ``stage_kimg``.

About: Training starts with tiny images and the networks grow: each doubling is faded in once the coarser one works.
Coarse structure is thus learned fast and early, and equalised learning rates, pixel norm and a view of the batch keep
both networks in balance. Use it to reach high resolutions when memory and time are short at the start; StyleGAN2's
networks without growing have since done better. Watch the fades: the loss jumps at each, and a run that ends early ends
at a small size. It is of 2017 and made the first convincing 1024 px faces.

Departures from the paper: one learning rate (the authors' code on one device; 1.5e-3 to 3e-3 on eight from 128 px on); no
AC-GAN term for labelled data; the first layer's bias is one a pixel; samples are clipped to [-1, 1] when drawn.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from ganloom import penalties
from ganloom.gan import Adam, Batch, Phase, Terms
from ganloom.losses import wasserstein
from ganloom.networks import progressive
from ganloom.recipes.base.progressive import Growing, check_stages

TITLE = "Progressive growing"
PAPER = "Karras et al. 2017, arXiv:1710.10196"
DATA = "CelebA-HQ"
KIMG = 12000.0  # the length of a run that does not say its own, thousands of images


@dataclass(frozen=True)
class Config:
    """The paper's numbers (app. A)."""

    shape: tuple[int, int, int] = (3, 128, 128)
    """Channels, height, width."""
    z_dim: int = 512
    """Numbers in a latent (table 2)."""
    width: int = 512
    """Channels up to 32 px, halved with each doubling beyond (table 2)."""
    tanh: bool = False
    """Images pass through tanh in training too, as in earlier GANs: for images with flat black or white grounds, which
    an unbounded G can only meet by exact sums, and D sees at once where it does not."""
    stage_kimg: float = 600.0
    """Thousands of images over which a level is faded in, and again over which it then stands (app. A)."""
    batch_size: int = 16
    """Real images a batch at full size; twice as many with each level below (app. A: 128, 64, 32, 16 from 16 to 128 px)."""
    most_batch: int = 128
    """Largest batch on the coarse grids (the authors' code)."""
    gp_weight: float = 10.0
    """Weight of the gradient penalty (app. A.1)."""
    drift: float = 0.001
    """Weight of the squared critic values of real images (app. A.1)."""
    ema_kimg: float = 10.0
    """Half-life of G's average, thousands of images (app. A: decay 0.999 a step)."""
    g_opt: Adam = Adam(1e-3, betas=(0.0, 0.99))
    """Optimizer of G (app. A.1)."""
    d_opt: Adam = Adam(1e-3, betas=(0.0, 0.99))
    """Optimizer of D (app. A.1)."""

    def __post_init__(self) -> None:
        check_stages(self)


class ProGAN(Growing):
    """Progressively grown GAN."""

    splits_by = None  # standard deviations over samples in D

    def __init__(self, cfg: Config) -> None:
        super().__init__(cfg)
        self.G = progressive.Generator(cfg.shape, cfg.z_dim, cfg.width, cfg.tanh)
        self.D = progressive.Discriminator(cfg.shape, cfg.width)

    def phases(self) -> list[Phase]:
        """A window trains the levels that it uses."""
        phases = []
        for window, shown, newest in self.windows():
            parts = [f"levels.{i}" for i in range(newest + 1)] + [f"rgb.{i}" for i in shown]
            nets = {net: " ".join(f"{net}.{part}" for part in parts) for net in "DG"}
            phases += [Phase(nets["D"], self.d_loss, kimg=window), Phase(nets["G"], self.g_loss, kimg=window)]
        return phases

    def sample(self, z: Tensor, c: Tensor | None = None) -> Tensor:
        """Latents (N, z_dim) to images (N, C, H, W) in [-1, 1]."""
        out: Tensor = self.G(z, c, self.level)
        return out.clamp(-1, 1)

    def d_loss(self, batch: Batch) -> Terms:
        real = progressive.at_level(batch.x, self.level)
        with torch.no_grad():
            fake = self.generated(self.z(len(real)), None, self.level)
        grown = None, self.level  # D's further inputs: no labels, and the level it has grown to
        real_scores, fake_scores = self.discriminate(real, *grown), self.discriminate(fake, *grown)
        return self.d_adversarial(wasserstein, real_scores, fake_scores) | {
            "gp": self.cfg.gp_weight * penalties.wgan_gp(self.critic(*grown), real, fake.x),
            "drift": self.cfg.drift * real_scores.first.square().mean(),
            "level": torch.full((), self.level, device=real.device),
        }

    def g_loss(self, batch: Batch) -> Terms:
        grown = None, self.level
        scores = self.discriminate(self.generated(self.z(len(batch.x)), None, self.level), *grown)
        return self.g_adversarial(wasserstein, scores, reals=(progressive.at_level(batch.x, self.level), *grown))


MODEL = ProGAN
