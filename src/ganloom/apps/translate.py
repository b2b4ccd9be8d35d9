"""Translate image files with a trained image-to-image model: any size, with alpha and 16 bits, large images in bands."""

import math
import os
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from ganloom.api import load
from ganloom.core.device import choose_device
from ganloom.core.errors import BadInput
from ganloom.core.names import as_path
from ganloom.core.output_files import new_file, new_folder, numbered
from ganloom.data.decode import BadImage, quiet, to_array
from ganloom.data.file_index import Listing, scan_folder, single_file
from ganloom.data.file_scales import FileScales
from ganloom.data.label_maps import colours
from ganloom.data.own_folders import mark_output
from ganloom.data.pixel_scale import UnclearScale, check_scales, known_of_side
from ganloom.evaluation.evaluate import recorded_scales
from ganloom.imaging import grid
from ganloom.imaging.png16 import read16, write16
from ganloom.runs.folder import Folder

SHEET = 64
"""Largest number of images in the sheet of comparisons."""
_SIDE = 256


@dataclass(frozen=True)
class Translated:
    """What ``translate_files`` wrote."""

    files: list[Path]
    sheet: Path | None
    bad: list[tuple[str, str]]
    """Name and reason of each image that could not be read, and of each file that looks like an image."""
    notes: list[str]
    """Lines for the user, such as what the numbers of images with more than 8 bits mean."""


def translate_files(
    run: str | Path,
    source: str | Path,
    out: str | Path,
    *,
    reverse: bool = False,
    stochastic: bool = False,
    seed: int = 0,
    memory: float = 1024.0,
    compare: bool = False,
    checkpoint: str = "latest",
    device: str = "auto",
    progress: Callable[[str, int, int], None] | None = None,
    overwrite: bool = False,
) -> Translated:
    """Translate an image, or all images of a folder, to PNG files.

    Sizes, alpha channels and 16 bits per channel are kept. Unreadable images of a folder are skipped and listed. Numbers of
    more than 8 bits mean what they meant in training: see ``ganloom.data.pixel_scale``.

    Args:
        run: A run folder or a model/ folder of an image-to-image recipe.
        source: An image or a folder.
        out: A new .png file, or a new or empty folder, in which the files have the names of the inputs.
        reverse: Translate from the target domain to the input domain.
        stochastic: Use dropout and the batch statistics of each image.
        seed: Seed of the dropout.
        memory: Largest memory for features, in MiB. Larger images are processed in bands of rows, with the same result.
        compare: Also write a sheet of inputs and outputs.
        checkpoint: "latest", "best", or the name of a checkpoint.
        device: "auto", "cpu", "cuda" or "mps".
        progress: Called with (file name, number, count) before each image.
        overwrite: Replace existing files. An input is never replaced.

    Returns:
        What was written.

    Raises:
        BadInput: An argument cannot be used, or no image can be read.
    """
    if memory <= 0:
        raise BadInput(f"--memory must be above 0 MiB, got {memory:g}")
    run, source, out = as_path(run), as_path(source), as_path(out)
    listing, single = inputs_of(source), source.is_file()
    targets = targets_of(listing, source, out, overwrite)
    sheet = sheet_of(targets, out, single, overwrite) if compare else None
    is_new = not any(out.iterdir()) if out.is_dir() else not single
    gan: Any = load(run, checkpoint=checkpoint, device=choose_device(device))
    if gan.conditions_on != "images":
        raise BadInput(f"{run} generates images from latents, not from images: use ganloom sample")
    if gan.upscales:
        raise BadInput(f"{run} enlarges images: use `ganloom upscale IN OUT --model {run}`")
    if gan.makes_inputs:
        raise BadInput(f"{run} fills holes in images: use ganloom inpaint IN MASK OUT --model {run}")
    if reverse and not gan.both_ways:
        raise BadInput("--reverse: this run's recipe translates in one direction only")
    labels = _has_label_maps(run) and not reverse
    listing.scales = FileScales(_scales(run, reverse))
    listing.scales.label_maps = labels
    files: list[Path] = []
    bad = [(listing.path(name), reason) for name, reason in listing.bad]
    comparisons: list[Tensor] = []
    for number, target in enumerate(targets):
        path = Path(listing.path(listing.entries[number].name))
        if progress is not None:
            progress(path.name, number, len(targets))
        try:
            pixels = read(listing, number)
        except BadImage as error:
            if single:
                raise BadInput(f"{path}: {error}") from None
            bad.append((str(path), str(error)))
            continue
        result = translate_pixels(
            gan, pixels, reverse=reverse, stochastic=stochastic, seed=seed, memory=memory, labels=labels
        )
        write(result, target, overwrite=overwrite)
        files.append(target)
        if compare and len(comparisons) < 2 * SHEET:
            comparisons += [thumbnail(pixels), thumbnail(result)]
    if not files:
        raise BadInput(f"none of the {len(bad)} images in {source} can be read: {bad[0][0]} ({bad[0][1]})")
    if sheet is not None:
        columns = 2 * max(1, round(math.sqrt(len(comparisons) / 2) / 2))
        grid.save_png(grid.grid(torch.cat(comparisons), columns, scale=1), sheet, overwrite=overwrite)
    if is_new and not single:
        mark_output(out, "translate")
    notes = [note for note in (*listing.notes, *listing.decoding_notes()) if not note.startswith("left out ")]
    return Translated(files, sheet, bad, notes)


