"""The degradations of Real-ESRGAN: blur, resize, noise and JPEG, twice, with a final sinc filter.

Wang et al. 2021, arXiv:2107.10833, section 3, with the probabilities and ranges of the authors' configuration. Each image has
its own parameters, which a generator decides, so the same generator gives the same small image.
"""

import io
import math
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

KERNEL = 21
"""Largest size of a blur kernel."""
SIZES = tuple(range(7, KERNEL + 1, 2))
KINDS = ("iso", "aniso", "generalized_iso", "generalized_aniso", "plateau_iso", "plateau_aniso")
KIND_SHARES = (0.45, 0.25, 0.12, 0.03, 0.12, 0.03)
SINC = 0.1
"""Share of blur kernels that are sinc filters."""
FINAL_SINC = 0.8
GENERALIZED, PLATEAU = (0.5, 4.0), (1.0, 2.0)
"""Ranges of the exponents."""
MODES = ("area", "bilinear", "bicubic")
GREY = 0.4
"""Share of noise that is equal in all channels."""


@dataclass(frozen=True)
class Order:
    """The parameters of one of the two rounds."""

    blur: float
    """Probability of a blur."""
    sigma: tuple[float, float]
    """Range of the standard deviation of the blur, in pixels."""
    resize: tuple[float, float, float]
    """Probabilities to enlarge, to reduce, and to keep the size."""
    factor: tuple[float, float]
    """Smallest and largest factor."""
    noise: tuple[float, float]
    """Range of the standard deviation of Gaussian noise, of 255."""
    poisson: tuple[float, float]
    """Range of the strength of Poisson noise."""
    gaussian: float = 0.5
    """Probability of Gaussian noise; otherwise it is Poisson noise."""
    jpeg: tuple[float, float] = (30.0, 95.0)
    """Range of the JPEG quality."""


FIRST = Order(1.0, (0.2, 3.0), (0.2, 0.7, 0.1), (0.15, 1.5), (1.0, 30.0), (0.05, 3.0))
SECOND = Order(0.8, (0.2, 1.5), (0.3, 0.4, 0.3), (0.3, 1.2), (1.0, 25.0), (0.05, 2.5))


class Draws:
    """Random numbers from a generator on the CPU."""

    def __init__(self, generator: torch.Generator) -> None:
        self.generator = generator

    def uniform(self, low: float = 0.0, high: float = 1.0) -> float:
        """Return a number in [low, high)."""
        return low + (high - low) * float(torch.rand((), generator=self.generator, dtype=torch.float64))

    def chance(self, share: float) -> bool:
        """Return True with a probability."""
        return self.uniform() < share

    def one_of(self, count: int, shares: tuple[float, ...] | None = None) -> int:
        """Return an index below ``count``; equally likely without ``shares``."""
        point, at = self.uniform(), 0.0
        for i in range(count):
            at += 1 / count if shares is None else shares[i]
            if point < at:
                return i
        return count - 1


@torch.no_grad()
def degrade(x: Tensor, scale: int, generator: torch.Generator) -> Tensor:
    """Make the small image of one image.

    Args:
        x: (1, C, H, W) in [0, 1].
        scale: Factor by which it becomes smaller.
        generator: Decides all random numbers.

    Returns:
        (1, C, H / scale, W / scale), of 256 levels in [0, 1].
    """
    draws, device = Draws(generator), x.device
    height, width = x.shape[2:]
    small = height // scale, width // scale
    y = filtered(x.cpu().float(), blur_kernel(draws, FIRST.sigma))
    factor = _factor(draws, FIRST)
    y = _resized(y, (int(height * factor), int(width * factor)), draws)
    y = jpeg(_noisy(y, FIRST, draws), draws.uniform(*FIRST.jpeg))
    if draws.chance(SECOND.blur):
        y = filtered(y, blur_kernel(draws, SECOND.sigma))
    factor = _factor(draws, SECOND)
    y = _resized(y, (int(small[0] * factor), int(small[1] * factor)), draws)
    y = _noisy(y, SECOND, draws)
    last = None
    if draws.chance(FINAL_SINC):
        size = SIZES[draws.one_of(len(SIZES))]
        last = sinc_kernel(draws.uniform(math.pi / 3, math.pi), size)
    quality = draws.uniform(*SECOND.jpeg)
    if draws.chance(0.5):
        y = jpeg(_finished(y, small, last, draws), quality)
    else:
        y = _finished(jpeg(y, quality), small, last, draws)
    return y.clamp(0, 1).mul(255).round().div(255).to(device)


