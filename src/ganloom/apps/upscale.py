"""Enlarge images with super-resolution networks: files and folders, any size and factor, alpha, grey and 16 bits."""

import os
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from ganloom.apps.image_files import Sheet, inputs_of, is_new_folder, notes_of, read, targets_of, write
from ganloom.apps.pixel_progress import EachTile, PixelProgress
from ganloom.apps.python_images import pixels_of
from ganloom.apps.upscale_models import Model, choose, open_model
from ganloom.core import memory
from ganloom.core.device import choose_device
from ganloom.core.errors import BadInput
from ganloom.core.names import as_path
from ganloom.core.precision import full_precision
from ganloom.data.decode import BadImage, to_array
from ganloom.data.own_folders import mark_output
from ganloom.networks import tiles

LARGEST_SCALE = 16.0
MAX_PIXELS = 1_100_000_000
"""Largest result, in pixels."""
MAX_SIDE = 65_500
LESS_MEMORY = "use a smaller --tile or --scale, or a smaller image"


@dataclass(frozen=True)
class Upscaled:
    """What ``upscale_files`` wrote."""

    files: list[Path]
    sheet: Path | None
    bad: list[tuple[str, str]]
    """Name and reason of each image that could not be read or enlarged."""
    skipped: list[Path]
    """Results that existed already."""
    models: dict[str, int] = field(default_factory=dict)
    """Name of a model -> number of images."""
    notes: list[str] = field(default_factory=list)


class Models:
    """Opens models when they are first used, and keeps the last one.

    Args:
        name: "auto", a name, a run or a file; see `upscale_models.open_model`.
        device: Where they run.
        denoise: See `upscale_models.open_model`.
    """

    def __init__(self, name: str | os.PathLike[str], device: torch.device, denoise: float | None = None) -> None:
        self.name, self.device, self.denoise = os.fspath(name), device, denoise
        self.is_auto = self.name.lower() == "auto"
        self._open: Model | None = None
        if not self.is_auto or denoise is not None:
            self._open = open_model(self.name, device, denoise)

    def for_image(self, pixels: NDArray[Any]) -> tuple[Model, str]:
        """Return the model for an image, and why it was chosen ("" if the user chose it)."""
        if not self.is_auto:
            assert self._open is not None
            return self._open, ""
        choice = choose(pixels, self.device)
        if self._open is None or self._open.name != choice.name:
            self._open = open_model(choice.name, self.device)
        return self._open, choice.why


