"""Measure an inpainting model beside methods that need no training, on crops of photographs or on a data set."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ganloom import data as datasets
from ganloom.apps.inpaint_models import open_model
from ganloom.bench.inpaint.photographs import crops
from ganloom.core.errors import BadInput
from ganloom.data import hole_masks
from ganloom.evaluation.inpainting import Method, Rows, compare, methods, perceptual_name
from ganloom.imaging import levels
from ganloom.nn.perceptual import Perceptual
from ganloom.report.progress import Report, part_of
from ganloom.runs import manifest
from ganloom.runs.folder import Folder

MASKS = ("lama", "quarter")
SMALLEST = 8
"""Smallest side of the images that are measured, in pixels."""


@dataclass(frozen=True)
class Result:
    """What was measured."""

    rows: dict[str, Rows]
    """Hole size -> method -> metric -> value."""
    images: int
    features: str
    """The feature network of the distance."""
    left_out: list[tuple[str, str]]
    """Path and reason of each photograph that could not be used."""


def measure(
    data: str,
    model: str = "photographs",
    *,
    n: int = 256,
    crop: int | None = None,
    holes: str = "lama",
    last: int | None = None,
    features: str = "auto",
    seed: int = 0,
    device: str = "auto",
    progress: Report = None,
) -> Result:
    """Measure a model.

    Args:
        data: A folder of photographs if ``crop`` is set, else any data set of images, or a run with held-out images.
        model: See ``inpaint_models.open_model``; "biharmonic" for the classical methods alone.
        n: Number of images.
        crop: Side of crops that are cut at random scales; None: whole images in the model's size.
        holes: "lama" (strokes and boxes of all sizes) or "quarter" (one box or strokes of about a quarter).
        last: Measure on images from the last ones of the data set only, such as those that a training did not see.
        features: Feature network of the distance; "auto": one that is installed and that the training did not use.
        seed: Seed of the crops and holes.
        device: "auto", "cpu", "cuda" or "mps".
        progress: Called with (what, done, total).

    Raises:
        BadInput: The data or the model cannot be used.
    """
    if holes not in MASKS or n < 2:
        raise BadInput(f"--holes must be one of {', '.join(MASKS)} and --n at least 2, got {holes!r} and {n}")
    if crop is not None and crop < SMALLEST:
        raise BadInput(f"--crop must be at least {SMALLEST} pixels, got {crop}")
    if crop is not None and last is not None:
        raise BadInput(
            "--last chooses images of a data set, and --crop cuts crops from all photographs: use one of them"
        )
    if last is not None and last < 2:
        raise BadInput(f"--last must be at least 2, got {last}")
    gan = open_model(model, device=device)
    left_out: list[tuple[str, str]] = []
    images = _images(data, gan, n, crop, last, seed, progress, left_out)
    height, width = (int(n) for n in images.shape[2:])
    if min(height, width) < SMALLEST:
        raise BadInput(f"the images of {data} are {width} x {height}: at least {SMALLEST} pixels a side are needed")
    if holes == "lama":
        masks = hole_masks.keyed(seed, list(range(len(images))), height, width)
    else:
        masks = hole_masks.quarter(len(images), height, width, np.random.default_rng(seed))
    trained_with = "" if gan is None else str(getattr(gan.cfg, "perceptual_net", ""))
    name = perceptual_name(tuple(images.shape[1:]), trained_with) if features == "auto" else features
    chosen: dict[str, Method] = {} if gan is None else {f"model {model}": lambda x, mask: gan.inpaint(x, mask)}
    perceptual = Perceptual(name)
    found = compare(chosen | methods(), images, torch.from_numpy(masks)[:, None].float(), perceptual, progress=progress)
    return Result(found, len(images), name, left_out)


def _images(
    data: str,
    gan: Any,
    n: int,
    crop: int | None,
    last: int | None,
    seed: int,
    progress: Report,
    left_out: list[tuple[str, str]],
) -> torch.Tensor:
    if crop is not None:
        told = part_of(progress, "cutting crops")
        return levels.from_uint8(crops(Path(data), n, crop, seed, progress=told, left_out=left_out))
    shape = None if gan is None else tuple(gan.cfg.shape)
    if (Path(data) / "run.json").is_file():
        opened = _held_out(Path(data))
    else:
        opened = datasets.open(data, shape=shape, labels=False)
    if opened.kind != "images":
        raise BadInput(f"{data} holds no images")
    rows = np.arange(len(opened))[-(last or len(opened)) :]
    picks = np.random.default_rng(seed).permutation(rows)[:n]
    images: torch.Tensor = opened.get(np.sort(picks)).cpu()
    return images


def _held_out(run: Path) -> Any:
    """Open the images that a run held out. Raises BadInput if there are none."""
    found = manifest.held_out(manifest.own_data(Folder(run).read("config.json"), run), run)
    if found is None:
        raise BadInput(f"{run} held out no images: train with --held-out 0.1, or give other images")
    return found
