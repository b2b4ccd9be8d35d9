"""The likelihood of quantised pixel values (8 bits or fewer) under logistic distributions."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from ganloom.core.errors import BadInput

LEAST_LOG_SCALE = -7.0
"""Lower bound of log scales; a logistic of this scale already fits inside one of 256 levels."""


def discretised_logistic(x: Tensor, mean: Tensor, log_scale: Tensor, levels: int = 256) -> Tensor:
    """Return the log of the probability mass that a logistic distribution has on the level of ``x``.

    A level owns the interval of half a step to each side; the first and the last level also own the tail, so that the masses of
    all levels sum to 1 (Salimans et al. 2017, arXiv:1701.05517, sec. 2.1).

    Args:
        x: Values on ``levels`` even steps from -1 to 1.
        mean: Means of the distributions.
        log_scale: Logs of the scales.
        levels: Number of levels.

    Returns:
        Log probabilities; the shapes of all arguments are broadcast.
    """
    half = 1.0 / (levels - 1)
    inverse = torch.exp(-log_scale.clamp_min(LEAST_LOG_SCALE))
    above, below = inverse * (x - mean + half), inverse * (x - mean - half)
    # log(sigmoid(a) - sigmoid(b)) = log sigmoid(a) + log sigmoid(-b) + log(1 - exp(b - a)), exact far from the mean too.
    width = 2 * half * inverse
    inner = F.logsigmoid(above) + F.logsigmoid(-below) + torch.log(-torch.expm1(-width))
    inner = torch.where(x > 1 - half, F.logsigmoid(-below), inner)
    return torch.where(x < -1 + half, F.logsigmoid(above), inner)


def quantise(x: Tensor, levels: int) -> Tensor:
    """Round values in [-1, 1] to the nearest of ``levels`` even steps from -1 to 1."""
    return ((x + 1) * ((levels - 1) / 2)).round() * (2 / (levels - 1)) - 1


def bits(nats: Tensor, dims: int) -> Tensor:
    """Convert nats per image to bits per dimension, for images of ``dims`` values."""
    return nats / (dims * math.log(2))


def check_levels(levels: int) -> None:
    """Raise BadInput if images of 8 bits cannot be quantised to this number of levels."""
    if not 2 <= levels <= 256:
        raise BadInput(f"--levels must be in 2..256, got {levels}")