def translate_pixels(
    gan: Any,
    pixels: NDArray[Any],
    *,
    reverse: bool = False,
    stochastic: bool = False,
    seed: int = 0,
    memory: float = 1024.0,
    labels: bool = False,
) -> NDArray[Any]:
    """Translate one image; its size, type and alpha channel are kept.

    Args:
        gan: An image-to-image model.
        pixels: (H, W, 1 to 4), uint8 or uint16. Grey is repeated or colours become grey, as the model needs.
        reverse: Translate from the target domain to the input domain.
        stochastic: Use dropout and the batch statistics of the image.
        seed: Seed of the dropout.
        memory: Largest memory for features, in MiB.
        labels: Values of one-channel images are labels; they get the colours that they had in training.

    Returns:
        (H, W, 1 to 4), of the type of ``pixels``.
    """
    channels = int(gan.cfg.shape[0] if reverse else gan.cfg.in_channels)
    if labels and pixels.shape[2] == 1 and pixels.dtype == np.uint8:
        pixels = colours()[pixels[..., 0]]
    alpha = pixels[..., -1:] if pixels.shape[2] in (2, 4) else None
    top = float(np.iinfo(pixels.dtype).max)
    x = torch.from_numpy(pixels.astype(np.float32) / top * 2 - 1).permute(2, 0, 1)[None]
    x = x if channels in (2, 4) or alpha is None else x[:, :-1]
    y = gan.translate(grid.alike(x, channels), reverse=reverse, stochastic=stochastic, seed=seed, memory=memory)
    scaled = y.cpu().clamp(-1, 1).add(1).div(2).mul(top).add(0.5).floor()
    result = scaled[0].permute(1, 2, 0).numpy().astype(pixels.dtype)
    if alpha is not None and result.shape[2] in (1, 3):
        result = np.concatenate([result, alpha], axis=2)
    return np.asarray(result)


def read(listing: Listing, index: int) -> NDArray[Any]:
    """Read an image file.

    Args:
        listing: The files, with the scales of their numbers.
        index: Which of them.

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


def _scales(run: Path, reverse: bool) -> dict[str, Any]:
    """Which numbers were black and white in the inputs of the training, by type."""
    scales = recorded_scales(run) or {}
    check_scales(scales)
    data = Folder(run).read("config.json").get("data")
    swapped = isinstance(data, dict) and data.get("source", {}).get("direction") == "BtoA"
    return known_of_side(scales, "b" if swapped != reverse else "a")


def sheet_of(targets: list[Path], out: Path, single: bool, overwrite: bool) -> Path:
    """The file of the comparisons: a name that none of the results has."""
    if single:
        return new_file(targets[0].with_name(f"{targets[0].stem}.compare.png"), overwrite=overwrite, flag="")
    taken = {str(target).casefold() for target in targets}
    return numbered(out / "compare.png", lambda sheet: str(sheet).casefold() in taken)


def _has_label_maps(run: Path) -> bool:
    data = Folder(run).read("config.json").get("data")
    source = data.get("source") if isinstance(data, dict) else None
    return isinstance(source, dict) and bool(source.get("label_maps"))


def thumbnail(pixels: NDArray[Any]) -> Tensor:
    """An image as RGB with at most 256 pixels a side, on grey, (1, 3, 256, 256)."""
    eight = (pixels >> 8).astype(np.uint8) if pixels.dtype == np.uint16 else pixels
    image = Image.fromarray(eight[..., 0] if eight.shape[2] == 1 else eight).convert("RGB")
    image.thumbnail((_SIDE, _SIDE), Image.Resampling.LANCZOS)
    page = Image.new("RGB", (_SIDE, _SIDE), (128, 128, 128))
    page.paste(image, ((_SIDE - image.width) // 2, (_SIDE - image.height) // 2))
    return torch.from_numpy(np.asarray(page).copy()).permute(2, 0, 1)[None].float() / 127.5 - 1
