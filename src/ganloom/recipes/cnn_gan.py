"""The plain convolutional GAN of the tutorials, a simplified DCGAN (Radford et al. 2015, arXiv:1511.06434).

D minimises softplus(-D(x)) + softplus(D(G(z))), G minimises softplus(-D(G(z))), on logits.

This is the model of the beginner tutorials of TensorFlow and Keras for 28x28 digits. G has a dense layer to 7x7x256 and
transposed 5x5 convolutions to 128 (stride 1), 64 and C channels (stride 2), with BatchNorm and LeakyReLU 0.3 after all but
the last, and tanh. D has two 5x5 convolutions of stride 2 (64, 128 channels), each followed by LeakyReLU 0.3 and dropout
0.3, and one dense output. Adam 1e-4 with its default betas, batch size 256. ``norm=False`` is the variant of other
tutorials that have no BatchNorm at all.

Differences from DCGAN: dropout instead of BatchNorm in D; LeakyReLU in G too; 5x5 kernels; the frameworks' default
initialization (Glorot uniform) and beta1 0.9 instead of N(0, 0.02) and 0.5; one extra layer of stride 1 at the base.

About: This is the first GAN of many tutorials: convolutions instead of dense layers, and little else. Unlike the dense
gan it uses the fact that neighbouring pixels are related, so edges are clean where dense layers leave noise. Use it to
follow a tutorial and to see what DCGAN's rules add; dcgan takes the same time and is the better start. Watch its low
learning rate of 1e-4 with beta1 0.9: it needs many steps, and only dropout weakens D. It has no paper of its own, but
through the tutorials it became the GAN that many people run first.

Departures from the tutorial: any image size, through more or fewer upsampling layers; the last layer of G has a bias;
BatchNorm's running statistics move by 0.1 per step (Keras: 0.01).
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ganloom.core.errors import BadInput
from ganloom.gan import Adam
from ganloom.losses import nonsaturating
from ganloom.nn.layers import crop, plan_sizes
from ganloom.recipes.base.adversarial import Adversarial

TITLE = "The tutorials' convolutional GAN"
PAPER = "tutorials, after Radford et al. 2015, arXiv:1511.06434"
DATA = "MNIST"
KIMG = 3000.0  # default length of a run, thousands of images: 50 epochs of 60,000


@dataclass(frozen=True)
class Config:
    """The tutorial's hyperparameters."""

    shape: tuple[int, int, int] = (1, 28, 28)
    """Image shape: channels, height, width."""
    z_dim: int = 100
    """Length of the latent vector."""
    width: int = 64
    """Channels of the layer next to the image; doubled towards the base, at most 8 times."""
    smallest: int = 4
    """Smallest side of the coarsest grid, in pixels; 3 gives images of 28 px a third doubling, from 4 px on."""
    norm: bool = True
    """Use BatchNorm in G."""
    dropout: float = 0.3
    """Dropout rate in D, 0 to below 1."""
    batch_size: int = 256
    """Real images per batch."""
    ema_kimg: float | None = None
    """Half-life of the EMA of G, in thousands of images (not in the tutorial). None: 1,000 updates of G."""
    g_opt: Adam = Adam(1e-4, betas=(0.9, 0.999), eps=1e-7)
    """Optimizer of G."""
    d_opt: Adam = Adam(1e-4, betas=(0.9, 0.999), eps=1e-7)
    """Optimizer of D."""

    def __post_init__(self) -> None:
        if not 0 <= self.dropout < 1:
            raise BadInput(f"--dropout must be in [0, 1), got {self.dropout}")


def _glorot(network: nn.Module) -> None:
    """Initialize weights with Glorot uniform and biases with 0."""
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
            nn.init.xavier_uniform_(layer.weight)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)


class Generator(nn.Module):
    """Map z (N, z_dim) to images (N, C, H, W) in [-1, 1]."""

    channels_last = True
    bf16 = True

    def __init__(self, shape: tuple[int, int, int], z_dim: int, width: int, norm: bool, smallest: int) -> None:
        super().__init__()
        self.shape = shape
        base_h, base_w, doublings = plan_sizes(*shape[1:], smallest)
        channels = [width * min(2**i, 8) for i in range(doublings + 1)][::-1]
        self.base = (channels[0], base_h, base_w)
        self.project = nn.Linear(z_dim, channels[0] * base_h * base_w, bias=not norm)
        # Over the flat vector, as in the tutorial: each pixel of the base grid has separate statistics.
        first: list[nn.Module] = [nn.BatchNorm1d(channels[0] * base_h * base_w)] if norm else []
        self.start = nn.Sequential(*first, nn.LeakyReLU(0.3))
        layers: list[nn.Module] = []
        for i, (inputs, outputs) in enumerate(zip(channels, channels[1:], strict=False)):
            stride = 1 if i == 0 else 2
            layer = nn.ConvTranspose2d(inputs, outputs, 5, stride, 2, output_padding=stride - 1, bias=not norm)
            layers += [layer, *([nn.BatchNorm2d(outputs)] if norm else []), nn.LeakyReLU(0.3)]
        stride = 2 if doublings else 1
        layers.append(nn.ConvTranspose2d(channels[-1], shape[0], 5, stride, 2, output_padding=stride - 1))
        self.body = nn.Sequential(*layers)
        _glorot(self)

    def forward(self, z: Tensor, c: Tensor | None = None) -> Tensor:
        """Map z (N, z_dim) to images (N, C, H, W) in [-1, 1]."""
        x = self.start(self.project(z)).unflatten(1, self.base).contiguous(memory_format=torch.channels_last)
        return crop(self.body(x), *self.shape[1:]).tanh()


class Discriminator(nn.Module):
    """Map images x (N, C, H, W) to logits (N,)."""

    channels_last = True
    bf16 = True

    def __init__(self, shape: tuple[int, int, int], width: int, dropout: float, smallest: int) -> None:
        super().__init__()
        inputs, h, w = shape
        layers: list[nn.Module] = []
        for i in range(max(plan_sizes(h, w, smallest)[2], 1)):
            outputs = width * min(2**i, 8)
            layers += [nn.Conv2d(inputs, outputs, 5, 2, 2), nn.LeakyReLU(0.3), nn.Dropout(dropout)]
            inputs, h, w = outputs, (h + 1) // 2, (w + 1) // 2
        self.body = nn.Sequential(*layers)
        self.out = nn.Linear(inputs * h * w, 1)
        _glorot(self)

    def forward(self, x: Tensor, c: Tensor | None = None) -> Tensor:
        """Map images (N, C, H, W) to logits (N,)."""
        logits: Tensor = self.out(self.body(x).flatten(1)).flatten()
        return logits


class CNNGAN(Adversarial):
    """The convolutional GAN of the tutorials."""

    splits_by = None  # BatchNorm in G; dropout draws a mask per batch part
    loss = nonsaturating

    def __init__(self, cfg: Config) -> None:
        super().__init__(cfg)
        self.G = Generator(cfg.shape, cfg.z_dim, cfg.width, cfg.norm, cfg.smallest)
        self.D = Discriminator(cfg.shape, cfg.width, cfg.dropout, cfg.smallest)


MODEL = CNNGAN
