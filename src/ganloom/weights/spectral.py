"""Spectral norm carried over: a vector from which our one power iteration finds the value that the file divides by.

Our layers keep u and compute v = W^T u / |W^T u| and sigma = |W v| in each pass (norms.py). Torch's keep u and v and divide
in eval mode by u^T W v as they stand, which lags behind the weight by a step of the optimizer. With a = W W^T the vectors
a^(-s/2) u give every sigma between the smallest and the largest singular value, each once, for sigma grows under power
iteration; s near 2 puts u back by the iteration that ours adds.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from ganloom.core.errors import BadInput

TOLERANCE = 1e-2
"""A value out of the weight's range by more than this share is refused; less is an optimizer's step on a single row."""


def sigma_by_iteration(weight: Tensor, u: Tensor) -> Tensor:
    """|W v| with v = W^T u normalised: a scalar, float64. weight (O, ...), u (O,)."""
    matrix = weight.double().flatten(1)
    sigma: Tensor = (matrix @ F.normalize(matrix.T @ u.double(), dim=0)).norm()
    return sigma


def first_vector(weight: Tensor, sigma: Tensor, u: Tensor, name: str = "a layer") -> Tensor:
    """a^(-s/2) u (O,) float32 with sigma_by_iteration(weight, it) = sigma. weight (O, ...), u (O,); BadInput if none has."""
    matrix = weight.double().flatten(1)
    wide = matrix.shape[0] <= matrix.shape[1]
    values, vectors = torch.linalg.eigh(matrix @ matrix.T if wide else matrix.T @ matrix)
    kept = values > 1e-11 * values[-1]
    values, vectors = values[kept], vectors[:, kept]
    left = vectors if wide else matrix @ vectors / values.sqrt()  # left singular vectors
    parts = left.T @ F.normalize(u.double(), dim=0)
    logs, start = values.log(), (parts.square() + 1e-12).log()
    low, high = -400.0, 400.0  # exponents at which one end of the spectrum is all that is left

    def at(s: float) -> float:
        shares = (start + (1 - s) * logs).softmax(0)  # of |v|^2 in each direction
        return float((shares * values).sum().sqrt())

    target = float(sigma)
    if not at(high) * (1 - TOLERANCE) <= target <= at(low) * (1 + TOLERANCE):
        raise BadInput(
            f"{name}: its spectral norm divides by {target:.4g}, but its singular values lie in "
            f"{at(high):.4g} to {at(low):.4g}: the file is damaged or not of a trained network"
        )
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if at(middle) > target else (low, middle)
    found = ((start - (low + high) / 2 * logs) / 2).softmax(0) * parts.sign()
    return F.normalize(left @ found, dim=0).float()
