"""Fill holes in images with the smoothest surface: the biharmonic equation, the classical method of inpainting.

In each hole pixel, the Laplacian of the Laplacian of the result is 0; known pixels are kept. Beyond the edges of the image,
the edge pixels are repeated. This is the system of Damelin and Hoang 2018, doi:10.1155/2018/3950312, that scikit-image's
``inpaint_biharmonic`` solves with a sparse factorisation. Here conjugate gradients solve it, with a multigrid cycle as the
preconditioner, so that the number of iterations hardly depends on the size of the hole and no matrix is stored.
"""

from collections.abc import Callable, Iterator

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

LARGEST = 64.0
"""Largest eigenvalue of the square of the Laplacian with five points."""
SMOOTHED = 8.0
"""The smoother damps the eigenvalues from LARGEST / SMOOTHED to LARGEST."""
SWEEPS = 4
"""Degree of the smoother's polynomial."""
DENSE = 144
"""Most pixels of a grid on which the equations are solved with a factorised matrix."""
ROUGH = 1e-3
"""From this tolerance on, float32 is exact enough and twice as fast."""
TOGETHER = 1 << 16
"""Most pixels of a region whose channels are solved at once."""
BLOCK = 16
"""Side of the blocks by which holes are grouped into regions that are solved one by one."""


def fill(x: Tensor, mask: Tensor, *, tolerance: float = 1e-6, most: int = 200) -> Tensor:
    """Fill holes of a batch of images.

    The result of an image does not depend on the rest of the batch.

    Args:
        x: Images (N, C, H, W). Values in the holes are not used.
        mask: Holes (N, 1, H, W), 1 where a pixel is unknown and 0 where it is known.
        tolerance: Stop when the residual of each channel is this much smaller than at the start.
        most: Largest number of iterations.

    Returns:
        The images with filled holes, of the type of ``x``, within the range of the known pixels of each channel. An image
        without known pixels becomes 0.
    """
    hole = mask > 0.5
    exact = x.float() if tolerance >= ROUGH else x.double()
    nothing = torch.full_like(exact[:, :, :1, :1], torch.inf)
    low = torch.where(hole, nothing, exact).amin((2, 3), keepdim=True)
    high = torch.where(hole, -nothing, exact).amax((2, 3), keepdim=True)
    solved = solve(exact, hole, tolerance=tolerance, most=most)
    return torch.where(hole, torch.minimum(torch.maximum(solved, low), high).nan_to_num(0.0, 0.0, 0.0).to(x.dtype), x)


