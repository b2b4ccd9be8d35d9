"""Image files that an app reads and writes: the inputs, the names of the results, numbers of 16 bits, sheets of comparisons."""

import math
import os
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from ganloom.core.errors import BadInput
from ganloom.core.output_files import new_file, new_folder, numbered
from ganloom.data.decode import BadImage, quiet, to_array
from ganloom.data.file_index import Listing, scan_folder, single_file
from ganloom.data.pixel_scale import UnclearScale
from ganloom.imaging import grid, levels
from ganloom.imaging.png16 import read16, write16

MOST = 64
"""Most images in a sheet of comparisons."""
_SIDE = 256


def inputs_of(source: Path) -> Listing:
    """The image files of a folder, or a single one."""
    if source.is_file():
        return single_file(source)
    if not source.is_dir():
        raise BadInput(f"there is no image or folder {source}")
    listing = scan_folder(str(source))
    if not listing.entries:
        left_out = "".join(f" ({note})" for note in listing.notes[:1])
        raise BadInput(f"there are no images in the folder {source}{left_out}: put .png, .jpg or .webp files there")
    return listing


def targets_of(listing: Listing, source: Path, out: Path, overwrite: bool) -> list[Path]:
    """The output of each image. Raises BadInput if a file must not be written."""
    if source.is_file():
        target = out / f"{source.stem}.png" if out.is_dir() or not out.suffix else out
        if target.suffix.lower() != ".png":
            raise BadInput(f"{out} must end in .png, or be a folder")
        if target.exists() and target.samefile(source):
            raise BadInput(f"{target} is the input itself. Choose another name")
        return [new_file(target, overwrite=overwrite, flag="")]
    if out.is_dir() and out.samefile(source):
        raise BadInput(f"{out} is the folder of the inputs. Choose another folder for the results")
    new_folder(out, overwrite=overwrite, flag="")
    targets = [out / Path(entry.name).with_suffix(".png") for entry in listing.entries]
    names = Counter(str(target).casefold() for target in targets)  # some file systems ignore the case
    twice = [target for target in targets if names[str(target).casefold()] > 1]
    if twice:
        raise BadInput(f"{source} has {twice[0].stem} twice with different endings: both would become {twice[0].name}")
    inputs = {os.path.realpath(listing.path(entry.name)) for entry in listing.entries}
    if replaced := [target for target in targets if os.path.realpath(target) in inputs]:
        raise BadInput(f"{replaced[0]} is one of the inputs. Choose another folder for the results")
    return targets


def is_new_folder(out: Path, single: bool) -> bool:
    """Whether the results go to a folder that this call makes or finds empty, so that it can be marked as ganloom's own."""
    return not any(out.iterdir()) if out.is_dir() else not single


def read(listing: Listing, index: int, *, as_stored: bool = False) -> NDArray[Any]:
    """Read an image file.

    Args:
        listing: The files, with the scales of their numbers.
        index: Which of them.
        as_stored: Keep the numbers of a PNG with 16 bits per channel as they are in the file.

    Returns:
        (H, W, 1 to 4): uint16 with white at 65535 for a PNG with 16 bits per channel, else uint8.

    Raises:
        BadImage: The file cannot be read.
    """
    with quiet():
        with listing.open(index) as file:
            content = file.read()
        try:
            deep = read16(content)
            if deep is not None and as_stored:
                return deep
            scale = None if deep is None or listing.scales.label_maps else listing.scales.scale_of("uint16", listing)
        except (BadInput, UnclearScale) as error:
            raise BadImage(str(error)) from None
        return to_array(listing.decode(index)) if deep is None or scale is None else _spread(deep, scale.white)


def _spread(pixels: NDArray[np.uint16], white: float) -> NDArray[np.uint16]:
    """Scale 16-bit numbers so that ``white`` becomes 65535. Alpha that is above it uses all 16 bits already."""
    top = 65535
    if white >= top:
        return pixels
    alpha = pixels[..., -1:] if pixels.shape[2] in (2, 4) else None
    wide: NDArray[np.uint16] = np.clip(np.rint(pixels * (top / white)), 0, top).astype(np.uint16)
    if alpha is not None and alpha.max() > white:
        wide[..., -1:] = alpha
    return wide


def write(pixels: NDArray[Any], path: Path, *, overwrite: bool = False) -> None:
    """Write a PNG with 8 or 16 bits per channel.

    Args:
        pixels: (H, W, 1 to 4), uint8 or uint16.
        path: The file.
        overwrite: Replace an existing file.
    """
    if pixels.dtype == np.uint16:
        write16(pixels, path, overwrite=overwrite)
    else:
        grid.save_png(pixels, path, overwrite=overwrite)


def notes_of(listing: Listing) -> list[str]:
    """The lines for the user about images that were read, without those about files that were left out."""
    return [note for note in (*listing.notes, *listing.decoding_notes()) if not note.startswith("left out ")]


class Sheet:
    """A sheet with images beside their results, for the first of them.

    Args:
        targets: The files of the results; the sheet gets a name that none of them has.
        out: The folder or file of the results.
        single: Whether there is a single image, not a folder.
        overwrite: Replace an existing file.
    """

    def __init__(self, targets: list[Path], out: Path, single: bool, overwrite: bool) -> None:
        self.overwrite = overwrite
        self._pairs: list[Tensor] = []
        if single:
            name = f"{targets[0].stem}.compare.png"
            self.path = new_file(targets[0].with_name(name), overwrite=overwrite, flag="")
        else:
            taken = {str(target).casefold() for target in targets}
            self.path = numbered(out / "compare.png", lambda sheet: str(sheet).casefold() in taken)

    def add(self, pixels: NDArray[Any], result: NDArray[Any]) -> None:
        """Add an image and its result, if there is room."""
        if len(self._pairs) < 2 * MOST:
            self._pairs += [_thumbnail(pixels), _thumbnail(result)]

    def save(self) -> Path | None:
        """Write the sheet and return its path; None if there is nothing to show."""
        if not self._pairs:
            return None
        columns = 2 * max(1, round(math.sqrt(len(self._pairs) / 2) / 2))
        grid.save_png(grid.grid(torch.cat(self._pairs), columns, scale=1), self.path, overwrite=self.overwrite)
        return self.path


def _thumbnail(pixels: NDArray[Any]) -> Tensor:
    """An image as RGB with at most 256 pixels a side, on grey, (1, 3, 256, 256)."""
    eight = (pixels >> 8).astype(np.uint8) if pixels.dtype == np.uint16 else pixels
    image = Image.fromarray(eight[..., 0] if eight.shape[2] == 1 else eight).convert("RGB")
    image.thumbnail((_SIDE, _SIDE), Image.Resampling.LANCZOS)
    page = Image.new("RGB", (_SIDE, _SIDE), (128, 128, 128))
    page.paste(image, ((_SIDE - image.width) // 2, (_SIDE - image.height) // 2))
    return levels.from_uint8(np.asarray(page)[None])
