"""AnoGAN. "Unsupervised Anomaly Detection with Generative Adversarial Networks to Guide Marker Discovery", Schlegl et al. 2017,
arXiv:1703.05921.

G and D are DCGAN's and learn normal images. For an image x, a latent z is found by steps of gradient descent on
L(z) = (1 - lam) * sum |x - G(z)| + lam * sum |f(x) - f(G(z))|, f the features of D                        (eq. 2, 4 and 5)
and the anomaly score is A(x) = L(z) after the last step                                                          (eq. 6)

Scores: ``anogan`` is A, ``anogan-residual`` the first sum, ``anogan-features`` the second.

About: The first anomaly detector that is a GAN: what the generator cannot make, however the latent is chosen, is unusual. It
needs no encoder, and therefore hundreds of passes through G and D for each image. Use it for reference only; f-anogan
needs one pass. Watch the number of steps: with too few, normal images have high scores too. It was published in 2017 and
started the field.

Departures from the paper: for points, dense networks. The learning rate of the search is not in the paper; 0.01 is used. The
latents start from fixed random numbers, so a score is always the same.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from ganloom.core.errors import BadInput
from ganloom.core.randomness import key
from ganloom.gan import Adam, Phase
from ganloom.losses import nonsaturating
from ganloom.networks import one_class
from ganloom.networks.one_class import Discriminator
from ganloom.recipes.base.adversarial import Adversarial
from ganloom.recipes.base.one_class import OneClass

TITLE = "AnoGAN: anomalies by a search for the latent"
PAPER = "Schlegl et al. 2017, arXiv:1703.05921"
DATA = "optical coherence tomography, 64 px patches"
KIMG = 20000.0  # default length of a run, thousands of images: 20 epochs of a million patches


@dataclass(frozen=True)
class Config:
    """The paper's hyperparameters (sec. 3)."""

    shape: tuple[int, ...] = (1, 64, 64)
    """Image shape: channels, height, width; or the dimension of points."""
    z_dim: int = 100
    """Length of the latent vector."""
    width: int = 64
    """Channels of the layers next to the image."""
    multiple: int = 8
    """Most channels of D, as a multiple of the width."""
    steps: int = 500
    """Steps of the search for the latent of an image (sec. 3)."""
    search_lr: float = 0.01
    """Learning rate of the search, by Adam (not in the paper)."""
    lam: float = 0.1
    """Weight of D's features in the search and in the score (lambda)."""
    batch_size: int = 64
    """Real images per batch."""
    ema_kimg: float = 1.0
    """Half-life of the EMA of G, in thousands of images (not in the paper)."""
    g_opt: Adam = Adam(2e-4, betas=(0.5, 0.999))
    """Optimizer of G (DCGAN's)."""
    d_opt: Adam = Adam(2e-4, betas=(0.5, 0.999))
    """Optimizer of D (DCGAN's)."""

    def __post_init__(self) -> None:
        if not 0 <= self.lam <= 1:
            raise BadInput(f"--lam must be in 0..1, got {self.lam}")
        if self.steps < 1 or self.search_lr <= 0:
            raise BadInput(f"--steps must be at least 1 and --search-lr above 0, got {self.steps} and {self.search_lr}")


class AnoGAN(OneClass, Adversarial):
    """DCGAN, and a search for latents."""

    splits_by = None  # BatchNorm
    score_names = ("anogan", "anogan-residual", "anogan-features")
    needs_gradients = True
    loss = nonsaturating

    def __init__(self, cfg: Config) -> None:
        super().__init__(cfg)
        self.G = one_class.generator(cfg.shape, cfg.z_dim, cfg.width)
        self.D = Discriminator(cfg.shape, cfg.width, multiple=cfg.multiple, norm=True)

    def phases(self) -> list[Phase]:
        return [Phase("D", self.d_loss), Phase("G", self.g_loss)]

    def search(self, x: Tensor) -> Tensor:
        """Return the latents (N, z_dim) whose samples are most similar to x (N, *shape)."""
        generator = torch.Generator().manual_seed(key("anogan", "search"))
        start = torch.randn(1, self.cfg.z_dim, generator=generator).to(x.device)
        z = start.repeat(len(x), 1).requires_grad_(True)
        adam = torch.optim.Adam([z], self.cfg.search_lr)
        with torch.no_grad():
            features = self.D(x, features=True)[1]
        for _ in range(self.cfg.steps):
            loss = self._losses(x, features, self.G(z))[0].sum()
            (z.grad,) = torch.autograd.grad(loss, z)
            adam.step()
        return z.detach()

    def _losses(self, x: Tensor, features: Tensor, made: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return L and its two sums, (N,) each."""
        residual = (x - made).abs().flatten(1).sum(1)
        feature = (features - self.D(made, features=True)[1]).abs().sum(1)
        return (1 - self.cfg.lam) * residual + self.cfg.lam * feature, residual, feature

    def scores_of(self, x: Tensor) -> dict[str, Tensor]:
        z = self.search(x)
        with torch.no_grad():
            values = self._losses(x, self.D(x, features=True)[1], self.G(z))
        return dict(zip(self.score_names, values, strict=True))

    def rebuilt(self, x: Tensor) -> Tensor:
        z = self.search(x)
        with torch.no_grad():
            out: Tensor = self.G(z)
        return out


MODEL = AnoGAN
