"""The default GAN: small, stable, and the best that we found for three minutes on two CPU cores.

D minimises softplus(-D(x, c)) + softplus(D(G(z, c), c)) + gamma * E[|grad D(x, c)|^2] / 2, G minimises
softplus(-D(G(z, c), c)): the non-saturating loss with a zero-centred gradient penalty on real samples ("Which Training
Methods for GANs do actually Converge?", Mescheder et al. 2018, arXiv:1801.04406, eq. 9). With the penalty training
converges locally; without it, it circles. The penalty is computed every ``lazy``-th step with ``lazy`` times the weight
(Karras et al. 2019, arXiv:1912.04958, app. B).

Labels are used if the data have them: a class c enters G as a learned vector together with z, and D has one logit per
class, of which c selects one (Mescheder et al., app. D). Without labels, or with ``n_classes=0``, there is no c.

Networks: up- and downsampling convolutions with LeakyReLU 0.2. BatchNorm in G only, because the penalty is a property of
each single sample. The mean standard deviation over groups of 4 samples is an extra map near the end of D (Karras et al.
2017, arXiv:1710.10196). The learning rate falls as the inverse of the images shown, so a run can be stopped or extended at
any time.

About: Start with this GAN if you do not need a particular paper. It uses the plain non-saturating loss, stabilised by one
penalty on D's gradient at real images. Compared with DCGAN it removes BatchNorm from D, adds that penalty and the
minibatch standard deviation, and uses labels if there are any. Use it for small images, short runs and CPUs; use sngan,
sagan or biggan for larger images and a GPU. Watch gamma: if it is far too small, D overpowers G and samples repeat; if it
is far too large, D learns little and samples stay blurred. The penalty was published in 2018; computed every 16th step, it
was used in StyleGAN2 (2019) and its successors.

Departures: this model is not from a paper. Its hyperparameters were tuned on Fashion-MNIST at 28 px for coverage after 300
seconds on one core; gamma grows with the number of pixels as in StyleGAN2-ADA's rule (arXiv:2006.06676, app. C).
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ganloom import penalties
from ganloom.core.config import check_classes
from ganloom.core.errors import BadInput
from ganloom.gan import Adam, Batch, Phase, Terms, inverse
from ganloom.losses import nonsaturating
from ganloom.nn import initial_weights
from ganloom.nn.layers import DownsampleConv, MinibatchStddev, UpsampleConv, crop, one_hot, plan_sizes
from ganloom.recipes.base.adversarial import Adversarial

TITLE = "Small modern GAN: non-saturating, R1"
PAPER = "Mescheder et al. 2018, arXiv:1801.04406"
DATA = "any small images"
KIMG = 100.0  # default length of a run, thousands of images


@dataclass(frozen=True)
class Config:
    """Hyperparameters tuned for this project; see the module docstring."""

    shape: tuple[int, int, int] = (3, 64, 64)
    """Image shape: channels, height, width."""
    n_classes: int = 0
    """Number of classes, taken from labelled data; 0 trains without labels."""
    z_dim: int = 64
    """Length of the latent vector."""
    c_dim: int = 32
    """Length of the learned class vector."""
    width: int = 24
    """Channels of the layer next to the image; doubled at each downsampling, at most 8 times."""
    batch_size: int = 32
    """Real images per batch."""
    gamma: float | None = None
    """Weight of the R1 penalty; None: 0.3 x height x width / 784."""
    lazy: int = 16
    """Compute the penalty every this many steps, with that many times the weight."""
    ema_kimg: float | None = None
    """Half-life of the EMA of G, in thousands of images. None: 1,000 updates of G."""
    g_opt: Adam = Adam(1.5e-3, betas=(0.0, 0.99), schedule=inverse(40.0))
    """Optimizer of G."""
    d_opt: Adam = Adam(1.5e-3, betas=(0.0, 0.99), schedule=inverse(40.0))
    """Optimizer of D."""

    def __post_init__(self) -> None:
        if self.gamma is not None and self.gamma < 0:
            raise BadInput(f"--gamma must not be negative, got {self.gamma}")
        check_classes(self)


def _channels(cfg: Config, doublings: int) -> list[int]:
    """Return the channels from the image to the base."""
    return [cfg.width * min(2**i, 8) for i in range(doublings + 1)]


class Generator(nn.Module):
    """Map z (N, z_dim) and labels c (N,) to images (N, C, H, W) in [-1, 1]."""

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
            initial_weights.normal(self.classes.weight)
        layers: list[nn.Module] = []
        for inputs, outputs in zip(channels, channels[1:], strict=False):
            layers += [nn.BatchNorm2d(inputs), nn.LeakyReLU(0.2), UpsampleConv(inputs, outputs, bias=False)]
        self.body = nn.Sequential(*layers)
        self.out = nn.Sequential(
            nn.BatchNorm2d(channels[-1]), nn.LeakyReLU(0.2), nn.Conv2d(channels[-1], cfg.shape[0], 3, padding=1)
        )

    def forward(self, z: Tensor, c: Tensor | None = None) -> Tensor:
        """Map z (N, z_dim) and labels (N,) to images (N, C, H, W) in [-1, 1]."""
        if self.n_classes:
            assert c is not None
            z = torch.cat([z, self.classes(one_hot(c, self.n_classes))], 1)
        x = self.project(z).unflatten(1, self.base).contiguous(memory_format=torch.channels_last)
        return crop(self.out(self.body(x)), *self.shape[1:]).tanh()


class Discriminator(nn.Module):
    """Map images x (N, C, H, W) and labels c (N,) to logits (N,)."""

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
        """Map images (N, C, H, W) and labels (N,) to logits (N,)."""
        # Flatten in channels-last order: this needs no copy, and the gradient keeps the layout of the layers.
        features = self.end(self.body(x)).permute(0, 2, 3, 1).flatten(1)
        logits: Tensor = self.out(features)
        if self.n_classes:
            assert c is not None
            return (logits * one_hot(c, self.n_classes).to(logits.dtype)).sum(1)
        return logits.flatten()


class Default(Adversarial):
    """The default GAN."""

    splits_by = None  # BatchNorm in G, minibatch standard deviation in D
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
        """Return the labels of the batch."""
        return batch.c

    def d_reg(self, batch: Batch) -> Terms:
        return {"r1": self.gamma * penalties.r1(self.critic(batch.c), batch.x)}


MODEL = Default
