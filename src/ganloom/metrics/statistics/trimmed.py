"""A mean without the lowest and the highest values, and its 95 % interval."""

import torch
from torch import Tensor

from ganloom.core.errors import BadInput
from ganloom.metrics.statistics.intervals import interval


def trimmed_mean(values: Tensor, trim: float) -> tuple[float, float, float, int]:
    """Compute the mean of independent values between their ``trim`` and 1 - ``trim`` quantiles.

    The variance of a trimmed mean is that of the values clipped to the two quantiles (winsorised), over
    (1 - 2 trim)^2 N (Tukey and McLaughlin 1963).

    Args:
        values: (N,), N >= 2.
        trim: share left out at each end, from 0 to below 0.5.

    Returns:
        Mean, low and high end of its 95 % interval, and the number of values that the mean is over.

    Raises:
        BadInput: fewer than two values are left.
    """
    x = values.double()
    low, high = torch.quantile(x, torch.tensor([trim, 1 - trim], dtype=torch.float64))
    inside = x[(x >= low) & (x <= high)]
    if len(inside) < 2:
        raise BadInput(f"trim: {trim} leaves {len(inside)} of {len(x)} values; a mean needs 2 or more")
    mean = float(inside.mean())
    spread = float(x.clamp(low, high).std()) / ((1 - 2 * trim) * len(x) ** 0.5)
    return (mean, *interval(mean, spread, len(inside)), len(inside))
