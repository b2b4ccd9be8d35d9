"""The input of the statistics: sets of feature vectors, and their checks."""

from collections.abc import Iterator
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor

from ganloom.core.errors import BadInput

Features = Tensor | NDArray[Any]
_CHUNK_VALUES = 4_000_000  # about 32 MB in float64


def as_rows(x: Features, name: str, *, least: int = 2) -> Tensor:
    """Check one set of features.

    Args:
        x: (N, d) numbers.
        name: what they are, for the message.
        least: smallest N.

    Returns:
        (N, d) on the CPU, in its own float type.

    Raises:
        BadInput: another shape, fewer rows, NaN or Inf.
    """
    t = torch.as_tensor(x).detach().cpu()
    if t.is_complex() or t.ndim != 2 or t.shape[1] == 0:
        raise BadInput(f"{name}: shape {tuple(t.shape)} is not (N, d) numbers; give one row for each sample")
    if len(t) < least:
        raise BadInput(f"{name}: {len(t)} rows, needs at least {least}; give more samples")
    t = t if t.is_floating_point() else t.double()
    if not all(bool(part.isfinite().all()) for part in chunks(t)):
        raise BadInput(f"{name}: features contain NaN or Inf; check the images and the feature net")
    return t


def as_pair(real: Features, fake: Features, *, least: int = 2) -> tuple[Tensor, Tensor]:
    """Check both sets (see `as_rows`), and that they have the same d."""
    a, b = as_rows(real, "real", least=least), as_rows(fake, "fake", least=least)
    if a.shape[1] != b.shape[1]:
        raise BadInput(f"real has {a.shape[1]} features a row, fake {b.shape[1]}; use the same extractor for both")
    return a, b


def chunks(x: Tensor, width: int | None = None) -> Iterator[Tensor]:
    """Split ``x`` into slices of rows. The rows of a slice times ``width`` (default: d) are at most 4 million values."""
    yield from x.split(max(1, _CHUNK_VALUES // max(1, width or x.shape[1])))
