"""The preview of a data set as one image: a grid of its images, or a plot of its points."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ganloom.data.decode import convert, from_array

_COLUMNS, _GAP = 5, 2


def image_grid(images: NDArray[np.uint8]) -> Image.Image:
    """Put images side by side, five in a row, on white with a gap of 2 pixels.

    Args:
        images: uint8 (n, H, W, C); alpha is composited on white.

    Returns:
        An image of mode L or RGB.
    """
    count, height, width, channels = images.shape
    channels = 1 if channels <= 2 else 3
    columns = min(_COLUMNS, count)
    lines = -(-count // columns)
    sheet = Image.new(
        "L" if channels == 1 else "RGB",
        (columns * (width + _GAP) - _GAP, lines * (height + _GAP) - _GAP),
        255 if channels == 1 else (255, 255, 255),
    )
    for i, pixels in enumerate(images):
        corner = i % columns * (width + _GAP), i // columns * (height + _GAP)
        sheet.paste(convert(from_array(pixels), channels), corner)
    return sheet


def point_plot(points: NDArray[np.float32], side: int = 256) -> Image.Image:
    """Plot the density of points in their first two dimensions, black on white, darker where there are more.

    Args:
        points: (N, d).
        side: side of the plot in pixels.

    Returns:
        An image of mode L.
    """
    x, y = points[:, 0], points[:, 1] if points.shape[1] > 1 else np.zeros(len(points), np.float32)
    limit = float(max(np.abs(x).max(), np.abs(y).max())) * 1.1 or 1.0
    counts, _, _ = np.histogram2d(-y, x, bins=side, range=[[-limit, limit]] * 2)
    density = np.log1p(counts) / max(np.log1p(counts).max(), 1e-9)
    # A single point must be visible too: it is at least a quarter black.
    black = np.where(counts > 0, 0.25 + 0.75 * density, 0.0)
    return Image.fromarray((255 - np.rint(255 * black)).astype(np.uint8))
