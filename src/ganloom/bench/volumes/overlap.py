"""Overlap of volumes, whatever their turn around the vertical axis and their mirroring: a generator cannot know either."""

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

CHUNK = 8
"""Volumes that are turned at once."""


def turned(volumes: Tensor, steps: int) -> Tensor:
    """Return volumes (N, S, S, S) turned to ``steps`` azimuths, and mirrored, (N, 2 * steps, S, S, S)."""
    out = []
    for image in (volumes, volumes.flip(-1)):
        for step in range(steps):
            cos, sin = math.cos(2 * math.pi * step / steps), math.sin(2 * math.pi * step / steps)
            matrix = torch.tensor([[cos, 0.0, sin, 0.0], [0.0, 1.0, 0.0, 0.0], [-sin, 0.0, cos, 0.0]])
            grid = F.affine_grid(
                matrix.expand(len(image), -1, -1), [len(image), 1, *image.shape[1:]], align_corners=False
            )
            out.append(F.grid_sample(image[:, None], grid, align_corners=False)[:, 0])
    return torch.stack(out, 1)


def best_overlaps(
    volumes: Tensor,
    targets: Tensor,
    steps: int = 16,
    level: float = 0.5,
    each: Callable[[int, int], None] | None = None,
) -> Tensor:
    """Compute intersection over union of each volume with each target, the best over turns and mirroring.

    Args:
        volumes: (N, S, S, S), in [0, 1].
        targets: bool (M, S, S, S).
        steps: Azimuths that are tried.
        level: A turned point with more than this value is inside.
        each: Called with (volumes done, N).

    Returns:
        (N, M) in [0, 1].
    """
    flat = targets.float().flatten(1)
    rows = []
    for start in range(0, len(volumes), CHUNK):
        inside = (turned(volumes[start : start + CHUNK].float(), steps) > level).float().flatten(2)
        n, turns, _ = inside.shape
        inside = inside.flatten(0, 1)
        both = inside @ flat.T
        either = inside.sum(1)[:, None] + flat.sum(1)[None] - both
        rows.append((both / either.clamp_min(1)).view(n, turns, -1).amax(1))
        if each is not None:
            each(min(start + CHUNK, len(volumes)), len(volumes))
    return torch.cat(rows)


def mean_volume(volumes: Tensor, steps: int = 16) -> Tensor:
    """Return the mean of volumes over all turns and mirrorings, (1, S, S, S): the one blob that fits them best."""
    total = torch.zeros(volumes.shape[1:])
    for start in range(0, len(volumes), CHUNK):
        total += turned(volumes[start : start + CHUNK].float(), steps).mean(1).sum(0)
    return total[None] / len(volumes)


def best_blobs(blobs: Tensor, targets: Tensor, steps: int = 16) -> Tensor:
    """Return the overlaps (N, M) of blobs (N, S, S, S), cut at the level at which they fit the targets best on average."""
    tables = [best_overlaps(blobs, targets, steps, level) for level in (0.1, 0.15, 0.2, 0.3, 0.4)]
    return max(tables, key=lambda table: float(table.amax(0).mean()))