def upscale_files(
    source: str | os.PathLike[str],
    out: str | os.PathLike[str],
    *,
    model: str | os.PathLike[str] = "auto",
    scale: float = 4.0,
    tile: int | str = "auto",
    denoise: float | None = None,
    compare: bool = False,
    device: str = "auto",
    progress: Callable[[str, int, int], None] | None = None,
    say: Callable[[str], None] = lambda line: None,
    overwrite: bool = False,
    skip_existing: bool = False,
) -> Upscaled:
    """Enlarge an image, or all images of a folder, to PNG files.

    Alpha channels, grey and 16 bits per channel are kept. Images of a folder that cannot be read or enlarged are left out
    and listed. Each file is written when it is done, so an interrupted call keeps what it has made.

    Args:
        source: An image or a folder.
        out: A new .png file, or a new or empty folder, in which the files have the names of the inputs.
        model: "auto" looks at each image. Otherwise one of ``upscale_models.NAMES``, a run, or a file of weights.
        scale: Factor, above 0 and at most 16. If it is not that of the network, its result is resized (Lanczos).
        tile: Side of a tile in input pixels, or "auto".
        denoise: For realesr-general-x4v3.pth with its partner: 1 removes noise, 0 keeps it.
        compare: Also write a sheet with each image beside its result.
        device: "auto", "cpu", "cuda" or "mps".
        progress: Called with (what, thousand pixels done, thousand pixels in all).
        say: Called with a line about each image for which a model was chosen.
        overwrite: Replace existing files. An input is never replaced.
        skip_existing: Leave out images whose results are in ``out`` already: continues an interrupted call.

    Returns:
        What was written.

    Raises:
        BadInput: An argument cannot be used, or no image can be enlarged.
    """
    check_scale(scale)
    side = tile_side(tile)
    source, out = as_path(source), as_path(out)
    listing, single = inputs_of(source), source.is_file()
    targets = targets_of(listing, source, out, overwrite or (skip_existing and not single))
    sheet = Sheet(targets, out, single, overwrite) if compare else None
    is_new = is_new_folder(out, single)
    models = Models(model, torch.device(choose_device(device)), denoise)
    done = Upscaled([], None, [(listing.path(name), reason) for name, reason in listing.bad], [])
    work = PixelProgress(listing, progress)
    for number, target in enumerate(targets):
        path = listing.path(listing.entries[number].name)
        if skip_existing and not overwrite and target.exists():
            done.skipped.append(target)
            work.finish(number)
            continue
        try:
            pixels = read(listing, number)
            check_result(pixels.shape[:2], scale)
            found, why = models.for_image(pixels)
            if why:
                say(f"{Path(path).name}: model {found.name}, because {why}")
            result = upscale_pixels(found, pixels, scale, side, each=work.tiles(number, pixels.shape))
        except (BadImage, _TooLarge) as error:
            if single:
                raise BadInput(f"{path}: {error}") from None
            done.bad.append((path, str(error)))
            work.finish(number)
            continue
        write(result, target, overwrite=overwrite)
        done.files.append(target)
        done.models[found.name] = done.models.get(found.name, 0) + 1
        if sheet is not None:
            sheet.add(pixels, result)
    if not done.files and not done.skipped:
        raise BadInput(
            f"none of the {len(done.bad)} images in {source} can be enlarged: {done.bad[0][0]} ({done.bad[0][1]})"
        )
    shown = None if sheet is None else sheet.save()
    if is_new and not single:
        mark_output(out, "upscale")
    return replace(done, sheet=shown, notes=notes_of(listing))


def upscale(
    image: Any,
    scale: float = 4.0,
    *,
    model: str | os.PathLike[str] = "auto",
    tile: int | str = "auto",
    denoise: float | None = None,
    device: str = "auto",
) -> Any:
    """Enlarge an image.

    Args:
        image: A PIL image, an array (H, W) or (H, W, 1 to 4) of uint8, uint16 or floats in [0, 1], or a path.
        scale: Factor, above 0 and at most 16.
        model: "auto", one of ``ganloom.apps.upscale_models.NAMES``, a run, or a file of weights.
        tile: Side of a tile in input pixels, or "auto".
        denoise: See `upscale_files`.
        device: "auto", "cpu", "cuda" or "mps".

    Returns:
        An array of the same type and axes for an array, else a PIL image (of a path with 16 bits per colour an array).

    Raises:
        BadInput: The image or an argument cannot be used.
    """
    check_scale(scale)
    pixels, convert = pixels_of(image)
    try:
        check_result(pixels.shape[:2], scale)
    except _TooLarge as error:
        raise BadInput(str(error)) from None
    levels = pixels if pixels.dtype != np.float32 else np.clip(pixels * 65535, 0, 65535).astype(np.uint16)
    found, _ = Models(model, torch.device(choose_device(device)), denoise).for_image(levels)
    return convert(upscale_pixels(found, pixels, scale, tile_side(tile)))


