"""EDM. "Elucidating the Design Space of Diffusion-Based Generative Models", Karras et al. 2022, arXiv:2206.00364.

The denoiser D(x; s) = c_skip(s) x + c_out(s) F(c_in(s) x; c_noise(s))                                            (eq. 7)
    c_skip = sd^2 / (s^2 + sd^2), c_out = s sd / sqrt(s^2 + sd^2), c_in = 1 / sqrt(s^2 + sd^2), c_noise = ln(s) / 4  (tab. 1)
minimises E[ lambda(s) |D(y + s n; s) - y|^2 ], lambda = (s^2 + sd^2) / (s sd)^2, over ln s ~ N(P_mean, P_std^2)  (eq. 8)
Sampling integrates dx/ds = (x - D(x; s)) / s from s_max to 0 by Heun's second-order steps (alg. 1) on the levels
    s_i = (s_max^(1/rho) + i / (N - 1) (s_min^(1/rho) - s_max^(1/rho)))^rho, s_N = 0                              (eq. 5)
from x = s_max z: a fixed function of z, with 2 N - 1 calls of the network.

The model is that of "Denoising Diffusion Probabilistic Models" (Ho et al. 2020, arXiv:2006.11239) with the improvements of
the two following years: scaling of the network's input and output, the distribution of noise levels in training, and a
sampler that needs tens of calls instead of a thousand.

About: Most image generators since 2021 are diffusion models: a network learns to remove noise from images, and samples
start as noise that is removed step by step. Training is plain regression, so there is no mode collapse and nothing to
balance; a sample costs tens of network calls, with a GAN one. Use it as a baseline when the question is why not diffusion.
Watch the loss only for errors: it says little about image quality. Samples early in training are soft and misshapen.

Departures from the paper: a small U-Net that works on patches of 2 x 2 pixels and has a learned map of positions at each of
two levels, with attention at the coarser level only; sd 0.7 for images on black; no augmentation, no dropout. No likelihood
is reported: the exact one needs an integral over hundreds of network calls with their divergence, and the training loss is
not a likelihood.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ganloom.core.config import check_at_least_one, check_classes
from ganloom.core.errors import BadInput
from ganloom.gan import GAN, Adam, Batch, Phase, SampleOptions, Terms, inverse
from ganloom.nn import initial_weights
from ganloom.nn.layers import one_hot

TITLE = "Diffusion: EDM, Heun sampler"
PAPER = "Karras et al. 2022, arXiv:2206.00364"
DATA = "any small images"
KIMG = 500.0  # default length of a run, thousands of images


@dataclass(frozen=True)
class Config:
    """The paper's hyperparameters for noise and sampling (table 1); the network size was chosen for this project."""

    shape: tuple[int, int, int] = (3, 32, 32)
    """Image shape: channels, height, width."""
    n_classes: int = 0
    """Number of classes, taken from labelled data; 0 trains without labels."""
    width: int = 64
    """Channels at the finest level; doubled at each coarser one."""
    patch: int = 2
    """Side of the square of pixels that the network treats as one position."""
    depth: int = 1
    """Residual blocks per level on the downsampling path."""
    sigma_data: float = 0.7
    """Standard deviation sd of the data: 0.5 in the paper for photographs, 0.7 for clothes on a black background."""
    sigma_min: float = 0.002
    """Smallest noise level in sampling."""
    sigma_max: float = 80.0
    """Largest noise level in sampling."""
    rho: float = 7.0
    """Exponent of the sampling schedule; larger values put more levels near the smallest noise."""
    p_mean: float = -1.2
    """Mean of ln s in training."""
    p_std: float = 1.2
    """Standard deviation of ln s in training."""
    sampler_steps: int = 18
    """Steps N of the sampler; it needs 2 N - 1 calls of the network."""
    batch_size: int = 16
    """Real images per batch."""
    ema_kimg: float = 5.0
    """Half-life of the EMA of the network, in thousands of images."""
    g_opt: Adam = Adam(1e-3, betas=(0.9, 0.99), clip=1.0, schedule=inverse(60.0))
    """Optimizer of the network."""

    def __post_init__(self) -> None:
        check_classes(self)
        if not 0 < self.sigma_min < self.sigma_max:
            raise BadInput(
                f"--sigma-min must be above 0 and below --sigma-max, got {self.sigma_min} and {self.sigma_max}"
            )
        check_at_least_one(self, "patch", "depth", "sampler_steps")
        for name in ("sigma_data", "rho", "p_std"):
            if not getattr(self, name) > 0:
                raise BadInput(f"--{name.replace('_', '-')} must be above 0, got {getattr(self, name)}")


# ------------------------------------------------------------------------------------------------------- the network


