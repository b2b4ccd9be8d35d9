"""Synthetic anomalies: normal samples that were damaged in known ways. They choose the method; no real anomaly is used."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from ganloom.core.randomness import key

Pair = tuple[Tensor, Tensor | None]
"""Damaged samples (N, *shape), and where they were damaged, bool (N, H, W); None if everywhere."""


def damaged(x: Tensor, seed: int) -> dict[str, Pair]:
    """Damage normal samples in every way.

    Args:
        x: Samples (N, *shape), N at least 2, images in [-1, 1].
        seed: Seed of the damage.

    Returns:
        Kind -> (samples, where).
    """
    made = {}
    for name, damage in (IMAGES if x.dim() == 4 else TABLES).items():
        samples, where = damage(x, torch.Generator().manual_seed(key(seed, "damage", name)))
        made[name] = (samples.clamp(-1, 1) if x.dim() == 4 else samples), where
    return made


def _uniform(n: int, low: float, high: float, rng: torch.Generator) -> Tensor:
    return low + (high - low) * torch.rand(n, generator=rng)


def _boxes(x: Tensor, low: float, high: float, rng: torch.Generator) -> Tensor:
    """Draw a box in each image, with sides of a share between low and high of the image's: bool (N, H, W)."""
    n, _, height, width = x.shape
    inside = torch.ones(n, height, width, dtype=torch.bool)
    for axis, length in ((1, height), (2, width)):
        size = (_uniform(n, low, high, rng) * length).round().clamp(1, length)
        start = (torch.rand(n, generator=rng) * (length - size + 1)).floor()
        place = torch.arange(length)
        along = (place >= start[:, None]) & (place < (start + size)[:, None])
        inside &= along[:, :, None] if axis == 1 else along[:, None, :]
    return inside


def _others(x: Tensor, rng: torch.Generator) -> Tensor:
    """Return for each sample another one."""
    shift = int(torch.randint(1, len(x), (), generator=rng))
    return x.roll(shift, 0)


def pasted(x: Tensor, rng: torch.Generator) -> Pair:
    """Paste a part of another image at another place ("CutPaste", Li et al. 2021, arXiv:2104.04015)."""
    where = _boxes(x, 0.15, 0.4, rng)
    height, width = x.shape[2:]
    moves = [int(_uniform(1, 0.25, 0.75, rng) * side) for side in (height, width)]
    source = _others(x, rng).roll(moves, (2, 3))
    return torch.where(where[:, None], source, x), where


def scratched(x: Tensor, rng: torch.Generator) -> Pair:
    """Draw a thin straight line of another brightness."""
    n, channels, height, width = x.shape
    rows, columns = torch.meshgrid(torch.arange(height) / height, torch.arange(width) / width, indexing="ij")
    angle = _uniform(n, 0, torch.pi, rng)[:, None, None]
    centre = _uniform(2 * n, 0.25, 0.75, rng).view(2, n, 1, 1)
    along = (rows - centre[0]) * angle.sin() + (columns - centre[1]) * angle.cos()
    across = (rows - centre[0]) * angle.cos() - (columns - centre[1]) * angle.sin()
    thick = max(0.02, 0.7 / min(height, width))
    where = (across.abs() <= thick) & (along.abs() <= _uniform(n, 0.15, 0.35, rng)[:, None, None])
    return torch.where(where[:, None], _away(x, rng), x), where


def _away(x: Tensor, rng: torch.Generator) -> Tensor:
    """Return a colour (N, C, 1, 1) for each image that differs from its mean by 0.5 to 1."""
    mean = x.mean((2, 3), keepdim=True)
    by = _uniform(len(x), 0.5, 1.0, rng)[:, None, None, None]
    return torch.where(mean > 0, mean - by, mean + by)


def stained(x: Tensor, rng: torch.Generator) -> Pair:
    """Make a round part brighter or darker, with a soft edge."""
    n, _, height, width = x.shape
    rows, columns = torch.meshgrid(torch.arange(height) / height, torch.arange(width) / width, indexing="ij")
    centre = _uniform(2 * n, 0.2, 0.8, rng).view(2, n, 1, 1)
    radius = _uniform(n, 0.08, 0.2, rng)[:, None, None]
    distance = ((rows - centre[0]) ** 2 + (columns - centre[1]) ** 2).sqrt() / radius
    strength = (1.5 - distance).clamp(0, 1)
    made = x + strength[:, None] * (_away(x, rng) - x)
    return made, strength > 0.5


