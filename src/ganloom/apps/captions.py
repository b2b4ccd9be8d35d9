"""Generate images of captions with a trained text-to-image model: single files, and a grid with the captions under them."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ganloom import sampling
from ganloom.core.errors import BadInput
from ganloom.core.names import own_file_name, printable
from ganloom.core.output_files import write_new
from ganloom.data.caption_files import decoded
from ganloom.data.caption_words import LONGEST, tidy
from ganloom.data.side_files import lines_of
from ganloom.gan import GAN
from ganloom.imaging import grid
from ganloom.imaging.caption_grid import captioned_grid
from ganloom.recipes.base.text_conditional import TextConditional
from ganloom.report.progress import Report, part_of, stage

ENDINGS = (".txt",)
MOST_SHOWN = 12
"""Words that were never seen in training and are named."""
MOST_COLUMNS = 8


@dataclass(frozen=True)
class Request:
    """What to generate.

    Attributes:
        captions: The captions; empty: some of the training data, one image each.
        n: Images of each caption, or steps between two.
        seed: Sample j of each caption has the seed ``seed + j``.
        interpolate: Go from the first of two captions to the second.
        checkpoint: For the folder's name.
    """

    captions: list[str]
    n: int
    seed: int
    interpolate: bool
    checkpoint: str


def read_captions(text: Sequence[str]) -> list[str]:
    """Read captions as a user gives them: each is a caption, or a .txt file with a caption on each line.

    Raises:
        BadInput: There is none, one is empty, or a file cannot be read.
    """
    captions: list[str] = []
    for one in text:
        path = Path(one)
        if not one.lower().endswith(ENDINGS):
            captions.append(one)
            continue
        try:
            content = decoded(path.read_bytes())
        except OSError as error:
            raise BadInput(
                f"--text {one}: {error.strerror}; give a caption, or a .txt file with one on each line"
            ) from None
        except BadInput as error:
            raise BadInput(f"--text {one}: {error}") from None
        lines = [line for line in lines_of(content) if line.strip()]
        if not lines:
            raise BadInput(f"--text {one} holds no captions: write one on each line")
        captions += lines
    tidied = [tidy(caption) for caption in captions]
    if not all(tidied):
        raise BadInput('--text: a caption is empty; write what the image should show, such as "a small red circle"')
    return tidied


def text_model(gan: GAN) -> TextConditional:
    """Return the model if it takes captions. Raises BadInput otherwise."""
    if not isinstance(gan, TextConditional):
        raise BadInput("--text: this run was trained without captions; train gan-cls or df-gan on images with captions")
    return gan


def notes_on(gan: TextConditional, captions: Sequence[str]) -> list[str]:
    """Return a line on words that were never seen in training, and one on captions that are too long; empty without such."""
    notes = []
    unseen = gan.unseen_words(captions)
    if unseen:
        shown = ", ".join(unseen[:MOST_SHOWN]) + (
            f" and {len(unseen) - MOST_SHOWN:,} more" if len(unseen) > MOST_SHOWN else ""
        )
        left_out = gan.encoder.name == "words"
        if len(unseen) == 1:
            effect = "it is left out" if left_out else "its effect is a guess of the text encoder"
        else:
            effect = "they are left out" if left_out else "their effect is a guess of the text encoder"
        notes.append(printable(f"never seen in training: {shown}; {effect}"))
    long = sum(len(caption.split()) > LONGEST for caption in captions)
    if long:
        notes.append(f"{long:,} captions have more than {LONGEST} words: only the first {LONGEST} are used")
    return notes


def conditions_of(gan: TextConditional, captions: Sequence[str], n: int, interpolate: bool) -> tuple[Tensor, list[str]]:
    """Return the conditions of all samples, and the caption of each.

    Args:
        gan: The model.
        captions: The captions.
        n: Images of each caption; with ``interpolate`` the steps from one to the other.
        interpolate: Go from the first of two captions to the second.

    Raises:
        BadInput: There are not two captions to interpolate between.
    """
    if not interpolate:
        return gan.caption_codes(captions).repeat_interleave(n, 0), [text for text in captions for _ in range(n)]
    if len(captions) != 2 or n < 2:
        raise BadInput(
            f"--interpolate goes between two captions in 2 or more steps (--n); got {len(captions)} "
            f"caption{'s' * (len(captions) != 1)}, --n {n}"
        )
    labels = [captions[0], *[f"{i / (n - 1):.0%}" for i in range(1, n - 1)], captions[1]]
    return gan.between(captions[0], captions[1], n), labels


def write_samples(
    gan: TextConditional,
    run: Path,
    asked: Request,
    out: Path | None,
    options: dict[str, Any],
    *,
    overwrite: bool,
    progress: Report = None,
) -> tuple[Path, Path, list[Path], tuple[str, ...]]:
    """Generate images of captions and write them.

    Args:
        gan: The model.
        run: Its run folder.
        asked: What to generate.
        out: The folder. None: a folder in RUN/generated, named after the request.
        options: Keywords of ``generate``.
        overwrite: Replace files of equal names.
        progress: Called with (what, done, total).

    Returns:
        (folder, grid, image files, lines for the user).
    """
    captions, n = (asked.captions, asked.n) if asked.captions else (training_captions(gan, asked.n, asked.seed), 1)
    stage(progress, "encoding the captions")
    c, names = conditions_of(gan, captions, n, asked.interpolate)
    z = latents_of(gan, c, n, asked.seed, asked.interpolate)
    x = gan.generate(c=c, z=z, seed=asked.seed, each=part_of(progress, "generating samples"), **options).cpu()
    name = f"kimg{gan.kimg:g}-seed{asked.seed}-n{asked.n}" + (f"-text{_digest(asked)}" if asked.captions else "")
    name += f"-{own_file_name(asked.checkpoint)}" if asked.checkpoint != "latest" else ""
    folder = run / "generated" / name if out is None else out
    sheet, files = write_captioned(folder, x, names, n=n, overwrite=overwrite, progress=progress)
    return folder, sheet, files, tuple(notes_on(gan, asked.captions))


def write_captioned(
    folder: Path, x: Tensor, captions: Sequence[str], *, n: int, overwrite: bool, progress: Report = None
) -> tuple[Path, list[Path]]:
    """Write images as 000000.png ..., captions.csv, from which they can be opened again as data, and grid.png.

    Args:
        folder: The folder.
        x: Images (N, C, H, W), ``n`` of each caption in turn.
        captions: The caption of each image.
        n: Images of each caption.
        overwrite: Replace files of equal names.
        progress: Called with (what, done, total).

    Returns:
        (the grid, the image files).
    """
    files = []
    for i, image in enumerate(grid.to_uint8(x)):
        if progress is not None:
            progress("writing samples", i, len(x))
        files.append(folder / f"{i:06d}.png")
        grid.save_png(image, files[-1], overwrite=overwrite)
    rows = [f"{file.name},{_quoted(caption)}" for file, caption in zip(files, captions, strict=True)]
    write_new(folder / "captions.csv", ("\n".join(["file_name,text", *rows]) + "\n").encode(), overwrite=overwrite)
    columns = n if 1 < n <= MOST_COLUMNS else None
    sheet = folder / "grid.png"
    grid.save_png(captioned_grid(x.cpu(), captions, columns), sheet, overwrite=overwrite)
    return sheet, files


def _quoted(text: str) -> str:
    return '"' + text.replace('"', '""') + '"'


def latents_of(gan: TextConditional, c: Tensor, n: int, seed: int, interpolate: bool) -> Tensor:
    """Return latents: sample j of each caption has that of seed + j; all steps of an interpolation have that of ``seed``."""
    own = 1 if interpolate else n
    with sampling.unchanged(gan):
        z, _ = sampling.latents(gan, own, seed, None, c[:own])
    return z.repeat(len(c) // own, *[1] * (z.dim() - 1))


def training_captions(gan: TextConditional, n: int, seed: int) -> list[str]:
    """Return n captions of the training data, chosen by the seed; the model keeps some of them."""
    if not gan.captions:
        raise BadInput("this model keeps no captions of its training data: give --text")
    order = torch.randperm(len(gan.captions), generator=torch.Generator().manual_seed(seed)).tolist()
    return [gan.captions[order[i % len(order)]] for i in range(n)]


def _digest(asked: Request) -> str:
    """A short digest of the captions, for a folder's name."""
    return hashlib.sha256(json.dumps([asked.captions, asked.interpolate]).encode()).hexdigest()[:8]
