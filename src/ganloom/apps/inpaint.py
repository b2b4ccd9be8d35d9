"""Fill holes in image files, and in images in Python."""

import os
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ganloom.apps import inpaint_masks
from ganloom.apps.image_files import inputs_of, notes_of, read, write
from ganloom.apps.inpaint_models import open_model
from ganloom.apps.inpaint_pixels import MEMORY, Progress, check_mask, fill_pixels
from ganloom.core.errors import BadInput
from ganloom.core.names import as_path
from ganloom.core.output_files import new_file, new_folder
from ganloom.data.decode import BadImage, to_array
from ganloom.data.own_folders import mark_output

Picture = Image.Image | NDArray[Any] | str | os.PathLike[str]


@dataclass(frozen=True)
class Inpainted:
    """What ``inpaint_files`` wrote."""

    files: list[Path]
    bad: list[tuple[str, str]]
    """Path and reason of each image or mask that was left out."""
    notes: list[str]
    """Lines for the user."""


def inpaint_files(
    source: str | Path,
    mask: str | Path,
    out: str | Path,
    *,
    model: str | Path = "photographs",
    grow: int = 0,
    memory: float = MEMORY,
    checkpoint: str = "latest",
    device: str = "auto",
    progress: Progress = None,
    overwrite: bool = False,
) -> Inpainted:
    """Fill the holes of an image, or of all images of a folder, and write PNG files.

    Sizes, alpha channels and 16 bits per channel are kept. Known pixels are those of the input, bit for bit. Images that
    cannot be read, and images without a usable mask, are skipped and listed.

    Args:
        source: An image or a folder.
        mask: A mask, a folder of masks, "alpha" or "colour:RRGGBB"; see ``inpaint_masks.pair``.
        out: A new .png file, or a new or empty folder.
        model: See ``inpaint_models.open_model``.
        grow: Extend the holes by this number of pixels.
        memory: Largest memory for features, in MiB.
        checkpoint: Of a run: "latest", "best", or the name of a checkpoint.
        device: "auto", "cpu", "cuda" or "mps".
        progress: Called with (what, done, total).
        overwrite: Replace existing files. An input is never replaced.

    Returns:
        What was written.

    Raises:
        BadInput: An argument cannot be used, or no image can be filled.
    """
    _check_numbers(grow, memory)
    source, out = as_path(source), as_path(out)
    jobs = inpaint_masks.pair(source, str(mask))
    single = source.is_file() and len(jobs.jobs) == 1 and not out.is_dir() and bool(out.suffix)
    targets = _targets(jobs, out, single, overwrite)
    gan = open_model(model, checkpoint=checkpoint, device=device)
    is_new = not single and not (out.is_dir() and any(out.iterdir()))
    files: list[Path] = []
    bad, notes = list(jobs.bad), list[str]()
    for number, (job, target) in enumerate(zip(jobs.jobs, targets, strict=True)):
        name = jobs.images.path(jobs.images.entries[job.image].name)
        if progress is not None:
            progress("filling images", number, len(targets))
        try:
            pixels = read(jobs.images, job.image, as_stored=True)
            hole = inpaint_masks.grown(_hole(jobs, job, str(mask), pixels), grow)
            check_mask(hole, pixels.shape, f"the mask {mask}" if job.mask is None else _mask_name(jobs, job))
            # The progress of a single large image is that of its holes.
            filled, more = fill_pixels(
                pixels, hole, gan, memory=memory, progress=progress if len(targets) == 1 else None
            )
        except (BadImage, BadInput) as error:
            if source.is_file() and len(targets) == 1:
                raise BadInput(f"{name}: {error}") from None
            bad.append((name, str(error)))
            continue
        write(filled, target, overwrite=overwrite)
        files.append(target)
        notes += [f"{name}: {note}" for note in more]
    if not files:
        raise BadInput(f"none of the {len(bad)} images in {source} can be filled: {bad[0][0]} ({bad[0][1]})")
    if is_new:
        mark_output(out, "inpaint")
    return Inpainted(files, bad, [*notes_of(jobs.images), *notes])