def blurred(x: Tensor, rng: torch.Generator) -> Pair:
    """Blur a part of the image, so that it loses its texture."""
    where = _boxes(x, 0.15, 0.4, rng)
    size = max(3, min(x.shape[2:]) // 4) | 1
    soft = F.avg_pool2d(x, size, 1, size // 2, count_include_pad=False)
    return torch.where(where[:, None], soft, x), where


def joined(x: Tensor, rng: torch.Generator) -> Pair:
    """Join the upper half of an image with the lower half of another that is turned upside down."""
    half = x.shape[2] // 2
    other = _others(x, rng).flip(2)
    return torch.cat([x[:, :, :half], other[:, :, half:]], 2), None


def shuffled(x: Tensor, rng: torch.Generator) -> Pair:
    """Exchange the quarters of an image crosswise."""
    height, width = x.shape[2:]
    return x.roll((height // 2, width // 2), (2, 3)), None


def _sampled(x: Tensor, grid: Tensor) -> Tensor:
    return F.grid_sample(x, grid, padding_mode="border", align_corners=False)


def _identity(x: Tensor) -> Tensor:
    theta = torch.eye(2, 3).expand(len(x), 2, 3)
    return F.affine_grid(theta, [len(x), 1, *x.shape[2:]], align_corners=False)


def squeezed(x: Tensor, rng: torch.Generator) -> Pair:
    """Make what is in the image narrower or lower; the edges are continued."""
    narrow = torch.rand(len(x), generator=rng) < 0.5
    factor = _uniform(len(x), 1.5, 2.0, rng)
    scale = torch.stack([torch.where(narrow, factor, 1.0), torch.where(narrow, 1.0, factor)], 1)
    return _sampled(x, _identity(x) * scale[:, None, None]), None


def warped(x: Tensor, rng: torch.Generator) -> Pair:
    """Bend the image by a smooth random field."""
    field = torch.randn(len(x), 2, 4, 4, generator=rng) * 0.35
    smooth = F.interpolate(field, x.shape[2:], mode="bicubic", align_corners=True).permute(0, 2, 3, 1)
    return _sampled(x, _identity(x) + smooth), None


def exchanged(x: Tensor, rng: torch.Generator) -> Pair:
    """Take half of the columns from another row."""
    swapped = torch.rand(x.shape, generator=rng).argsort(1) < max(1, x.shape[1] // 2)
    return torch.where(swapped, _others(x, rng), x), None


def shifted(x: Tensor, rng: torch.Generator) -> Pair:
    """Move one column by three standard deviations."""
    column = torch.randint(x.shape[1], (len(x),), generator=rng)
    sign = torch.where(torch.rand(len(x), generator=rng) < 0.5, -3.0, 3.0)
    made = x.clone()
    made[torch.arange(len(x)), column] += sign * x.std(0)[column]
    return made, None


def scaled(x: Tensor, rng: torch.Generator) -> Pair:
    """Double the distance of each row from the mean."""
    return x.mean(0) + 2 * (x - x.mean(0)), None


def scattered(x: Tensor, rng: torch.Generator) -> Pair:
    """Draw each column on its own, from the range of its values."""
    low, high = x.min(0)[0], x.max(0)[0]
    return low + (high - low) * torch.rand(x.shape, generator=rng), None


IMAGES: dict[str, Callable[[Tensor, torch.Generator], Pair]] = {
    "pasted": pasted,
    "scratched": scratched,
    "stained": stained,
    "blurred": blurred,
    "joined": joined,
    "shuffled": shuffled,
    "squeezed": squeezed,
    "warped": warped,
}
TABLES: dict[str, Callable[[Tensor, torch.Generator], Pair]] = {
    "exchanged": exchanged,
    "shifted": shifted,
    "scaled": scaled,
    "scattered": scattered,
}
