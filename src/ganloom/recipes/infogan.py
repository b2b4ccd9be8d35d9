"""InfoGAN. "Interpretable Representation Learning by Information Maximizing GANs", Chen et al. 2016, arXiv:1606.03657.

min_{G,Q} max_D V(D, G) - lambda L_I(G, Q), L_I = E[log Q(c | G(z, c))] + H(c) <= I(c; G(z, c))      (eq. 5 and 6)
The latent consists of noise, categories (one-hot, uniform) and continuous codes (uniform in [-1, 1]). Q shares D's trunk.
For a category it is a softmax; for a continuous code it is a normal distribution with sd 1, so its term is half the squared
error. V is the non-saturating loss on logits. As in the authors' program, the information term is in both losses: D's trunk
and Q learn it in D's step, G in G's step.

Networks for MNIST (appendix C.1). G: dense layers of 1024 and 7x7x128, transposed 4x4 convolutions to 64 and C channels.
D: 4x4 convolutions with 64 and 128 channels, a dense layer of 1024, one output. Q: a dense layer of 128, then the codes.
BatchNorm after all but the first and last layers, LeakyReLU 0.1 in D.

Learning rates, batch size, codes, weights and layers are those of github.com/openai/InfoGAN (launchers/run_mnist_exp.py),
whose LeakyReLU has a slope of 0.01 where the paper has 0.1.

About: InfoGAN reserves a part of the latent as codes and trains G so that the codes can be predicted from the image.
Only a small head on D and one more loss term are new. No labels are used, yet a category may turn out to be a class, and
a continuous code may turn out to be slant or width. Use it to search for factors of variation in unlabelled data, or to
control samples. Check what a code means: which factor it takes is chance, and a predictable code can still mix several
factors. It was published in 2016 and is an early, much cited work on disentangled codes, like beta-VAE.

Departures from the paper: tanh instead of a sigmoid, for data in [-1, 1]; Q's normal distributions have a fixed sd of 1, as
in the authors' program; in the paper Q predicts the sd.
"""

from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ganloom.core import randomness
from ganloom.core.errors import BadInput
from ganloom.gan import GAN, Adam, Batch, Phase, SampleOptions, Terms
from ganloom.losses import nonsaturating
from ganloom.nn.layers import crop, normal_init, plan_sizes

TITLE = "InfoGAN: codes that are learned without labels"
PAPER = "Chen et al. 2016, arXiv:1606.03657"
DATA = "MNIST"
KIMG = 640.0  # default length of a run, thousands of images: 50 x 100 batches of 128


@dataclass(frozen=True)
class Config:
    """The paper's hyperparameters for MNIST (appendix C.1)."""

    shape: tuple[int, int, int] = (1, 28, 28)
    """Image shape: channels, height, width."""
    z_dim: int = 62
    """Length of the noise part of the latent."""
    categories: tuple[int, ...] = (10,)
    """Number of values of each categorical code, at least 2 each."""
    continuous: int = 2
    """Number of continuous codes."""
    width: int = 64
    """Channels of the layer next to the image; doubled towards the base; the dense layers have 16 times as many units."""
    info_weight: float = 1.0
    """Weight of the information term of the categorical codes (lambda)."""
    continuous_weight: float = 1.0
    """Weight of the information term of the continuous codes (the paper: smaller if its scale is larger)."""
    batch_size: int = 128
    """Real images per batch."""
    ema_kimg: float | None = None
    """Half-life of the EMA of G, in thousands of images (not in the paper). None: 1,000 updates of G."""
    g_opt: Adam = Adam(1e-3, betas=(0.5, 0.999))
    """Optimizer of G."""
    d_opt: Adam = Adam(2e-4, betas=(0.5, 0.999))
    """Optimizer of D and Q."""

    def __post_init__(self) -> None:
        if any(values < 2 for values in self.categories):
            raise BadInput(f"each of --categories must have at least 2 values, got {self.categories}")
        if self.continuous < 0 or not (self.categories or self.continuous):
            raise BadInput(
                f"--continuous must be at least 0, or at least 1 without --categories, got {self.continuous}"
            )

    @property
    def code_dim(self) -> int:
        """Length of the code part of the latent."""
        return sum(self.categories) + self.continuous


def _dense(inputs: int, outputs: int, last: nn.Module) -> list[nn.Module]:
    return [nn.Linear(inputs, outputs, bias=False), nn.BatchNorm1d(outputs), last]


class Generator(nn.Module):
    """Map noise and codes (N, z_dim + code_dim) to images (N, C, H, W) in [-1, 1]."""

    channels_last = True
    bf16 = True

    def __init__(self, shape: tuple[int, int, int], inputs: int, width: int) -> None:
        super().__init__()
        self.shape = shape
        base_h, base_w, doublings = plan_sizes(*shape[1:])
        channels = [width * min(2**i, 8) for i in range(max(doublings, 1))][::-1]
        self.base = (channels[0], base_h, base_w)
        start = _dense(inputs, 16 * width, nn.ReLU())
        self.start = nn.Sequential(*start, *_dense(16 * width, channels[0] * base_h * base_w, nn.ReLU()))
        layers: list[nn.Module] = []
        for before, after in zip(channels, channels[1:], strict=False):
            layers += [nn.ConvTranspose2d(before, after, 4, 2, 1, bias=False), nn.BatchNorm2d(after), nn.ReLU()]
        last = (4, 2, 1) if doublings else (3, 1, 1)
        self.body = nn.Sequential(*layers, nn.ConvTranspose2d(channels[-1], shape[0], *last))
        normal_init(self)

    def forward(self, z: Tensor, c: Tensor | None = None) -> Tensor:
        """Map noise and codes (N, z_dim + code_dim) to images (N, C, H, W) in [-1, 1]."""
        x = self.start(z).unflatten(1, self.base).contiguous(memory_format=torch.channels_last)
        return crop(self.body(x), *self.shape[1:]).tanh()