def upscale_pixels(
    model: Model, pixels: NDArray[Any], scale: float, tile: int | None = None, each: EachTile = None
) -> NDArray[Any]:
    """Enlarge one image; its type and its alpha channel are kept.

    Args:
        model: The model.
        pixels: (H, W, 1 to 4), uint8, uint16 or float32 in [0, 1].
        scale: The factor.
        tile: Side of a tile in input pixels. None: by memory.
        each: Called with (tiles done, tiles).

    Returns:
        (H x scale, W x scale, 1 to 4), rounded to whole pixels, of the type of ``pixels``.
    """
    height, width, channels = pixels.shape
    size = max(1, round(height * scale)), max(1, round(width * scale))
    alpha = pixels[..., -1:] if channels in (2, 4) else None
    colours = pixels if alpha is None else pixels[..., :-1]
    first = next(p for p in model.net.parameters() if p.dim() == 4)
    inputs = int(first.shape[1]) // int(getattr(model.net, "unshuffle", 1)) ** 2
    if inputs not in (1, 3):
        raise BadInput(f"{model.name} has {inputs} channels: give a model for grey images or RGB")
    top = 1.0 if pixels.dtype == np.float32 else float(np.iinfo(pixels.dtype).max)

    def prepare(part: NDArray[Any]) -> Tensor:
        x = torch.from_numpy(part.astype(np.float32) / top).permute(2, 0, 1)[None]
        if inputs == 1 and x.shape[1] == 3:  # a network for grey images enlarges each colour
            x = x.transpose(0, 1)
        elif inputs == 3 and x.shape[1] == 1:
            x = x.expand(-1, 3, -1, -1)
        return x.to(first.device).contiguous(memory_format=torch.channels_last)

    def finish(y: Tensor) -> NDArray[Any]:
        y = y.transpose(0, 1) if inputs == 1 and colours.shape[2] == 3 else y
        y = y if y.shape[1] == colours.shape[2] else y.mean(1, keepdim=True)
        y = y.clamp(0, 1).mul(top)
        y = y if top == 1.0 else y.add(0.5).floor()
        return np.asarray(y[0].permute(1, 2, 0).cpu().numpy().astype(pixels.dtype))

    with memory.explained(LESS_MEMORY), full_precision():
        result = resized(tiles.enlarged(model.net, colours, prepare, finish, tile, each), size)
        if alpha is not None:
            result = np.concatenate([result, resized(alpha, size)], axis=2)
    return result


def resized(pixels: NDArray[Any], size: tuple[int, int]) -> NDArray[Any]:
    """Resize (H, W, C) of uint8, uint16 or float32 in [0, 1] to (height, width) with Lanczos' filter."""
    height, width = size
    if pixels.shape[:2] == size:
        return pixels
    if pixels.dtype == np.uint8 and pixels.shape[2] in (1, 3):
        image = Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels)
        return to_array(image.resize((width, height), Image.Resampling.LANCZOS))
    top = 1.0 if pixels.dtype == np.float32 else float(np.iinfo(pixels.dtype).max)
    result = np.empty((height, width, pixels.shape[2]), pixels.dtype)
    for i in range(pixels.shape[2]):
        channel = Image.fromarray(pixels[..., i].astype(np.float32)).resize((width, height), Image.Resampling.LANCZOS)
        values = np.clip(np.asarray(channel), 0, top)
        result[..., i] = values if top == 1.0 else np.rint(values)
    return result


class _TooLarge(Exception):
    """A result would be larger than is possible."""


def check_scale(scale: float) -> None:
    """Raise BadInput if a factor cannot be used."""
    if not 0 < scale <= LARGEST_SCALE:
        raise BadInput(f"--scale must be above 0 and at most {LARGEST_SCALE:g}, got {scale:g}")


def check_result(size: tuple[int, ...], scale: float) -> None:
    """Raise an error if a result would have too many pixels. The network's own factor, 4, counts too."""
    height, width = (round(side * max(scale, 4.0)) for side in size)
    if max(height, width) > MAX_SIDE or height * width > MAX_PIXELS:
        raise _TooLarge(f"the result would have {width} x {height} pixels, more than {MAX_PIXELS // 10**6} million")


def tile_side(tile: int | str) -> int | None:
    """Return the side of a tile, None for "auto". Raises BadInput for another word or a side below 32."""
    if str(tile).lower() == "auto":
        return None
    try:
        side = int(tile)
    except ValueError:
        side = 0
    if side < tiles.SMALLEST:
        raise BadInput(f"--tile must be auto or at least {tiles.SMALLEST} pixels, got {tile}")
    return side
