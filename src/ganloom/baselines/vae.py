"""VAE. "Auto-Encoding Variational Bayes", Kingma & Welling 2013, arXiv:1312.6114.

The encoder E gives q(z | x) = N(mu, diag sigma^2), the decoder G gives p(x | z), and both minimise the negative evidence
lower bound -E_q[log p(x | z)] + KL(q(z | x) || N(0, I))                                                          (eq. 3)
with z = mu + sigma * noise (eq. 10) and KL = (mu^2 + sigma^2 - 1 - log sigma^2) / 2 summed over z (app. B).

p(x | z) is a logistic distribution around the decoder's image, discretised to the 256 levels of a value, with one learned
scale per channel. Learning the scale balances the two terms ("Simple and Effective VAE Training with Calibrated Decoders",
Rybkin et al. 2020, arXiv:2006.13202). Because the masses of the levels sum to 1, the bound is one on the bits of the data's
own 8-bit values, and can be compared with other models of these.

About: The VAE is one of the oldest deep generative models still in use: an encoder, a decoder, one loss that falls
steadily, and a bound on the likelihood. It does not suffer from mode collapse and covers its data, but its samples are
blurred, because the decoder returns an average of all images that fit a latent. Use it as a baseline when the question is why
not a VAE. Watch the KL term: near zero, the decoder ignores z. Since 2013 it has become the first stage of most latent
models.

Departures from the paper: convolutions instead of dense layers; the discretised logistic instead of Bernoulli or Gaussian;
labels, if the data have them, enter both networks; ``sample`` returns the decoder's image and not a draw from the logistic
around it, which would add grey noise: the bits are those of the model with that noise.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ganloom.baselines.likelihood import bits, check_levels, discretised_logistic
from ganloom.core.config import check_classes
from ganloom.gan import GAN, Adam, Batch, Phase, Terms, inverse
from ganloom.nn import initial_weights
from ganloom.nn.layers import DownsampleConv, UpsampleConv, crop, one_hot, plan_sizes

TITLE = "Variational autoencoder"
PAPER = "Kingma & Welling 2013, arXiv:1312.6114"
DATA = "any small images"
KIMG = 300.0  # default length of a run, thousands of images


@dataclass(frozen=True)
class Config:
    """Hyperparameters tuned for this project; see the module docstring."""

    shape: tuple[int, int, int] = (3, 32, 32)
    """Image shape: channels, height, width."""
    n_classes: int = 0
    """Number of classes, taken from labelled data; 0 trains without labels."""
    z_dim: int = 16
    """Length of the latent vector."""
    c_dim: int = 32
    """Length of the learned class vector."""
    width: int = 32
    """Channels of the layer next to the image; doubled at each downsampling, at most 8 times."""
    levels: int = 256
    """Number of values of a pixel in the likelihood, 2 to 256."""
    batch_size: int = 32
    """Real images per batch."""
    ema_kimg: float = 5.0
    """Half-life of the EMA of both networks, in thousands of images."""
    g_opt: Adam = Adam(1e-3, betas=(0.9, 0.99), clip=5.0, schedule=inverse(60.0))
    """Optimizer of both networks."""

    def __post_init__(self) -> None:
        check_classes(self)
        check_levels(self.levels)


class ClassVector(nn.Module):
    """Append the learned vector of the class to rows (N, d): (N, d + size); ``size`` is 0 without classes."""

    def __init__(self, cfg: Config) -> None:
        super().__init__()
        self.n_classes, self.size = cfg.n_classes, cfg.c_dim if cfg.n_classes else 0
        if cfg.n_classes:
            self.vectors = nn.Linear(cfg.n_classes, cfg.c_dim, bias=False)
            initial_weights.normal(self.vectors.weight)

    def forward(self, x: Tensor, c: Tensor | None) -> Tensor:
        """Map rows (N, d) and labels (N,) to (N, d + size)."""
        if not self.n_classes:
            return x
        assert c is not None
        return torch.cat([x, self.vectors(one_hot(c, self.n_classes))], 1)


class Encoder(nn.Module):
    """Map images x (N, C, H, W) and labels c (N,) to mean and log variance of q(z | x), both (N, z_dim)."""

    channels_last = True

    def __init__(self, cfg: Config) -> None:
        super().__init__()
        _, _, doublings = plan_sizes(*cfg.shape[1:])
        channels = _channels(cfg, doublings)
        h, w = cfg.shape[1:]
        layers: list[nn.Module] = [nn.Conv2d(cfg.shape[0], channels[0], 3, padding=1)]
        for inputs, outputs in zip(channels, channels[1:], strict=False):
            layers += [nn.LeakyReLU(0.2), DownsampleConv(inputs, outputs)]
            h, w = h // 2, w // 2
        self.body = nn.Sequential(*layers, nn.LeakyReLU(0.2))
        self.classes = ClassVector(cfg)
        self.out = nn.Linear(channels[-1] * h * w + self.classes.size, 2 * cfg.z_dim)

    def forward(self, x: Tensor, c: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Map images (N, C, H, W) and labels (N,) to (mean, log variance), both (N, z_dim)."""
        mean, log_variance = self.out(self.classes(self.body(x).flatten(1), c)).chunk(2, 1)
        return mean, log_variance


