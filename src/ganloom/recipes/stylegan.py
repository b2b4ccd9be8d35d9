"""StyleGAN. "A Style-Based Generator Architecture for Generative Adversarial Networks", Karras et al. 2018, arXiv:1812.04948.

D minimises E[softplus(-D(x))] + E[softplus(D(G(z)))] + gamma / 2 E[|grad D(x)|^2], G minimises E[softplus(-D(G(z)))]  (app. C)

w = mapping(z); AdaIN with a gain and a bias from w follows each convolution, noise is added before it (sec. 2); with probability
0.9 another latent's w is taken from a random layer on (sec. 3.1). Training begins at 8 x 8; each doubling is faded in over
``stage_kimg`` and trained for as long, as in ProGAN. Samples come from G's average; ``truncation`` pulls w towards its mean
(that of the label), ``cutoff`` in the first layers only, ``noise`` is const, random or none.

About: The generator that made styles: a mapping network bends the latent space so that its directions mean something, each
layer's style sets the scale of what it draws, and noise adds hair and freckles. Coarse layers hold pose and shape, fine ones
colour. Use it to see where StyleGAN2 comes from, or to compare; StyleGAN2 is better and simpler to train. Watch for blobs
like drops of water, which the normalisation of AdaIN makes and StyleGAN2 removed, and for the fades, at which losses jump.
It is of 2018 and brought faces that people could not tell from photographs.

Departures from the paper: one learning rate (the authors' code on one device; 1.5e-3 to 3e-3 on eight from 128 px on); the
layer at which styles mix is drawn for each sample; labels enter as in StyleGAN2's mapping; samples are clipped to [-1, 1].
"""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from ganloom import penalties
from ganloom.core.config import check_classes
from ganloom.core.errors import BadInput
from ganloom.gan import Adam, Batch, Phase, Terms
from ganloom.losses import nonsaturating
from ganloom.networks import progressive, stylegan
from ganloom.recipes.base.adversarial import given
from ganloom.recipes.base.progressive import Growing, check_stages
from ganloom.recipes.base.style_based import Styled
from ganloom.scoring import Generated, Scores

TITLE = "StyleGAN"
PAPER = "Karras et al. 2018, arXiv:1812.04948"
DATA = "FFHQ"
KIMG = 25000.0  # the length of a run that does not say its own, thousands of images


@dataclass(frozen=True)
class Config:
    """The paper's numbers (app. C and the authors' code)."""

    shape: tuple[int, int, int] = (3, 256, 256)
    """Channels, height, width."""
    n_classes: int = 0
    """Number of classes; 0: without conditions."""
    z_dim: int = 512
    """Numbers in a latent."""
    w_dim: int | None = None
    """Numbers in w; none: as in a latent."""
    layers: int = 8
    """Layers of the mapping network (sec. 2)."""
    width: int = 512
    """Channels up to 32 px, halved with each doubling beyond."""
    tanh: bool = False
    """Images pass through tanh in training too, as in earlier GANs: for images with flat black or white grounds, which
    an unbounded G can only meet by exact sums, and D sees at once where it does not."""
    centre: Literal["class", "all"] = "class"
    """What truncation pulls w towards: the mean of each label's own, or of all (the authors' code, and imported models)."""
    mixing: float = 0.9
    """Probability of style mixing (sec. 3.1)."""
    stage_kimg: float = 600.0
    """Thousands of images over which a level is faded in, and again over which it then stands."""
    batch_size: int = 8
    """Real images a batch at full size; twice as many with each level below."""
    most_batch: int = 128
    """Largest batch on the coarse grids."""
    gamma: float = 10.0
    """Weight of R1 (app. C)."""
    ema_kimg: float = 10.0
    """Half-life of G's average, thousands of images."""
    g_opt: Adam = Adam(1e-3, betas=(0.0, 0.99))
    """Optimizer of G."""
    d_opt: Adam = Adam(1e-3, betas=(0.0, 0.99))
    """Optimizer of D."""

    def __post_init__(self) -> None:
        check_classes(self)
        check_stages(self)
        if not 0 <= self.mixing <= 1:
            raise BadInput(f"--mixing is a probability in 0..1, got {self.mixing}")
        if self.gamma < 0:
            raise BadInput(f"--gamma must not be negative, got {self.gamma}")
        if self.layers < 1:
            raise BadInput(f"--layers must be at least 1, got {self.layers}")


class StyleGAN(Growing, Styled):
    """StyleGAN."""

    splits_by = None  # standard deviations over samples in D
    loss = nonsaturating
    first_level = 1

    def __init__(self, cfg: Config) -> None:
        super().__init__(cfg)
        w_dim = cfg.w_dim or cfg.z_dim
        self.G = stylegan.Generator(cfg.shape, cfg.z_dim, w_dim, cfg.width, cfg.layers, cfg.n_classes, cfg.tanh)
        self.D = progressive.Discriminator(cfg.shape, cfg.width, cfg.n_classes, blurred=True)

    def phases(self) -> list[Phase]:
        """A window trains the levels that it uses, and the mapping."""
        phases = []
        for window, shown, newest in self.windows():
            parts = [f"levels.{i}" for i in range(newest + 1)] + [f"rgb.{i}" for i in shown]
            d = " ".join(f"D.{part}" for part in parts)
            g = " ".join(["G.mapping", *(f"G.synthesis.{part}" for part in parts)])
            phases += [Phase(d, self.d_loss, kimg=window), Phase(g, self.g_loss, kimg=window)]
        return phases

    def scores(self, x: Tensor | Generated, c: Tensor | None) -> Scores:
        """The scores of D as it has grown so far."""
        return self.discriminate(x, c, self.level)

    def fakes(self, n: int, batch: Batch) -> tuple[Generated, Tensor | None]:
        c, (newest, _) = self.labels(n, batch), progressive.newest_of(self.level, self.top)
        mixed = self.mixed(n, 2 * newest + 2)
        return self.generated(self.z(n), *given(c), noise="random", mixed=mixed, level=self.level), c

    def d_loss(self, batch: Batch) -> Terms:
        real = progressive.at_level(batch.x, self.level)
        with torch.no_grad():
            fake, c = self.fakes(len(real), batch)
        terms = self.d_adversarial(self.loss, self.scores(real, c), self.scores(fake, c))
        if self.cfg.gamma:
            terms["r1"] = self.cfg.gamma * penalties.r1(self.critic(c, self.level), real)
        return terms | {"level": torch.full((), self.level, device=real.device)}

    def g_loss(self, batch: Batch) -> Terms:
        fake, c = self.fakes(len(batch.x), batch)
        reals = progressive.at_level(batch.x, self.level), *(() if c is None else (batch.c,)), self.level
        return self.g_adversarial(self.loss, self.scores(fake, c), reals=reals)

    def synthesis(self, ws: Tensor, noise: str = "const") -> Tensor:
        """ws (N, layers, w_dim) to images (N, C, H, W), about [-1, 1] but not clipped."""
        self.check_noise(noise)
        x: Tensor = self.G.synthesis(ws, noise, self.level)
        return x


MODEL = StyleGAN
