"""The built-in set ``shapes``: rendered images of one coloured shape each, with known factors and captions.

8 colours x 6 shapes x 3 sizes x 9 places, and a small jitter of the place so that no two images are equal. Edges are
antialiased from the signed distance to the outline, so images are sharp at any resolution.
"""

import math

import numpy as np
from numpy.typing import NDArray

from ganloom.data.dataset import Facts
from ganloom.data.resize import Shape
from ganloom.data.shapes_captions import Wording, captions, unseen

VERSION = 1
SIZE = 10_000
"""Images by default."""
SHAPE: Shape = (3, 32, 32)
"""(C, H, W) by default."""

COLOURS: dict[str, tuple[int, int, int]] = {
    "red": (220, 40, 40),
    "orange": (245, 140, 30),
    "yellow": (250, 225, 60),
    "green": (50, 170, 70),
    "cyan": (60, 210, 215),
    "blue": (60, 90, 225),
    "purple": (160, 70, 200),
    "white": (245, 245, 245),
}
KINDS = ("circle", "square", "triangle", "star", "cross", "diamond")
SIZES = {"small": 0.09, "medium": 0.125, "large": 0.16}
"""Radius of the circle around the shape, as a fraction of the shorter side of the image."""
PLACES = (
    "at the top left", "at the top", "at the top right", "on the left", "in the centre", "on the right",
    "at the bottom left", "at the bottom", "at the bottom right",
)  # fmt: skip
BACKGROUND = (32, 32, 36)
_CENTRES = (0.2, 0.5, 0.8)
_JITTER = 0.03

Floats = NDArray[np.float32]


def factors(size: int, seed: int = 0) -> dict[str, NDArray[np.generic]]:
    """Draw the factors of ``size`` images. The first n images of a larger set are the same.

    Returns:
        int64 (N,) ``colour``, ``shape``, ``size`` and ``place`` (row by row from the top left); float64 (N,) ``dx`` and
        ``dy``, the jitter as a fraction of the sides of the image.
    """
    u = np.random.default_rng(seed).random((size, 6))
    counts = {"colour": len(COLOURS), "shape": len(KINDS), "size": len(SIZES), "place": len(PLACES)}
    values: dict[str, NDArray[np.generic]] = {
        k: (u[:, i] * n).astype(np.int64) for i, (k, n) in enumerate(counts.items())
    }
    values["dx"], values["dy"] = (u[:, 4] * 2 - 1) * _JITTER, (u[:, 5] * 2 - 1) * _JITTER
    return values


def caption(colour: int, shape: int, size: int, place: int) -> str:
    """Return a caption such as "a small red circle at the top left"."""
    return f"a {list(SIZES)[size]} {list(COLOURS)[colour]} {KINDS[shape]} {PLACES[place]}"


WORDS: dict[str, tuple[str, ...]] = {
    "colour": tuple(COLOURS), "shape": KINDS, "size": tuple(SIZES), "place": PLACES,
}  # fmt: skip
"""Attribute -> the words for its values, by number."""
COMBINATIONS = math.prod(map(len, WORDS.values()))


def combination(values: dict[str, NDArray[np.generic]]) -> NDArray[np.int64]:
    """Return the number of each image's combination of colour, shape, size and place, int64 (N,) below `COMBINATIONS`."""
    number = np.zeros(len(values["shape"]), np.int64)
    for attribute, words in WORDS.items():
        number = number * len(words) + values[attribute].astype(np.int64)
    return number


def factors_of(size: int, seed: int, wording: Wording) -> dict[str, NDArray[np.generic]]:
    """Draw the factors of ``size`` images of all, the seen or the unseen combinations, see `factors` and `Wording`."""
    if wording.combinations == "all":
        return factors(size, seed)
    held, draws = unseen(COMBINATIONS, wording.split), 2 * size
    while True:
        values = factors(draws, seed)
        rows = np.flatnonzero(held[combination(values)] == (wording.combinations == "unseen"))
        if len(rows) >= size:
            return {key: value[rows[:size]] for key, value in values.items()}
        draws *= 2


def describe(size: int, seed: int = 0, wording: Wording | None = None) -> Facts:
    """Return the facts of a set of ``size`` images: factors, captions, and the kind of shape as label."""
    wording = wording or Wording()
    values = factors_of(size, seed, wording)
    columns = zip(*(values[attribute].tolist() for attribute in WORDS), strict=True)
    parts = [{key: WORDS[key][i] for key, i in zip(WORDS, row, strict=True)} for row in columns]
    return Facts(
        "shapes", labels=values["shape"].astype(np.int64), classes=list(KINDS), captions=captions(parts, wording, seed),
        caption_groups=combination(values), factors=values,
    )  # fmt: skip


