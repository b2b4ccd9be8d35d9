"""EDM. "Elucidating the Design Space of Diffusion-Based Generative Models", Karras et al. 2022, arXiv:2206.00364.

The denoiser D(x; s) = c_skip(s) x + c_out(s) F(c_in(s) x; c_noise(s))                                            (eq. 7)
    c_skip = sd^2 / (s^2 + sd^2), c_out = s sd / sqrt(s^2 + sd^2), c_in = 1 / sqrt(s^2 + sd^2), c_noise = ln(s) / 4  (tab. 1)
minimises E[ lambda(s) |D(y + s n; s) - y|^2 ], lambda = (s^2 + sd^2) / (s sd)^2, over ln s ~ N(P_mean, P_std^2)  (eq. 8)
Sampling integrates dx/ds = (x - D(x; s)) / s from s_max to 0 by Heun's second-order steps (alg. 1) on the levels
    s_i = (s_max^(1/rho) + i / (N - 1) (s_min^(1/rho) - s_max^(1/rho)))^rho, s_N = 0                              (eq. 5)
from x = s_max z: a fixed function of z, with 2 N - 1 calls of the network.

It is the model of "Denoising Diffusion Probabilistic Models" (Ho et al. 2020, arXiv:2006.11239) with what two years of
work had cleared up: scaling at the network's ends, the noise levels seen in training, and a sampler that needs tens of
calls and not a thousand.

About: What most image generators have been since 2021: a network learns to take noise out of images, and samples are
noise from which it is taken in steps. Training is plain regression, so nothing collapses and no balance is kept; a sample
costs tens of calls where a GAN takes one. Compare a GAN with it where somebody asks why not diffusion. Watch the loss
only for faults: it says little of the images, and early ones are soft and misshapen.

Departures from the paper: a small U-Net that works on patches of 2 x 2 pixels and has a learned map of its places at each
of two levels, attention at the lower one only; sd 0.7 for images on black; no augmentation, no dropout. No likelihood is
printed: the exact one asks for an integral over hundreds of calls with their divergence, and the training loss is none.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ganloom.core.config import check_classes
from ganloom.core.errors import BadInput
from ganloom.gan import GAN, Adam, Batch, Phase, SampleOptions, Terms, inverse
from ganloom.nn.layers import one_hot

TITLE = "Diffusion: EDM, Heun sampler"
PAPER = "Karras et al. 2022, arXiv:2206.00364"
DATA = "any small images"
KIMG = 500.0  # the length of a run that does not say its own, thousands of images


@dataclass(frozen=True)
class Config:
    """The paper's numbers for noise and sampling (table 1); the network was sized here."""

    shape: tuple[int, int, int] = (3, 32, 32)
    """Channels, height, width."""
    n_classes: int = 0
    """Classes; taken from labelled data, 0 trains without labels."""
    width: int = 64
    """Channels at the finest level; twice as many at each coarser one."""
    patch: int = 2
    """Side of the squares of pixels that the network sees as one."""
    depth: int = 1
    """Residual blocks at each level, on the way down."""
    sigma_data: float = 0.7
    """sd, the data's standard deviation; 0.5 in the paper, for photographs. Of clothes on a black ground it is 0.7."""
    sigma_min: float = 0.002
    """Least noise in sampling."""
    sigma_max: float = 80.0
    """Most noise in sampling."""
    rho: float = 7.0
    """How far sampling's levels crowd towards the least noise."""
    p_mean: float = -1.2
    """Mean of ln s in training."""
    p_std: float = 1.2
    """Standard deviation of ln s in training."""
    sampler_steps: int = 18
    """N, steps of the sampler; 2 N - 1 calls of the network."""
    batch_size: int = 16
    """Real images a batch."""
    ema_kimg: float = 5.0
    """Half-life of the network's average, thousands of images."""
    g_opt: Adam = Adam(1e-3, betas=(0.9, 0.99), clip=1.0, schedule=inverse(60.0))
    """Optimizer."""

    def __post_init__(self) -> None:
        check_classes(self)
        if not 0 < self.sigma_min < self.sigma_max:
            raise BadInput(f"--sigma-min must lie between 0 and --sigma-max, got {self.sigma_min} and {self.sigma_max}")
        for name in ("patch", "depth", "sampler_steps"):
            if getattr(self, name) < 1:
                raise BadInput(f"--{name.replace('_', '-')} must be at least 1, got {getattr(self, name)}")
        for name in ("sigma_data", "rho", "p_std"):
            if not getattr(self, name) > 0:
                raise BadInput(f"--{name.replace('_', '-')} must be above 0, got {getattr(self, name)}")


