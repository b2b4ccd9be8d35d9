"""Class labels given as an array: integers, integer-valued floats, one-hot rows or names, as int64 numbers from 0."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from ganloom.core.errors import BadInput
from ganloom.data.arrays import to_numpy

MAX_CLASSES = 100_000
"""Labels must be smaller than this."""


def to_labels(values: Any, count: int, where: str) -> tuple[NDArray[np.int64], list[str] | None]:
    """Convert labels to class numbers.

    Args:
        values: (N,) or (N, 1) integers from 0, whole floats or strings, or (N, K) one-hot rows.
        count: N, the number of images.
        where: what is labelled, for the error message.

    Returns:
        int64 (N,) from 0, and the class names in sorted order for labels that are strings, else None.

    Raises:
        BadInput: there is not one label per image, or a label is negative, fractional or not below `MAX_CLASSES`.
    """
    array = to_numpy(_texts(values, where), f"labels of {where}")
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if array.ndim == 2 and len(array) and array.dtype.kind in "biuf" and _is_one_hot(array):
        array = array.argmax(1)
    if array.shape != (count,):
        raise BadInput(f"labels of {where}: shape {array.shape} for {count} images; give one label per image")
    if array.dtype.kind == "U":
        names, numbers = np.unique(array, return_inverse=True)
        return numbers.astype(np.int64), [str(name) for name in names]
    if array.dtype.kind not in "biuf" or not np.array_equal(array, np.floor(array)):
        raise BadInput(f"labels of {where}: {array.dtype} values; give whole numbers from 0, or names")
    if not count:
        return array.astype(np.int64), None
    if array.min() < 0 or array.max() >= MAX_CLASSES:
        span = f"{array.min():g} to {array.max():g}"
        raise BadInput(f"labels of {where} run from {span}; number the classes 0, 1, 2 ... (fewer than {MAX_CLASSES})")
    return array.astype(np.int64), None


def _texts(values: Any, where: str) -> Any:
    """Labels that are names as one array of text, and labels of other sequences as a list."""
    numeric = isinstance(values, np.ndarray) and values.dtype.kind not in "OS"
    if numeric or isinstance(values, Tensor) or not hasattr(values, "__iter__"):
        return values
    elements = list(values)
    if not any(isinstance(element, (str, bytes)) for element in elements):
        return elements
    other = next((i for i, element in enumerate(elements) if not isinstance(element, (str, bytes))), None)
    if other is not None:
        raise BadInput(f"labels of {where}: entry {other} is {elements[other]}, and others are names; give one kind")
    return np.array([e.decode("utf-8", "replace") if isinstance(e, bytes) else e for e in elements], np.str_)


def _is_one_hot(array: NDArray[Any]) -> bool:
    """Whether each row holds a single 1 and otherwise 0."""
    return bool(((array == 0) | (array == 1)).all() and (array.sum(1) == 1).all())
