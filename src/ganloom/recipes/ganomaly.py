"""GANomaly. "GANomaly: Semi-Supervised Anomaly Detection via Adversarial Training", Akcay et al. 2018, arXiv:1805.06725.

G is an autoencoder with a second encoder: z = G_E(x), x' = G_D(z), z' = E(x')                               (sec. 3.2)
G minimises w_adv * |f(x) - f(x')|^2 + w_con * |x - x'|_1 + w_enc * |z - z'|^2, f the features of D         (eq. 1 to 4)
D minimises the cross-entropy that tells x from x'
The anomaly score of an image is A(x) = |z - z'|, here its mean square as in the authors' program               (eq. 5)

Scores: ``ganomaly`` is A; ``ganomaly-residual`` is the mean of (x - x')^2, ``ganomaly-features`` that of (f(x) - f(x'))^2.

About: An autoencoder learns to reproduce normal images, and a second encoder learns to encode the copies as the originals; an
image whose copy has another code is unusual. The discriminator's features keep the copies sharp. Use it when you want a
detector that needs one pass and one training. Watch the score of the authors, the distance of the codes: it depends on the
scale of the codes, so the errors of images and features are given beside it. It was published in 2018 and is still a common
reference in benchmarks of industrial defects, where k nearest neighbours on features are far better.

Departures from the paper: sizes that are not multiples of 16; for points, dense networks. Terms are means over values.
G_D, the decoder, is the ``G`` that ``generate`` draws from, with normal latents.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from ganloom.core.errors import BadInput
from ganloom.gan import Adam, Batch, Phase, Terms
from ganloom.losses import nonsaturating
from ganloom.networks import one_class
from ganloom.networks.one_class import Discriminator, Encoder, mean_square
from ganloom.recipes.base.one_class import OneClass

TITLE = "GANomaly: anomalies by the code of a reconstruction"
PAPER = "Akcay et al. 2018, arXiv:1805.06725"
DATA = "MNIST, CIFAR-10, X-ray images of baggage"
KIMG = 900.0  # default length of a run, thousands of images: 15 epochs of 60,000


@dataclass(frozen=True)
class Config:
    """The paper's hyperparameters (sec. 4)."""

    shape: tuple[int, ...] = (3, 32, 32)
    """Image shape: channels, height, width; or the dimension of points."""
    z_dim: int = 100
    """Length of the latent vector."""
    width: int = 64
    """Channels of the layers next to the image."""
    multiple: int = 8
    """Most channels of D and the encoders, as a multiple of the width."""
    adversarial: float = 1.0
    """Weight of the distance of D's features (w_adv)."""
    contextual: float = 50.0
    """Weight of the absolute difference of the images (w_con)."""
    encoding: float = 1.0
    """Weight of the distance of the codes (w_enc)."""
    batch_size: int = 64
    """Real images per batch."""
    ema_kimg: float = 1.0
    """Half-life of the EMA of the autoencoder, in thousands of images (not in the paper)."""
    g_opt: Adam = Adam(2e-3, betas=(0.5, 0.999))
    """Optimizer of the autoencoder and the second encoder."""
    d_opt: Adam = Adam(2e-3, betas=(0.5, 0.999))
    """Optimizer of D."""

    def __post_init__(self) -> None:
        if min(self.adversarial, self.contextual, self.encoding) < 0:
            raise BadInput("--adversarial, --contextual and --encoding must not be negative")


class GANomaly(OneClass):
    """An autoencoder with a second encoder, and a discriminator."""

    averaged = ("G", "E", "E2")
    splits_by = None  # BatchNorm
    score_names = ("ganomaly", "ganomaly-residual", "ganomaly-features")

    def __init__(self, cfg: Config) -> None:
        super().__init__(cfg)
        self.E = Encoder(cfg.shape, cfg.z_dim, cfg.width, multiple=cfg.multiple)
        self.G = one_class.generator(cfg.shape, cfg.z_dim, cfg.width)
        self.E2 = Encoder(cfg.shape, cfg.z_dim, cfg.width, multiple=cfg.multiple)
        self.D = Discriminator(cfg.shape, cfg.width, multiple=cfg.multiple, norm=True)

    def phases(self) -> list[Phase]:
        return [Phase("D", self.d_loss), Phase("G E E2", self.g_loss)]

    def d_loss(self, batch: Batch) -> Terms:
        with torch.no_grad():
            fake = self.generated(self.E(batch.x))
        return self.d_adversarial(nonsaturating, self.discriminate(batch.x), self.discriminate(fake))

    def g_loss(self, batch: Batch) -> Terms:
        z = self.E(batch.x)
        fake = self.generated(z)
        with torch.no_grad():
            real_features = self.discriminate(batch.x, features=True).output[1]
        features = self.discriminate(fake, features=True).output[1]
        return {
            "features": self.cfg.adversarial * mean_square(features, real_features).mean(),
            "l1": self.cfg.contextual * (fake.x - batch.x).abs().mean(),
            "codes": self.cfg.encoding * mean_square(self.E2(fake.x), z).mean(),
        }

    def scores_of(self, x: Tensor) -> dict[str, Tensor]:
        z = self.E(x)
        rebuilt = self.G(z)
        features = [self.D(images, features=True)[1] for images in (x, rebuilt)]
        values = mean_square(self.E2(rebuilt), z), mean_square(x, rebuilt), mean_square(*features)
        return dict(zip(self.score_names, values, strict=True))

    def rebuilt(self, x: Tensor) -> Tensor:
        out: Tensor = self.G(self.E(x))
        return out


MODEL = GANomaly
