"""Translate image files with a trained image-to-image model: any size, with alpha and 16 bits, large images in bands."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ganloom.api import load
from ganloom.apps.image_files import Sheet, inputs_of, is_new_folder, notes_of, read, targets_of, write
from ganloom.core.device import choose_device
from ganloom.core.errors import BadInput
from ganloom.core.names import as_path
from ganloom.data.decode import BadImage
from ganloom.data.file_scales import FileScales
from ganloom.data.label_maps import colours
from ganloom.data.own_folders import mark_output
from ganloom.data.pixel_scale import check_scales, known_of_side
from ganloom.evaluation.evaluate import recorded_scales
from ganloom.imaging import grid
from ganloom.runs.folder import Folder


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
    sheet = Sheet(targets, out, single, overwrite) if compare else None
    is_new = is_new_folder(out, single)
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
        if sheet is not None:
            sheet.add(pixels, result)
    if not files:
        raise BadInput(f"none of the {len(bad)} images in {source} can be read: {bad[0][0]} ({bad[0][1]})")
    shown = None if sheet is None else sheet.save()
    if is_new and not single:
        mark_output(out, "translate")
    return Translated(files, shown, bad, notes_of(listing))


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


def _scales(run: Path, reverse: bool) -> dict[str, Any]:
    """Which numbers were black and white in the inputs of the training, by type."""
    scales = recorded_scales(run) or {}
    check_scales(scales)
    data = Folder(run).read("config.json").get("data")
    swapped = isinstance(data, dict) and data.get("source", {}).get("direction") == "BtoA"
    return known_of_side(scales, "b" if swapped != reverse else "a")


def _has_label_maps(run: Path) -> bool:
    data = Folder(run).read("config.json").get("data")
    source = data.get("source") if isinstance(data, dict) else None
    return isinstance(source, dict) and bool(source.get("label_maps"))
