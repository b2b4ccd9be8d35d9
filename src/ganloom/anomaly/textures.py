"""Statistics of small parts of textures: brightness, contrast, extremes. They give heat maps and a score without a network."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from ganloom.core.randomness import key

GRID = 32
"""Most parts along a side; statistics have twice as many."""
IMAGES = 200
"""Normal images that parts are compared with."""
TOP = 0.01
"""Share of an image's parts, the most unusual ones, whose mean is its score."""
Maps = Callable[[Tensor], Tensor]
"""From images (N, C, H, W) to maps (N, H, W), or to parts (N, F, h, w)."""


def statistics(x: Tensor) -> Tensor:
    """Return the mean brightness and the mean contrast at three scales around each place, (N, 7 C, h, w)."""
    height, width = x.shape[2:]
    found = [x]
    for scale in (1, 2, 4):
        if min(height, width) > 2 * scale:
            soft = F.avg_pool2d(x, scale, 1, scale // 2, count_include_pad=False) if scale > 1 else x
            found += [F.pad((soft[:, :, scale:] - soft[:, :, :-scale]).abs(), (0, 0, 0, scale), mode="replicate")]
            found += [F.pad((soft[..., scale:] - soft[..., :-scale]).abs(), (0, scale, 0, 0), mode="replicate")]
    sizes = [(int(y.shape[2]), int(y.shape[3])) for y in found]
    joined = torch.cat(
        [y[:, :, :height, :width] if s != (height, width) else y for y, s in zip(found, sizes, strict=True)], 1
    )
    window = _window(x)
    return _on_grid(F.avg_pool2d(joined, window, 1, window // 2, count_include_pad=False))


def extremes(x: Tensor) -> Tensor:
    """Return ``statistics``, and the largest, the smallest and the spread of the values around each place, (N, 10 C, h, w)."""
    window = _window(x)
    mean, square = (F.avg_pool2d(y, window, 1, window // 2, count_include_pad=False) for y in (x, x.square()))
    spread = (square - mean.square()).clamp_min(0).sqrt()
    highest, lowest = F.max_pool2d(x, window, 1, window // 2), -F.max_pool2d(-x, window, 1, window // 2)
    return torch.cat([statistics(x), _on_grid(torch.cat([highest, lowest, spread], 1))], 1)


def _window(x: Tensor) -> int:
    """Return an odd number of pixels, a tenth of the shorter side."""
    return max(3, round(min(x.shape[2:]) / 10)) | 1


def _on_grid(x: Tensor) -> Tensor:
    height, width = x.shape[2:]
    return F.adaptive_avg_pool2d(x, (min(height, 2 * GRID), min(width, 2 * GRID)))


def maps(parts: Maps, train: Tensor, seed: int) -> Maps:
    """Compare parts with the mean of normal ones, by their covariance (the Mahalanobis distance)."""
    rng = torch.Generator().manual_seed(key(seed, "statistics"))
    rows = parts(train[torch.randperm(len(train), generator=rng)[:IMAGES]]).permute(0, 2, 3, 1).flatten(0, 2).double()
    mean = rows.mean(0)
    covariance = (rows - mean).T @ (rows - mean) / len(rows)
    spread = covariance.diagonal().mean().clamp_min(1e-12)
    root = torch.linalg.cholesky(torch.linalg.inv(covariance + 1e-3 * spread * torch.eye(len(mean)).double())).float()

    def draw(x: Tensor) -> Tensor:
        found = parts(x)
        flat = found.permute(0, 2, 3, 1).flatten(0, 2) - mean.float()
        heat = enlarged((flat @ root).norm(dim=1).view(len(x), *found.shape[2:]), x)
        size = max(3, round(min(x.shape[2:]) / 13)) | 1  # the mean over neighbours: the texture itself varies
        return F.avg_pool2d(heat[:, None], size, 1, size // 2, count_include_pad=False)[:, 0]

    return draw


def enlarged(grid: Tensor, x: Tensor) -> Tensor:
    """Enlarge maps (N, h, w) to the size of the images x (N, C, H, W)."""
    return F.interpolate(grid[:, None], x.shape[2:], mode="bilinear", align_corners=False)[:, 0]


def score(train: Tensor, seed: int, rows: int = 32) -> Callable[[Tensor], Tensor]:
    """Return a score of images (N, C, H, W) -> (N,): the mean of the most unusual hundredth of the map of ``extremes``.

    Args:
        train: Normal images (M, C, H, W).
        seed: Seed of the choice of normal images.
        rows: Images at once; the last part is filled up, so that a score does not depend on the others.
    """
    draw = maps(extremes, train, seed)

    def scores(x: Tensor) -> Tensor:
        found = []
        for start in range(0, len(x), rows):
            part = x[start : start + rows]
            filled = torch.cat([part, part.new_zeros(rows - len(part), *part.shape[1:])])
            flat = draw(filled).flatten(1)
            found.append(flat.topk(max(1, round(TOP * flat.shape[1])), 1)[0].mean(1)[: len(part)])
        return torch.cat(found)

    return scores
