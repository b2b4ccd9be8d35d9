"""The probability of an image's 8-bit (or coarser) values under logistic distributions."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from ganloom.core.errors import BadInput

LEAST_LOG_SCALE = -7.0
"""A logistic of this scale already lies inside one of 256 levels."""


def discretised_logistic(x: Tensor, mean: Tensor, log_scale: Tensor, levels: int = 256) -> Tensor:
    """Log of the logistic's mass on the level of ``x``; shapes broadcast, and so does the result.

    ``x``: one of ``levels`` even steps from -1 to 1. A level owns the interval half a step to each side, the first and
    the last also the tail, so the masses of all levels sum to 1 (Salimans et al. 2017, arXiv:1701.05517, sec. 2.1).
    """
    half = 1.0 / (levels - 1)
    inverse = torch.exp(-log_scale.clamp_min(LEAST_LOG_SCALE))
    above, below = inverse * (x - mean + half), inverse * (x - mean - half)
    # log(sigmoid(a) - sigmoid(b)) = log sigmoid(a) + log sigmoid(-b) + log(1 - exp(b - a)), exact however far out.
    width = 2 * half * inverse
    inner = F.logsigmoid(above) + F.logsigmoid(-below) + torch.log(-torch.expm1(-width))
    inner = torch.where(x > 1 - half, F.logsigmoid(-below), inner)
    return torch.where(x < -1 + half, F.logsigmoid(above), inner)


def quantise(x: Tensor, levels: int) -> Tensor:
    """Values in [-1, 1] to the nearest of ``levels`` even steps from -1 to 1."""
    return ((x + 1) * ((levels - 1) / 2)).round() * (2 / (levels - 1)) - 1


def bits(nats: Tensor, dims: int) -> Tensor:
    """Nats an image to bits a dimension."""
    return nats / (dims * math.log(2))


def check_levels(levels: int) -> None:
    """For ``__post_init__``: what an image of 8 bits can be quantised to."""
    if not 2 <= levels <= 256:
        raise BadInput(f"--levels must lie in 2..256, got {levels}")