def blur_kernel(draws: Draws, sigma: tuple[float, float]) -> Tensor:
    """Draw a blur kernel (k, k) of sum 1."""
    size = SIZES[draws.one_of(len(SIZES))]
    if draws.chance(SINC):
        return sinc_kernel(draws.uniform(math.pi / (3 if size < 13 else 5), math.pi), size)
    kind = KINDS[draws.one_of(len(KINDS), KIND_SHARES)]
    first = draws.uniform(*sigma)
    second, angle = (
        (first, 0.0)
        if kind.endswith("_iso") or kind == "iso"
        else (draws.uniform(*sigma), draws.uniform(-math.pi, math.pi))
    )
    exponent = 1.0
    if kind.startswith(("generalized", "plateau")):
        low, high = GENERALIZED if kind.startswith("generalized") else PLATEAU
        exponent = draws.uniform(low, 1.0) if draws.chance(0.5) else draws.uniform(1.0, high)
    return gaussian_kernel(size, first, second, angle, exponent, plateau=kind.startswith("plateau"))


def gaussian_kernel(
    size: int, first: float, second: float, angle: float, exponent: float = 1.0, plateau: bool = False
) -> Tensor:
    """Return a generalized Gaussian kernel, or one with a plateau.

    Args:
        size: Pixels a side.
        first: Standard deviation along the first axis.
        second: Standard deviation along the second axis.
        angle: Rotation of the axes, in radians.
        exponent: exp(-q^exponent / 2), or with a plateau 1 / (q^exponent + 1), where q is the squared distance in units of
            the standard deviations.
        plateau: See ``exponent``.

    Returns:
        (size, size) float32 of sum 1.
    """
    at = torch.arange(size, dtype=torch.float64) - size // 2
    y, x = torch.meshgrid(at, at, indexing="ij")
    along = (x * math.cos(angle) + y * math.sin(angle)) / first
    across = (-x * math.sin(angle) + y * math.cos(angle)) / second
    q = (along.square() + across.square()) ** exponent
    kernel = 1 / (q + 1) if plateau else torch.exp(-q / 2)
    return (kernel / kernel.sum()).float()