class Decoder(nn.Module):
    """Map z (N, z_dim) and labels c (N,) to the mean of p(x | z), (N, C, H, W); ``log_scale`` (C, 1, 1) is its log scale."""

    channels_last = True

    def __init__(self, cfg: Config) -> None:
        super().__init__()
        self.shape = cfg.shape
        base_h, base_w, doublings = plan_sizes(*cfg.shape[1:])
        channels = _channels(cfg, doublings)[::-1]
        self.base = (channels[0], base_h, base_w)
        self.classes = ClassVector(cfg)
        self.project = nn.Linear(cfg.z_dim + self.classes.size, channels[0] * base_h * base_w)
        layers: list[nn.Module] = [nn.LeakyReLU(0.2)]
        for inputs, outputs in zip(channels, channels[1:], strict=False):
            layers += [UpsampleConv(inputs, outputs), nn.LeakyReLU(0.2)]
        self.body = nn.Sequential(*layers, nn.Conv2d(channels[-1], cfg.shape[0], 3, padding=1))
        self.log_scale = nn.Parameter(torch.full((cfg.shape[0], 1, 1), -2.0))

    def forward(self, z: Tensor, c: Tensor | None = None) -> Tensor:
        """Map latents (N, z_dim) and labels (N,) to unbounded images (N, C, H, W)."""
        x = self.project(self.classes(z, c)).unflatten(1, self.base)
        return crop(self.body(x.contiguous(memory_format=torch.channels_last)), *self.shape[1:])


class VAE(GAN):
    """Variational autoencoder: encoder E, decoder G."""

    averaged = ("G", "E")
    likelihood = "at most (a bound)"

    def __init__(self, cfg: Config) -> None:
        super().__init__(cfg)
        self.E, self.G = Encoder(cfg), Decoder(cfg)

    def phases(self) -> list[Phase]:
        return [Phase("G E", self.loss)]

    def loss(self, batch: Batch) -> Terms:
        """Return the bound in bits per dimension, and its two parts for logging."""
        misfit, kl = self.parts(batch.x, batch.c)
        return {
            "loss": (misfit + kl).mean(),
            "misfit": misfit.detach().mean(),
            "kl": kl.detach().mean(),
            "log_scale": self.G.log_scale.detach().mean(),
        }

    def parts(self, x: Tensor, c: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Return -log p(x | z) at one z ~ q(z | x), and the KL term, both in bits per dimension, (N,)."""
        c = c if self.cfg.n_classes else None
        mean, log_variance = self.E(x, c)
        z = mean + (log_variance / 2).exp() * self.randn(*mean.shape)
        kl = (mean.square() + log_variance.exp() - 1 - log_variance).sum(1) / 2
        log_p = discretised_logistic(x, self.G(z, c), self.G.log_scale, self.cfg.levels).flatten(1).sum(1)
        dims = x[0].numel()
        return bits(-log_p, dims), bits(kl, dims)

    @torch.no_grad()
    def bits_per_dim(self, x: Tensor, c: Tensor | None = None) -> Tensor:
        """Return an upper bound, in expectation, on the bits per dimension of images on ``levels`` levels, (N,)."""
        misfit, kl = self.parts(x, c)
        return misfit + kl

    def sample(self, z: Tensor, c: Tensor | None = None) -> Tensor:
        """Map latents (N, z_dim) and labels (N,) to the decoder's images (N, C, H, W), clipped to [-1, 1]."""
        x: Tensor = self.G(z, c)
        return x.clamp(-1, 1)


def _channels(cfg: Config, doublings: int) -> list[int]:
    """Return the channels from the image to the base."""
    return [cfg.width * min(2**i, 8) for i in range(doublings + 1)]


MODEL = VAE
