"""Heat maps: how unusual each pixel of an image is. Which kind is used is chosen on synthetic damage, as the score is.

Some kinds compare small parts of an image with parts of normal images: by their statistics or D's features at any place (for
textures), or by D's features or the pixels at the same place (for objects that are aligned). The others are residuals of
whole images.
"""

import math

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from ganloom.anomaly import controls, corruptions, neighbours, roc, textures
from ganloom.anomaly.scorers import Scorers
from ganloom.core.randomness import key
from ganloom.recipes.base.one_class import OneClass
from ganloom.report.progress import Report, part_of

LOCAL = ("pasted", "scratched", "stained", "blurred")
"""Kinds of synthetic damage whose place is known."""
PARTS = 4000
"""Most parts of normal images that a part is compared with, for parts of any place."""
DAMAGED = 40
"""Held-out images that are damaged to choose the map."""
TITLES = {
    "statistics": "brightness and contrast of small parts, compared with normal ones of any place",
    "extremes": "also the brightest and darkest pixels of small parts, compared with normal ones of any place",
    "d-parts": "D's features, compared with normal ones of any place",
    "d-places": "D's features, compared with normal ones of the same place",
    "pixel-places": "squares of 8 x 8 pixels, compared with normal ones of the same place",
    "nearest": "difference from the most similar normal image",
    "pca": "error of 64 principal components",
    "rebuilt": "difference from the reconstruction",
}
Maps = textures.Maps


def build(name: str, scorers: Scorers) -> Maps:
    """Build one kind of heat map.

    Args:
        name: A name of ``TITLES``.
        scorers: The normal images, and the model.
    """
    train, model = scorers.train, scorers.model
    if name in ("statistics", "extremes"):
        return textures.maps(textures.statistics if name == "statistics" else textures.extremes, train, scorers.seed)
    if name.startswith(("d-", "pixel-")):
        parts = pixel_parts if model is None or name.startswith("pixel-") else d_parts(model, train)
        return (_of_any_place if name.endswith("-parts") else _of_same_place)(parts, train, scorers.seed)
    if name == "nearest":
        return lambda x: smooth((x - train[neighbours.nearest(train.flatten(1), x.flatten(1))]).square().mean(1))
    if name == "pca":
        components = controls.PrincipalComponents(train)
        return lambda x: smooth((x - components.rebuilt(x)).square().mean(1))
    assert model is not None
    return lambda x: smooth((x - _rebuilt(model, x)).square().mean(1))


def names(scorers: Scorers) -> list[str]:
    """Return the kinds of heat maps that a detector can draw; a search of AnoGAN would take too long."""
    model = scorers.model
    rebuilds = model is not None and not model.needs_gradients and type(model).rebuilt is not OneClass.rebuilt
    return [n for n in TITLES if (model is not None or not n.startswith("d-")) and (rebuilds or n != "rebuilt")]


def choose(scorers: Scorers, hold_out: Tensor, seed: int, progress: Report = None) -> tuple[str, dict[str, float]]:
    """Choose the kind of heat map: the highest AUROC of pixels on held-out images with damage whose place is known.

    Args:
        scorers: The normal images, and the model.
        hold_out: Held-out normal images (N, C, H, W).
        seed: Seed of the damage.
        progress: Called with (what, done, total).

    Returns:
        (name, name -> AUROC of the pixels).
    """
    normal = hold_out[:DAMAGED]
    damaged = {kind: pair for kind, pair in corruptions.damaged(normal, seed).items() if kind in LOCAL}
    areas = {}
    for number, name in enumerate(names(scorers)):
        if progress is not None:
            progress("choosing the heat map", number, len(TITLES))
        draw = build(name, scorers)
        values = []
        for samples, where in damaged.values():
            assert where is not None
            if bool(where.any()) and not bool(where.all()):
                values.append(pixel_auroc(draw(samples), where))
        areas[name] = float(np.mean(values))
    return max(areas, key=lambda name: areas[name]), areas


def pixel_auroc(maps: Tensor, where: Tensor) -> float:
    """Return the AUROC of the pixels of all images: maps (N, H, W), anomalous bool (N, H, W)."""
    return roc.auroc(maps.flatten().double().numpy(), where.flatten().numpy())