# ------------------------------------------------------------------------------------------------------- the network


class Block(nn.Module):
    """Residual block (N, C, H, W) -> (N, O, H, W), its normalised features scaled and shifted by an embedding (N, E)."""

    def __init__(self, inputs: int, outputs: int, embedding: int, attention: bool = False) -> None:
        super().__init__()
        self.norm0, self.conv0 = _norm(inputs), nn.Conv2d(inputs, outputs, 3, padding=1)
        self.affine = nn.Linear(embedding, 2 * outputs)
        self.norm1, self.conv1 = _norm(outputs), nn.Conv2d(outputs, outputs, 3, padding=1)
        self.skip = nn.Conv2d(inputs, outputs, 1) if inputs != outputs else nn.Identity()
        self.attention = Attention(outputs) if attention else nn.Identity()
        with torch.no_grad():
            self.conv1.weight.mul_(0.1)  # near the identity at first

    def forward(self, x: Tensor, embedding: Tensor) -> Tensor:
        """Features and embedding to features."""
        scale, shift = self.affine(embedding)[:, :, None, None].chunk(2, 1)
        h = self.conv0(F.silu(self.norm0(x)))
        h = self.conv1(F.silu(torch.addcmul(shift, self.norm1(h), 1 + scale)))
        out: Tensor = self.attention(self.skip(x) + h)
        return out