def fill_pixels(
    pixels: NDArray[np.float32], mask: NDArray[np.bool_], *, progress: Callable[[int, int], None] | None = None
) -> NDArray[np.float32]:
    """Fill the holes of one image of any size. Each region of holes is solved alone, one channel at a time.

    Args:
        pixels: (H, W, C). Values in the holes are not used.
        mask: (H, W), True where a pixel is unknown.
        progress: Called with (hole pixels done, all hole pixels).

    Returns:
        (H, W, C) with filled holes, within the range of the known pixels of each channel; 0 without known pixels.
    """
    out = np.array(pixels, np.float32)
    out[mask] = 0
    total, done = int(mask.sum()), 0
    if not total or mask.all():
        return out
    limits = [(out[..., k][~mask].min(), out[..., k][~mask].max()) for k in range(out.shape[2])]
    for rows, columns, hole in regions(mask):
        part, holes = out[rows, columns], torch.from_numpy(hole)[None, None]
        together = len(limits) if hole.size <= TOGETHER else 1
        for k in range(0, len(limits), together):
            if progress is not None:
                progress(done + k * int(hole.sum()) // len(limits), total)
            image = torch.from_numpy(part[..., k : k + together].transpose(2, 0, 1).astype(np.float64))[None]
            part[hole, k : k + together] = solve(image, holes)[0].numpy()[:, hole].T
        done += int(hole.sum())
    low, high = (np.array(ends, np.float32) for ends in zip(*limits, strict=True))
    out[mask] = out[mask].clip(low, high)
    return out


def regions(mask: NDArray[np.bool_], margin: int = 2) -> Iterator[tuple[slice, slice, NDArray[np.bool_]]]:
    """Yield (rows, columns, hole) of boxes: ``hole`` (h, w) are the pixels that are solved in this box.

    Each hole pixel is in the hole of one box. Holes of different boxes are more than 16 pixels apart, so that none is in the
    equations of another.
    """
    height, width = mask.shape
    places = np.stack(np.nonzero(mask), 1)
    grid = np.zeros((-(-height // BLOCK), -(-width // BLOCK)), np.int64)
    grid[tuple(places.T // BLOCK)] = -1
    count = _number_groups(grid)
    group = grid[tuple(places.T // BLOCK)]
    order = np.argsort(group, kind="stable")
    for own in np.split(places[order], np.searchsorted(group[order], np.arange(2, count + 1))):
        top, left = np.maximum(own.min(0) - margin, 0)
        bottom, right = np.minimum(own.max(0) + margin + 1, (height, width))
        hole = np.zeros((bottom - top, right - left), bool)
        hole[own[:, 0] - top, own[:, 1] - left] = True
        yield slice(int(top), int(bottom)), slice(int(left), int(right)), hole


def _number_groups(grid: NDArray[np.int64]) -> int:
    """Number the groups of adjacent cells that are -1, from 1; return how many there are."""
    count = 0
    for start in zip(*np.nonzero(grid), strict=True):
        if grid[start] > 0:
            continue
        count += 1
        grid[start] = count
        todo = [start]
        while todo:
            i, j = todo.pop()
            around = grid[max(i - 1, 0) : i + 2, max(j - 1, 0) : j + 2]
            for a, b in zip(*np.nonzero(around < 0), strict=True):
                around[a, b] = count
                todo.append((max(i - 1, 0) + a, max(j - 1, 0) + b))
    return count


# ----------------------------------------------------------------------------------------------------------- the solver


def solve(x: Tensor, hole: Tensor, *, tolerance: float = 1e-6, most: int = 200) -> Tensor:
    """Solve the biharmonic equation in the holes, without a limit on the values.

    Args:
        x: Images (N, C, H, W), float64; float32 for a tolerance of 1e-3 or more.
        hole: (N, 1, H, W) bool.
        tolerance: See ``fill``.
        most: See ``fill``.

    Returns:
        The images, of the same type. An image without known pixels becomes 0.
    """
    inside = hole.to(x.dtype)
    known = x.masked_fill(hole, 0.0)
    mean = known.sum((2, 3), keepdim=True) / (1 - inside).sum((2, 3), keepdim=True).clamp_min(1)
    known = (known - mean) * (1 - inside)  # a constant image needs no iteration
    right = -laplacian(laplacian(known)) * inside
    inner = _conjugate_gradients(right, _Multigrid(inside), tolerance, most)
    return known + inner + mean


def laplacian(x: Tensor) -> Tensor:
    """Return the Laplacian with five points of (N, C, H, W); beyond the edges, the edge pixels are repeated."""
    rows, columns = x.diff(dim=2), x.diff(dim=3)
    out = torch.zeros_like(x)
    out[:, :, :-1] += rows
    out[:, :, 1:] -= rows
    out[..., :-1] += columns
    out[..., 1:] -= columns
    return out


def _operator(x: Tensor, inside: Tensor) -> Tensor:
    return laplacian(laplacian(x)).mul_(inside)


class _Multigrid:
    """The hole on grids of 1, 1/2, 1/4 ... of the size, and the approximate inverse of the equations in it.

    Args:
        inside: (N, 1, H, W), 1 in the hole. A coarse pixel is in the hole if all its four parts are.
    """

    def __init__(self, inside: Tensor) -> None:
        self.levels = [inside]
        self.inverse: Tensor | None = None
        while inside[0].numel() > DENSE and min(inside.shape[2:]) > 2 and float(inside.sum()) > 0:
            inside = -F.max_pool2d(-_to_even(inside, "replicate"), 2)
            self.levels.append(inside)
        if inside[0].numel() <= DENSE:
            self.inverse = torch.linalg.inv(_matrix(inside))

    def __call__(self, right: Tensor, level: int = 0) -> Tensor:
        """Approximate the solution by one V-cycle. As a matrix it is symmetric, as conjugate gradients need it."""
        inside = self.levels[level]
        if level == len(self.levels) - 1:
            if self.inverse is None:
                return _smooth(right, inside)
            return ((right * inside).flatten(2) @ self.inverse).view_as(right)
        x = _smooth(right, inside)
        rest = right - _operator(x, inside)
        coarse = self(_restrict(rest) * self.levels[level + 1], level + 1)
        x += 4 * _prolong(coarse, x) * inside  # an equation of the coarse grid weighs a quarter, see _restrict
        return x + _smooth(right - _operator(x, inside), inside)


def _matrix(inside: Tensor) -> Tensor:
    """Return the equations (N, H * W, H * W) of small grids; pixels outside the hole have the equation x = 0."""
    height, width = inside.shape[2:]
    unit = torch.eye(height * width, dtype=inside.dtype, device=inside.device).view(-1, 1, height, width)
    full = laplacian(laplacian(unit)).flatten(1)
    rows = inside.flatten(1)
    least = 1e-9 * LARGEST  # an image without known pixels has no unique solution
    return full * rows[:, :, None] * rows[:, None, :] + torch.diag_embed(1 - rows + least)


def _to_even(x: Tensor, mode: str) -> Tensor:
    return F.pad(x, (0, x.shape[3] % 2, 0, x.shape[2] % 2), mode=mode)


def _conjugate_gradients(right: Tensor, multigrid: _Multigrid, tolerance: float, most: int) -> Tensor:
    """Solve for each channel of ``right`` (N, C, H, W); one that has converged does not change any more."""
    x, residual = torch.zeros_like(right), right.clone()
    target = tolerance * _dot(right, right).sqrt()
    step = direction = multigrid(residual)
    product = _dot(residual, step)
    for _ in range(most):
        active = _dot(residual, residual).sqrt() > target
        if not bool(active.any()):
            break
        image = _operator(direction, multigrid.levels[0])
        length = torch.where(active, product / _dot(direction, image).clamp_min(1e-30), 0.0)
        x += length * direction
        residual -= length * image
        step = multigrid(residual)
        new = _dot(residual, step)
        direction = step + torch.where(active, new / product.clamp_min(1e-30), 0.0) * direction
        product = new
    return x


def _dot(a: Tensor, b: Tensor) -> Tensor:
    return (a * b).sum((2, 3), keepdim=True)


def _kernel(x: Tensor) -> Tensor:
    """[1, 3, 3, 1] along both axes: the refinement of quadratic B-splines, whose slope is continuous."""
    row = torch.tensor([1.0, 3.0, 3.0, 1.0], dtype=x.dtype, device=x.device) / 4
    return torch.outer(row, row)[None, None]


def _restrict(x: Tensor) -> Tensor:
    """The transpose of ``_prolong``."""
    rows = F.pad(_to_even(x, "constant"), (2, 2, 2, 2)).flatten(0, 1)[:, None]
    wide = F.conv2d(rows, _kernel(x), stride=2, padding=1).unflatten(0, x.shape[:2])[:, :, 0]
    wide[:, :, 1] += wide[:, :, 0]
    wide[:, :, -2] += wide[:, :, -1]
    wide[..., 1] += wide[..., 0]
    wide[..., -2] += wide[..., -1]
    inner: Tensor = wide[:, :, 1:-1, 1:-1]
    return inner


def _prolong(x: Tensor, like: Tensor) -> Tensor:
    """Refine along both axes with the weights of ``_kernel``; sums of slices are much faster than a transposed convolution."""
    for axis in (2, 3):
        length = int(x.shape[axis])
        wide = torch.cat([x.narrow(axis, 0, 1), x, x.narrow(axis, length - 1, 1)], axis) / 4
        before, after = (wide.narrow(axis, start, length) for start in (0, 2))
        x = torch.stack([0.75 * x + before, 0.75 * x + after], axis + 1).flatten(axis, axis + 1)
    return x[:, :, : like.shape[2], : like.shape[3]]


def _smooth(right: Tensor, inside: Tensor) -> Tensor:
    """Chebyshev iteration from 0 for the eigenvalues from LARGEST / SMOOTHED to LARGEST."""
    lowest = LARGEST / SMOOTHED
    centre, radius = (LARGEST + lowest) / 2, (LARGEST - lowest) / 2
    rho = radius / centre
    change = right / centre
    x = change.clone()
    for _ in range(SWEEPS - 1):
        rho, before = 1 / (2 * centre / radius - rho), rho
        change = rho * before * change + 2 * rho / radius * (right - _operator(x, inside))
        x += change
    return x
