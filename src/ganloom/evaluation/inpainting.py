"""Measure inpainting against the true pixels, by hole size, beside methods that need no training.

Every method sees the same images and holes: the model, the mean of the known pixels, the biharmonic fill and, where OpenCV is
installed, its Telea and Navier-Stokes fills. Results are rounded to 8 bits, and known pixels are put back.
"""

import importlib
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from ganloom import data as datasets
from ganloom import metrics
from ganloom.data import hole_masks
from ganloom.evaluation.measure import effnet_installed, measure_model
from ganloom.imaging import levels
from ganloom.metrics.extractors.mobilenet import weight_file
from ganloom.metrics.statistics.value import Value
from ganloom.nn import biharmonic
from ganloom.nn.perceptual import Perceptual
from ganloom.report.progress import Report

Method = Callable[[Tensor, Tensor], Tensor]
"""From images (N, C, H, W) in [-1, 1] and masks (N, 1, H, W), 1 in the hole, to complete images."""
Rows = dict[str, dict[str, Value]]
MEAN, SMOOTH, TELEA, NAVIER_STOKES = "mean colour", "biharmonic", "Telea", "Navier-Stokes"
IMAGES = 500
"""Largest number of images that ``measure_inpainter`` compares."""
RADIUS = 5
"""OpenCV's radius of the neighbourhood of a pixel."""
PART = 32


def methods() -> dict[str, Method]:
    """Return the methods that need no training, by name."""
    found: dict[str, Method] = {MEAN: _mean_colour, SMOOTH: lambda x, mask: biharmonic.fill(x, mask, tolerance=1e-5)}
    try:
        cv2 = importlib.import_module("cv2")
    except ImportError:
        return found
    flags = {TELEA: cv2.INPAINT_TELEA, NAVIER_STOKES: cv2.INPAINT_NS}
    return found | {name: lambda x, mask, flag=flag: _opencv(cv2, flag, x, mask) for name, flag in flags.items()}


def compare(
    chosen: dict[str, Method], images: Tensor, masks: Tensor, perceptual: Perceptual, *, progress: Report = None
) -> dict[str, Rows]:
    """Measure methods on the same images and holes.

    Args:
        chosen: The methods by name.
        images: True images (N, C, H, W) in [-1, 1].
        masks: Holes (N, 1, H, W), 1 in the hole.
        perceptual: The feature network of the distance.
        progress: Called with (what, done, total).

    Returns:
        Hole size ("all", "small", "medium", "large"; only those that occur) -> method -> ``masked_l1`` (mean absolute error
        in the hole, of values in [0, 1]), ``psnr`` of the whole image, ``hole_psnr`` in dB, ``features`` (distance of the
        feature maps, see ``Perceptual.distance``), and ``images``, each a mean over the images with a 95 % interval.
    """
    shares = masks.mean((1, 2, 3)).tolist()
    sizes = [hole_masks.size_class(share) for share in shares]
    groups = {"all": torch.ones(len(images), dtype=torch.bool)}
    for name, _, _ in hole_masks.SIZES:
        groups[name] = torch.tensor([size == name for size in sizes])
    results: dict[str, Rows] = {name: {} for name, rows in groups.items() if bool(rows.any())}
    total, done = len(chosen) * len(images), 0
    for name, method in chosen.items():
        errors: dict[str, list[Tensor]] = {}
        for x, mask in zip(images.split(PART), masks.split(PART), strict=True):
            y = torch.where(mask > 0.5, method(x, mask).cpu(), x)
            for metric, values in _errors(levels.rounded(y), x, mask, perceptual).items():
                errors.setdefault(metric, []).append(values)
            done += len(x)
            if progress is not None:
                progress(f"measuring {name}", done, total)
        joined = {metric: torch.cat(parts) for metric, parts in errors.items()}
        for group in results:
            rows = groups[group]
            means = {metric: Value.mean_of(all_values[rows]) for metric, all_values in joined.items()}
            results[group][name] = means | {"images": Value(float(rows.sum()))}
    return results


