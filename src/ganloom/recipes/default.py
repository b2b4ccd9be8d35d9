"""The GAN for whoever has not chosen one: small, stable, and the best that two CPU cores train in three minutes.

D minimises softplus(-D(x, c)) + softplus(D(G(z, c), c)) + gamma * E[|grad D(x, c)|^2] / 2, G minimises
softplus(-D(G(z, c), c)): the non-saturating loss with a zero-centred penalty at real samples ("Which Training Methods
for GANs do actually Converge?", Mescheder et al. 2018, arXiv:1801.04406, eq. 9), which converges locally where the plain
loss circles. The penalty is taken each ``lazy``-th step with ``lazy`` times the weight (Karras et al. 2019,
arXiv:1912.04958, app. B).

Labelled data are used: a class c enters G as a learned vector beside z, and D has one logit a class, of which c picks
its own (Mescheder et al., app. D). Without labels, or with ``n_classes=0``, c falls away.

Networks: doubling and halving convolutions with LeakyReLU 0.2; BatchNorm in G only, for a penalty is each sample's own;
the mean standard deviation over groups of 4 samples as an extra map near D's end (Karras et al. 2017, arXiv:1710.10196).
The learning rate falls as the inverse of the images seen, so a run may be stopped, or made longer, at any time.

About: The GAN to begin with when no paper is asked for: the plain non-saturating loss, kept stable by one penalty on
D's gradient at real images. Against DCGAN it takes BatchNorm out of D, adds that penalty and a view of the whole
batch, and uses labels where there are any. Choose it for small images, minutes and a CPU; choose sngan, sagan or
biggan for larger images and a GPU. Watch gamma: far too small, D runs away from G and samples repeat; far too large,
D grows blind and samples stay blurred. The penalty is of 2018 and, taken every 16th step, carried StyleGAN2 (2019) and
what followed it.

Departures: this is no paper's model. The numbers were chosen on Fashion-MNIST at 28 px for coverage after 300 seconds of
one core; gamma grows with the number of pixels as StyleGAN2-ADA's rule has it (arXiv:2006.06676, app. C).
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ganloom import penalties
from ganloom.core.config import check_classes
from ganloom.core.errors import BadInput
from ganloom.gan import Adam, Batch, Phase, Terms, inverse
from ganloom.losses import nonsaturating
from ganloom.nn.layers import DownsampleConv, MinibatchStddev, UpsampleConv, crop, one_hot, plan_sizes
from ganloom.recipes.base.adversarial import Adversarial

TITLE = "Small modern GAN: non-saturating, R1"
PAPER = "Mescheder et al. 2018, arXiv:1801.04406"
DATA = "any small images"
KIMG = 100.0  # the length of a run that does not say its own, thousands of images


@dataclass(frozen=True)
class Config:
    """Tuned here; see the module's docstring."""

    shape: tuple[int, int, int] = (3, 64, 64)
    """Channels, height, width."""
    n_classes: int = 0
    """Classes; taken from labelled data, 0 trains without labels."""
    z_dim: int = 64
    """Numbers in a latent."""
    c_dim: int = 32
    """Numbers in the learned vector of a class."""
    width: int = 24
    """Channels next to the image; doubled at each halving, at most 8 times."""
    batch_size: int = 32
    """Real images a batch."""
    gamma: float | None = None
    """Weight of the R1 penalty; none: 0.3 x height x width / 784."""
    lazy: int = 16
    """The penalty is taken each so many steps."""
    ema_kimg: float = 5.0
    """Half-life of G's average, thousands of images."""
    g_opt: Adam = Adam(1.5e-3, betas=(0.0, 0.99), schedule=inverse(40.0))
    """Optimizer of G."""
    d_opt: Adam = Adam(1.5e-3, betas=(0.0, 0.99), schedule=inverse(40.0))
    """Optimizer of D."""

    def __post_init__(self) -> None:
        if self.gamma is not None and self.gamma < 0:
            raise BadInput(f"--gamma must not be negative, got {self.gamma}")
        check_classes(self)


def _channels(cfg: Config, doublings: int) -> list[int]:
    """Channels from the image's side to the base."""
    return [cfg.width * min(2**i, 8) for i in range(doublings + 1)]


