"""Import spectral norm: find u so that one power iteration reproduces the sigma of the file.

Ganloom's layers store u and compute v = W^T u / |W^T u| and sigma = |W v| in each forward pass (norms.py). Torch's layers
store u and v and divide in eval mode by u^T W v, which lags behind the weight by one step of the optimizer. With a = W W^T,
the vectors a^(-s/2) u give every sigma between the smallest and the largest singular value exactly once, because sigma grows
under power iteration. s = 2 takes back the one iteration that ganloom adds.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from ganloom.core.errors import BadInput

TOLERANCE = 1e-2
"""Relative distance outside the range of singular values that is accepted. One step of the optimizer on a single row needs it."""


def sigma_by_iteration(weight: Tensor, u: Tensor) -> Tensor:
    """Return the value that ganloom's layers divide by.

    Args:
        weight: (O, ...), any floating type.
        u: (O,), the stored vector.

    Returns:
        |W v| with v = W^T u / |W^T u|, a float64 scalar.
    """
    matrix = weight.double().flatten(1)
    sigma: Tensor = (matrix @ F.normalize(matrix.T @ u.double(), dim=0)).norm()
    return sigma


def first_vector(weight: Tensor, sigma: Tensor, u: Tensor, name: str = "a layer") -> Tensor:
    """Return the vector a^(-s/2) u for which `sigma_by_iteration` gives ``sigma``.

    Args:
        weight: (O, ...).
        sigma: The value that the file divides by, a scalar.
        u: (O,), the file's vector.
        name: The layer, for messages.

    Returns:
        (O,) float32, of norm 1.

    Raises:
        BadInput: ``sigma`` is outside the range of the weight's singular values.
    """
    matrix = weight.double().flatten(1)
    wide = matrix.shape[0] <= matrix.shape[1]
    values, vectors = torch.linalg.eigh(matrix @ matrix.T if wide else matrix.T @ matrix)
    nonzero = values > 1e-11 * values[-1]
    values, vectors = values[nonzero], vectors[:, nonzero]
    left = vectors if wide else matrix @ vectors / values.sqrt()  # left singular vectors
    parts = left.T @ F.normalize(u.double(), dim=0)
    logs, start = values.log(), (parts.square() + 1e-12).log()
    low, high = -400.0, 400.0  # at these exponents only one end of the spectrum remains

    def at(s: float) -> float:
        shares = (start + (1 - s) * logs).softmax(0)  # share of |v|^2 in each direction
        return float((shares * values).sum().sqrt())

    target = float(sigma)
    if not at(high) * (1 - TOLERANCE) <= target <= at(low) * (1 + TOLERANCE):
        raise BadInput(
            f"{name}: its spectral norm divides by {target:.4g}, but its singular values are in "
            f"{at(high):.4g} to {at(low):.4g}: the file is damaged or not from a trained network"
        )
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if at(middle) > target else (low, middle)
    coefficients = ((start - (low + high) / 2 * logs) / 2).softmax(0) * parts.sign()
    return F.normalize(left @ coefficients, dim=0).float()
