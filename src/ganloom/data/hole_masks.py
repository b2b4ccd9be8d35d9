"""Random holes for training and measuring inpainting: the strokes and boxes of LaMa, and classes of hole sizes.

Suvorov et al. 2021, arXiv:2109.07161, supplement; settings of the authors' training (256 px crops, wide masks). For other
sizes all lengths are scaled by side / 256.
"""

import dataclasses
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ganloom.core import randomness
from ganloom.core.errors import BadInput

SIZES = (("small", 0.0, 0.1), ("medium", 0.1, 0.25), ("large", 0.25, 1.0))
"""Classes of holes: name, and share of the image's pixels from ... to."""
SIDE = 256
"""Side of the images that the lengths below are for."""


@dataclass(frozen=True)
class Strokes:
    """Broken lines of a thick brush. Bounds of random integers exclude the upper one, as in the authors' code."""

    max_angle: int = 4
    """Angles are 0.01 radians plus 0, 1, ... max_angle - 1 radians, and for every second stroke its negative."""
    max_length: int = 200
    """Parts of a stroke have the length 10 + [0, max_length)."""
    max_width: int = 100
    """Brushes have the width 5 + [0, max_width), newly drawn for each part."""
    min_times: int = 1
    max_times: int = 6
    """Number of strokes, both ends included. The authors' code adds 1 to its setting of 5. Each has 1 to 5 parts."""


@dataclass(frozen=True)
class Boxes:
    """Rectangles that may overlap."""

    margin: int = 10
    """Distance from the edges of the image."""
    min_side: int = 30
    max_side: int = 151
    """Sides are in [min_side, max_side), and fit between the margins. The authors' code adds 1 to its setting of 150."""
    min_times: int = 1
    max_times: int = 4
    """Number of boxes, both ends included."""


def draw(
    count: int,
    height: int,
    width: int,
    rng: np.random.Generator,
    *,
    strokes: Strokes | None = Strokes(),
    boxes: Boxes | None = Boxes(),
) -> NDArray[np.bool_]:
    """Draw masks, each of strokes or of boxes with equal probability.

    Args:
        count: Number of masks.
        height: Height of the images.
        width: Width of the images.
        rng: Source of the random numbers.
        strokes: Settings of the strokes at 256 px; None: boxes only.
        boxes: Settings of the boxes at 256 px; None: strokes only.

    Returns:
        (count, height, width), True in the holes. No mask is empty, and none covers the whole image.

    Raises:
        BadInput: The images have a single pixel.
    """
    if height * width < 2:
        raise BadInput(f"images of {width} x {height} pixels have no room for a hole: use larger images")
    masks = np.zeros((count, height, width), bool)
    kinds = [kind for kind in (strokes, boxes) if kind is not None]
    for mask in masks:
        while not mask.any() or mask.all():
            kind = kinds[int(rng.integers(len(kinds)))]
            mask[:] = False
            if isinstance(kind, Strokes):
                draw_strokes(mask, rng, kind)
            else:
                draw_boxes(mask, rng, kind)
    return masks


def keyed(seed: int, rows: list[int], height: int, width: int) -> NDArray[np.bool_]:
    """Return the masks of images of a data set: each depends on the seed and the number of the image alone.

    Args:
        seed: Seed of the measurement.
        rows: Numbers of the images.
        height: Height of the images.
        width: Width of the images.

    Returns:
        (len(rows), height, width), True in the holes.
    """
    keys = [np.random.default_rng(randomness.key(seed, "hole", row)) for row in rows]
    masks = [draw(1, height, width, rng)[0] for rng in keys]
    return np.stack(masks) if masks else np.zeros((0, height, width), bool)


