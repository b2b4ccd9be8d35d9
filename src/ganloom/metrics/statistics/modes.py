"""Covered modes, the share of good samples and the divergence over modes, for data from a known mixture.

Definitions of Lin, Khetan, Fanti, Oh, "PacGAN: The power of two samples in generative adversarial networks", 2018,
arXiv:1712.04086, sec. 4.1 (the first two after Srivastava et al. 2017, VEEGAN, arXiv:1705.07761): a sample is of high
quality if it is within 3 standard deviations of the nearest mode. A mode is covered if it is the nearest mode of one such
sample. The reverse KL is taken from the modes' shares of the high-quality samples to the uniform distribution.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ganloom.core.errors import BadInput
from ganloom.metrics.statistics.intervals import interval

WITHIN = 3.0
"""Largest distance of a high-quality sample from its mode, in standard deviations."""
FAIR = 0.2
"""The stricter rule: a mode counts if it has this part of its fair share of all samples."""


@dataclass(frozen=True)
class Modes:
    """What one set of samples covers.

    Attributes:
        modes: number of modes with one high-quality sample or more: the published rule.
        fair: number of modes with a fifth of their fair share of the samples or more: the stricter rule.
        quality: share of samples of high quality.
        kl: KL(shares of the high-quality samples over the modes || uniform) in nats; log K without such samples.
    """

    modes: int
    fair: int
    quality: float
    kl: float


def mode_counts(samples: Tensor, modes: Tensor, sd: float, within: float = WITHIN) -> Tensor:
    """Count the high-quality samples of each mode.

    Args:
        samples: (N, d). A sample with NaN or Inf belongs to no mode.
        modes: (K, d) means.
        sd: standard deviation of a mode.
        within: largest distance from the mode, in standard deviations.

    Returns:
        (K,) int64.

    Raises:
        BadInput: wrong shapes, or ``sd`` not above 0.
    """
    if samples.dim() != 2 or modes.dim() != 2 or samples.shape[1] != modes.shape[1]:
        raise BadInput(f"samples (N, d) and modes (K, d) expected, got {tuple(samples.shape)} and {tuple(modes.shape)}")
    if not sd > 0:
        raise BadInput(f"sd: the standard deviation of a mode must be above 0, got {sd}")
    samples = samples.detach().double()
    samples = samples[torch.isfinite(samples).all(1)]
    distance, nearest = torch.cdist(samples, modes.to(samples)).min(1)
    return torch.bincount(nearest[distance < within * sd], minlength=len(modes))


def reverse_kl(counts: Tensor) -> float:
    """Compute KL(counts / sum || uniform) in nats.

    N samples from an even mixture of K modes give about (K - 1) / 2N: 0.005 for 25 modes and 2,500 samples.

    Args:
        counts: (K,).

    Returns:
        The divergence. log K, the largest value, if all counts are 0.
    """
    total = float(counts.sum())
    if not total:
        return math.log(len(counts))
    share = counts.double() / total
    return max(0.0, float(torch.special.xlogy(share, share * len(counts)).sum()))


def mode_coverage(samples: Tensor, modes: Tensor, sd: float) -> Modes:
    """Compare samples with an even mixture of Gaussians.

    Args:
        samples: (N, d).
        modes: (K, d) means.
        sd: standard deviation of a mode.

    Returns:
        The counts, the quality and the divergence.

    Raises:
        BadInput: no samples, wrong shapes, or ``sd`` not above 0.
    """
    if not len(samples):
        raise BadInput("modes cannot be counted in 0 samples")
    counts = mode_counts(samples, modes, sd)
    least = FAIR * len(samples) / len(modes)
    good = float(counts.sum()) / len(samples)
    return Modes(int((counts > 0).sum()), int((counts >= least).sum()), good, reverse_kl(counts))


def over_seeds(values: Sequence[float], low: float = -math.inf, high: float = math.inf) -> tuple[float, float, float]:
    """Compute the mean over seeds and its 95 % interval by Student's t.

    Args:
        values: one value for each seed.
        low: smallest possible value.
        high: largest possible value.

    Returns:
        (mean, low end, high end), clipped to the possible values. One seed has no spread: the interval is the whole range.

    Raises:
        BadInput: no values.
    """
    if not values:
        raise BadInput("a mean over 0 seeds: give one value or more")
    x = torch.tensor(list(values), dtype=torch.float64)
    if len(x) < 2:
        return float(x[0]), low, high
    spread = float(x.std()) / math.sqrt(len(x))
    return (float(x.mean()), *interval(float(x.mean()), spread, len(x), (low, high)))


def seed_distance(samples: Sequence[Tensor], modes: Tensor, sd: float) -> float:
    """Compute the mean total variation between the mode shares of several seeds.

    N samples of one even mixture of K modes give about sqrt(K / (pi N)): 0.056 for 25 modes and 2,500 samples.

    Args:
        samples: one (N, d) set for each seed.
        modes: (K, d) means.
        sd: standard deviation of a mode.

    Returns:
        0 if all seeds agree, 1 if no two seeds share a mode.
    """
    shares = [counts.double() / counts.sum().clamp(min=1) for counts in (mode_counts(x, modes, sd) for x in samples)]
    pairs = [(a - b).abs().sum() / 2 for i, a in enumerate(shares) for b in shares[:i]]
    return float(torch.stack(pairs).mean()) if pairs else 0.0


def means(rows: Sequence[Modes], n_modes: int) -> Mapping[str, tuple[float, float, float]]:
    """Compute the mean over seeds and its interval for each field of `Modes`.

    Args:
        rows: one result for each seed.
        n_modes: K.

    Returns:
        Name of the field -> (mean, low, high).
    """
    tops = {"modes": float(n_modes), "fair": float(n_modes), "quality": 1.0, "kl": math.log(n_modes)}
    return {name: over_seeds([float(getattr(row, name)) for row in rows], 0.0, top) for name, top in tops.items()}
