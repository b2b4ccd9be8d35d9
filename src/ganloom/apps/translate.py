"""Images through a trained translator: files or a folder, any size, alpha and 16 bits kept, large ones in bands."""

import math
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
from ganloom.data.decode import BadImage, decode, quiet, to_array
from ganloom.data.file_index import is_image
from ganloom.data.label_maps import colours
from ganloom.imaging import grid
from ganloom.imaging.png16 import read16, write16
from ganloom.runs.folder import Folder, check_empty

SHEET = 64
"""Images at most in a sheet of comparison."""
_SHOWN = 256


@dataclass(frozen=True)
class Translated:
    """What ``translate_files`` made."""

    files: list[Path]
    sheet: Path | None
    bad: list[tuple[str, str]]
    """Name and reason of each image that could not be read."""


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
) -> Translated:
    """Translate an image to the file ``out``, or a folder's images to the new folder ``out``, as PNG under their names.

    ``memory``: MiB of features that may be in memory; larger images go through in bands of rows, with the same result.
    ``compare``: also a sheet of inputs and outputs. ``reverse``, ``stochastic``, ``seed``: see ``Translator.translate``.
    Sizes, alpha and 16 bits a channel stay. Raises BadInput; a folder's unreadable images are left out and named.
    """
    if memory <= 0:
        raise BadInput(f"--memory must be above 0 MiB, got {memory:g}")
    gan: Any = load(Path(run), checkpoint=checkpoint, device=choose_device(device))
    if gan.conditions_on != "images":
        raise BadInput(f"{run} makes images from latents, not from images: use ganloom sample")
    if reverse and not gan.both_ways:
        raise BadInput("--reverse: this run's recipe translates one way only")
    labels = _has_label_maps(Path(run)) and not reverse
    pairs = _targets(Path(source), Path(out))
    single = Path(source).is_file()
    made: list[Path] = []
    bad: list[tuple[str, str]] = []
    shown: list[Tensor] = []
    for number, (path, target) in enumerate(pairs):
        if progress is not None:
            progress(path.name, number, len(pairs))
        try:
            pixels = read(path)
        except BadImage as error:
            if single:
                raise BadInput(f"{path}: {error}") from None
            bad.append((str(path), str(error)))
            continue
        result = translate_pixels(
            gan, pixels, reverse=reverse, stochastic=stochastic, seed=seed, memory=memory, labels=labels
        )
        target.parent.mkdir(parents=True, exist_ok=True)
        write(result, target)
        made.append(target)
        if compare and len(shown) < 2 * SHEET:
            shown += [_shown(pixels), _shown(result)]
    if not made:
        raise BadInput(f"none of the {len(bad)} images in {source} can be read: {bad[0][0]} ({bad[0][1]})")
    sheet = None
    if compare:
        sheet = Path(out).with_suffix(".compare.png") if single else Path(out) / "compare.png"
        grid.save_png(grid.grid(torch.cat(shown), 2 * max(1, round(math.sqrt(len(shown) / 2) / 2)), scale=1), sheet)
    return Translated(made, sheet, bad)


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
    """(H, W, 1 to 4) uint8 or uint16 to the other domain, of the same type and size, its alpha kept.

    Channels are brought to those that the model takes: grey is repeated, colours become their luma. ``labels``: one-channel
    values are labels and get the colours that training gave them.
    """
    wanted = int(gan.cfg.shape[0] if reverse else gan.cfg.in_channels)
    if labels and pixels.shape[2] == 1 and pixels.dtype == np.uint8:
        pixels = colours()[pixels[..., 0]]
    alpha = pixels[..., -1:] if pixels.shape[2] in (2, 4) else None
    top = float(np.iinfo(pixels.dtype).max)
    x = torch.from_numpy(pixels.astype(np.float32) / top * 2 - 1).permute(2, 0, 1)[None]
    x = x if wanted in (2, 4) or alpha is None else x[:, :-1]
    y = gan.translate(grid.alike(x, wanted), reverse=reverse, stochastic=stochastic, seed=seed, memory=memory)
    made = y.cpu().clamp(-1, 1).add(1).div(2).mul(top).add(0.5).floor()[0].permute(1, 2, 0).numpy().astype(pixels.dtype)
    if alpha is not None and made.shape[2] in (1, 3):
        made = np.concatenate([made, alpha], axis=2)
    return np.asarray(made)


def read(path: Path) -> NDArray[Any]:
    """An image as (H, W, 1 to 4), uint16 where a PNG has 16 bits a channel, else uint8. Raises BadImage."""
    try:
        deep = read16(path.read_bytes())
    except BadInput as error:
        raise BadImage(str(error)) from None
    except OSError as error:
        raise BadImage(f"cannot be read: {error.strerror}") from None
    if deep is not None:
        return deep
    with quiet(), path.open("rb") as file:
        return to_array(decode(file, path.name))


def write(pixels: NDArray[Any], path: Path) -> None:
    """PNG, 8 or 16 bits."""
    if pixels.dtype == np.uint16:
        write16(pixels, path)
    else:
        grid.save_png(pixels, path)


def _targets(source: Path, out: Path) -> list[tuple[Path, Path]]:
    """(input, output) of each image; nothing that exists is overwritten."""
    if source.is_file():
        target = out / f"{source.stem}.png" if out.is_dir() or not out.suffix else out
        if target.suffix.lower() != ".png":
            raise BadInput(f"{out}: the result is a .png file, or goes into a folder")
        if target.exists():
            raise BadInput(f"{target} exists: choose another name, nothing is overwritten")
        return [(source, target)]
    if not source.is_dir():
        raise BadInput(f"no image or folder {source}")
    check_empty(out, "")
    found = sorted(p for p in source.rglob("*") if p.is_file() and is_image(p.name))
    if not found:
        raise BadInput(f"no images in the folder {source}; put .png, .jpg or .webp files there")
    targets = [out / p.relative_to(source).with_suffix(".png") for p in found]
    twice = [t for i, t in enumerate(targets) if t in targets[:i]]
    if twice:
        raise BadInput(f"{source} holds {twice[0].stem} twice with other endings: both would become {twice[0].name}")
    return list(zip(found, targets, strict=True))


def _has_label_maps(run: Path) -> bool:
    data = Folder(run).read("config.json").get("data")
    return isinstance(data, dict) and bool(data.get("source", {}).get("label_maps"))


def _shown(pixels: NDArray[Any]) -> Tensor:
    """An image as RGB of at most 256 pixels on grey, (1, 3, 256, 256), for the sheet."""
    eight = (pixels >> 8).astype(np.uint8) if pixels.dtype == np.uint16 else pixels
    image = Image.fromarray(eight[..., 0] if eight.shape[2] == 1 else eight).convert("RGB")
    image.thumbnail((_SHOWN, _SHOWN), Image.Resampling.LANCZOS)
    page = Image.new("RGB", (_SHOWN, _SHOWN), (128, 128, 128))
    page.paste(image, ((_SHOWN - image.width) // 2, (_SHOWN - image.height) // 2))
    return torch.from_numpy(np.asarray(page).copy()).permute(2, 0, 1)[None].float() / 127.5 - 1
