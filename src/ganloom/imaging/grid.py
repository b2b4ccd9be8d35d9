"""Convert tensors to images: uint8 arrays, grids, PNG files, and scatter plots of 2-D data."""

import io
import math
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from PIL import Image, ImageDraw
from torch import Tensor

from ganloom.core.errors import BadInput
from ganloom.core.names import as_path
from ganloom.core.output_files import written

Bytes = npt.NDArray[np.uint8]

MODES = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}
GUTTER = {1: (40,), 2: (0, 0), 3: (40, 40, 40), 4: (0, 0, 0, 0)}
LEAST_WIDTH = 512


def to_uint8(x: Tensor) -> Bytes:
    """Convert images to 8 bits. This inverts ``u / 127.5 - 1`` exactly for each of the 256 levels.

    Args:
        x: (N, C, H, W) float in [-1, 1]. Values outside are clipped, NaN becomes mid-grey, halves are rounded up.

    Returns:
        (N, H, W, C) uint8.

    Raises:
        BadInput: ``x`` does not have four axes.
    """
    if x.dim() != 4:
        raise BadInput(f"images are (N, C, H, W), got shape {tuple(x.shape)}")
    x = torch.nan_to_num(x.detach().to("cpu", torch.float32), nan=0.0, posinf=1.0, neginf=-1.0)
    levels = ((x.clamp(-1, 1) + 1) * 127.5 + 0.5).floor()
    array: Bytes = levels.to(torch.uint8).permute(0, 2, 3, 1).contiguous().numpy()
    return array


def _image(array: Bytes) -> Image.Image:
    """Convert (H, W, C) uint8 with 1 to 4 channels, or (H, W), to a PIL image."""
    if array.ndim == 2:
        array = array[:, :, None]
    if array.ndim != 3 or array.shape[2] not in MODES or array.dtype != np.uint8:
        raise BadInput(f"an image is uint8 (H, W, 1 to 4 channels), got {array.dtype} {array.shape}")
    height, width, channels = array.shape
    return Image.frombytes(MODES[channels], (width, height), np.ascontiguousarray(array).tobytes())


def grid(x: Tensor, columns: int | None = None, pad: int = 2, scale: int | None = None) -> Image.Image:
    """Arrange images in a grid, row by row.

    Args:
        x: (N, C, H, W) float in [-1, 1], N at least 1.
        columns: Images per row. None: the grid is about square.
        pad: Width of the gap between images, in pixels of the grid.
        scale: Integer factor by which each image is enlarged. None: the smallest factor that makes the grid at least
            512 pixels wide.

    Returns:
        An image of mode L, LA, RGB or RGBA, for 1 to 4 channels.

    Raises:
        BadInput: There is no image, or it has more than 4 channels.
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
    """Convert images to another number of channels, for display.

    Args:
        x: (N, 1 to 4, H, W) float in [-1, 1].
        channels: 1 to 4: grey, grey and alpha, RGB, RGBA.

    Returns:
        (N, channels, H, W): grey is repeated, colours become their luma, alpha is added as opaque or removed.
    """
    if x.shape[1] == channels:
        return x
    colours = x[:, :1].expand(-1, 3, -1, -1) if x.shape[1] < 3 else x[:, :3]
    if channels >= 3:
        return torch.cat([colours, torch.ones_like(colours[:, :1])], 1) if channels == 4 else colours
    luma = (colours * torch.tensor([0.299, 0.587, 0.114], device=x.device)[:, None, None]).sum(1, keepdim=True)
    return torch.cat([luma, torch.ones_like(luma)], 1) if channels == 2 else luma


def side_by_side(*sets: Tensor) -> Tensor:
    """Interleave sets of images: the first of each set, the second of each set, and so on.

    Args:
        sets: (N, C, H, W) each, of equal N. Channels may differ. Smaller images, such as the inputs of an upscaler, are
            drawn with larger pixels.

    Returns:
        (N * number of sets, largest C, H, W).
    """
    channels = max(x.shape[1] for x in sets)
    size = max(x.shape[2] for x in sets), max(x.shape[3] for x in sets)
    sets = tuple(x if tuple(x.shape[2:]) == size else F.interpolate(x, size, mode="nearest") for x in sets)
    return torch.stack([alike(x, channels) for x in sets], 1).flatten(0, 1)


def class_rows(n: int, classes: int) -> tuple[int, list[int]]:
    """Lay out a grid in which each row shows one class.

    Args:
        n: Most samples in the grid.
        classes: Number of classes. Few classes get several rows each. Of many classes, evenly spaced ones are shown.

    Returns:
        (columns, the class of each row).
    """
    side = max(1, math.isqrt(n))
    columns = min(side, max(n // classes, (side + 1) // 2))
    rows = n // columns
    if rows < classes:
        return columns, [i * classes // rows for i in range(rows)]
    return columns, [i for i in range(classes) for _ in range(rows // classes)]


def save_png(image: Image.Image | Bytes, path: str | Path, *, overwrite: bool = False) -> Path:
    """Write a PNG file, complete or not at all. Equal pixels give equal bytes.

    Args:
        image: A PIL image, or a (H, W, C) or (H, W) uint8 array.
        path: The file. Missing folders are created.
        overwrite: Replace an existing file.

    Returns:
        The path.

    Raises:
        BadInput: The array is not uint8 with 1 to 4 channels, or the file exists with other content.
    """
    path = as_path(path)
    image = image.copy() if isinstance(image, Image.Image) else _image(image)
    image.info = {}  # remove times, profiles and comments of the source
    with written(path, overwrite=overwrite) as temporary:
        image.save(temporary, format="PNG")
    return path


def png_bytes(image: Image.Image | Bytes) -> bytes:
    """Return the content of the file that ``save_png`` writes."""
    buffer = io.BytesIO()
    image = image.copy() if isinstance(image, Image.Image) else _image(image)
    image.info = {}
    image.save(buffer, format="PNG")
    return buffer.getvalue()


def reach(points: Tensor) -> float:
    """Return half the side of a square around the origin that holds the (N, 2) points, with a margin of 15 %."""
    finite = points[torch.isfinite(points).all(dim=1)]
    farthest = float(finite.abs().max()) if len(finite) else 0.0
    return farthest * 1.15 or 1.0


def scatter(
    points: Tensor, modes: Tensor | None = None, extent: float | None = None, size: int = LEAST_WIDTH
) -> Image.Image:
    """Draw points in the plane. The number of points outside the plot, or not finite, is written in the corner.

    Args:
        points: (N, 2).
        modes: (M, 2), drawn as rings. None: no rings.
        extent: Both axes show [-extent, extent]. Use the same extent to compare plots. None: the modes fit, or all
            points if there are no modes.
        size: Side of the image in pixels.

    Returns:
        An RGB image.

    Raises:
        BadInput: The points are not two-dimensional.
    """
    points = points.detach().to("cpu", torch.float32)
    if points.dim() != 2 or points.shape[1] != 2:
        raise BadInput(f"a scatter plot takes points of shape (N, 2), got {tuple(points.shape)}")
    modes = None if modes is None else torch.as_tensor(modes, dtype=torch.float32).cpu()
    extent = extent or reach(points if modes is None else modes * 1.25)
    fine = 2 * size  # draw at twice the size and reduce, for smooth edges
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