def draw(name: str, scorers: Scorers, x: Tensor, progress: Report = None) -> NDArray[np.float32]:
    """Draw heat maps.

    Args:
        name: A name of ``TITLES``.
        scorers: The normal images, and the model.
        x: Images (N, C, H, W).
        progress: Called with (what, done, total).

    Returns:
        (N, H, W), higher where an image is more unusual.
    """
    if name not in scorers.maps:
        scorers.maps[name] = build(name, scorers)
    each = part_of(progress, "drawing heat maps")
    return neighbours.in_parts(x, scorers.maps[name], 32, each).numpy()


# -------------------------------------------------------------------------------------------------------- parts


def d_parts(model: OneClass, train: Tensor) -> Maps:
    """Return a function from images to D's features of its first two layers on the grid of the second, (N, F, h, w).

    Each layer counts the same: its features are divided by their standard deviation on normal images.
    """

    def layers(x: Tensor) -> list[Tensor]:
        found = [torch.cat(maps).float().cpu() for maps in zip(*model.in_batches(x, model.maps_of), strict=True)][:2]
        height, width = found[-1].shape[2:]
        return [F.adaptive_avg_pool2d(y, (int(height), int(width))) for y in found]

    scales = [math.sqrt(y.shape[1] * max(float(y.var()), 1e-12)) for y in layers(train[: textures.IMAGES])]
    return lambda x: _limited(torch.cat([y / s for y, s in zip(layers(x), scales, strict=True)], 1))


def pixel_parts(x: Tensor) -> Tensor:
    """Return squares of 8 x 8 pixels at every fourth place, (N, C x 64, h, w)."""
    height, width = x.shape[2:]
    padded = F.pad(x, (2, 2 + -width % 4, 2, 2 + -height % 4), mode="replicate")
    squares = F.unfold(padded, 8, stride=4)
    return _limited(squares.unflatten(2, (-(-height // 4), -(-width // 4))))


def _limited(parts: Tensor) -> Tensor:
    """Return parts on a grid of at most ``textures.GRID`` a side."""
    height, width = (min(int(side), textures.GRID) for side in parts.shape[2:])
    return parts if (height, width) == tuple(parts.shape[2:]) else F.adaptive_avg_pool2d(parts, (height, width))


def _of_any_place(parts: Maps, train: Tensor, seed: int) -> Maps:
    rng = torch.Generator().manual_seed(key(seed, "parts"))
    images = train[torch.randperm(len(train), generator=rng)[: textures.IMAGES]]
    bank = parts(images).permute(0, 2, 3, 1).flatten(0, 2)
    bank = bank[torch.randperm(len(bank), generator=rng)[:PARTS]]

    def draw(x: Tensor) -> Tensor:
        found = parts(x)
        flat = found.permute(0, 2, 3, 1).flatten(0, 2)
        return textures.enlarged(neighbours.distances(bank, flat, 3).view(len(x), *found.shape[2:]), x)

    return draw


def _of_same_place(parts: Maps, train: Tensor, seed: int) -> Maps:
    rng = torch.Generator().manual_seed(key(seed, "places"))
    images = train[torch.randperm(len(train), generator=rng)[: textures.IMAGES]]
    bank = parts(images).flatten(2).permute(2, 0, 1).contiguous()  # (places, images, features)

    def draw(x: Tensor) -> Tensor:
        found = parts(x)
        places = found.flatten(2).permute(2, 0, 1).contiguous()
        near = torch.cdist(places, bank).topk(min(3, len(images)), 2, largest=False)[0].mean(2)
        return textures.enlarged(near.T.reshape(len(x), *found.shape[2:]), x)

    return draw


def _rebuilt(model: OneClass, x: Tensor) -> Tensor:
    return torch.cat(model.in_batches(x, model.rebuilt)).float().cpu()


def smooth(maps: Tensor) -> Tensor:
    """Blur maps (N, H, W) by a Gaussian whose standard deviation is 1/28 of the shorter side, at least half a pixel."""
    sd = max(min(maps.shape[1:]) / 28, 0.5)
    radius = min(max(1, math.ceil(2 * sd)), min(maps.shape[1:]) - 1)
    if radius < 1:
        return maps
    row = torch.exp(-0.5 * (torch.arange(-radius, radius + 1) / sd) ** 2)
    row = row / row.sum()
    padded = F.pad(maps[:, None], (radius, radius, radius, radius), mode="reflect")
    return F.conv2d(F.conv2d(padded, row[None, None, None]), row[None, None, :, None])[:, 0]