class Block(nn.Module):
    """Residual block (N, C, H, W) -> (N, O, H, W) whose normalised features are scaled and shifted by an embedding (N, E)."""

    def __init__(self, inputs: int, outputs: int, embedding: int, attention: bool = False) -> None:
        super().__init__()
        self.norm0, self.conv0 = _norm(inputs), nn.Conv2d(inputs, outputs, 3, padding=1)
        self.affine = nn.Linear(embedding, 2 * outputs)
        self.norm1, self.conv1 = _norm(outputs), nn.Conv2d(outputs, outputs, 3, padding=1)
        self.skip = nn.Conv2d(inputs, outputs, 1) if inputs != outputs else nn.Identity()
        self.attention = Attention(outputs) if attention else nn.Identity()
        with torch.no_grad():
            self.conv1.weight.mul_(0.1)  # start close to the identity

    def forward(self, x: Tensor, embedding: Tensor) -> Tensor:
        """Map features (N, C, H, W) and an embedding (N, E) to features (N, O, H, W)."""
        scale, shift = self.affine(embedding)[:, :, None, None].chunk(2, 1)
        h = self.conv0(F.silu(self.norm0(x)))
        h = self.conv1(F.silu(torch.addcmul(shift, self.norm1(h), 1 + scale)))
        out: Tensor = self.attention(self.skip(x) + h)
        return out


class Attention(nn.Module):
    """Self-attention over all positions with a residual connection, (N, C, H, W) -> (N, C, H, W)."""

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
        """Map features (N, C, H, W) to features (N, C, H, W)."""
        q, k, v = (part.flatten(2).transpose(1, 2).contiguous() for part in self.qkv(self.norm(x)).chunk(3, 1))
        attended = F.scaled_dot_product_attention(q[:, None], k[:, None], v[:, None])[:, 0]
        out: Tensor = x + self.out(attended.transpose(1, 2).reshape(x.shape))
        return out


class UNet(nn.Module):
    """The network F: x (N, C, H, W), c_noise (N,), class c (N,) -> (N, C, H, W).

    It has two levels below the patches of pixels, each with a learned map of positions, because the outline of an image depends
    mostly on the position.
    """

    channels_last = True
    frequencies: Tensor

    def __init__(self, cfg: Config) -> None:
        super().__init__()
        self.patch, self.n_classes = cfg.patch, cfg.n_classes
        narrow, wide, embedding = cfg.width, 2 * cfg.width, 4 * cfg.width
        values = cfg.shape[0] * cfg.patch**2
        self.register_buffer("frequencies", torch.exp(torch.linspace(math.log(0.5), math.log(32.0), cfg.width)))
        self.level, self.mix = nn.Linear(2 * cfg.width, embedding), nn.Linear(embedding, embedding)
        for linear in (self.level, self.mix):  # so that the embedding is as large as the features from the start
            nn.init.kaiming_normal_(linear.weight)
        if cfg.n_classes:
            self.classes = nn.Linear(cfg.n_classes, embedding, bias=False)
            initial_weights.normal(self.classes.weight)
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
        """Map scaled noisy images (N, C, H, W), c_noise (N,) and labels (N,) to F (N, C, H, W)."""
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
        skip, x = x, self.down(x) + self.coarse_place
        for block in self.coarse:
            x = block(x, embedding)
        x = torch.cat([skip, self.up(F.interpolate(x, scale_factor=2.0, mode="nearest"))], 1)
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
        """Draw latents (n, C * H * W): the noise from which sampling starts."""
        return self.randn(n, math.prod(self.cfg.shape))

    def scalings(self, sigma: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Return c_skip, c_out, c_in and c_noise of table 1, each of sigma's shape."""
        data = self.cfg.sigma_data
        total = sigma.square() + data**2
        return data**2 / total, sigma * data * total.rsqrt(), total.rsqrt(), sigma.log() / 4

    def denoise(self, x: Tensor, sigma: Tensor, c: Tensor | None = None) -> Tensor:
        """Map noisy images (N, C, H, W) with noise levels (N,) to the expected clean images D(x; sigma) (eq. 7)."""
        skip, out, into, noise = (s[:, None, None, None] for s in self.scalings(sigma))
        f: Tensor = self.G((into * x).float(), noise.flatten().float(), c if self.cfg.n_classes else None)
        denoised: Tensor = skip * x + out * f
        return denoised

    def loss(self, batch: Batch) -> Terms:
        """Return the weighted squared error of the denoiser per value (eq. 8); about 1 for an untrained network."""
        n, shape = len(batch.x), batch.x.shape[1:]
        sigma = (self.randn(n) * self.cfg.p_std + self.cfg.p_mean).exp()
        noisy = batch.x + sigma[:, None, None, None] * self.randn(n, *shape)
        error = (self.denoise(noisy, sigma, batch.c) - batch.x).square().flatten(1).mean(1)
        weight = (sigma.square() + self.cfg.sigma_data**2) / (sigma * self.cfg.sigma_data).square()
        return {"loss": (weight * error).mean()}

    def levels(self, steps: int) -> Tensor:
        """Return the noise levels of the sampler, (steps + 1,); the last is 0 (eq. 5)."""
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
        """Sample images with algorithm 1.

        Args:
            z: Latents (N, C * H * W).
            c: Labels (N,).
            steps: Steps of the sampler; None: those of the config.
            progress: Called with (steps done, steps).

        Returns:
            Images (N, C, H, W) in [-1, 1].
        """
        levels = self.levels(steps or self.cfg.sampler_steps).tolist()
        # In float64, as in the authors' code: at the last levels rounding errors of the image are divided by s_min.
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
