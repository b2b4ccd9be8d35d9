"""Pictures of a detector: heat maps over images, and sheets of the images with the highest and the lowest scores."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from torch import Tensor

from ganloom.anomaly import detector, heat_maps
from ganloom.core.output_files import replace_file
from ganloom.imaging import grid

SHOWN = 32
"""Images in a sheet."""
LEAST_SIDE = 96
"""Images are enlarged by a whole factor to at least this side."""
COLOURS = {True: (200, 40, 40), False: (40, 140, 60), None: (120, 120, 120)}
"""Frame by whether an image is an anomaly."""
RAMP = np.array([(0, 0, 0), (60, 0, 120), (200, 30, 60), (250, 140, 0), (255, 250, 150)], np.float64)
"""Colours of a heat map, from normal to unusual."""


def coloured(heat: NDArray[Any], low: float, high: float) -> NDArray[np.uint8]:
    """Return heat maps in colours.

    Args:
        heat: (..., H, W).
        low: The value that gets the first colour: typical of normal images.
        high: The value that gets the last colour but one; higher ones become brighter up to twice as far.

    Returns:
        uint8 (..., H, W, 3).
    """
    position = np.clip((heat - low) / max(high - low, 1e-12), 0, 4 / 3) * (len(RAMP) - 2)
    position = np.clip(position, 0, len(RAMP) - 1 - 1e-6)
    index = position.astype(int)
    part = (position - index)[..., None]
    colours: NDArray[np.uint8] = (RAMP[index] * (1 - part) + RAMP[index + 1] * part).round().astype(np.uint8)
    return colours


def beside(x: Tensor, heat: NDArray[Any], limits: Sequence[float]) -> Image.Image:
    """Draw one image (C, H, W) with its heat map (H, W) at its right."""
    picture = grid.to_uint8(grid.alike(x[None], 3))[0]
    both = np.concatenate([picture, coloured(heat, limits[0], limits[1])], 1)
    scale = max(1, -(-LEAST_SIDE // both.shape[0]))
    image = Image.fromarray(both)
    return image.resize((image.width * scale, image.height * scale), Image.Resampling.NEAREST)


def sheet(found: detector.Detector, x: Tensor, order: Sequence[int], anomalous: Sequence[bool | None]) -> Image.Image:
    """Draw images with their heat maps, framed by what they are, in the order of their scores.

    Args:
        found: The detector.
        x: Images (N, C, H, W).
        order: Which images.
        anomalous: Whether each of the N images is an anomaly; None: unknown.
    """
    assert found.map is not None and found.map_range is not None
    chosen = list(order)[:SHOWN]
    maps = heat_maps.draw(found.map, found.scorers, x[chosen])
    tiles = [beside(x[i], heat, found.map_range) for i, heat in zip(chosen, maps, strict=True)]
    pad, columns = 4, max(1, min(len(tiles), 1000 // (tiles[0].width + 8)))
    cell = tiles[0].width + 2 * pad, tiles[0].height + 2 * pad
    rows = -(-len(tiles) // columns)
    page = Image.new("RGB", (columns * cell[0], rows * cell[1]), (255, 255, 255))
    pen = ImageDraw.Draw(page)
    for number, (tile, index) in enumerate(zip(tiles, chosen, strict=True)):
        left, top = number % columns * cell[0], number // columns * cell[1]
        pen.rectangle((left + 1, top + 1, left + cell[0] - 2, top + cell[1] - 2), fill=COLOURS[anomalous[index]])
        page.paste(tile, (left + pad, top + pad))
    return page


def write(
    found: detector.Detector, x: Tensor, scores: NDArray[Any], anomalous: Sequence[bool | None], run: Path
) -> None:
    """Write RUN/anomaly/highest.png and lowest.png; nothing for tables."""
    if found.map is None:
        return
    order = np.argsort(-scores, kind="stable").tolist()
    for name, chosen in (("highest", order), ("lowest", order[::-1])):
        image = sheet(found, x, chosen, anomalous)
        replace_file(run / detector.FOLDER / f"{name}.png", grid.png_bytes(image), sync=False)
