"""Conditional GAN. "Conditional Generative Adversarial Nets", Mirza & Osindero 2014, arXiv:1411.1784.

min_G max_D E[log D(x | c)] + E[log(1 - D(G(z | c)))]                                            (eq. 2)
The label is joined to z in G and to the image in D; G in its non-saturating form, on logits; a fake of each D step has
the real image's label, a fake of the G step a label drawn evenly.

``body="dense"`` joins the label as in the paper, with the tutorials' layers; ``body="conv"`` is the same idea on DCGAN's
networks (the label as constant maps beside the image). There the label may also enter as later papers have it:
``d_condition="projection"``: D(x, c) = w h(x) + e(c) h(x)                (Miyato & Koyama 2018, arXiv:1802.05637, eq. 3)
``g_condition="norm"``: each class has its own gain and bias in G's BatchNorm (Dumoulin et al. 2017, arXiv:1610.07629)

About: G and D are both told the class, so that one asks for a class and gets it. The loss is the first GAN's on pairs
of image and label: D also rejects a good image with the wrong label. Use it wherever labels exist, because besides
control they make the task easier and the samples more varied. Watch whether the label is obeyed (the rows of the grid)
and whether samples within a class repeat. It came a few months after the first GAN, in 2014; projection and conditional
norms, offered here as options, are how later papers let the label in.

Departures from the paper: Adam in place of SGD, no maxout and no dropout; "conv" is the default because images are.
"""

from dataclasses import dataclass
from typing import Literal

from ganloom.core.errors import BadInput
from ganloom.gan import Adam
from ganloom.losses import nonsaturating
from ganloom.networks import dcgan, dense
from ganloom.recipes.base.adversarial import Adversarial

TITLE = "Conditional GAN"
PAPER = "Mirza & Osindero 2014, arXiv:1411.1784"
DATA = "MNIST"
KIMG = 500.0  # the length of a run that does not say its own, thousands of images


@dataclass(frozen=True)
class Config:
    """The paper's idea with DCGAN's numbers."""

    shape: tuple[int, int, int] = (1, 28, 28)
    """Channels, height, width."""
    n_classes: int = 10
    """Classes; taken from labelled data."""
    body: Literal["conv", "dense"] = "conv"
    """Which networks."""
    g_condition: Literal["concat", "norm"] = "concat"
    """How the label enters G: joined to z, or by conditional BatchNorm (body conv)."""
    d_condition: Literal["concat", "projection"] = "concat"
    """How the label enters D: joined to the image, or by projection (body conv)."""
    z_dim: int = 100
    """Numbers in a latent (sec. 4.1)."""
    width: int = 64
    """Channels next to the image, body conv."""
    batch_size: int = 100
    """Real images a batch (sec. 4.1)."""
    ema_kimg: float = 5.0
    """Half-life of G's average, thousands of images (not in the paper)."""
    g_opt: Adam = Adam(2e-4, betas=(0.5, 0.999))
    """Optimizer of G."""
    d_opt: Adam = Adam(2e-4, betas=(0.5, 0.999))
    """Optimizer of D."""

    def __post_init__(self) -> None:
        if self.n_classes < 2:
            raise BadInput(
                f"cgan needs data with at least 2 classes, got {self.n_classes}: put the images in one folder a class, "
                "or train a recipe without labels"
            )
        if self.body == "dense" and (self.g_condition, self.d_condition) != ("concat", "concat"):
            raise BadInput("--g-condition norm and --d-condition projection need --body conv")


class CGAN(Adversarial):
    """Conditional GAN."""

    splits_by = None  # BatchNorm
    loss = nonsaturating

    def __init__(self, cfg: Config) -> None:
        super().__init__(cfg)
        if cfg.body == "conv":
            norm, projection = cfg.g_condition == "norm", cfg.d_condition == "projection"
            self.G = dcgan.Generator(cfg.shape, cfg.z_dim, cfg.width, n_classes=cfg.n_classes, conditional_norm=norm)
            self.D = dcgan.Discriminator(cfg.shape, cfg.width, n_classes=cfg.n_classes, projection=projection)
        else:
            self.G = dense.Generator(cfg.shape, cfg.z_dim, n_classes=cfg.n_classes)
            self.D = dense.Discriminator(cfg.shape, n_classes=cfg.n_classes)


MODEL = CGAN
