"""Find the training images that are most similar to an image, up to a shift, a flip, a crop, blur, noise or light.

The similarity of two images is the normalised cross-correlation (Lewis 1995) of a window in the middle of one image with the best
place in the other. A change of brightness or contrast does not change it. The search has two steps: descriptors of low
resolution give the candidates, and only these are compared at all shifts.
"""

from collections.abc import Iterable, Iterator
from itertools import product

import torch
from torch import Tensor
from torch.nn import functional as F

SIDE = 32
"""Images are compared at no more than this many pixels a side."""
CANDIDATES = 20
"""Training images that are compared at all shifts."""
_BLURS = (1.2, 1.7, 2.3)
_TINY_BLURS = (0.8, *_BLURS)  # of images with few pixels
_TINY = 16
_SCALES = (
    1.0,
    0.96,
    0.92,
    0.88,
    0.84,
)  # a crop that differs by 2 % moves the border of 24 pixels by a quarter of a pixel
_SHIFT = 3  # pixels; small images are padded until their margin is as wide
_COARSE_SCALE, _COARSE_BLUR = 0.85, 1.7
_DIMENSIONS = 64
_FEWEST_ENERGY = 1e-4  # of a pixel; windows with less have no content
_PART = 512


class Gallery:
    """Training images that are searched.

    Args:
        parts: tensors (m, C, H, W) in [-1, 1].
        seed: keys the images that the descriptors are fitted to.
    """

    def __init__(self, parts: Iterable[Tensor], seed: int = 0) -> None:
        images = torch.cat([small(part).half() for part in parts])
        inner = margin(*images.shape[2:])
        self._blurs = _BLURS if min(images.shape[2:]) > _TINY else _TINY_BLURS
        self._coarse = _COARSE_BLUR if self._blurs is _BLURS else _TINY_BLURS[0]
        self._pad = max(0, _SHIFT - inner)
        self._margin = inner + self._pad
        self.images = self._padded(images)
        coarse = [blurred(part.float(), self._coarse) for part in self.images.split(_PART)]
        descriptors = torch.cat([self._descriptors(part, 0, 0) for part in coarse])
        some = torch.randperm(len(descriptors), generator=torch.Generator().manual_seed(seed))[:4096]
        few = descriptors[some]
        count = min(_DIMENSIONS, few.shape[1])
        _, vectors = torch.linalg.eigh((few.T @ few).double())
        self._basis = vectors[:, -count:].float()
        self._codes = [descriptors @ self._basis]
        if self._blurs is _TINY_BLURS:  # for samples that are blurred
            self._codes.append(self._descriptors(blurred(self.images.float(), _COARSE_BLUR), 0, 0) @ self._basis)
        for down, right in self._moves() if self._pad else ():  # the part of a small image that a shift keeps is small
            self._codes.append(torch.cat([self._descriptors(part, down, right) for part in coarse]) @ self._basis)

    def __len__(self) -> int:
        return len(self.images)

    def search(self, images: Tensor, itself: Tensor | None = None, most: int = CANDIDATES) -> tuple[Tensor, Tensor]:
        """Find the most similar training images.

        Args:
            images: (n, C, H, W) in [-1, 1].
            itself: (n,) indices of training images that do not count, such as the images themselves.
            most: number of training images to return.

        Returns:
            Distances sqrt(1 - correlation) (n, most), smallest first, and the indices of these training images.
        """
        found: list[tuple[Tensor, Tensor]] = []
        for start in range(0, len(images), 128):
            x = self._padded(small(images[start : start + 128]))
            skip = None if itself is None else itself[start : start + 128]
            candidates = self._candidates(x, skip, min(most, len(self) - (itself is not None)))
            for image, rows in zip(x, candidates, strict=True):
                distance, order = self._compare(image, rows).sort()
                found.append((distance, rows[order]))
        distances, indices = (torch.stack(parts) for parts in zip(*found, strict=True))
        return distances, indices

    def _padded(self, x: Tensor) -> Tensor:
        """Repeat the border of small images, so that they can be moved by `_SHIFT` pixels."""
        return F.pad(x, (self._pad,) * 4, mode="replicate") if self._pad else x

    def _descriptors(self, x: Tensor, down: int, right: int) -> Tensor:
        """Blurred windows (n, d) of low resolution with mean 0 and length 1; the window is moved from the middle."""
        m = self._margin
        height, width = x.shape[2:]
        top, left = (height - self._height) // 2 + down, (width - self._width) // 2 + right
        window = x[:, :, top : top + self._height, left : left + self._width]
        pooled = F.avg_pool2d(window, 2 if m > self._pad + 1 else 1, ceil_mode=True).flatten(1)
        pooled = pooled - pooled.mean(1, keepdim=True)
        energy = pooled.square().mean(1, keepdim=True).clamp(min=_FEWEST_ENERGY)
        unit: Tensor = pooled / (energy * pooled.shape[1]).sqrt()
        return unit

    @property
    def _height(self) -> int:
        return self.images.shape[2] - 2 * self._margin

    @property
    def _width(self) -> int:
        return self.images.shape[3] - 2 * self._margin

    def _moves(self) -> list[tuple[int, int]]:
        """Where the window of a descriptor is moved to."""
        m = self._margin
        step = (2 * m + 1) // 3
        places = list(range(-m, m + 1)) if self._pad else sorted({-m, -step, 0, step, m})
        return [(down, right) for down in places for right in places]

    def _variants(self, x: Tensor) -> Iterator[Tensor]:
        """Descriptors of the images moved, flipped and made smaller."""
        for flipped in (x, x.flip(3)):
            full = blurred(flipped, self._coarse)
            for down, right in ((0, 0),) if self._pad else self._moves():
                yield self._descriptors(full, down, right)
            smaller = blurred(resized(flipped, _COARSE_SCALE), self._coarse)
            room = (smaller.shape[2] - self._height) // 2, (smaller.shape[3] - self._width) // 2
            if min(room) >= 0:
                corners = product((-room[0], room[0]), (-room[1], room[1])) if min(room) else ()
                for down, right in ((0, 0), *corners):
                    yield self._descriptors(smaller, down, right)

    def _candidates(self, x: Tensor, skip: Tensor | None, most: int) -> Tensor:
        """Indices (n, most) of the training images whose descriptors are most similar to that of a variant."""
        best = None
        for variant in self._variants(x):
            for codes in self._codes:
                similarity = (variant @ self._basis) @ codes.T
                best = similarity if best is None else torch.maximum(best, similarity, out=best)
        assert best is not None
        if skip is not None:
            best[torch.arange(len(x)), skip] = -2.0
        indices: Tensor = best.topk(most, dim=1).indices
        return indices

    def _compare(self, x: Tensor, rows: Tensor) -> Tensor:
        """Smallest distance (candidates,) of one image (C, h, w) to each candidate over all transformations."""
        gallery = self.images[rows].float()
        gallery = torch.cat([blurred(gallery, sd) for sd in self._blurs])
        templates = self._templates(x)
        h, w = self._height, self._width
        pixels = gallery.shape[1] * h * w
        cross = F.conv2d(gallery, templates)
        moments = torch.stack([gallery.mean(1), gallery.square().mean(1)], 1)
        mean, square = F.avg_pool2d(F.avg_pool2d(moments, (h, 1), 1), (1, w), 1).split(1, dim=1)
        energy = (square - mean.square()).clamp(min=_FEWEST_ENERGY)
        correlation = cross / (energy.sqrt() * pixels**0.5)
        best = correlation.amax((1, 2, 3)).view(len(self._blurs), len(rows)).amax(0)
        distance: Tensor = (1 - best.clamp(max=1)).sqrt()
        return distance

    def _templates(self, x: Tensor) -> Tensor:
        """The windows (t, C, h, w) of an image, its flip and smaller copies of both, with mean 0 and length 1."""
        windows = []
        for scale in _SCALES:
            y = blurred(resized(torch.stack([x, x.flip(2)]), scale), self._blurs[0])
            top, left = (y.shape[2] - self._height) // 2, (y.shape[3] - self._width) // 2
            if min(top, left) < 0:
                continue
            places = product((0, 1), repeat=2) if scale == 1 and top and left else ((0, 0),)
            moved = [y[:, :, top - i : top - i + self._height, left - j : left - j + self._width] for i, j in places]
            windows.append(moved[0])
            windows += [
                (moved[0] + other) / 2 for other in moved[1:]
            ]  # half a pixel: a shift before the image was reduced
        t = torch.cat(windows)
        t = t - t.mean((1, 2, 3), keepdim=True)
        pixels = t[0].numel()
        unit: Tensor = t / (t.square().mean((1, 2, 3), keepdim=True).clamp(min=_FEWEST_ENERGY).sqrt() * pixels**0.5)
        return unit