class Generator(nn.Module):
    """z (N, z_dim), c (N,) -> (N, C, H, W) in [-1, 1]."""

    channels_last = True
    bf16 = True

    def __init__(self, cfg: Config) -> None:
        super().__init__()
        self.shape = cfg.shape
        base_h, base_w, doublings = plan_sizes(*cfg.shape[1:])
        channels = _channels(cfg, doublings)[::-1]
        self.base = (channels[0], base_h, base_w)
        self.n_classes = cfg.n_classes
        self.project = nn.Linear(cfg.z_dim + (cfg.c_dim if cfg.n_classes else 0), channels[0] * base_h * base_w)
        if cfg.n_classes:
            self.classes = nn.Linear(cfg.n_classes, cfg.c_dim, bias=False)
            nn.init.normal_(self.classes.weight)
        layers: list[nn.Module] = []
        for inputs, outputs in zip(channels, channels[1:], strict=False):
            layers += [nn.BatchNorm2d(inputs), nn.LeakyReLU(0.2), UpsampleConv(inputs, outputs, bias=False)]
        self.body = nn.Sequential(*layers)
        self.out = nn.Sequential(
            nn.BatchNorm2d(channels[-1]), nn.LeakyReLU(0.2), nn.Conv2d(channels[-1], cfg.shape[0], 3, padding=1)
        )

    def forward(self, z: Tensor, c: Tensor | None = None) -> Tensor:
        """z (N, z_dim) and labels (N,) to images (N, C, H, W) in [-1, 1]."""
        if self.n_classes:
            assert c is not None
            z = torch.cat([z, self.classes(one_hot(c, self.n_classes))], 1)
        x = self.project(z).unflatten(1, self.base).contiguous(memory_format=torch.channels_last)
        return crop(self.out(self.body(x)), *self.shape[1:]).tanh()


class Discriminator(nn.Module):
    """x (N, C, H, W), c (N,) -> logits (N,)."""

    channels_last = True
    bf16 = True

    def __init__(self, cfg: Config) -> None:
        super().__init__()
        _, _, doublings = plan_sizes(*cfg.shape[1:])
        channels = _channels(cfg, doublings)
        layers: list[nn.Module] = [nn.Conv2d(cfg.shape[0], channels[0], 3, padding=1)]
        h, w = cfg.shape[1:]
        for inputs, outputs in zip(channels, channels[1:], strict=False):
            layers += [nn.LeakyReLU(0.2), DownsampleConv(inputs, outputs)]
            h, w = h // 2, w // 2
        last = channels[-1]
        self.body = nn.Sequential(*layers, nn.LeakyReLU(0.2), MinibatchStddev(4))
        self.end = nn.Sequential(nn.Conv2d(last + 1, last, 3, padding=1), nn.LeakyReLU(0.2))
        self.n_classes = cfg.n_classes
        self.out = nn.Linear(last * h * w, max(cfg.n_classes, 1))

    def forward(self, x: Tensor, c: Tensor | None = None) -> Tensor:
        """Images (N, C, H, W) and labels (N,) to logits (N,)."""
        # Channels last in the vector too: it costs no copy, and the gradient comes back in the layers' own layout.
        features = self.end(self.body(x)).permute(0, 2, 3, 1).flatten(1)
        logits: Tensor = self.out(features)
        if self.n_classes:
            assert c is not None
            return (logits * one_hot(c, self.n_classes).to(logits.dtype)).sum(1)
        return logits.flatten()


class Default(Adversarial):
    """The newcomer's GAN."""

    splits_by = None  # BatchNorm in G, standard deviations over samples in D
    loss = nonsaturating

    def __init__(self, cfg: Config) -> None:
        super().__init__(cfg)
        self.G, self.D = Generator(cfg), Discriminator(cfg)
        pixels = cfg.shape[1] * cfg.shape[2]
        self.gamma = 0.3 * pixels / 784 if cfg.gamma is None else cfg.gamma

    def phases(self) -> list[Phase]:
        reg = [Phase("D", self.d_reg, lazy=self.cfg.lazy)] if self.gamma else []
        return [Phase("D", self.d_loss), *reg, Phase("G", self.g_loss)]

    def labels(self, n: int, batch: Batch) -> Tensor | None:
        """The batch's own."""
        return batch.c

    def d_reg(self, batch: Batch) -> Terms:
        return {"r1": self.gamma * penalties.r1(self.critic(batch.c), batch.x)}


MODEL = Default
