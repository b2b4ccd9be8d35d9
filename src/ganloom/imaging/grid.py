"""Tensors to images: uint8 conversion, grids, PNG files and scatter plots of 2-D data."""

import contextlib
import math
import os
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image, ImageDraw
from torch import Tensor

from ganloom.core.errors import BadInput

Bytes = npt.NDArray[np.uint8]

MODES = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}
GUTTER = {1: (40,), 2: (0, 0), 3: (40, 40, 40), 4: (0, 0, 0, 0)}
LEAST_WIDTH = 512


def to_uint8(x: Tensor) -> Bytes:
    """(N, C, H, W) float in [-1, 1] to (N, H, W, C) uint8: clipped, halves rounded up, NaN to mid-grey.

    It undoes ``u / 127.5 - 1`` exactly for each of the 256 levels.
    """
    if x.dim() != 4:
        raise BadInput(f"images are (N, C, H, W), got shape {tuple(x.shape)}")
    x = torch.nan_to_num(x.detach().to("cpu", torch.float32), nan=0.0, posinf=1.0, neginf=-1.0)
    levels = ((x.clamp(-1, 1) + 1) * 127.5 + 0.5).floor()
    array: Bytes = levels.to(torch.uint8).permute(0, 2, 3, 1).contiguous().numpy()
    return array


def _image(array: Bytes) -> Image.Image:
    """(H, W, C) uint8 with 1 to 4 channels, or (H, W), to a PIL image."""
    if array.ndim == 2:
        array = array[:, :, None]
    if array.ndim != 3 or array.shape[2] not in MODES or array.dtype != np.uint8:
        raise BadInput(f"an image is uint8 (H, W, 1 to 4 channels), got {array.dtype} {array.shape}")
    height, width, channels = array.shape
    return Image.frombytes(MODES[channels], (width, height), np.ascontiguousarray(array).tobytes())


def grid(x: Tensor, columns: int | None = None, pad: int = 2, scale: int | None = None) -> Image.Image:
    """N images (N, C, H, W) float in [-1, 1] in rows; 1, 2, 3, 4 channels give L, LA, RGB, RGBA.

    ``columns`` None: about square. ``pad`` is the gutter in final pixels. ``scale`` repeats each pixel so many times;
    None: the smallest whole factor that makes the grid at least 512 pixels wide.
    """
    tiles = to_uint8(x)
    n, height, width, channels = tiles.shape
    if n < 1 or height < 1 or width < 1 or channels not in MODES:
        raise BadInput(f"a grid takes one or more images of 1 to 4 channels, got shape {tuple(x.shape)}")
    columns = min(n, columns or max(1, round(math.sqrt(n * height / width))))
    scale = scale or max(1, math.ceil((LEAST_WIDTH - pad * (columns + 1)) / (columns * width)))
    tiles = tiles.repeat(scale, axis=1).repeat(scale, axis=2)
    cell_h, cell_w = height * scale + pad, width * scale + pad
    rows = math.ceil(n / columns)
    sheet = np.empty((rows * cell_h + pad, columns * cell_w + pad, channels), np.uint8)
    sheet[:] = GUTTER[channels]
    for i, tile in enumerate(tiles):
        top, left = pad + i // columns * cell_h, pad + i % columns * cell_w
        sheet[top : top + height * scale, left : left + width * scale] = tile
    return _image(sheet)


def alike(x: Tensor, channels: int) -> Tensor:
    """(N, C, H, W) with so many channels, for showing: grey repeated, colours to their luma, alpha added or left out."""
    if x.shape[1] == channels:
        return x
    colours = x[:, :1].expand(-1, 3, -1, -1) if x.shape[1] < 3 else x[:, :3]
    if channels >= 3:
        return torch.cat([colours, torch.ones_like(colours[:, :1])], 1) if channels == 4 else colours
    luma = (colours * torch.tensor([0.299, 0.587, 0.114], device=x.device)[:, None, None]).sum(1, keepdim=True)
    return torch.cat([luma, torch.ones_like(luma)], 1) if channels == 2 else luma