def margin(height: int, width: int) -> int:
    """Pixels between the border and the window in the middle."""
    return max(1, min(height, width) // 8)


def small(x: Tensor) -> Tensor:
    """Reduce images (n, C, H, W) to at most `SIDE` pixels a side; (n, C, h, w) float32."""
    scale = SIDE / max(x.shape[2:])
    return x.float() if scale >= 1 else resized(x.float(), scale)


def resized(x: Tensor, scale: float) -> Tensor:
    """Images (n, C, H, W) with both sides times ``scale``."""
    if scale == 1:
        return x
    size = [max(2, round(side * scale)) for side in x.shape[2:]]
    return F.interpolate(x, size, mode="bilinear", antialias=True, align_corners=False)


def blurred(x: Tensor, sd: float) -> Tensor:
    """Images (n, C, H, W) blurred by a Gaussian of ``sd`` pixels."""
    reach = min(round(3 * sd), min(x.shape[2:]) - 1)
    if reach < 1:
        return x
    at = torch.arange(-reach, reach + 1, dtype=torch.float32)
    kernel = (-(at**2) / (2 * sd**2)).exp()
    kernel = (kernel / kernel.sum()).expand(x.shape[1], 1, -1)
    x = F.pad(x, (reach,) * 4, mode="replicate")
    x = F.conv2d(x, kernel[:, :, :, None], groups=x.shape[1])
    return F.conv2d(x, kernel[:, :, None], groups=x.shape[1])
