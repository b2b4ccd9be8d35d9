"""The options of ``open``: their checks, and the record of them from which ``reopen`` opens the same data again."""

from typing import Any

import numpy as np

from ganloom.core.errors import BadInput, did_you_mean
from ganloom.data.resize import FITS, Shape

Options = dict[str, Any]
"""The options that ``open`` was called with, and "source", as JSON values; they become ``Data.source``."""

REOPENED = ("default_size", "fit", "flip", "labels", "inputs", "direction", "label_maps", "in_channels", "scales")
"""The keys of `Options` that ``reopen`` passes to ``open`` unchanged."""

INPUTS = ("pairs", "domains", "crops", "captions", "volumes")
"""What recipes train on beside plain images: pairs, two independent domains, crops that a recipe degrades, captions, or
volumes."""

DIRECTIONS = ("AtoB", "BtoA")
"""Which domain holds the inputs and which the targets."""


def check_options(shape: Any, default_size: int, fit: str) -> None:
    """Check the options that say how images are resized. Raises BadInput."""
    if fit not in FITS:
        raise BadInput(f"fit={fit!r}{did_you_mean(str(fit), FITS)}; it must be one of {', '.join(FITS)}")
    if not isinstance(default_size, (int, np.integer)) or not 1 <= default_size <= 8192:
        raise BadInput(f"default_size={default_size!r}: give 1 to 8192 pixels")
    if shape is None:
        return
    if not isinstance(shape, (tuple, list)) or not all(isinstance(n, (int, np.integer)) for n in shape):
        raise BadInput(f"shape={shape!r}: give (channels, height, width), such as (3, 64, 64)")
    if len(shape) == 3 and not (1 <= shape[0] <= 4 and all(1 <= n <= 8192 for n in shape[1:])):
        raise BadInput(f"shape={tuple(shape)}: give 1 to 4 channels and sides of 1 to 8192 pixels")


def check_translation_options(inputs: str | None, direction: str, in_channels: int | None) -> None:
    """Check the options of image-to-image data. Raises BadInput."""
    if inputs is not None and inputs not in INPUTS:
        raise BadInput(f"inputs={inputs!r}: it must be one of {', '.join(INPUTS)}")
    if direction not in DIRECTIONS:
        raise BadInput(f"--direction {direction}{did_you_mean(direction, DIRECTIONS)}: it must be AtoB or BtoA")
    if in_channels is not None and not 1 <= in_channels <= 4:
        raise BadInput(f"--in-channels must be in 1..4, got {in_channels}")


def image_shape(options: Options) -> Shape | None:
    """The requested shape (C, H, W) of images, or None. Raises BadInput for a shape of other length."""
    shape = options["shape"]
    if shape is None:
        return None
    if len(shape) != 3:
        raise BadInput(f"shape={tuple(shape)}: images have (channels, height, width), such as (3, 64, 64)")
    return int(shape[0]), int(shape[1]), int(shape[2])
