"""AC-GAN. "Conditional Image Synthesis With Auxiliary Classifier GANs", Odena et al. 2016, arXiv:1610.09585.

L_S = E[log P(S = real | x)] + E[log P(S = fake | G(z, c))]                                         (eq. 2)
L_C = E[log P(C = c | x)] + E[log P(C = c | G(z, c))]                                               (eq. 3)
D maximises L_S + L_C, G maximises L_C - L_S. D has one trunk with two heads: source and class. The class enters G
together with z and never enters D. Written on logits: D minimises softplus(-D(x)) + softplus(D(G)) + CE(x) + CE(G), and
G, in its non-saturating form, softplus(-D(G)) + CE(G).

Networks of appendix A for CIFAR-10 (table 2). G: a dense layer to 4x4x384, transposed 5x5 convolutions to 192, 96 and C
channels, with BatchNorm and ReLU in between. D: six 3x3 convolutions with 16 to 512 channels and strides 2, 1, 2, 1, 2, 1,
BatchNorm after all but the first, LeakyReLU 0.2 and dropout 0.5.

About: D has a second head that predicts the class, and both networks are rewarded when it is right. Unlike in cgan, the
label never enters D: it must be read from the image, so G has to obey it. Use it when class identity matters more than
variety, or when you want a classifier as a by-product. Watch the variety within a class: the reward favours images that
are easy to classify, and with many classes it narrows the samples. In 2016 it produced coherent ImageNet samples of
128 px. Projection discriminators (2018) replaced it, and its class head returned in ReACGAN (2021).

Departures from the paper: one model for all classes (the paper trains 100 ImageNet models of ten classes each); no noise
on D's activations (the paper searches over 0, 0.1 and 0.2); the learning rate is the middle one of its three.
"""

from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ganloom.core.errors import BadInput
from ganloom.gan import GAN, Adam, Batch, Phase, Terms
from ganloom.losses import nonsaturating
from ganloom.nn.layers import crop, normal_init, one_hot, plan_sizes

TITLE = "Auxiliary classifier GAN"
PAPER = "Odena et al. 2016, arXiv:1610.09585"
DATA = "CIFAR-10"
KIMG = 5000.0  # default length of a run, thousands of images: 50,000 steps (appendix A)


@dataclass(frozen=True)
class Config:
    """The paper's hyperparameters for CIFAR-10 (appendix A, table 2)."""

    shape: tuple[int, int, int] = (3, 32, 32)
    """Image shape: channels, height, width."""
    n_classes: int = 10
    """Number of classes, taken from labelled data."""
    z_dim: int = 100
    """Length of the latent vector, without the class (110 with it)."""
    width: int = 96
    """Channels of G next to the image; doubled towards the base, at most 8 times."""
    smallest: int = 4
    """Smallest side of the coarsest grid, in pixels; 3 gives images of 28 px a third doubling, from 4 px on."""
    d_width: int = 16
    """Channels of D's first layer; doubled in each of the next five."""
    dropout: float = 0.5
    """Dropout rate in D, 0 to below 1."""
    class_weight: float = 1.0
    """Weight of L_C in both losses."""
    batch_size: int = 100
    """Real images per batch."""
    ema_kimg: float | None = None
    """Half-life of the EMA of G, in thousands of images (not in the paper). None: 1,000 updates of G."""
    g_opt: Adam = Adam(2e-4, betas=(0.5, 0.999))
    """Optimizer of G (the paper tried 1e-4, 2e-4 and 3e-4)."""
    d_opt: Adam = Adam(2e-4, betas=(0.5, 0.999))
    """Optimizer of D."""

    def __post_init__(self) -> None:
        if not 0 <= self.dropout < 1:
            raise BadInput(f"--dropout must be in [0, 1), got {self.dropout}")
        if self.n_classes < 2:
            raise BadInput(
                f"acgan needs data with at least 2 classes, got {self.n_classes}: put the images in one folder per class, "
                "or train a recipe without labels"
            )