def sinc_kernel(cutoff: float, size: int) -> Tensor:
    """Return a circular low-pass filter (size, size) of sum 1, which rings at edges; ``cutoff`` in radians per pixel."""
    at = torch.arange(size, dtype=torch.float64) - size // 2
    radius = (at[:, None].square() + at[None, :].square()).sqrt()
    kernel = cutoff * torch.special.bessel_j1(cutoff * radius) / (2 * math.pi * radius.clamp_min(1e-9))
    kernel[size // 2, size // 2] = cutoff**2 / (4 * math.pi)
    unit: Tensor = (kernel / kernel.sum()).float()
    return unit


def filtered(x: Tensor, kernel: Tensor) -> Tensor:
    """Filter images (N, C, H, W) with a kernel (k, k), of odd k; the border is reflected."""
    reach, channels = kernel.shape[0] // 2, x.shape[1]
    mode = "reflect" if reach < min(x.shape[2:]) else "replicate"
    padded = F.pad(x, (reach,) * 4, mode=mode)
    weight = kernel.to(x).expand(channels, 1, -1, -1)
    out: Tensor = F.conv2d(padded, weight, groups=channels)
    return out


def jpeg(x: Tensor, quality: float) -> Tensor:
    """Compress an image (1, C, H, W) in [0, 1] as JPEG: colours with half the resolution, as cameras do; alpha as grey."""
    pixels = x[0].clamp(0, 1).mul(255).round().byte().permute(1, 2, 0).numpy()
    parts = [pixels] if pixels.shape[2] in (1, 3) else np.split(pixels, [pixels.shape[2] - 1], axis=2)
    decoded = []
    for part in parts:
        file = io.BytesIO()
        Image.fromarray(np.ascontiguousarray(part[..., 0] if part.shape[2] == 1 else part)).save(
            file, "JPEG", quality=max(1, round(quality))
        )
        array = np.asarray(Image.open(file))
        decoded.append(array if array.ndim == 3 else array[..., None])
    return torch.from_numpy(np.concatenate(decoded, axis=2)).permute(2, 0, 1)[None].float() / 255


def sharpened(x: Tensor, weight: float = 0.5, threshold: float = 10.0) -> Tensor:
    """Sharpen images (N, C, H, W) in [0, 1] by unsharp masking, where they differ from their blur by more than a threshold.

    Real-ESRGAN trains towards sharpened targets. The blur has 51 pixels and a standard deviation of 8.
    """
    kernel = gaussian_kernel(51, 8.0, 8.0, 0.0)
    difference = x - _blurred(x, kernel)
    mask = (difference.abs() * 255 > threshold).to(x)
    soft = _blurred(mask, kernel)
    sharp = (x + weight * difference).clamp(0, 1)
    out: Tensor = soft * sharp + (1 - soft) * x
    return out


def _blurred(x: Tensor, kernel: Tensor) -> Tensor:
    """Filter with a separable kernel, along one axis after the other."""
    line, channels, reach = kernel.sum(0).to(x), x.shape[1], kernel.shape[0] // 2
    for vertical in (True, False):
        side = x.shape[2 if vertical else 3]
        pad = (0, 0, reach, reach) if vertical else (reach, reach, 0, 0)
        padded = F.pad(x, pad, mode="reflect" if reach < side else "replicate")
        weight = line.view(1, 1, -1, 1) if vertical else line.view(1, 1, 1, -1)
        x = F.conv2d(padded, weight.expand(channels, 1, -1, -1), groups=channels)
    return x


def _factor(draws: Draws, order: Order) -> float:
    """Draw a resize factor."""
    way = draws.one_of(3, order.resize)
    low, high = order.factor
    return (draws.uniform(1.0, high), draws.uniform(low, 1.0), 1.0)[way]


def _resized(x: Tensor, size: tuple[int, int], draws: Draws) -> Tensor:
    mode, size = MODES[draws.one_of(len(MODES))], (max(1, size[0]), max(1, size[1]))
    return (
        F.interpolate(x, size, mode=mode) if mode == "area" else F.interpolate(x, size, mode=mode, align_corners=False)
    )


def _noisy(x: Tensor, order: Order, draws: Draws) -> Tensor:
    """Add Gaussian or Poisson noise, and clip."""
    x = x.clamp(0, 1)
    if draws.chance(order.gaussian):
        strength, grey = draws.uniform(*order.noise) / 255, draws.chance(GREY)
        shape = (x.shape[0], 1, *x.shape[2:]) if grey else tuple(x.shape)
        noisy: Tensor = (x + strength * torch.randn(shape, generator=draws.generator)).clamp(0, 1)
        return noisy
    strength, grey = draws.uniform(*order.poisson), draws.chance(GREY)
    levels = x.mean(1, keepdim=True) if grey else x
    levels = levels.mul(255).round().div(255)
    count = 2 ** math.ceil(math.log2(max(2, len(torch.unique(levels)))))
    noise = torch.poisson(levels * count, generator=draws.generator) / count - levels
    out: Tensor = (x + strength * noise).clamp(0, 1)
    return out


def _finished(x: Tensor, size: tuple[int, int], kernel: Tensor | None, draws: Draws) -> Tensor:
    """Resize to the final size, and filter."""
    y = _resized(x, size, draws)
    return y if kernel is None else filtered(y, kernel)
