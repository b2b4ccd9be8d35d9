"""ProGAN. "Progressive Growing of GANs for Improved Quality, Stability, and Variation", Karras et al. 2017, arXiv:1710.10196.

Training begins at 4 x 4; each doubling is faded in over ``stage_kimg`` and then trained for as long      (sec. 2, app. A)
D minimises E[D(G(z))] - E[D(x)] + 10 E[(|grad D(x_hat)| - 1)^2] + 0.001 E[D(x)^2], G minimises -E[D(G(z))]        (app. A.1)

Equalised learning rate in all layers, pixel norm in G, normalised latents, minibatch standard deviation in D (sec. 3, 4).
The clock ``kimg`` decides which levels are in use (a model without a clock is finished, at full size). The optimizers are
reset where a fade begins or ends, and coarse grids have larger batches. A run shorter than ``stage_kimg`` x 2 x doublings
ends before the full size; choose a smaller ``stage_kimg`` for small images and short runs.

About: Training starts with tiny images, and the networks grow: each doubling is faded in once the coarser one works. So
coarse structure is learned fast and early. Equalised learning rates, pixel norm and the minibatch standard deviation keep
both networks in balance. Use it to reach high resolutions when memory and time are short at the start; StyleGAN2's
networks, which do not grow, have since given better results. Watch the fades: the loss jumps at each, and a run that ends
early ends at a small size. It was published in 2017 and made the first convincing 1024 px faces.

Departures from the paper: one learning rate, as in the authors' code on one device (on eight devices it has 1.5e-3 to 3e-3
from 128 px on); no AC-GAN term for labelled data; the first layer has one bias per pixel; samples are clipped to
[-1, 1].
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
KIMG = 12000.0  # default length of a run, thousands of images


@dataclass(frozen=True)
class Config:
    """The paper's hyperparameters (app. A)."""

    shape: tuple[int, int, int] = (3, 128, 128)
    """Image shape: channels, height, width."""
    z_dim: int = 512
    """Length of the latent vector (table 2)."""
    width: int = 512
    """Channels up to 32 px; halved with each doubling beyond (table 2)."""
    full: int = 3
    """Doublings of the base grid that keep the full width; each further one halves it (the paper: 3, to 32 px)."""
    tanh: bool = False
    """Apply tanh to G's images, as in earlier GANs; helps with flat black or white backgrounds, which an unbounded G
    would have to match exactly.
    """
    stage_kimg: float = 600.0
    """Thousands of images for fading in a level, and again for training it afterwards (app. A)."""
    batch_size: int = 16
    """Real images per batch at full size; doubled with each level below (app. A: 128, 64, 32, 16 from 16 to 128 px)."""
    most_batch: int = 128
    """Largest batch size on the coarse grids (the authors' code)."""
    gp_weight: float = 10.0
    """Weight of the gradient penalty (app. A.1)."""
    drift: float = 0.001
    """Weight of D's squared outputs on real images (app. A.1)."""
    ema_kimg: float = 10.0
    """Half-life of the EMA of G, in thousands of images (app. A: decay 0.999 per step)."""
    g_opt: Adam = Adam(1e-3, betas=(0.0, 0.99))
    """Optimizer of G (app. A.1)."""
    d_opt: Adam = Adam(1e-3, betas=(0.0, 0.99))
    """Optimizer of D (app. A.1)."""

    def __post_init__(self) -> None:
        check_stages(self)


class ProGAN(Growing):
    """GAN with progressively growing networks."""

    splits_by = None  # minibatch standard deviation in D

    def __init__(self, cfg: Config) -> None:
        super().__init__(cfg)
        self.G = progressive.Generator(cfg.shape, cfg.z_dim, cfg.width, cfg.tanh, cfg.full)
        self.D = progressive.Discriminator(cfg.shape, cfg.width, full=cfg.full)

    def phases(self) -> list[Phase]:
        """Return the phases; each time window trains the levels that it uses."""
        phases = []
        for window, levels, newest in self.windows():
            parts = [f"levels.{i}" for i in range(newest + 1)] + [f"rgb.{i}" for i in levels]
            nets = {net: " ".join(f"{net}.{part}" for part in parts) for net in "DG"}
            phases += [Phase(nets["D"], self.d_loss, kimg=window), Phase(nets["G"], self.g_loss, kimg=window)]
        return phases

    def sample(self, z: Tensor, c: Tensor | None = None) -> Tensor:
        """Map latents (N, z_dim) to images (N, C, H, W) in [-1, 1]."""
        out: Tensor = self.G(z, c, self.level)
        return out.clamp(-1, 1)

    def d_loss(self, batch: Batch) -> Terms:
        real = self.reals(batch)
        with torch.no_grad():
            fake = self.generated(self.z(len(real)), None, self.level)
        d_inputs = None, self.level  # D takes no labels, and the level
        real_scores, fake_scores = self.discriminate(real, *d_inputs), self.discriminate(fake, *d_inputs)
        return self.d_adversarial(wasserstein, real_scores, fake_scores) | {
            "gp": self.cfg.gp_weight * penalties.wgan_gp(self.critic(*d_inputs), real, fake.x),
            "drift": self.cfg.drift * real_scores.first.square().mean(),
            "level": torch.full((), self.level, device=real.device),
        }

    def g_loss(self, batch: Batch) -> Terms:
        d_inputs = None, self.level
        scores = self.discriminate(self.generated(self.z(len(batch.x)), None, self.level), *d_inputs)
        return self.g_adversarial(wasserstein, scores, reals=(self.reals(batch), *d_inputs))


MODEL = ProGAN
