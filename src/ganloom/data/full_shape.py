"""Complete a shape that was given without channels: 64 and (64, 48) become (C, 64, 64) and (C, 64, 48)."""

from typing import Any, cast

from ganloom.core.errors import BadInput
from ganloom.data.sources import Source, open


def full_shape(source: Source, shape: Any, **options: Any) -> tuple[int, int, int] | None:
    """Return the full shape, with the channels of the data if the shape has none.

    Args:
        source: whatever ``open`` accepts.
        shape: (C, H, W), (H, W), (side,), a side, or None. The shape of points is returned unchanged.
        options: more options of ``open``, without ``shape`` and ``default_size``.

    Raises:
        BadInput: the shape has a side below 1, or the source cannot be opened.
    """
    if shape is None:
        return None
    shape = (shape,) if isinstance(shape, int) else tuple(shape)
    if len(shape) not in (1, 2):
        return cast(tuple[int, int, int], shape)
    if not all(isinstance(n, int) and 1 <= n <= 8192 for n in shape):
        raise BadInput(f"--shape {' '.join(map(str, shape))}: give sides of 1 to 8192 pixels, such as 64 or 3 64 64")
    height, width = shape[0], shape[-1]
    opened = open(source, default_size=min(height, width), **options)
    return cast(tuple[int, int, int], shape) if opened.kind == "points" else (opened.shape[0], height, width)