class Generator(nn.Module):
    """Map z (N, z_dim) and labels c (N,) to images (N, C, H, W) in [-1, 1]."""

    channels_last = True
    bf16 = True

    def __init__(self, shape: tuple[int, int, int], z_dim: int, width: int, n_classes: int, smallest: int) -> None:
        super().__init__()
        self.shape, self.n_classes = shape, n_classes
        base_h, base_w, doublings = plan_sizes(*shape[1:], smallest)
        channels = [width * min(2**i, 8) for i in range(max(doublings, 1))][::-1]
        self.base = (channels[0], base_h, base_w)
        self.project = nn.Linear(z_dim + n_classes, channels[0] * base_h * base_w)
        layers: list[nn.Module] = [nn.ReLU()]
        for inputs, outputs in zip(channels, channels[1:], strict=False):
            up = nn.ConvTranspose2d(inputs, outputs, 5, 2, 2, output_padding=1, bias=False)
            layers += [up, nn.BatchNorm2d(outputs), nn.ReLU()]
        stride = 2 if doublings else 1
        layers.append(nn.ConvTranspose2d(channels[-1], shape[0], 5, stride, 2, output_padding=stride - 1))
        self.body = nn.Sequential(*layers)
        normal_init(self)

    def forward(self, z: Tensor, c: Tensor) -> Tensor:
        """Map z (N, z_dim) and labels (N,) to images (N, C, H, W) in [-1, 1]."""
        z = torch.cat([z, one_hot(c, self.n_classes)], 1)
        x = self.project(z).unflatten(1, self.base).contiguous(memory_format=torch.channels_last)
        return crop(self.body(x), *self.shape[1:]).tanh()


class Discriminator(nn.Module):
    """Map x (N, C, H, W) to source logits (N,); with ``classes`` also to class logits (N, n_classes) from the same trunk."""

    channels_last = True
    bf16 = True

    def __init__(self, shape: tuple[int, int, int], width: int, dropout: float, n_classes: int) -> None:
        super().__init__()
        inputs, h, w = shape
        layers: list[nn.Module] = []
        for i in range(6):
            outputs, stride = width * 2**i, 2 - i % 2
            layers.append(nn.Conv2d(inputs, outputs, 3, stride, 1, bias=i == 0))
            layers += [nn.BatchNorm2d(outputs)] if i else []
            layers += [nn.LeakyReLU(0.2), nn.Dropout(dropout)]
            inputs, h, w = outputs, -(-h // stride), -(-w // stride)
        self.features = nn.Sequential(*layers, nn.Flatten())
        self.source = nn.Linear(inputs * h * w, 1)
        self.head = "source"  # the layer that gives the logits
        self.classes = nn.Linear(inputs * h * w, n_classes)
        normal_init(self)

    def forward(self, x: Tensor, c: Tensor | None = None, *, classes: bool = False) -> Tensor | tuple[Tensor, Tensor]:
        """Map images (N, C, H, W) to logits (N,), or to (logits (N,), class logits (N, n_classes))."""
        features = self.features(x)
        logits: Tensor = self.source(features).flatten()
        return (logits, self.classes(features)) if classes else logits


class ACGAN(GAN):
    """Auxiliary classifier GAN."""

    splits_by = None  # BatchNorm in both networks
    labels_to_d = False  # D guesses them

    def __init__(self, cfg: Config) -> None:
        super().__init__(cfg)
        self.G = Generator(cfg.shape, cfg.z_dim, cfg.width, cfg.n_classes, cfg.smallest)
        self.D = Discriminator(cfg.shape, cfg.d_width, cfg.dropout, cfg.n_classes)

    def phases(self) -> list[Phase]:
        return [Phase("D", self.d_loss), Phase("G", self.g_loss)]

    def logits_of(self, output: Any) -> Tensor:
        """D's logits, also where it returns logits of classes too."""
        logits: Tensor = output if isinstance(output, Tensor) else output[0]
        return logits

    def d_loss(self, batch: Batch) -> Terms:
        c = self.c(len(batch.x))
        assert c is not None and batch.c is not None
        with torch.no_grad():
            fake = self.generated(self.z(len(batch.x)), c)
        real_scores, fake_scores = self.discriminate(batch.x, classes=True), self.discriminate(fake, classes=True)
        (_, real_classes), (_, fake_classes) = real_scores.output, fake_scores.output
        of_real, of_fake = F.cross_entropy(real_classes, batch.c), F.cross_entropy(fake_classes, c)
        return self.d_adversarial(nonsaturating, real_scores, fake_scores) | {
            "class": self.cfg.class_weight * (of_real + of_fake),
            "accuracy_real": (real_classes.argmax(1) == batch.c).float().mean(),
            "accuracy_fake": (fake_classes.argmax(1) == c).float().mean(),
        }

    def g_loss(self, batch: Batch) -> Terms:
        c = self.c(len(batch.x))
        assert c is not None
        scores = self.discriminate(self.generated(self.z(len(batch.x)), c), classes=True)
        _, classes = scores.output
        terms = self.g_adversarial(nonsaturating, scores, reals=(batch.x,))
        return terms | {"class": self.cfg.class_weight * F.cross_entropy(classes, c)}


MODEL = ACGAN
