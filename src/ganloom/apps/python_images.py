"""Images that are given in Python (PIL images, arrays, tensors, paths) as pixels, and pixels as the same kind of image."""

import os
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from ganloom.apps.image_files import inputs_of, read
from ganloom.core.errors import BadInput
from ganloom.core.names import as_path
from ganloom.data.decode import BadImage, plain, to_array
from ganloom.data.pixel_scale import choose as choose_scale


def pixels_of(image: Any) -> tuple[NDArray[Any], Callable[[NDArray[Any]], Any]]:
    """Return the pixels (H, W, C) of any image, and what turns the result into the same kind of image."""
    if isinstance(image, str | os.PathLike):
        path = as_path(image)
        if not path.is_file():
            raise BadInput(f"there is no image {path}")
        try:
            return read(inputs_of(path), 0), _as_pil
        except BadImage as error:
            raise BadInput(f"{path}: {error}") from None
    if isinstance(image, Image.Image):
        try:
            return to_array(plain(image, lambda kind: choose_scale(kind, *_range(image)))), _as_pil
        except BadImage as error:
            raise BadInput(f"the image cannot be used: {error}") from None
    array = np.asarray(image.detach().cpu() if isinstance(image, Tensor) else image)
    axes = array.ndim
    array = array[..., None] if axes == 2 else array
    if array.ndim != 3 or not 1 <= array.shape[2] <= 4 or not array.size:
        raise BadInput(f"an image is an array (H, W) or (H, W, 1 to 4), got shape {array.shape}")
    kind = array.dtype
    if kind.kind == "f":
        if not np.isfinite(array).all() or array.min() < 0 or array.max() > 1:
            raise BadInput("an image of floats needs values in [0, 1]")
        array = array.astype(np.float32)
    elif kind not in (np.uint8, np.uint16):
        raise BadInput(f"an image is of uint8, uint16 or floats in [0, 1], got {kind}")
    return array, lambda result: (result if axes == 3 else result[..., 0]).astype(kind, copy=False)


def _range(image: Image.Image) -> tuple[float, float]:
    low, high = image.getextrema()  # type: ignore[misc]
    return float(low), float(high)  # type: ignore[arg-type]


def _as_pil(pixels: NDArray[Any]) -> Any:
    """A PIL image of 8 bits, or of 16 bits for grey; colours of 16 bits stay an array."""
    if pixels.dtype == np.uint16:
        return Image.fromarray(pixels[..., 0]) if pixels.shape[2] == 1 else pixels
    return Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels)