def render(values: dict[str, NDArray[np.generic]], shape: Shape = SHAPE) -> NDArray[np.uint8]:
    """Render images.

    Args:
        values: the factors, as `factors` returns them.
        shape: (C, H, W). Grey is the luma of the colour; alpha is opaque.

    Returns:
        uint8 (N, H, W, C).
    """
    channels, height, width = shape
    palette = _palette(channels)
    images = np.empty((len(values["shape"]), height, width, channels), np.uint8)
    ground, paints = palette[0], palette[1:]
    for kind in range(len(KINDS)):
        members = np.flatnonzero(values["shape"] == kind)
        step = max(1, 2**20 // (height * width))
        for start in range(0, len(members), step):
            rows = members[start : start + step]
            cover = _cover(kind, {k: v[rows] for k, v in values.items()}, height, width)[..., None]
            paint = paints[values["colour"][rows].astype(np.int64)][:, None, None, :]
            images[rows] = np.rint(ground + cover * (paint - ground)).astype(np.uint8)
    return images


def _palette(channels: int) -> Floats:
    """Background, then the colours: float32 (9, C) in 0..255."""
    rgb = np.array([BACKGROUND, *COLOURS.values()], np.float32)
    base = rgb if channels >= 3 else rgb @ np.array([[0.299], [0.587], [0.114]], np.float32)
    opaque = np.full((len(rgb), 1), 255, np.float32)
    return np.concatenate([base, opaque], 1) if channels in (2, 4) else base


def _cover(kind: int, values: dict[str, NDArray[np.generic]], height: int, width: int) -> Floats:
    """The fraction of each pixel that the shape covers: float32 (n, H, W) in [0, 1]."""
    short = min(height, width)
    place = values["place"].astype(np.int64)
    centre_x = np.take(_CENTRES, place % 3) + values["dx"].astype(np.float64)
    centre_y = np.take(_CENTRES, place // 3) + values["dy"].astype(np.float64)
    radius = np.take(list(SIZES.values()), values["size"].astype(np.int64))
    x = (np.arange(width) + 0.5 - centre_x[:, None] * width) / (radius[:, None] * short)
    y = (np.arange(height) + 0.5 - centre_y[:, None] * height) / (radius[:, None] * short)
    grid_x, grid_y = np.broadcast_arrays(x[:, None, :].astype(np.float32), y[:, :, None].astype(np.float32))
    distance = np.hypot(grid_x, grid_y) - 1 if KINDS[kind] == "circle" else _distance(grid_x, grid_y, _outline(kind))
    pixels = distance * (radius * short).astype(np.float32)[:, None, None]
    cover: Floats = np.clip(0.5 - pixels, 0, 1).astype(np.float32)
    return cover


def _outline(kind: int) -> list[tuple[float, float]]:
    """Corners of a shape inside the unit circle; y points down."""

    def star(points: int, inner: float, turn: float) -> list[tuple[float, float]]:
        radii = [1.0, inner] if inner else [1.0]
        angles = [turn + 2 * math.pi * i / (points * len(radii)) for i in range(points * len(radii))]
        return [
            (radii[i % len(radii)] * math.cos(a), radii[i % len(radii)] * math.sin(a)) for i, a in enumerate(angles)
        ]

    up = -math.pi / 2
    if KINDS[kind] == "cross":
        a, b = 0.93, 0.33
        quarter = [(a, -b), (a, b), (b, b)]
        turns = [quarter]
        for _ in range(3):
            turns.append([(-y, x) for x, y in turns[-1]])
        return [corner for turn in turns for corner in turn]
    return {
        "square": star(4, 0, math.pi / 4),
        "triangle": star(3, 0, up),
        "star": star(5, 0.42, up),
        "diamond": [(0.0, -1.0), (0.66, 0.0), (0.0, 1.0), (-0.66, 0.0)],
    }[KINDS[kind]]


def _distance(x: Floats, y: Floats, corners: list[tuple[float, float]]) -> Floats:
    """Signed distance of points to a polygon, negative inside: distance to the nearest edge, sign by the even-odd rule."""
    nearest = np.full(x.shape, np.inf, np.float32)
    inside = np.zeros(x.shape, bool)
    for (ax, ay), (bx, by) in zip(corners, corners[1:] + corners[:1], strict=True):
        ex, ey, px, py = bx - ax, by - ay, x - ax, y - ay
        along = np.clip((px * ex + py * ey) / (ex * ex + ey * ey), 0, 1)
        nearest = np.minimum(nearest, (px - along * ex) ** 2 + (py - along * ey) ** 2)
        if ey != 0:
            inside ^= ((ay > y) != (by > y)) & (px < ex * py / ey)
    signed: Floats = np.where(inside, -1, 1).astype(np.float32) * np.sqrt(nearest)
    return signed
