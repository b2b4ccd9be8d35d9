"""SS-GAN as an anomaly detector. "Self-Supervised GANs via Auxiliary Rotation Loss", Chen et al. 2018, arXiv:1811.11212.

D has a second head Q that tells by how much an image was turned, r in 0, 90, 180, 270 degrees:
D minimises its adversarial loss - d_weight * E[log Q(r | x turned by r)] on reals                             (eq. 3)
G minimises its adversarial loss - g_weight * E[log Q(r | G(z) turned by r)]                                   (eq. 2)

Scores: ``rotations`` is -sum over r of log Q(r | x turned by r), as in "Deep Anomaly Detection Using Geometric
Transformations", Golan & El-Yaniv 2018, arXiv:1805.10917 (sec. 4). D's features below its heads are used by
``ganloom.anomaly`` for k nearest neighbours (``d-features``).

About: D solves a second task, telling rotations apart, which keeps it learning when the fakes are good; that task alone finds
out what normal images look like. An image whose rotation D cannot tell is unlike those it has seen. Use it as an anomaly
detector for things that have an upright position. Watch the term ``turns``: if it stays near log 4 on real images, they look
the same from all sides, and the score is worthless; the features still work. The loss was published in 2018 for images
without labels, and rotations have been among the best self-supervised scores since.

Departures from the paper: DCGAN's networks instead of residual ones with spectral norm, and R1 (``gamma``) if it is above 0;
all reals of a batch are turned, each by one r, instead of a quarter of them by each. Images that are not square are mirrored
in both axes instead of turned by a quarter. Points are multiplied by fixed random rotations ("Classification-Based Anomaly
Detection for General Data", Bergman & Hoshen 2020, arXiv:2005.02359).
"""

from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from ganloom import penalties
from ganloom.core import randomness
from ganloom.core.errors import BadInput
from ganloom.gan import Adam, Batch, Phase, Terms
from ganloom.losses import LOSSES
from ganloom.networks import one_class
from ganloom.networks.one_class import Discriminator
from ganloom.recipes.base.one_class import OneClass

TITLE = "SS-GAN: D also tells rotations apart; anomalies by D's features"
PAPER = "Chen et al. 2018, arXiv:1811.11212"
DATA = "CIFAR-10"
KIMG = 6400.0  # default length of a run, thousands of images: 100,000 steps
TURNS = 4


@dataclass(frozen=True)
class Config:
    """The paper's hyperparameters for CIFAR-10 (sec. 4)."""

    shape: tuple[int, ...] = (3, 32, 32)
    """Image shape: channels, height, width; or the dimension of points."""
    z_dim: int = 128
    """Length of the latent vector."""
    width: int = 64
    """Channels of the layers next to the image."""
    multiple: int = 8
    """Most channels of D, as a multiple of the width."""
    loss: Literal["hinge", "nonsaturating"] = "hinge"
    """Adversarial loss."""
    d_weight: float = 1.0
    """Weight of the rotation loss of reals, in D's loss (beta)."""
    g_weight: float = 0.2
    """Weight of the rotation loss of fakes, in G's loss (alpha)."""
    gamma: float = 0.0
    """Weight of R1 (not in the paper); 0: off."""
    lazy: int = 8
    """Compute R1 every this many steps, with that many times the weight."""
    batch_size: int = 64
    """Real images per batch."""
    ema_kimg: float = 5.0
    """Half-life of the EMA of G, in thousands of images (not in the paper)."""
    g_opt: Adam = Adam(2e-4, betas=(0.0, 0.9))
    """Optimizer of G."""
    d_opt: Adam = Adam(2e-4, betas=(0.0, 0.9))
    """Optimizer of D."""

    def __post_init__(self) -> None:
        if min(self.d_weight, self.g_weight, self.gamma) < 0 or self.lazy < 1:
            raise BadInput("--d-weight, --g-weight and --gamma must not be negative, and --lazy at least 1")


class SSGAN(OneClass):
    """A GAN whose D also tells rotations apart."""

    splits_by = None  # BatchNorm in G
    score_names = ("rotations",)
    axes: Tensor

    def __init__(self, cfg: Config) -> None:
        super().__init__(cfg)
        self.G = one_class.generator(cfg.shape, cfg.z_dim, cfg.width)
        self.D = Discriminator(cfg.shape, cfg.width, multiple=cfg.multiple, turns=TURNS)
        if len(cfg.shape) == 1:
            square = torch.randn(TURNS, cfg.shape[0], cfg.shape[0])
            self.register_buffer("axes", torch.linalg.qr(square)[0])

    def phases(self) -> list[Phase]:
        phases = [Phase("D", self.d_loss), Phase("G", self.g_loss)]
        return [*phases, Phase("D", self.r1_loss, lazy=self.cfg.lazy)] if self.cfg.gamma else phases

    # ---- rotations
    def turned(self, x: Tensor, r: int) -> Tensor:
        """Turn samples (N, *shape) by the transformation r."""
        if x.dim() == 2:
            return x @ self.axes[r].to(x)
        if x.shape[2] == x.shape[3]:
            return x.rot90(r, (2, 3))
        return x.flip([axis for axis, bit in ((2, 1), (3, 2)) if r & bit])

    def _each_turned(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Turn each sample by its own random transformation; return them and r (N,)."""
        r = randomness.randint(TURNS, len(x), device=x.device)
        every = torch.stack([self.turned(x, i) for i in range(TURNS)], 1)
        return every[torch.arange(len(x), device=x.device), r], r

    def turn_loss(self, x: Tensor) -> Tensor:
        """Return the cross-entropy of D's second head on samples (N, *shape)."""
        turned, r = self._each_turned(x)
        return F.cross_entropy(self.discriminate(turned, turns=True).output[1].float(), r)

    # ---- losses
    def d_loss(self, batch: Batch) -> Terms:
        with torch.no_grad():
            fake = self.generated(self.z(len(batch.x)))
        loss = LOSSES[self.cfg.loss]
        terms = self.d_adversarial(loss, self.discriminate(batch.x), self.discriminate(fake))
        return terms | {"turns": self.cfg.d_weight * self.turn_loss(batch.x)}

    def r1_loss(self, batch: Batch) -> Terms:
        return {"r1": self.cfg.gamma * penalties.r1(self.critic(), batch.x)}

    def g_loss(self, batch: Batch) -> Terms:
        fake = self.generated(self.z(len(batch.x)))
        terms = self.g_adversarial(LOSSES[self.cfg.loss], self.discriminate(fake), reals=(batch.x,))
        return terms | ({"turns": self.cfg.g_weight * self.turn_loss(fake.x)} if self.cfg.g_weight else {})

    def scores_of(self, x: Tensor) -> dict[str, Tensor]:
        score = x.new_zeros(len(x))
        for r in range(TURNS):
            score = score - self.D(self.turned(x, r), turns=True)[1].log_softmax(1)[:, r]
        return {"rotations": score}


MODEL = SSGAN