class Discriminator(nn.Module):
    """Map images x (N, C, H, W) to logits (N,); with ``codes`` also to Q's output (N, code_dim) from the same trunk."""

    channels_last = True
    bf16 = True

    def __init__(self, shape: tuple[int, int, int], code_dim: int, width: int) -> None:
        super().__init__()
        inputs, h, w = shape
        doublings = plan_sizes(h, w)[2]
        layers: list[nn.Module] = []
        for i in range(max(doublings, 1)):
            outputs = width * min(2**i, 8)
            strided = (4, 2, 1) if doublings else (3, 1, 1)
            layers.append(nn.Conv2d(inputs, outputs, *strided, bias=i == 0))
            layers += ([nn.BatchNorm2d(outputs)] if i else []) + [nn.LeakyReLU(0.1)]
            inputs = outputs
            h, w = (h // 2, w // 2) if doublings else (h, w)
        self.features = nn.Sequential(*layers, nn.Flatten(), *_dense(inputs * h * w, 16 * width, nn.LeakyReLU(0.1)))
        self.out = nn.Linear(16 * width, 1)
        self.q = nn.Sequential(*_dense(16 * width, 2 * width, nn.LeakyReLU(0.1)), nn.Linear(2 * width, code_dim))
        normal_init(self)

    def forward(self, x: Tensor, c: Tensor | None = None, *, codes: bool = False) -> Tensor | tuple[Tensor, Tensor]:
        """Map images (N, C, H, W) to logits (N,), or to (logits (N,), Q's output (N, code_dim))."""
        features = self.features(x)
        logits: Tensor = self.out(features).flatten()
        return (logits, self.q(features)) if codes else logits


class InfoGAN(GAN):
    """GAN with codes that can be predicted from the image."""

    splits_by = None  # BatchNorm in both networks
    sample_options = SampleOptions(truncation=True)

    def __init__(self, cfg: Config) -> None:
        super().__init__(cfg)
        self.G = Generator(cfg.shape, cfg.z_dim + cfg.code_dim, cfg.width)
        self.D = Discriminator(cfg.shape, cfg.code_dim, cfg.width)

    def phases(self) -> list[Phase]:
        return [Phase("D", self.d_loss), Phase("G", self.g_loss)]

    def z(self, n: int) -> Tensor:
        """Draw latents (n, z_dim + code_dim): noise uniform in [-1, 1], one-hot categories, codes uniform in [-1, 1]."""
        cfg = self.cfg
        categories = [randomness.randint(values, n, self.draw_device).to(self.device) for values in cfg.categories]
        one_hot = [F.one_hot(c, values).float() for c, values in zip(categories, cfg.categories, strict=True)]
        return torch.cat([self.rand(n, cfg.z_dim) * 2 - 1, *one_hot, self.rand(n, cfg.continuous) * 2 - 1], 1)

    def logits_of(self, output: Any) -> Tensor:
        """D's logits, also where it returns Q's numbers too."""
        logits: Tensor = output if isinstance(output, Tensor) else output[0]
        return logits

    def coded(self, z: Tensor, category: int | None = None, continuous: tuple[float, ...] = ()) -> Tensor:
        """Return latents ``z`` with the first categorical code or the first continuous codes set to given values."""
        z = z.clone()
        if category is not None:
            start = self.cfg.z_dim
            z[:, start : start + self.cfg.categories[0]] = 0
            z[:, start + category] = 1
        start = self.cfg.z_dim + sum(self.cfg.categories)
        for i, value in enumerate(continuous):
            z[:, start + i] = value
        return z

    def sample(self, z: Tensor, c: Tensor | None = None, *, truncation: float | Tensor = 1.0) -> Tensor:
        """Map latents (N, z_dim + code_dim) to images (N, C, H, W); ``truncation`` scales the noise but not the codes."""
        noise, codes = z.split([self.cfg.z_dim, self.cfg.code_dim], 1)
        out: Tensor = self.G(torch.cat([noise * truncation, codes], 1))
        return out

    def _information(self, z: Tensor, q: Tensor) -> Terms:
        """Return minus the variational bound for the codes of z given Q's output, up to the constant H(c) (eq. 4)."""
        cfg = self.cfg
        *truths, true_values = z[:, cfg.z_dim :].split([*cfg.categories, cfg.continuous], 1)
        *guesses, values = q.split([*cfg.categories, cfg.continuous], 1)
        terms = {}
        if truths:
            each = [F.cross_entropy(guess, true) for guess, true in zip(guesses, truths, strict=True)]
            terms["category"] = cfg.info_weight * torch.stack(each).sum()
        if cfg.continuous:
            terms["continuous"] = cfg.continuous_weight * (values - true_values).square().sum(1).mean() / 2
        return terms

    def d_loss(self, batch: Batch) -> Terms:
        z = self.z(len(batch.x))
        with torch.no_grad():
            fake = self.generated(z)
        real_scores, fake_scores = self.discriminate(batch.x), self.discriminate(fake, codes=True)
        _, q = fake_scores.output
        return self.d_adversarial(nonsaturating, real_scores, fake_scores) | self._information(z, q)

    def g_loss(self, batch: Batch) -> Terms:
        z = self.z(len(batch.x))
        scores = self.discriminate(self.generated(z), codes=True)
        _, q = scores.output
        return self.g_adversarial(nonsaturating, scores, reals=(batch.x,)) | self._information(z, q)


MODEL = InfoGAN