@torch.no_grad()
def _errors(y: Tensor, x: Tensor, mask: Tensor, perceptual: Perceptual) -> dict[str, Tensor]:
    difference = (y - x).double() / 2
    pixels = mask.double().sum((1, 2, 3)) * x.shape[1]
    square = difference.square()
    maps = zip(perceptual.maps(y), perceptual.maps(x), strict=True)
    distances = [(F.normalize(a, dim=1) - F.normalize(b, dim=1)).square().sum(1).mean((1, 2)) for a, b in maps]
    return {
        "masked_l1": (difference.abs() * mask).sum((1, 2, 3)) / pixels,
        "psnr": -10 * square.mean((1, 2, 3)).clamp_min(1e-6).log10(),
        "hole_psnr": -10 * ((square * mask).sum((1, 2, 3)) / pixels).clamp_min(1e-6).log10(),
        "features": torch.stack(distances).mean(0).double(),
    }


def _mean_colour(x: Tensor, mask: Tensor) -> Tensor:
    known = 1 - mask
    mean = (x * known).sum((2, 3), keepdim=True) / known.sum((2, 3), keepdim=True).clamp_min(1)
    return torch.where(mask > 0.5, mean, x)


def _opencv(cv2: Any, flag: int, x: Tensor, mask: Tensor) -> Tensor:
    """Fill with OpenCV, which takes 8 bits and one or three channels; other numbers of channels go one by one."""
    pixels = x.add(1).mul(127.5).round().byte().permute(0, 2, 3, 1).numpy()
    holes = mask[:, 0].gt(0.5).byte().numpy()
    out = []
    for image, hole in zip(pixels, holes, strict=True):
        parts = [image] if image.shape[2] in (1, 3) else np.split(image, image.shape[2], axis=2)
        filled: list[NDArray[Any]] = [
            cv2.inpaint(np.ascontiguousarray(part), hole, RADIUS, flag).reshape(part.shape) for part in parts
        ]
        out.append(np.concatenate(filled, axis=2))
    return levels.from_uint8(np.stack(out))


def perceptual_name(shape: tuple[int, ...], *trained_with: str) -> str:
    """Choose the network of the feature distance: one that is installed and that the models were not trained with.

    Args:
        shape: Shape of the images.
        trained_with: The perceptual networks of the trainings.

    Returns:
        "fashion" for grey images, else "mobilenet", "effnet" or "random".
    """
    if shape[0] == 1:
        return "random" if "fashion" in trained_with else "fashion"
    if weight_file() is not None and "mobilenet" not in trained_with:
        return "mobilenet"
    return "effnet" if effnet_installed() and "effnet" not in trained_with else "random"


def measure_inpainter(model: Any, data: datasets.Data, **options: Any) -> metrics.Measurement:
    """Measure an inpainting model: ``measure_model``, and a row for each method that needs no training.

    Args:
        model: The model, with ``inpaint``.
        data: The images to measure on.
        options: Fields of ``measure.Options``.

    Returns:
        The measurement. Names of metrics end in the size of the hole, such as ``masked_l1_small``.
    """
    measurement = measure_model(model, data, **options)
    count = min(IMAGES, options.get("n") or IMAGES, len(data))
    rows = torch.arange(count)
    c = model.inputs(data, rows)
    images, masks = data.get(rows).cpu(), c[:, -1:].cpu()
    name = perceptual_name(tuple(data.shape), str(getattr(model.cfg, "perceptual_net", "")))
    chosen = {metrics.GENERATED: lambda x, mask: model.inpaint(x, mask)} | methods()
    found = compare(chosen, images, masks, Perceptual(name, model.device), progress=options.get("progress"))
    values: Rows = {row: {} for row in chosen}
    for size, by_method in found.items():
        for row, figures in by_method.items():
            end = "" if size == "all" else f"_{size}"
            named = {"features": f"features_{name}"}
            values[row] |= {f"{named.get(k, k)}{end}": v for k, v in figures.items() if k != "images"}
    order = dict.fromkeys([*chosen, *measurement.rows])
    joined = {row: {**measurement.rows.get(row, {}), **values.get(row, {})} for row in order}
    return replace(measurement, rows=joined)