def inpaint(
    image: Picture,
    mask: Picture,
    *,
    model: Any = "photographs",
    grow: int = 0,
    memory: float = MEMORY,
    device: str = "auto",
    progress: Progress = None,
) -> Any:
    """Fill the holes of one image.

    Args:
        image: A PIL image; an array (H, W) or (H, W, 1 to 4) of uint8, uint16 or floats in [0, 1]; or a file.
        mask: The same kinds, of the same size: bright pixels (or True, or 1 where there are only 0 and 1) are the hole. Or
            "alpha" for the transparent pixels, or "colour:RRGGBB".
        model: A name, run or file, see ``ganloom inpaint --help``, or a model that was loaded.
        grow: Extend the holes by this number of pixels.
        memory: Largest memory for features of the model, in MiB.
        device: "auto", "cpu", "cuda" or "mps".
        progress: Called with (what, done, total).

    Returns:
        An array of the same shape and type for an array, else a PIL image; for files of 16 bits per channel an array. Known
        pixels are those of the input, bit for bit.

    Raises:
        BadInput: The image, the mask or the model cannot be used.
    """
    _check_numbers(grow, memory)
    pixels = _pixels_of(image, "image")
    if isinstance(mask, str) and inpaint_masks.is_rule(mask):
        hole = inpaint_masks.by_rule(mask, pixels)
    else:
        hole = inpaint_masks.of_pixels(_pixels_of(mask, "mask"))
    hole = inpaint_masks.grown(hole, grow)
    check_mask(hole, pixels.shape)
    gan = model if hasattr(model, "inpaint") else open_model(model, device=device)
    filled, _ = fill_pixels(pixels, hole, gan, memory=memory, progress=progress)
    if isinstance(image, np.ndarray):
        result = image.copy()  # known pixels of wider types, such as float64, keep all their bits
        result[hole] = filled[hole].reshape(result[hole].shape).astype(image.dtype)
        return result
    if filled.dtype == np.uint16:
        return Image.fromarray(filled[..., 0]) if isinstance(image, Image.Image) else filled
    return Image.fromarray(filled[..., 0] if filled.shape[2] == 1 else filled)


def _check_numbers(grow: int, memory: float) -> None:
    if grow < 0 or grow != int(grow):
        raise BadInput(f"--grow must be a whole number of at least 0 pixels, got {grow}")
    if not memory > 0:
        raise BadInput(f"--memory must be above 0 MiB, got {memory:g}")


def _pixels_of(picture: Picture, name: str) -> NDArray[Any]:
    """Return (H, W, 1 to 4) of bool, uint8, uint16 or float32 from a PIL image, an array or a file."""
    if isinstance(picture, str | os.PathLike):
        path = as_path(picture)
        if not path.is_file():
            raise BadInput(f"there is no file {path}")
        try:
            return read(inputs_of(path), 0, as_stored=True)
        except BadImage as error:
            raise BadInput(f"{path}: {error}") from None
    if isinstance(picture, Image.Image):
        if picture.mode[0] in "IF":
            return _one_channel(picture, name)
        known = {"L", "LA", "RGB", "RGBA"}
        has_alpha = picture.mode == "PA" or "transparency" in picture.info
        other = "L" if picture.mode == "1" else "RGBA" if has_alpha else "RGB"
        return to_array(picture if picture.mode in known else picture.convert(other))
    pixels = np.asarray(picture)
    pixels = pixels[..., None] if pixels.ndim == 2 else pixels
    if pixels.ndim != 3 or pixels.shape[2] not in (1, 2, 3, 4) or not pixels.size:
        raise BadInput(f"the {name} must be (H, W) or (H, W, 1 to 4), got shape {tuple(np.shape(picture))}")
    if pixels.dtype.kind == "f":
        if not np.isfinite(pixels).all() or pixels.min() < 0 or pixels.max() > 1:
            raise BadInput(f"the {name} is an array of floats: its values must be in [0, 1]")
        return pixels.astype(np.float32)
    if pixels.dtype.kind in "iu" and pixels.dtype not in (np.uint8, np.uint16):
        if pixels.min() < 0 or pixels.max() > 255:
            raise BadInput(f"the {name} is an array of {pixels.dtype}: use uint8, uint16 or floats in [0, 1]")
        pixels = pixels.astype(np.uint8)
    if pixels.dtype not in (np.bool_, np.uint8, np.uint16):
        raise BadInput(f"the {name} is an array of {pixels.dtype}: use uint8, uint16 or floats in [0, 1]")
    if pixels.dtype == np.bool_ and name == "image":
        raise BadInput("the image is an array of bool: use uint8, uint16 or floats in [0, 1]")
    return pixels


