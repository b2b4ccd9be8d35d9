"""Modes covered, the share of good samples and the divergence over modes, where the truth is a known mixture.

Definitions of Lin, Khetan, Fanti, Oh, "PacGAN: The power of two samples in generative adversarial networks", 2018,
arXiv:1712.04086, sec. 4.1 (the first two after Srivastava et al. 2017, VEEGAN, arXiv:1705.07761): a sample is of high
quality when it lies within 3 standard deviations of the nearest mode; a mode is covered when one such sample is nearest
to it; the reverse KL is taken between the modes' shares of the high-quality samples and the uniform distribution.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ganloom.core.errors import BadInput
from ganloom.metrics.statistics.intervals import interval

WITHIN = 3.0
"""Standard deviations from its mode within which a sample is of high quality."""
FAIR = 0.2
"""The stricter rule: a mode counts when it has this part of its fair share of all samples."""


@dataclass(frozen=True)
class Modes:
    """What one set of samples covers."""

    modes: int
    """Modes with one high-quality sample or more: the published rule."""
    fair: int
    """Modes with a fifth of their fair share of the samples or more: the stricter rule."""
    quality: float
    """Share of samples of high quality."""
    kl: float
    """KL(shares of the high-quality samples over the modes || uniform) in nats; log K where there is none."""


def mode_counts(samples: Tensor, modes: Tensor, sd: float, within: float = WITHIN) -> Tensor:
    """High-quality samples of each mode: samples (N, d), modes (K, d) -> (K,) int64. What is not finite is of none."""
    if samples.dim() != 2 or modes.dim() != 2 or samples.shape[1] != modes.shape[1]:
        raise BadInput(f"samples (N, d) and modes (K, d) expected, got {tuple(samples.shape)} and {tuple(modes.shape)}")
    if not sd > 0:
        raise BadInput(f"sd: a mode's standard deviation is above 0, got {sd}")
    samples = samples.detach().double()
    samples = samples[torch.isfinite(samples).all(1)]
    distance, nearest = torch.cdist(samples, modes.to(samples)).min(1)
    return torch.bincount(nearest[distance < within * sd], minlength=len(modes))


def reverse_kl(counts: Tensor) -> float:
    """KL(counts / sum || uniform) in nats, (K,) -> float; log K, the largest value, where all counts are 0.

    K modes drawn fairly N times still give about (K - 1) / 2N: 0.005 for 25 modes and 2,500 samples.
    """
    total = float(counts.sum())
    if not total:
        return math.log(len(counts))
    share = counts.double() / total
    return max(0.0, float(torch.special.xlogy(share, share * len(counts)).sum()))


def mode_coverage(samples: Tensor, modes: Tensor, sd: float) -> Modes:
    """Compare samples (N, d) with an even mixture of Gaussians at ``modes`` (K, d) of standard deviation ``sd``."""
    if not len(samples):
        raise BadInput("modes cannot be counted in 0 samples")
    counts = mode_counts(samples, modes, sd)
    least = FAIR * len(samples) / len(modes)
    good = float(counts.sum()) / len(samples)
    return Modes(int((counts > 0).sum()), int((counts >= least).sum()), good, reverse_kl(counts))


def over_seeds(values: Sequence[float], low: float = -math.inf, high: float = math.inf) -> tuple[float, float, float]:
    """(mean, low, high): the mean over seeds and its 95 % interval by Student's t, clipped to what is possible.

    One seed says nothing of the spread: its interval is all that is possible.
    """
    if not values:
        raise BadInput("a mean over 0 seeds")
    x = torch.tensor(list(values), dtype=torch.float64)
    if len(x) < 2:
        return float(x[0]), low, high
    spread = float(x.std()) / math.sqrt(len(x))
    return (float(x.mean()), *interval(float(x.mean()), spread, len(x), (low, high)))


def seed_distance(samples: Sequence[Tensor], modes: Tensor, sd: float) -> float:
    """Mean total variation between the seeds' shares over the modes: 0 when all agree, 1 when none shares a mode.

    N samples of one even mixture of K modes give about sqrt(K / (pi N)): 0.056 for 25 modes and 2,500 samples.
    """
    shares = [counts.double() / counts.sum().clamp(min=1) for counts in (mode_counts(x, modes, sd) for x in samples)]
    pairs = [(a - b).abs().sum() / 2 for i, a in enumerate(shares) for b in shares[:i]]
    return float(torch.stack(pairs).mean()) if pairs else 0.0


def means(rows: Sequence[Modes], n_modes: int) -> Mapping[str, tuple[float, float, float]]:
    """Each figure's mean over seeds with its interval, by the names of `Modes`."""
    tops = {"modes": float(n_modes), "fair": float(n_modes), "quality": 1.0, "kl": math.log(n_modes)}
    return {name: over_seeds([float(getattr(row, name)) for row in rows], 0.0, top) for name, top in tops.items()}
