"""StyleGAN. "A Style-Based Generator Architecture for Generative Adversarial Networks", Karras et al. 2018, arXiv:1812.04948.

D minimises E[softplus(-D(x))] + E[softplus(D(G(z)))] + gamma / 2 E[|grad D(x)|^2], G minimises E[softplus(-D(G(z)))]  (app. C)

w = mapping(z). Noise is added after each convolution, then AdaIN applies a gain and a bias computed from w (sec. 2). With
probability 0.9 the layers from a random one on get the w of another latent (style mixing, sec. 3.1). Training begins at
8 x 8; each doubling is faded in over ``stage_kimg`` and then trained for as long, as in ProGAN. Samples come from the EMA
of G; ``truncation`` pulls w towards its mean (that of the class), with ``cutoff`` in the first layers only; ``noise`` is
const, random or none.

About: StyleGAN introduced styles. A mapping network transforms the latent space so that its directions become meaningful,
each layer's style sets the scale of that layer's features, and noise adds random detail such as hair and freckles. Coarse
layers control pose and shape, fine layers colour. Use it to see where StyleGAN2 comes from, or for comparison; StyleGAN2
is better and simpler to train. Watch for blobs that look like water drops, which the normalization in AdaIN causes and
StyleGAN2 removed, and for the fades, at which losses jump. It was published in 2018, with faces that people could not
tell from photographs.

Departures from the paper: one learning rate, as in the authors' code on one device (on eight devices it has 1.5e-3 to 3e-3
from 128 px on); the layer at which styles mix is drawn for each sample; labels enter as in StyleGAN2's mapping;
samples are clipped to [-1, 1].
"""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from ganloom import penalties
from ganloom.core.config import check_at_least_one, check_classes
from ganloom.core.errors import BadInput
from ganloom.gan import Adam, Batch, Phase, Terms
from ganloom.losses import nonsaturating
from ganloom.networks import progressive, stylegan
from ganloom.recipes.base.adversarial import as_arguments
from ganloom.recipes.base.progressive import Growing, check_stages
from ganloom.recipes.base.style_based import Styled
from ganloom.scoring import Generated, Scores

TITLE = "StyleGAN"
PAPER = "Karras et al. 2018, arXiv:1812.04948"
DATA = "FFHQ"
KIMG = 25000.0  # default length of a run, thousands of images


@dataclass(frozen=True)
class Config:
    """The paper's hyperparameters (app. C and the authors' code)."""

    shape: tuple[int, int, int] = (3, 256, 256)
    """Image shape: channels, height, width."""
    n_classes: int = 0
    """Number of classes, taken from labelled data; 0 trains without labels."""
    z_dim: int = 512
    """Length of the latent vector."""
    w_dim: int | None = None
    """Length of w; None: as of the latent vector."""
    layers: int = 8
    """Layers of the mapping network (sec. 2)."""
    width: int = 512
    """Channels up to 32 px; halved with each doubling beyond."""
    full: int = 3
    """Doublings of the base grid that keep the full width; each further one halves it (the paper: 3, to 32 px)."""
    tanh: bool = False
    """Apply tanh to G's images, as in earlier GANs; helps with flat black or white backgrounds, which an unbounded G
    would have to match exactly.
    """
    centre: Literal["class", "all"] = "class"
    """Point that truncation pulls w towards: the mean of each class, or of all (as in the authors' code and imported
    models).
    """
    mixing: float = 0.9
    """Probability of style mixing, 0 to 1 (sec. 3.1)."""
    stage_kimg: float = 600.0
    """Thousands of images for fading in a level, and again for training it afterwards."""
    batch_size: int = 8
    """Real images per batch at full size; doubled with each level below."""
    most_batch: int = 128
    """Largest batch size on the coarse grids."""
    gamma: float = 10.0
    """Weight of the R1 penalty (app. C)."""
    ema_kimg: float = 10.0
    """Half-life of the EMA of G, in thousands of images."""
    g_opt: Adam = Adam(1e-3, betas=(0.0, 0.99))
    """Optimizer of G."""
    d_opt: Adam = Adam(1e-3, betas=(0.0, 0.99))
    """Optimizer of D."""

    def __post_init__(self) -> None:
        check_classes(self)
        check_stages(self)
        if not 0 <= self.mixing <= 1:
            raise BadInput(f"--mixing (a probability) must be in 0..1, got {self.mixing}")
        if self.gamma < 0:
            raise BadInput(f"--gamma must not be negative, got {self.gamma}")
        check_at_least_one(self, "layers")


class StyleGAN(Growing, Styled):
    """StyleGAN."""

    splits_by = None  # minibatch standard deviation in D
    loss = nonsaturating
    first_level = 1

    def __init__(self, cfg: Config) -> None:
        super().__init__(cfg)
        w_dim = cfg.w_dim or cfg.z_dim
        self.G = stylegan.Generator(
            cfg.shape, cfg.z_dim, w_dim, cfg.width, cfg.layers, cfg.n_classes, cfg.tanh, cfg.full
        )
        self.D = progressive.Discriminator(cfg.shape, cfg.width, cfg.n_classes, blurred=True, full=cfg.full)

    def phases(self) -> list[Phase]:
        """Return the phases; each time window trains the mapping and the levels that it uses."""
        phases = []
        for window, levels, newest in self.windows():
            parts = [f"levels.{i}" for i in range(newest + 1)] + [f"rgb.{i}" for i in levels]
            d = " ".join(f"D.{part}" for part in parts)
            g = " ".join(["G.mapping", *(f"G.synthesis.{part}" for part in parts)])
            phases += [Phase(d, self.d_loss, kimg=window), Phase(g, self.g_loss, kimg=window)]
        return phases

    def scores(self, x: Tensor | Generated, c: Tensor | None) -> Scores:
        """Return the scores of D at the current level."""
        return self.discriminate(x, c, self.level)

    def fakes(self, n: int, batch: Batch) -> tuple[Generated, Tensor | None]:
        c, (newest, _) = self.labels(n, batch), progressive.newest_of(self.level, self.top)
        mixed = self.mixed(n, 2 * newest + 2)
        return self.generated(self.z(n), *as_arguments(c), noise="random", mixed=mixed, level=self.level), c

    def d_loss(self, batch: Batch) -> Terms:
        real = self.reals(batch)
        with torch.no_grad():
            fake, c = self.fakes(len(real), batch)
        terms = self.d_adversarial(self.loss, self.scores(real, c), self.scores(fake, c))
        if self.cfg.gamma:
            terms["r1"] = self.cfg.gamma * penalties.r1(self.critic(c, self.level), real)
        return terms | {"level": torch.full((), self.level, device=real.device)}

    def g_loss(self, batch: Batch) -> Terms:
        fake, c = self.fakes(len(batch.x), batch)
        reals = self.reals(batch), None if c is None else batch.c, self.level
        return self.g_adversarial(self.loss, self.scores(fake, c), reals=reals)

    def synthesis(self, ws: Tensor, noise: str = "const") -> Tensor:
        """Map ws (N, layers, w_dim) to images (N, C, H, W), about [-1, 1] but not clipped."""
        self.check_noise(noise)
        x: Tensor = self.G.synthesis(ws, noise, self.level)
        return x


MODEL = StyleGAN