def _one_channel(picture: Image.Image, name: str) -> NDArray[np.uint16]:
    """Return a PIL image with one channel of more than 8 bits as (H, W, 1)."""
    pixels = np.asarray(picture)
    if picture.mode == "F" or pixels.min() < 0 or pixels.max() > 65535:
        raise BadInput(
            f"the {name} is a PIL image of mode {picture.mode}, whose white is unknown: give an array of uint8, uint16 or "
            "floats in [0, 1]"
        )
    return pixels.astype(np.uint16)[..., None]


def _hole(jobs: inpaint_masks.Jobs, job: inpaint_masks.Job, rule: str, pixels: NDArray[Any]) -> NDArray[np.bool_]:
    if job.mask is None:
        return inpaint_masks.by_rule(rule, pixels)
    assert jobs.masks is not None
    try:
        return inpaint_masks.of_pixels(read(jobs.masks, job.mask, as_stored=True))
    except BadImage as error:
        raise BadImage(f"{_mask_name(jobs, job)}: {error}") from None


def _mask_name(jobs: inpaint_masks.Jobs, job: inpaint_masks.Job) -> str:
    assert jobs.masks is not None and job.mask is not None
    return f"the mask {jobs.masks.path(jobs.masks.entries[job.mask].name)}"


def _targets(jobs: inpaint_masks.Jobs, out: Path, single: bool, overwrite: bool) -> list[Path]:
    """The output of each job. Raises BadInput if a file must not be written."""
    listings = [listing for listing in (jobs.images, jobs.masks) if listing is not None]
    inputs = {os.path.realpath(listing.path(entry.name)) for listing in listings for entry in listing.entries}
    if single:
        if out.suffix.lower() != ".png":
            raise BadInput(f"{out} must end in .png, or be a folder")
        targets = [out]
    else:
        if len(jobs.jobs) == 1 and not out.is_dir():
            targets = [out / f"{jobs.jobs[0].name}.png"]
        else:
            targets = [out / f"{job.name}.png" for job in jobs.jobs]
    if replaced := [target for target in targets if os.path.realpath(target) in inputs]:
        raise BadInput(f"{replaced[0]} is one of the inputs. Choose another name or folder for the results")
    if single:
        return [new_file(out, overwrite=overwrite, flag="")]
    if any(out.is_dir() and out.samefile(listing.root) for listing in listings if Path(listing.root).is_dir()) and (
        len(jobs.jobs) > 1
    ):
        raise BadInput(f"{out} is the folder of the inputs. Choose another folder for the results")
    if len(jobs.jobs) > 1 or not out.is_dir():
        new_folder(out, overwrite=overwrite, flag="")
    names = Counter(str(target).casefold() for target in targets)  # some file systems ignore the case
    if twice := [target for target in targets if names[str(target).casefold()] > 1]:
        raise BadInput(f"two results would be named {twice[0].name}: give their inputs different names")
    return [new_file(target, overwrite=overwrite, flag="") for target in targets]
