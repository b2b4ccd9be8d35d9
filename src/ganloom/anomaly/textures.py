"""Statistics of small parts of textures: brightness, contrast, extremes. They give heat maps and a score without a network."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from ganloom.anomaly import neighbours
from ganloom.core.randomness import key

GRID = 32
"""Most parts along a side; statistics have twice as many."""
IMAGES = 200
"""Normal images that parts are compared with."""
TOP = 0.01
"""Share of an image's parts, the most unusual ones, whose mean is its score."""
Maps = Callable[[Tensor], Tensor]
"""From images (N, C, H, W) to maps (N, H, W), or to parts (N, F, h, w)."""


SCALES = (1, 2, 4)
"""Distances of the pixels whose difference is the contrast."""


def statistics(x: Tensor) -> Tensor:
    """Return the mean brightness and the mean contrast at three scales around each place, (N, 7 C, h, w)."""
    window = _window(x)
    big, margin = _mirrored(x, window // 2 + 2 * SCALES[-1])
    found = [big]
    for scale in SCALES:
        if margin > 2 * scale:
            soft = F.avg_pool2d(big, scale, 1) if scale > 1 else big
            found += [_contrast(soft, scale, axis, big) for axis in (2, 3)]
    return _on_grid(_cut(F.avg_pool2d(torch.cat(found, 1), window, 1, window // 2), margin))


def _contrast(x: Tensor, by: int, axis: int, like: Tensor) -> Tensor:
    """Return the absolute difference of pixels at a distance, in the middle of a map of the size of ``like``."""
    length = x.shape[axis] - by
    difference = (x.narrow(axis, by, length) - x.narrow(axis, 0, length)).abs()
    more = [like.shape[a] - difference.shape[a] for a in (2, 3)]
    sides = (more[1] // 2, more[1] - more[1] // 2, more[0] // 2, more[0] - more[0] // 2)
    return F.pad(difference, sides, mode="replicate")


def extremes(x: Tensor) -> Tensor:
    """Return ``statistics``, and the largest, the smallest and the spread of the values around each place, (N, 10 C, h, w)."""
    window = _window(x)
    big, margin = _mirrored(x, window // 2 + 1)
    mean, square = (F.avg_pool2d(y, window, 1, window // 2) for y in (big, big.square()))
    spread = (square - mean.square()).clamp_min(0).sqrt()
    highest, lowest = F.max_pool2d(big, window, 1, window // 2), -F.max_pool2d(-big, window, 1, window // 2)
    return torch.cat([statistics(x), _on_grid(_cut(torch.cat([highest, lowest, spread], 1), margin))], 1)


def _window(x: Tensor) -> int:
    """Return an odd number of pixels, a tenth of the shorter side."""
    return max(3, round(min(x.shape[2:]) / 10)) | 1


def _mirrored(x: Tensor, margin: int) -> tuple[Tensor, int]:
    """Continue images by their mirror images, so that their edges look like the rest; return them and the margin."""
    margin = min(margin, min(x.shape[2:]) - 1)
    return F.pad(x, (margin, margin, margin, margin), mode="reflect"), margin


def _cut(x: Tensor, margin: int) -> Tensor:
    return x[:, :, margin : x.shape[2] - margin, margin : x.shape[3] - margin]


def _on_grid(x: Tensor) -> Tensor:
    height, width = x.shape[2:]
    return F.adaptive_avg_pool2d(x, (min(height, 2 * GRID), min(width, 2 * GRID)))


def maps(parts: Maps, train: Tensor, seed: int) -> Maps:
    """Compare parts with the mean of normal ones, by their covariance (the Mahalanobis distance).

    The distances are averaged over neighbours, because the texture itself varies, and divided by what is usual at their place,
    because parts at the edges of an image are less regular.

    Args:
        parts: From images to parts, such as ``statistics``.
        train: Normal images (M, C, H, W).
        seed: Seed of the choice of normal images.
    """
    rng = torch.Generator().manual_seed(key(seed, "statistics"))
    normal = parts(train[torch.randperm(len(train), generator=rng)[:IMAGES]])
    rows = normal.permute(0, 2, 3, 1).flatten(0, 2).double()
    mean = rows.mean(0)
    covariance = (rows - mean).T @ (rows - mean) / len(rows)
    spread = covariance.diagonal().mean().clamp_min(1e-12)
    root = torch.linalg.cholesky(torch.linalg.inv(covariance + 1e-3 * spread * torch.eye(len(mean)).double())).float()

    def distances(found: Tensor) -> Tensor:
        flat = found.permute(0, 2, 3, 1).flatten(0, 2) - mean.float()
        heat = (flat @ root).norm(dim=1).view(len(found), 1, *found.shape[2:])
        size = max(3, round(min(found.shape[2:]) / 13)) | 1
        return F.avg_pool2d(heat, size, 1, size // 2, count_include_pad=False)[:, 0]

    usual = distances(normal).mean(0)
    usual = usual + 0.1 * usual.mean() + 1e-6
    return lambda x: enlarged(distances(parts(x)) / usual, x)


def enlarged(grid: Tensor, x: Tensor) -> Tensor:
    """Enlarge maps (N, h, w) to the size of the images x (N, C, H, W)."""
    return F.interpolate(grid[:, None], x.shape[2:], mode="bilinear", align_corners=False)[:, 0]


def score(train: Tensor, seed: int, rows: int = 32) -> Callable[[Tensor], Tensor]:
    """Return a score of images (N, C, H, W) -> (N,): the mean of the most unusual hundredth of the map of ``extremes``.

    Args:
        train: Normal images (M, C, H, W).
        seed: Seed of the choice of normal images.
        rows: Images at once.
    """
    draw = maps(extremes, train, seed)

    def top(x: Tensor) -> Tensor:
        flat = draw(x).flatten(1)
        return flat.topk(max(1, round(TOP * flat.shape[1])), 1)[0].mean(1)

    return lambda x: neighbours.in_parts(x, top, rows)