def draw_strokes(mask: NDArray[np.bool_], rng: np.random.Generator, settings: Strokes) -> None:
    """Add strokes to a mask (H, W). A stroke may leave the image at its end."""
    height, width = mask.shape
    scale = min(height, width) / SIDE
    for number in range(int(rng.integers(settings.min_times, settings.max_times + 1))):
        x, y = int(rng.integers(width)), int(rng.integers(height))
        for _ in range(1 + int(rng.integers(5))):
            angle = 0.01 + int(rng.integers(settings.max_angle))
            if number % 2 == 0:
                angle = 2 * np.pi - angle
            length = (10 + int(rng.integers(settings.max_length))) * scale
            brush = max((6 + int(rng.integers(settings.max_width))) * scale, 1.0)  # OpenCV adds 1 to its 5
            end_x = int(np.clip(x + length * np.sin(angle), 0, width))
            end_y = int(np.clip(y + length * np.cos(angle), 0, height))
            draw_line(mask, (x, y), (end_x, end_y), brush)
            x, y = end_x, end_y


def draw_boxes(mask: NDArray[np.bool_], rng: np.random.Generator, settings: Boxes) -> None:
    """Add boxes to a mask (H, W)."""
    height, width = mask.shape
    scale = min(height, width) / SIDE
    margin = min(round(settings.margin * scale), (min(height, width) - 1) // 2)
    room_y, room_x = height - 2 * margin, width - 2 * margin
    least = min(max(round(settings.min_side * scale), 1), room_y, room_x)
    most = max(min(round(settings.max_side * scale), room_y, room_x), least + 1)
    for _ in range(int(rng.integers(settings.min_times, settings.max_times + 1))):
        box_w, box_h = (min(int(rng.integers(least, most)), room) for room in (room_x, room_y))
        left = int(rng.integers(margin, width - margin - box_w + 1))
        top = int(rng.integers(margin, height - margin - box_h + 1))
        mask[top : top + box_h, left : left + box_w] = True


def draw_line(mask: NDArray[np.bool_], start: tuple[int, int], end: tuple[int, int], width: float) -> None:
    """Draw a line with round ends into a mask (H, W).

    Args:
        mask: The mask.
        start: (x, y) of the first pixel; it may be outside.
        end: (x, y) of the last pixel; it may be outside.
        width: Width of the line in pixels.
    """
    radius = width / 2
    reach = int(np.ceil(radius))
    (x0, y0), (x1, y1) = start, end
    top, bottom = max(min(y0, y1) - reach, 0), min(max(y0, y1) + reach + 1, mask.shape[0])
    left, right = max(min(x0, x1) - reach, 0), min(max(x0, x1) + reach + 1, mask.shape[1])
    if top >= bottom or left >= right:
        return
    y, x = np.ogrid[top:bottom, left:right]
    dx, dy = x1 - x0, y1 - y0
    along = np.clip(((x - x0) * dx + (y - y0) * dy) / max(dx * dx + dy * dy, 1), 0, 1)
    distance = (x - x0 - along * dx) ** 2 + (y - y0 - along * dy) ** 2
    mask[top:bottom, left:right] |= distance <= max(radius, 0.5) ** 2


def size_class(share: float) -> str:
    """Return "small", "medium" or "large" for the share of the image's pixels that are in the hole."""
    return next((name for name, low, high in SIZES if low <= share < high), SIZES[-1][0])


def quarter(count: int, height: int, width: int, rng: np.random.Generator) -> NDArray[np.bool_]:
    """Draw masks that cover about a quarter of the image: one box, or strokes, with equal probability.

    Args:
        count: Number of masks.
        height: Height of the images, at least 4.
        width: Width of the images, at least 4.
        rng: Source of the random numbers.

    Returns:
        (count, height, width), True in the holes.
    """
    thin = dataclasses.replace(Strokes(), max_width=36, max_length=120, min_times=1, max_times=1)
    masks = np.zeros((count, height, width), bool)
    for mask in masks:
        if rng.random() < 0.5:
            box_h = int(rng.integers(max(round(height * 0.36), 1), round(height * 0.7) + 1))
            box_w = min(max(round(height * width / 4 / box_h), 1), width)
            top, left = int(rng.integers(height - box_h + 1)), int(rng.integers(width - box_w + 1))
            mask[top : top + box_h, left : left + box_w] = True
        else:
            while mask.mean() < 0.2:
                draw_strokes(mask, rng, thin)
    return masks
