"""Arrays and tensors as uint8 images: find the layout and the value range, refuse what is ambiguous."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ganloom.core.errors import BadInput
from ganloom.core.old_import_paths import renamed
from ganloom.data.brightness import check_brightness
from ganloom.data.pixel_scale import Scale, Scales, UnclearScale, to_8_bits


def to_numpy(values: Any, where: str) -> NDArray[Any]:
    """Convert an array, tensor or nested list to a NumPy array of numbers or strings.

    Args:
        values: array, tensor (bfloat16 becomes float32) or nested list.
        where: what the values are, for the error message.

    Returns:
        The array, of any dtype but object; it may share memory with ``values``.

    Raises:
        BadInput: the rows differ in shape, or the elements are Python objects.
    """
    if isinstance(values, Tensor):
        values = values.detach().cpu()
        values = (values.float() if values.dtype == torch.bfloat16 else values).numpy()
    try:
        array = np.asarray(values)
    except ValueError:
        raise BadInput(f"{where}: the rows differ in shape; give one array of equal rows") from None
    if array.dtype == object:
        raise BadInput(f"{where}: an array of objects; give one array of numbers")
    return array


def to_rows(
    array: NDArray[Any], where: str, channels: int | None = None, scales: Scales | None = None
) -> NDArray[np.uint8]:
    """Convert images of any layout and value range to uint8 (N, H, W, C).

    Args:
        array: (N, H, W), (N, H, W, C) or (N, C, H, W) with 1 to 4 channels: bool; integers of 8, 10, 12, 14 or 16 bits;
            or floats in [0, 1], [-1, 1] or 0 to 255. See `pixel_scale.choose`.
        where: what the array is, for the error message.
        channels: number of channels that decides between NHWC and NCHW where both are possible.
        scales: gets the scale that was chosen, and notes for the user; None: the scale is chosen and not reported.

    Returns:
        uint8 (N, H, W, C), C-contiguous; it may share memory with ``array``.

    Raises:
        BadInput: the layout or the value range is unknown or ambiguous, or there are no pixels.
    """
    array = channels_last(array, where, channels)
    if array.size == 0:
        raise BadInput(f"{where}: shape {array.shape} holds no pixels")
    if array.dtype == np.uint8:
        rows = np.ascontiguousarray(array)
        dim = check_brightness(rows, where)
        if scales is not None:
            scales.notes += dim
        return rows
    scale = _scale_of(array, where, Scales() if scales is None else scales)
    out = np.empty(array.shape, np.uint8)
    step = max(1, 2**24 // array[0].size)  # in parts: a float copy of the whole array needs eight times its memory
    for start in range(0, len(array), step):
        out[start : start + step] = to_8_bits(array[start : start + step], scale)
    return out


def channels_last(array: NDArray[Any], where: str, channels: int | None) -> NDArray[Any]:
    """Return the images as a view of shape (N, H, W, C), with the same values.

    Args:
        array: (N, H, W), (N, H, W, C) or (N, C, H, W) with 1 to 4 channels.
        where: what the array is, for the error message.
        channels: number of channels that decides between NHWC and NCHW where both are possible; None: unknown.

    Raises:
        BadInput: the shape is not a layout of images, or it may be both NHWC and NCHW.
    """
    allowed = range(1, 5)
    if array.ndim == 3:
        if array.shape[2] in allowed:
            raise BadInput(f"{where}: shape {array.shape} looks like one image; give several as (N, H, W, C)")
        return array[..., None]
    if array.ndim != 4:
        raise BadInput(f"{where}: shape {array.shape}; images are (N, H, W), (N, H, W, C) or (N, C, H, W)")
    last, first = array.shape[3] in allowed, array.shape[1] in allowed
    if last and first and channels is not None:
        last, first = array.shape[3] == channels, array.shape[1] == channels
    if last and first:
        raise BadInput(f"{where}: shape {array.shape} may be NHWC or NCHW; give shape=(C, H, W), or larger images")
    if not (last or first):
        raise BadInput(
            f"{where}: shape {array.shape} has no axis of 1 to 4 channels; give (N, H, W, C) or (N, C, H, W)"
        )
    return array if last else np.moveaxis(array, 1, 3)


def _scale_of(array: NDArray[Any], where: str, scales: Scales) -> Scale:
    """The values of the array that are black and white."""
    if array.dtype == bool:
        return Scale(0.0, 1.0)
    if array.dtype.kind not in "iuf":
        raise BadInput(f"{where}: values of type {array.dtype}; give uint8, uint16, bool or float")
    kind = "float" if array.dtype.kind == "f" else array.dtype.name
    try:
        return scales.choose(kind, float(array.min()), float(array.max()))
    except UnclearScale as error:
        raise BadInput(f"{where}: {error}") from None


__getattr__ = renamed(__name__)  # names of earlier versions
