"""Random initialization that does nothing to tensors without data.

A model is built on the device "meta" to count its parameters. Torch runs in-place random functions there through its compiler's
Python code: the first call imports torch._dynamo (one second), each call takes a millisecond.
"""

from torch import Tensor, nn


def normal(weight: Tensor, mean: float = 0.0, sd: float = 1.0) -> None:
    """Fill ``weight`` with N(mean, sd) in place; leave a tensor on "meta" alone."""
    if not weight.is_meta:
        nn.init.normal_(weight, mean, sd)


def orthogonal(weight: Tensor) -> None:
    """Fill ``weight`` with an orthogonal matrix in place (Saxe et al. 2013, arXiv:1312.6120); leave a tensor on "meta" alone."""
    if not weight.is_meta:
        nn.init.orthogonal_(weight)