def side_by_side(*sets: Tensor) -> Tensor:
    """Sets (N, C, H, W) of equal N and size as (N times sets, C, H, W): first of each, second of each, ..."""
    channels = max(x.shape[1] for x in sets)
    return torch.stack([alike(x, channels) for x in sets], 1).flatten(0, 1)


def class_rows(n: int, classes: int) -> tuple[int, list[int]]:
    """(columns, the class of each row) of a grid of at most ``n`` samples in which each row is one class.

    Few classes take several rows each; of many, evenly spaced ones are shown.
    """
    side = max(1, math.isqrt(n))
    columns = min(side, max(n // classes, (side + 1) // 2))
    rows = n // columns
    if rows < classes:
        return columns, [i * classes // rows for i in range(rows)]
    return columns, [i for i in range(classes) for _ in range(rows // classes)]


def save_png(image: Image.Image | Bytes, path: str | Path) -> Path:
    """Write a PIL image or a uint8 (H, W, C) array as PNG, whole or not at all; equal pixels give equal bytes."""
    path = Path(path)
    image = image.copy() if isinstance(image, Image.Image) else _image(image)
    image.info = {}  # no times, profiles or comments of wherever the pixels came from
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        image.save(temporary, format="PNG")
        os.replace(temporary, path)
    finally:
        with contextlib.suppress(FileNotFoundError):
            temporary.unlink()
    return path


def reach(points: Tensor) -> float:
    """Half the side of a square around the origin that shows the (N, 2) points with some air."""
    finite = points[torch.isfinite(points).all(dim=1)]
    farthest = float(finite.abs().max()) if len(finite) else 0.0
    return farthest * 1.15 or 1.0


def scatter(
    points: Tensor, modes: Tensor | None = None, extent: float | None = None, size: int = LEAST_WIDTH
) -> Image.Image:
    """(N, 2) points as an RGB image of ``size`` pixels; ``modes`` (M, 2) are ringed.

    It shows [-extent, extent] on both axes (None: what holds the modes, else all points). Give the extent of the real
    data to compare images. How many points lie outside, or are not finite, is written in the corner.
    """
    points = points.detach().to("cpu", torch.float32)
    if points.dim() != 2 or points.shape[1] != 2:
        raise BadInput(f"a scatter plot takes points of shape (N, 2), got {tuple(points.shape)}")
    modes = None if modes is None else torch.as_tensor(modes, dtype=torch.float32).cpu()
    extent = extent or reach(points if modes is None else modes * 1.25)
    fine = 2 * size  # drawn at twice the size and reduced, for smooth edges
    canvas = Image.new("RGB", (fine, fine), (250, 250, 248))
    draw = ImageDraw.Draw(canvas, "RGBA")

    def place(point: Any) -> tuple[float, float]:
        return fine / 2 * (1 + float(point[0]) / extent), fine / 2 * (1 - float(point[1]) / extent)

    draw.line([(0, fine / 2), (fine, fine / 2)], fill=(0, 0, 0, 30), width=2)
    draw.line([(fine / 2, 0), (fine / 2, fine)], fill=(0, 0, 0, 30), width=2)
    for mode in [] if modes is None else modes:
        x, y = place(mode)
        draw.ellipse((x - 18, y - 18, x + 18, y + 18), outline=(217, 113, 28, 220), width=4)
    inside = torch.isfinite(points).all(dim=1) & (points.abs() <= extent).all(dim=1)
    for point in points[inside].tolist():
        x, y = place(point)
        draw.ellipse((x - 4, y - 4, x + 4, y + 4), fill=(36, 86, 196, 130))
    image = canvas.resize((size, size), Image.Resampling.BOX)
    label = ImageDraw.Draw(image)
    label.text((8, size - 18), f"-{extent:.3g} to {extent:.3g}", fill=(110, 110, 110))
    if outside := len(points) - int(inside.sum()):
        label.text((8, 8), f"{outside} of {len(points)} outside", fill=(190, 40, 40))
    return image
