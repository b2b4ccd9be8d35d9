"""Gated PixelCNN. "Conditional Image Generation with PixelCNN Decoders", van den Oord et al. 2016, arXiv:1606.05328.

p(x) = prod_i p(x_i | x_1 ... x_(i-1)), row by row (eq. 1). The network computes all factors in one pass, because no layer
sees later pixels, and minimises -log p(x). Two stacks avoid a blind spot (sec. 2.3): the vertical stack sees the rows above,
the horizontal stack sees the pixels to the left in the row and receives the features of the vertical stack at each layer.
Each layer is y = tanh(W_f * x + V_f c) . sigmoid(W_g * x + V_g c), added to its input                            (eq. 4)

Each value has a mixture of discretised logistic distributions over its levels ("PixelCNN++", Salimans et al. 2017,
arXiv:1701.05517, eq. 1 and 2), so neighbouring levels are similar from the start; a channel sees the channels before it.

About: A likelihood model without latents or bounds: the loss is exactly the number of bits that an image costs, so every
missed mode raises it. Training is stable and parallel; sampling is sequential, pixel by pixel. Use it as a baseline for
coverage or for compression. Look at samples and not only at bits: most bits describe noise and texture, and a model that is
good at them can still miss the overall structure. After 2017 transformers over tokens replaced it.

Departures from the papers: dilated kernels of 2 x 3 and 1 x 3 instead of large ones; residual connections in both stacks;
the pixel's position is an input; a more general use of the earlier channels than PixelCNN++'s linear one; no dropout.
Sampling computes each layer once per pixel and keeps the rows it needs, so an image costs about one pass instead of one per
pixel.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ganloom.baselines.likelihood import LEAST_LOG_SCALE, bits, check_levels, discretised_logistic, quantise
from ganloom.core.config import check_at_least_one, check_classes
from ganloom.core.errors import BadInput
from ganloom.gan import GAN, Adam, Batch, Phase, SampleOptions, Terms, inverse
from ganloom.nn.layers import one_hot

TITLE = "Autoregressive: gated PixelCNN"
PAPER = "van den Oord et al. 2016, arXiv:1606.05328"
DATA = "any small images"
KIMG = 200.0  # default length of a run, thousands of images


@dataclass(frozen=True)
class Config:
    """Hyperparameters tuned for this project; see the module docstring."""

    shape: tuple[int, int, int] = (3, 32, 32)
    """Image shape: channels, height, width."""
    n_classes: int = 0
    """Number of classes, taken from labelled data; 0 trains without labels."""
    width: int = 32
    """Channels of both stacks."""
    dilations: tuple[int, ...] = (1, 2, 4, 1, 2, 4)
    """One layer each: dilation of its kernels."""
    mixtures: int = 5
    """Logistic distributions per value."""
    levels: int = 256
    """Number of even steps to which values are quantised, 2 to 256; the likelihood is that of the quantised images."""
    batch_size: int = 8
    """Real images per batch."""
    ema_kimg: float = 2.0
    """Half-life of the EMA of the network, in thousands of images."""
    g_opt: Adam = Adam(2e-3, betas=(0.9, 0.99), clip=1.0, schedule=inverse(20.0))
    """Optimizer of the network."""

    def __post_init__(self) -> None:
        check_classes(self)
        check_levels(self.levels)
        if not self.dilations or min(self.dilations) < 1:
            raise BadInput(f"--dilations must be one or more numbers of at least 1, got {self.dilations}")
        check_at_least_one(self, "mixtures")


class Mixture(NamedTuple):
    """Distributions of values, each field (..., mixtures).

    Attributes:
        logits: Logits of the mixture weights.
        means: Means of the logistic distributions.
        log_scales: Logs of their scales.
    """

    logits: Tensor
    means: Tensor
    log_scales: Tensor


class Layer(nn.Module):
    """One gated layer of both stacks.

    With dilation d the vertical stack reads rows i - d and i at columns j - d, j, j + d; the horizontal stack reads columns
    j - 2 d, j - d, j.
    """

    def __init__(self, width: int, dilation: int, n_classes: int) -> None:
        super().__init__()
        self.dilation = dilation
        self.above = nn.Conv2d(width, 2 * width, (2, 3), dilation=dilation)
        self.beside = nn.Conv2d(width, 2 * width, (1, 3), dilation=dilation)
        self.link = nn.Conv2d(2 * width, 2 * width, 1, bias=False)
        self.out = nn.Conv2d(width, width, 1)
        self.classes = nn.Linear(n_classes, 4 * width, bias=False) if n_classes else None

    def shifts(self, c: Tensor | None) -> tuple[Tensor | float, Tensor | float]:
        """Map the class (N, n_classes) to what it adds in each stack, (N, 2 width) each; 0 without classes."""
        if self.classes is None or c is None:
            return 0.0, 0.0
        v, h = self.classes(c).chunk(2, 1)
        return v, h

    def forward(self, v: Tensor, h: Tensor, c: Tensor | None) -> tuple[Tensor, Tensor]:
        """Map the features of both stacks, (N, width, H, W) each, to those of the next layer."""
        d = self.dilation
        v_shift, h_shift = (as_map(shift) for shift in self.shifts(c))
        v_in = self.above(F.pad(v, (d, d, d, 0))) + v_shift
        h_in = self.beside(F.pad(h, (2 * d, 0))) + self.link(v_in) + h_shift
        return v + gated(v_in), h + self.out(gated(h_in))


def gated(x: Tensor) -> Tensor:
    """Multiply tanh of the first half of the channels by the sigmoid of the second half: (N, 2 width, ...) -> (N,
    width, ...).
    """
    a, b = x.chunk(2, 1)
    return a.tanh() * b.sigmoid()


class PixelNet(nn.Module):
    """Map images (N, C, H, W) to features (N, 2 width, H, W) of the pixels before each pixel, and features to mixtures."""

    place: Tensor

    def __init__(self, cfg: Config) -> None:
        super().__init__()
        channels, height, width = cfg.shape
        self.n_classes, self.mixtures, self.channels = cfg.n_classes, cfg.mixtures, channels
        rows, columns = torch.linspace(-1, 1, height), torch.linspace(-1, 1, width)
        place = torch.stack([rows[:, None].expand(height, width), columns.expand(height, width)])
        self.register_buffer("place", place[None].clone(), persistent=False)
        self.into_v = nn.Conv2d(channels, cfg.width, (2, 3))
        self.into_h = nn.Conv2d(channels, cfg.width, (1, 2))
        self.where = nn.Conv2d(2, 2 * cfg.width, 1)
        self.layers = nn.ModuleList(Layer(cfg.width, d, cfg.n_classes) for d in cfg.dilations)
        self.hidden = nn.Conv2d(cfg.width, 2 * cfg.width, 1)
        self.before = nn.ModuleList(nn.Linear(k, 2 * cfg.width, bias=False) for k in range(1, channels))
        heads = [nn.Linear(2 * cfg.width, 3 * cfg.mixtures) for _ in range(channels)]
        self.heads = nn.ModuleList(heads)
        with torch.no_grad():
            for head in heads:  # start with even weights on logistics that together cover the range
                head.weight.mul_(0.1)
                head.bias.copy_(torch.cat([torch.zeros(cfg.mixtures), *_spread(cfg.mixtures)]))

    def forward(self, x: Tensor, c: Tensor | None = None) -> Tensor:
        """Map images (N, C, H, W) to features (N, 2 width, H, W), each of the pixels above or to the left only."""
        c = self.one_hot(c)
        v_place, h_place = self.where(self.place).chunk(2, 1)
        v = self.into_v(F.pad(x, (1, 1, 2, 0))[:, :, :-1]) + v_place
        h = self.into_h(F.pad(x, (2, 0))[..., :-1]) + h_place
        for layer in self.layers:
            v, h = layer(v, h, c)
        out: Tensor = self.hidden(F.silu(h))
        return out

    def mixture(self, features: Tensor, earlier: Tensor) -> Mixture:
        """Map features (..., 2 width) and the earlier channels of the pixel (..., k) to the distribution of channel k."""
        k = earlier.shape[-1]
        hidden = features + self.before[k - 1](earlier) if k else features
        return Mixture(*self.heads[k](F.silu(hidden)).chunk(3, -1))

    def one_hot(self, c: Tensor | None) -> Tensor | None:
        """Return labels as (N, n_classes); None for a model without classes."""
        if not self.n_classes:
            return None
        assert c is not None
        return one_hot(c, self.n_classes)


def _spread(mixtures: int) -> tuple[Tensor, Tensor]:
    """Return means from -1 to 1 and log scales that reach the next mean."""
    means = torch.linspace(-1, 1, mixtures) if mixtures > 1 else torch.zeros(1)
    return means, torch.full((mixtures,), -math.log(mixtures + 1))


class Autoregressive(GAN):
    """Gated PixelCNN; G is the network."""

    sample_options = SampleOptions(progress=True)
    likelihood = "exactly"

    def __init__(self, cfg: Config) -> None:
        super().__init__(cfg)
        self.G = PixelNet(cfg)

    def phases(self) -> list[Phase]:
        return [Phase("G", self.loss)]

    def z(self, n: int) -> Tensor:
        """Draw latents (n, 2 C H W): two numbers per value, one to select the logistic and one for the point in it."""
        return self.randn(n, 2 * math.prod(self.cfg.shape))

    def loss(self, batch: Batch) -> Terms:
        """Return the bits per dimension of a batch."""
        return {"loss": self.nats(batch.x, batch.c).mean() / (math.log(2) * batch.x[0].numel())}

    def nats(self, x: Tensor, c: Tensor | None = None) -> Tensor:
        """Return -log p of the quantised images, (N,)."""
        x = quantise(x, self.cfg.levels)
        features = self.G(x, c if self.cfg.n_classes else None).permute(0, 2, 3, 1)
        values, nats = x.permute(0, 2, 3, 1), x.new_zeros(len(x))
        for k in range(x.shape[1]):
            m = self.G.mixture(features, values[..., :k])
            each = discretised_logistic(values[..., k, None], m.means, m.log_scales, self.cfg.levels)
            nats = nats - torch.logsumexp(m.logits.log_softmax(-1) + each, -1).flatten(1).sum(1)
        return nats

    @torch.no_grad()
    def bits_per_dim(self, x: Tensor, c: Tensor | None = None) -> Tensor:
        """Return the exact bits per dimension of images quantised to ``levels`` levels, (N,)."""
        return bits(self.nats(x, c), x[0].numel())

    def sample(
        self, z: Tensor, c: Tensor | None = None, *, progress: Callable[[int, int], None] | None = None
    ) -> Tensor:
        """Sample images pixel by pixel.

        Args:
            z: Latents (N, 2 C H W).
            c: Labels (N,).
            progress: Called with (rows done, rows).

        Returns:
            Images (N, C, H, W) in [-1, 1].
        """
        _, height, width = self.cfg.shape
        u = torch.special.ndtr(z).clamp(1e-6, 1 - 1e-6).view(len(z), *self.cfg.shape, 2)
        walk = Walk(self.G, len(z), height, width, c)
        for i in range(height):
            walk.begin_row(i)
            for j in range(width):
                features = walk.features(i, j)
                for k in range(self.cfg.shape[0]):
                    mixture = self.G.mixture(features, walk.x[:, i + 2, j + 2, :k])
                    walk.x[:, i + 2, j + 2, k] = self.pick(mixture, u[:, k, i, j])
            if progress:
                progress(i + 1, height)
        return walk.x[:, 2:, 2:-1].permute(0, 3, 1, 2).contiguous()

    def pick(self, m: Mixture, u: Tensor) -> Tensor:
        """Draw quantised values (N,) from a mixture (N, mixtures) with two uniform numbers per value, u (N, 2)."""
        edges = m.logits.softmax(-1).cumsum(-1)[:, :-1]
        which = (u[:, :1] > edges).sum(1, keepdim=True)
        mean, log_scale = m.means.gather(1, which)[:, 0], m.log_scales.gather(1, which)[:, 0]
        x = mean + log_scale.clamp_min(LEAST_LOG_SCALE).exp() * torch.logit(u[:, 1])
        return quantise(x.clamp(-1, 1), self.cfg.levels)


class Walk:
    """Runs the network along the pixels in order and keeps what later pixels need, so each layer is computed once per pixel.

    ``x`` (N, 2 + H, 2 + W + 1, C) is the image so far, with borders of zeros.
    """

    def __init__(self, net: PixelNet, n: int, height: int, width: int, c: Tensor | None) -> None:
        self.net, self.height, self.width = net, height, width
        self.layers = [layer for layer in net.layers if isinstance(layer, Layer)]
        like = net.into_v.weight
        self.x = like.new_zeros(n, height + 2, width + 3, net.channels)
        p = like.shape[0]
        self.rows = [like.new_zeros(n, p, height + layer.dilation, width + 2 * layer.dilation) for layer in self.layers]
        self.row = [like.new_zeros(n, width + 2 * layer.dilation, p) for layer in self.layers]
        self.links = [like.new_zeros(0)] * len(self.layers)
        self.v_place, self.h_place = net.where(net.place).chunk(2, 1)
        shifts = [layer.shifts(net.one_hot(c)) for layer in self.layers]
        self.v_shifts, self.h_shifts = ([as_map(s[stack]) for s in shifts] for stack in (0, 1))
        self.into, self.hidden = taps(net.into_h), taps(net.hidden)
        self.beside = [taps(layer.beside) for layer in self.layers]
        self.out = [taps(layer.out) for layer in self.layers]

    def begin_row(self, i: int) -> None:
        """Compute row i of the vertical stack, which needs only the image's rows above it."""
        above = self.x[:, i : i + 2, 1 : self.width + 3].permute(0, 3, 1, 2)
        v = self.net.into_v(above) + self.v_place[:, :, i : i + 1]
        for index, layer in enumerate(self.layers):
            d, rows = layer.dilation, self.rows[index]
            rows[:, :, i + d : i + d + 1, d : d + self.width] = v
            v_in = layer.above(rows[:, :, i : i + d + 1]) + self.v_shifts[index]
            link = layer.link(v_in) + self.h_shifts[index]
            self.links[index] = link[:, :, 0].permute(2, 0, 1) + self.beside[index][0]  # (W, N, 2 width)
            v = v + gated(v_in)
            self.row[index].zero_()

    def features(self, i: int, j: int) -> Tensor:
        """Return features (N, 2 width) of the pixels before pixel (i, j)."""
        h = torch.addmm(self.into[0], self.x[:, i + 2, j : j + 2].flatten(1), self.into[1]) + self.h_place[0, :, i, j]
        for index, layer in enumerate(self.layers):
            d, row = layer.dilation, self.row[index]
            row[:, j + 2 * d] = h
            left = row[:, j : j + 2 * d + 1 : d].flatten(1)
            h_in = torch.addmm(self.links[index][j], left, self.beside[index][1])
            h = h + torch.addmm(self.out[index][0], gated(h_in), self.out[index][1])
        return torch.addmm(self.hidden[0], F.silu(h), self.hidden[1])


def taps(conv: nn.Conv2d) -> tuple[Tensor, Tensor]:
    """Return a kernel of one row as (bias (O,), matrix (taps * I, O)), to be applied to one position as a matrix product."""
    assert conv.bias is not None
    return conv.bias, conv.weight[:, :, 0].transpose(1, 2).flatten(1).t().contiguous()


def as_map(shift: Tensor | float) -> Tensor | float:
    """Reshape a shift (N, C) to (N, C, 1, 1)."""
    return shift[:, :, None, None] if isinstance(shift, Tensor) else shift


MODEL = Autoregressive
