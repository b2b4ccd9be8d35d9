"""Measure super-resolution models beside bicubic and Lanczos: errors, distance of features, and patterns on flat areas."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from ganloom.apps.upscale import upscale_pixels
from ganloom.apps.upscale_models import Model, open_model
from ganloom.bench.inpaint.photographs import crops
from ganloom.core.device import choose_device
from ganloom.core.errors import BadInput
from ganloom.evaluation.inpainting import perceptual_name
from ganloom.imaging import levels
from ganloom.metrics.statistics.grid_pattern import REPEATS, grid_pattern, grid_peak
from ganloom.metrics.statistics.translation import paired_errors, psnr_of
from ganloom.metrics.statistics.value import Value
from ganloom.nn.perceptual import Perceptual
from ganloom.report.progress import Report, part_of

METHODS = {"bicubic": Image.Resampling.BICUBIC, "Lanczos": Image.Resampling.LANCZOS}
"""The methods that need no training."""
TRUE = "true images"
WORST = 0.99
"""Share of the flat blocks below the value that is printed as the worst."""
PATTERN = ("grid", "grid_worst", "grid_peak")
"""What is measured of the true images too."""
Pixels = NDArray[np.uint8]


@dataclass(frozen=True)
class Result:
    """What was measured."""

    rows: dict[str, dict[str, Value]]
    """Method -> ``psnr`` (dB, RGB), ``ssim``, ``features`` (see `Perceptual.distance`), ``grid`` (root mean square of the
    pattern with the period of the factor on flat blocks, in levels of 255), ``grid_worst`` (its 99th percentile) and
    ``grid_peak`` (power at the frequencies of the pattern, divided by that at the neighbouring ones; about 1 without one)."""
    differences: dict[str, dict[str, Value]]
    """Model after the first -> ``psnr`` and ``features`` minus those of the first model, from pairs of the same crop."""
    images: int
    flat: int
    """Number of flat blocks."""
    scale: int
    features: str
    """The feature network of the distance."""
    left_out: list[tuple[str, str]]
    """Path and reason of each photograph that could not be used."""


@dataclass(frozen=True)
class _Measured:
    row: dict[str, Value]
    psnr: Tensor
    features: Tensor
    flat: int
    """Number of flat blocks of the true images."""


def measure(
    data: str,
    models: Sequence[str] = ("compact",),
    *,
    n: int = 64,
    crop: int = 256,
    features: str = "auto",
    seed: int = 0,
    device: str = "auto",
    progress: Report = None,
) -> Result:
    """Measure models on crops that are reduced with Pillow's bicubic filter and enlarged again.

    Args:
        data: A folder of photographs.
        models: Names, runs or files, see ``upscale_models.open_model``; all of one factor of at least 2.
        n: Number of crops.
        crop: Side of the crops, which are cut at random scales; a multiple of the factor.
        features: Feature network of the distance; "auto": one that is installed and that no training of the models used.
        seed: Seed of the crops.
        device: "auto", "cpu", "cuda" or "mps".
        progress: Called with (what, done, total).

    Raises:
        BadInput: The data or a model cannot be used.
    """
    opened = [open_model(name, torch.device(choose_device(device))) for name in models]
    if not opened or len({model.name for model in opened}) < len(opened):
        raise BadInput("--model needs one or more models, each once")
    scales = {int(model.net.scale) for model in opened}  # type: ignore[arg-type]
    scale = min(scales)
    if len(scales) > 1 or scale < 2:
        raise BadInput(f"--model: all models must have one factor of at least 2, got {sorted(scales)}")
    if n < 2 or crop % scale or crop < REPEATS * scale:
        raise BadInput(f"--n must be at least 2, and --crop a multiple of {scale} and at least {REPEATS * scale}")
    left_out: list[tuple[str, str]] = []
    true = crops(Path(data), n, crop, seed, progress=part_of(progress, "cutting crops"), left_out=left_out)
    small = [_resized(image, crop // scale, Image.Resampling.BICUBIC) for image in true]
    name = (
        perceptual_name((3, crop, crop), *(model.trained_with for model in opened)) if features == "auto" else features
    )
    perceptual = Perceptual(name)
    done, total = 0, len(true) * (len(opened) + len(METHODS) + 1)
    found: dict[str, _Measured] = {}
    chosen: list[Model | str] = [*opened, *METHODS, TRUE]
    for method in chosen:
        label = f"model {method.name}" if isinstance(method, Model) else method
        made, distances = [], []
        for image, low in zip(true, small, strict=True):
            made.append(_enlarged(method, low, image, scale))
            distances.append(_distance(made[-1], image, perceptual))
            done += 1
            if progress is not None:
                progress(f"measuring {label}", done, total)
        found[label] = _compared(_tensor(made), _tensor(true), scale, torch.stack(distances))
    rows = {label: one.row for label, one in found.items()}
    rows[TRUE] = {key: rows[TRUE][key] for key in PATTERN}
    return Result(rows, _differences(found, len(opened)), len(true), found[TRUE].flat, scale, name, left_out)


def _enlarged(method: Model | str, low: Pixels, image: Pixels, scale: int) -> Pixels:
    if isinstance(method, Model):
        return upscale_pixels(method, low, scale)
    return image if method == TRUE else _resized(low, image.shape[0], METHODS[method])


@torch.no_grad()
def _distance(made: Pixels, true: Pixels, perceptual: Perceptual) -> Tensor:
    return perceptual.distance(_tensor([made]), _tensor([true])).double().cpu()


def _compared(made: Tensor, true: Tensor, scale: int, features: Tensor) -> _Measured:
    errors = paired_errors(made, true)
    patterns = grid_pattern(made, true, scale)
    peaks = grid_peak(made, true, scale)
    peaks = peaks[~peaks.isnan()]
    blocks = torch.cat(patterns)
    means = (
        torch.stack([values.square().mean().sqrt() for values in patterns if len(values)]) if len(blocks) else blocks
    )
    row = {
        "psnr": errors["psnr"], "ssim": errors["ssim"], "features": Value.mean_of(features),
        "grid": Value.mean_of(means) if len(means) else Value(float("nan")),
        "grid_worst": Value(float(blocks.quantile(WORST)) if len(blocks) else float("nan")),
        "grid_peak": Value.mean_of(peaks) if len(peaks) else Value(float("nan")),
    }  # fmt: skip
    return _Measured(row, psnr_of((made - true).double()), features, len(blocks))


def _differences(found: dict[str, _Measured], models: int) -> dict[str, dict[str, Value]]:
    first, *others = list(found)[:models]
    base = found[first]
    return {
        name: {
            "psnr": Value.mean_of(found[name].psnr - base.psnr),
            "features": Value.mean_of(found[name].features - base.features),
        }
        for name in others
    }


def _resized(pixels: Pixels, side: int, method: Image.Resampling) -> Pixels:
    return np.asarray(Image.fromarray(pixels).resize((side, side), method))


def _tensor(images: Sequence[Pixels] | Pixels) -> Tensor:
    return levels.from_uint8(np.stack(list(images)))