class Attention(nn.Module):
    """Each place looks at all places, (N, C, H, W) -> the same, added to what was there."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm, self.qkv, self.out = (
            _norm(channels),
            nn.Conv2d(channels, 3 * channels, 1),
            nn.Conv2d(channels, channels, 1),
        )
        with torch.no_grad():
            self.out.weight.mul_(0.1)

    def forward(self, x: Tensor) -> Tensor:
        """Features to features."""
        q, k, v = (part.flatten(2).transpose(1, 2).contiguous() for part in self.qkv(self.norm(x)).chunk(3, 1))
        seen = F.scaled_dot_product_attention(q[:, None], k[:, None], v[:, None])[:, 0]
        out: Tensor = x + self.out(seen.transpose(1, 2).reshape(x.shape))
        return out


class UNet(nn.Module):
    """F: x (N, C, H, W), c_noise (N,), class c (N,) -> (N, C, H, W). Two levels below patches of pixels, each with a learned
    map of its places: most of an image's outline is known from where a pixel stands."""

    channels_last = True
    frequencies: Tensor

    def __init__(self, cfg: Config) -> None:
        super().__init__()
        self.patch, self.n_classes = cfg.patch, cfg.n_classes
        narrow, wide, embedding = cfg.width, 2 * cfg.width, 4 * cfg.width
        values = cfg.shape[0] * cfg.patch**2
        self.register_buffer("frequencies", torch.exp(torch.linspace(math.log(0.5), math.log(32.0), cfg.width)))
        self.level, self.mix = nn.Linear(2 * cfg.width, embedding), nn.Linear(embedding, embedding)
        for linear in (self.level, self.mix):  # a signal as strong as the features that it steers, from the start
            nn.init.kaiming_normal_(linear.weight)
        if cfg.n_classes:
            self.classes = nn.Linear(cfg.n_classes, embedding, bias=False)
            nn.init.normal_(self.classes.weight)
        rows, columns = (-(-side // (2 * cfg.patch)) for side in cfg.shape[1:])
        self.fine_place = nn.Parameter(torch.randn(1, narrow, 2 * rows, 2 * columns) * 0.1)
        self.coarse_place = nn.Parameter(torch.randn(1, wide, rows, columns) * 0.1)
        self.into = nn.Conv2d(values, narrow, 3, padding=1)
        self.fine = nn.ModuleList(Block(narrow, narrow, embedding) for _ in range(cfg.depth))
        self.down = nn.Conv2d(narrow, wide, 3, stride=2, padding=1)
        self.coarse = nn.ModuleList(Block(wide, wide, embedding, attention=True) for _ in range(cfg.depth + 1))
        self.up = nn.Conv2d(wide, narrow, 3, padding=1)
        self.back = nn.ModuleList(Block(2 * narrow if i == 0 else narrow, narrow, embedding) for i in range(cfg.depth))
        self.out = nn.Sequential(_norm(narrow), nn.SiLU(), nn.Conv2d(narrow, values, 3, padding=1))

    def forward(self, x: Tensor, noise: Tensor, c: Tensor | None = None) -> Tensor:
        """Scaled noisy images to F."""
        angles = noise[:, None] * self.frequencies
        embedding = self.level(torch.cat([angles.cos(), angles.sin()], 1))
        if self.n_classes:
            assert c is not None
            embedding = embedding + self.classes(one_hot(c, self.n_classes))
        embedding = F.silu(self.mix(F.silu(embedding)))
        height, width = x.shape[2:]
        side = 2 * self.patch
        x = F.pad(x, (0, -width % side, 0, -height % side), mode="replicate")
        x = self.into(F.pixel_unshuffle(x, self.patch).contiguous(memory_format=torch.channels_last)) + self.fine_place
        for block in self.fine:
            x = block(x, embedding)
        kept, x = x, self.down(x) + self.coarse_place
        for block in self.coarse:
            x = block(x, embedding)
        x = torch.cat([kept, self.up(F.interpolate(x, scale_factor=2.0, mode="nearest"))], 1)
        for block in self.back:
            x = block(x, embedding)
        return F.pixel_shuffle(self.out(x), self.patch)[:, :, :height, :width]


def _norm(channels: int) -> nn.GroupNorm:
    return nn.GroupNorm(math.gcd(8, channels), channels)


# --------------------------------------------------------------------------------------------------------- the model


class EDM(GAN):
    """Diffusion model; G is the network F."""

    sample_options = SampleOptions(progress=True)

    def __init__(self, cfg: Config) -> None:
        super().__init__(cfg)
        self.G = UNet(cfg)

    def phases(self) -> list[Phase]:
        return [Phase("G", self.loss)]

    def z(self, n: int) -> Tensor:
        """Latents (n, C * H * W): the noise that sampling begins with."""
        return self.randn(n, math.prod(self.cfg.shape))

    def scalings(self, sigma: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """c_skip, c_out, c_in, c_noise of table 1, each of sigma's shape."""
        data = self.cfg.sigma_data
        total = sigma.square() + data**2
        return data**2 / total, sigma * data * total.rsqrt(), total.rsqrt(), sigma.log() / 4

    def denoise(self, x: Tensor, sigma: Tensor, c: Tensor | None = None) -> Tensor:
        """D(x; sigma): noisy images (N, C, H, W) with noise levels (N,) to the expected clean ones (eq. 7)."""
        skip, out, into, noise = (s[:, None, None, None] for s in self.scalings(sigma))
        f: Tensor = self.G((into * x).float(), noise.flatten().float(), c if self.cfg.n_classes else None)
        denoised: Tensor = skip * x + out * f
        return denoised

    def loss(self, batch: Batch) -> Terms:
        """Weighted squared error of the denoiser (eq. 8), a value; about 1 for an untrained network."""
        n, shape = len(batch.x), batch.x.shape[1:]
        sigma = (self.randn(n) * self.cfg.p_std + self.cfg.p_mean).exp()
        noisy = batch.x + sigma[:, None, None, None] * self.randn(n, *shape)
        error = (self.denoise(noisy, sigma, batch.c) - batch.x).square().flatten(1).mean(1)
        weight = (sigma.square() + self.cfg.sigma_data**2) / (sigma * self.cfg.sigma_data).square()
        return {"loss": (weight * error).mean()}

    def levels(self, steps: int) -> Tensor:
        """Noise levels of the sampler, (steps + 1,), the last 0 (eq. 5)."""
        low, high = self.cfg.sigma_min ** (1 / self.cfg.rho), self.cfg.sigma_max ** (1 / self.cfg.rho)
        levels = torch.linspace(high, low, steps, dtype=torch.float64).pow(self.cfg.rho)
        return torch.cat([levels, levels.new_zeros(1)])

    def sample(
        self,
        z: Tensor,
        c: Tensor | None = None,
        *,
        steps: int | None = None,
        progress: Callable[[int, int], None] | None = None,
    ) -> Tensor:
        """Images in [-1, 1] by algorithm 1; ``steps`` None: the config's. ``progress`` hears (steps done, steps)."""
        levels = self.levels(steps or self.cfg.sampler_steps).tolist()
        # In float64 as the authors do: at the last levels a rounding error of the image is divided by s_min.
        x = z.view(len(z), *self.cfg.shape).to(torch.float32 if z.device.type == "mps" else torch.float64) * levels[0]
        for i, (now, then) in enumerate(zip(levels, levels[1:], strict=False)):
            slope = self._slope(x, now, c)
            moved = x + (then - now) * slope
            x = moved if then == 0 else x + (then - now) * (slope + self._slope(moved, then, c)) / 2
            if progress:
                progress(i + 1, len(levels) - 1)
        images: Tensor = x.clamp(-1, 1).float()
        return images

    def _slope(self, x: Tensor, sigma: float, c: Tensor | None) -> Tensor:
        return (x - self.denoise(x, x.new_full((len(x),), sigma), c)) / sigma


MODEL = EDM
