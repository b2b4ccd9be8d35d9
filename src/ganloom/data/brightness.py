"""Find sets of 8-bit images that are nearly black, such as masks of 0 and 1."""

import numpy as np
from numpy.typing import NDArray

from ganloom.core.errors import BadInput

_DIM = 16
"""Sets whose pixels are all below this are nearly black."""
_PART = 2**26  # pixels looked at in one step; most sets end after the first


def check_brightness(rows: NDArray[np.uint8], where: str) -> list[str]:
    """Look for a pixel that is not nearly black.

    Args:
        rows: uint8 (N, H, W, C).
        where: what the images are, for the message.

    Returns:
        A line for the user if all pixels are nearly black, else nothing.

    Raises:
        BadInput: the largest value is 1: it may be white or nearly black.
    """
    step = max(1, _PART // max(1, rows[:1].size))
    high, colours = 0, rows.shape[3] - (rows.shape[3] in (2, 4))
    for start in range(0, len(rows), step):
        high = max(high, int(rows[start : start + step, :, :, :colours].max(initial=0)))
        if high >= _DIM:
            return []
    if high == 1:
        raise BadInput(
            f"{where}: uint8 values from 0 to 1: is 1 white or nearly black? Save them as bool (1 bit), or multiply by 255"
        )
    if high == 0:
        return ["all pixels are black"]
    return [f"nearly black: no pixel of any image is above {high} of 255; multiply the values if that is not intended"]
