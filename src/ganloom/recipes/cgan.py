"""Conditional GAN. "Conditional Generative Adversarial Nets", Mirza & Osindero 2014, arXiv:1411.1784.

min_G max_D E[log D(x | c)] + E[log(1 - D(G(z | c)))]                                            (eq. 2)
G minimises -E[log D(G(z | c))] instead (the non-saturating form); both losses are computed on logits.

The label is concatenated with z in G and with the image in D. Real images have their own labels. Fakes have labels
drawn evenly over the classes, in the D step and in the G step.

``body="dense"`` joins the label as in the paper, with the layers of common tutorials. ``body="conv"`` does the same with
DCGAN's networks: the label enters D as constant maps next to the image. With "conv" two later methods are available:
``d_condition="projection"``: D(x, c) = w h(x) + e(c) h(x)                (Miyato & Koyama 2018, arXiv:1802.05637, eq. 3)
``g_condition="norm"``: each class has its own gain and bias in G's BatchNorm (Dumoulin et al. 2017, arXiv:1610.07629)

About: Both G and D receive the class label, so you can choose the class of a sample. The loss is that of the first GAN,
computed on pairs of image and label: D also rejects a good image with the wrong label. Use it whenever labels exist:
labels give control, make the task easier and make the samples more varied. Check that samples obey the label (the rows
of the grid) and that samples of one class do not repeat. The paper appeared in 2014, a few months after the first GAN.
Later papers feed in the label by projection and by conditional norms, which are options here.

Departures from the paper: the paper does not say how the labels of fakes are drawn. Here they are even over the
classes, not the data's frequencies; the two are the same for balanced data. For unbalanced data the optimum of G is, in
theory, still p(x | c) for every class, and rare classes get more updates. Adam instead of SGD; no maxout and no dropout;
the default body is "conv".
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
KIMG = 500.0  # default length of a run, thousands of images


@dataclass(frozen=True)
class Config:
    """The paper's idea with DCGAN's hyperparameters."""

    shape: tuple[int, int, int] = (1, 28, 28)
    """Image shape: channels, height, width."""
    n_classes: int = 10
    """Number of classes, taken from labelled data."""
    body: Literal["conv", "dense"] = "conv"
    """Network type: convolutional or fully connected."""
    g_condition: Literal["concat", "norm"] = "concat"
    """How the label enters G: concatenated with z, or by conditional BatchNorm (body conv only)."""
    d_condition: Literal["concat", "projection"] = "concat"
    """How the label enters D: concatenated with the image, or by projection (body conv only)."""
    z_dim: int = 100
    """Length of the latent vector (sec. 4.1)."""
    width: int = 64
    """Channels of the layer next to the image (body conv only)."""
    smallest: int = 4
    """Smallest side of the coarsest grid, in pixels; 3 gives images of 28 px a third doubling, from 4 px on."""
    batch_size: int = 100
    """Real images per batch (sec. 4.1)."""
    ema_kimg: float | None = None
    """Half-life of the EMA of G, in thousands of images (not in the paper). None: 1,000 updates of G."""
    g_opt: Adam = Adam(2e-4, betas=(0.5, 0.999))
    """Optimizer of G."""
    d_opt: Adam = Adam(2e-4, betas=(0.5, 0.999))
    """Optimizer of D."""

    def __post_init__(self) -> None:
        if self.n_classes < 2:
            raise BadInput(
                f"cgan needs data with at least 2 classes, got {self.n_classes}: put the images in one folder per class, "
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
            self.G = dcgan.Generator(
                cfg.shape, cfg.z_dim, cfg.width, n_classes=cfg.n_classes, conditional_norm=norm, smallest=cfg.smallest
            )
            self.D = dcgan.Discriminator(
                cfg.shape, cfg.width, n_classes=cfg.n_classes, projection=projection, smallest=cfg.smallest
            )
        else:
            self.G = dense.Generator(cfg.shape, cfg.z_dim, n_classes=cfg.n_classes)
            self.D = dense.Discriminator(cfg.shape, n_classes=cfg.n_classes)


MODEL = CGAN
