"""LSGAN. "Least Squares Generative Adversarial Networks", Mao et al. 2016, arXiv:1611.04076.

D minimises E[(D(x) - b)^2] / 2 + E[(D(G(z)) - a)^2] / 2                                          (eq. 2)
G minimises E[(D(G(z)) - c)^2] / 2                                                               (eq. 2)
a = 0, b = c = 1: G's target is D's code of real data (eq. 9, the paper's choice). a = -1, b = 1, c = 0: with b - c = 1 and
b - a = 2 the optimum is the Pearson chi^2 divergence (eq. 8). D's output is unbounded, without a sigmoid.

``body="paper"`` is the model of figure 3: latents of length 1024, 5x5 kernels, BatchNorm; G has an extra convolution at
each of its coarse sizes. With fewer than the paper's four upsamplings (112 px) the layers next to the image are kept.
``body="dcgan"`` has DCGAN's networks.

About: D is a regression towards 1 and 0 instead of a classifier, so a fake that is far on the correct side of the decision
boundary still gives G a gradient. Only the loss changes, from cross-entropy to squared errors. Use it as a drop-in
replacement where the usual loss saturates; networks and learning rates stay the same. Watch the size of the logits:
squared errors punish outliers, and D can oscillate at high learning rates. It was published in 2016 as one of the first
losses against vanishing gradients; CycleGAN and pix2pixHD use it.

Departures from the paper: the learning rate is its 2e-4 (HWDB), not the 1e-3 of its LSUN models. 2e-4, beta1 0.5 and
batches of 64 are also in github.com/xudonmao/LSGAN (stability_comparison). Weights are initialized with N(0, 0.02) as in
DCGAN, and latents are normal (the paper does not say).
"""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from ganloom.gan import Adam
from ganloom.losses import least_squares_coded
from ganloom.networks import dcgan
from ganloom.nn.layers import crop, normal_init, plan_sizes
from ganloom.recipes.base.adversarial import Adversarial

TITLE = "Least squares GAN"
PAPER = "Mao et al. 2016, arXiv:1611.04076"
DATA = "LSUN"
KIMG = 500.0  # default length of a run, thousands of images


@dataclass(frozen=True)
class Config:
    """The paper's hyperparameters."""

    shape: tuple[int, int, int] = (3, 112, 112)
    """Image shape: channels, height, width."""
    body: Literal["paper", "dcgan"] = "paper"
    """Network type: that of figure 3, or DCGAN's."""
    codes: tuple[float, float, float] = (0.0, 1.0, 1.0)
    """a, b, c: targets of D on fakes, of D on reals, and of G (eq. 8 and 9)."""
    z_dim: int = 1024
    """Length of the latent vector (figure 3)."""
    width: int = 64
    """Channels of the layer next to the image (figure 3)."""
    smallest: int = 4
    """Smallest side of the coarsest grid, in pixels; 3 gives images of 28 px a third doubling, from 4 px on."""
    batch_size: int = 64
    """Real images per batch."""
    ema_kimg: float | None = None
    """Half-life of the EMA of G, in thousands of images (not in the paper). None: 1,000 updates of G."""
    g_opt: Adam = Adam(2e-4, betas=(0.5, 0.999))
    """Optimizer of G (sec. 4.1)."""
    d_opt: Adam = Adam(2e-4, betas=(0.5, 0.999))
    """Optimizer of D (sec. 4.1)."""


def _up(inputs: int, outputs: int, stride: int) -> list[nn.Module]:
    """Return a transposed 5x5 convolution, BatchNorm and ReLU."""
    layer = nn.ConvTranspose2d(inputs, outputs, 5, stride, 2, output_padding=stride - 1, bias=False)
    return [layer, nn.BatchNorm2d(outputs), nn.ReLU()]


class Generator(nn.Module):
    """Map z (N, z_dim) to images (N, C, H, W) in [-1, 1]; figure 3 (a)."""

    channels_last = True
    bf16 = True

    def __init__(self, shape: tuple[int, int, int], z_dim: int, width: int, smallest: int) -> None:
        super().__init__()
        self.shape = shape
        base_h, base_w, doublings = plan_sizes(*shape[1:], smallest)
        inputs = 4 * width
        self.base = (inputs, base_h, base_w)
        self.project = nn.Linear(z_dim, inputs * base_h * base_w, bias=False)
        layers: list[nn.Module] = [nn.BatchNorm2d(inputs), nn.ReLU()]
        for left in range(
            doublings, 0, -1
        ):  # the two upsamplings next to the image have fewer channels and no extra convolution
            outputs = width * min(2 ** (left - 1), 4)
            layers += _up(inputs, outputs, 2) + (_up(outputs, outputs, 1) if left > 2 else [])
            inputs = outputs
        self.body = nn.Sequential(*layers, nn.ConvTranspose2d(inputs, shape[0], 5, 1, 2))
        normal_init(self)

    def forward(self, z: Tensor, c: Tensor | None = None) -> Tensor:
        """Map z (N, z_dim) to images (N, C, H, W) in [-1, 1]."""
        x = self.project(z).unflatten(1, self.base).contiguous(memory_format=torch.channels_last)
        return crop(self.body(x), *self.shape[1:]).tanh()


class Discriminator(nn.Module):
    """Map images x (N, C, H, W) to unbounded outputs (N,); figure 3 (b)."""

    channels_last = True
    bf16 = True

    def __init__(self, shape: tuple[int, int, int], width: int, smallest: int) -> None:
        super().__init__()
        inputs, h, w = shape
        layers: list[nn.Module] = []
        for i in range(max(plan_sizes(h, w, smallest)[2], 1)):
            outputs = width * min(2**i, 8)
            layers.append(nn.Conv2d(inputs, outputs, 5, 2, 2, bias=i == 0))
            layers += ([nn.BatchNorm2d(outputs)] if i else []) + [nn.LeakyReLU(0.2)]
            inputs, h, w = outputs, (h + 1) // 2, (w + 1) // 2
        self.body = nn.Sequential(*layers)
        self.out = nn.Linear(inputs * h * w, 1)
        normal_init(self)

    def forward(self, x: Tensor, c: Tensor | None = None) -> Tensor:
        """Map images (N, C, H, W) to outputs (N,)."""
        out: Tensor = self.out(self.body(x).flatten(1)).flatten()
        return out


class LSGAN(Adversarial):
    """Least squares GAN."""

    splits_by = None  # BatchNorm in both networks

    def __init__(self, cfg: Config) -> None:
        super().__init__(cfg)
        self.loss = least_squares_coded(*cfg.codes)
        if cfg.body == "paper":
            self.G = Generator(cfg.shape, cfg.z_dim, cfg.width, cfg.smallest)
            self.D = Discriminator(cfg.shape, cfg.width, cfg.smallest)
        else:
            self.G = dcgan.Generator(cfg.shape, cfg.z_dim, cfg.width, smallest=cfg.smallest)
            self.D = dcgan.Discriminator(cfg.shape, cfg.width, smallest=cfg.smallest)


MODEL = LSGAN
