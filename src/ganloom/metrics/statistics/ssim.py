"""Structural similarity of images at several scales, and the diversity of a set by it.

Wang et al. 2003, "Multi-scale Structural Similarity for Image Quality Assessment". As a measure of diversity within a
class: Odena et al. 2017 (arXiv:1610.09585), the mean over random pairs of samples.
"""

import torch
from torch import Tensor
from torch.nn import functional as F

from ganloom.core.errors import BadInput
from ganloom.metrics.images import Images, check_images
from ganloom.metrics.statistics.intervals import interval
from ganloom.metrics.statistics.pairs import pair_variance
from ganloom.metrics.statistics.value import Value

WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
_WINDOW, _SIGMA = 11, 1.5
_C1, _C2 = 0.01**2, 0.03**2  # for values in [0, 1]


def scales(height: int, width: int) -> int:
    """Number of the five scales that fit. Each scale halves the image, and the 11-pixel window must fit."""
    side, count = min(height, width), 0
    while side >= _WINDOW and count < len(WEIGHTS):
        count, side = count + 1, side // 2
    return count


def ms_ssim(x: Images, y: Images) -> Tensor:
    """Compute MS-SSIM of pairs of images: 1 for equal images.

    The five published scales need 176 pixels. Smaller images use the scales that fit (see `scales`), with weights scaled
    to the same sum. Numbers with different scale counts cannot be compared. Negative contrast terms count as 0.

    Args:
        x: (N, C, H, W) in [-1, 1].
        y: (N, C, H, W), compared row by row.

    Returns:
        (N,) float64.

    Raises:
        BadInput: fewer than 11 pixels a side, or different shapes.
    """
    a, b = check_images(x, "x"), check_images(y, "y")
    if a.shape != b.shape:
        raise BadInput(f"images of shapes {tuple(a.shape)} and {tuple(b.shape)}; MS-SSIM needs equal shapes")
    count = scales(*a.shape[2:])
    if not count:
        raise BadInput(f"images of {a.shape[2]} x {a.shape[3]}: MS-SSIM needs 11 pixels a side")
    weights = torch.tensor(WEIGHTS[:count]) * (sum(WEIGHTS) / sum(WEIGHTS[:count]))
    a, b = (a.double() + 1) / 2, (b.double() + 1) / 2
    result = torch.ones(len(a), a.shape[1], dtype=torch.float64)
    for i in range(count):
        luminance, contrast = ssim_maps(a, b)
        result *= (contrast if i < count - 1 else contrast * luminance).mean((2, 3)).clamp(min=0) ** weights[i]
        a, b = F.avg_pool2d(a, 2), F.avg_pool2d(b, 2)
    return result.mean(1)


def ssim_maps(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """Luminance and contrast-structure maps with a Gaussian window, without padding."""
    at = torch.arange(_WINDOW) - _WINDOW // 2
    line = torch.exp(-at.double().square() / (2 * _SIGMA**2))
    line = line / line.sum()

    def blur(x: Tensor) -> Tensor:
        n, c = x.shape[:2]
        flat = x.reshape(n * c, 1, *x.shape[2:])
        flat = F.conv2d(F.conv2d(flat, line[None, None, :, None]), line[None, None, None, :])
        return flat.reshape(n, c, *flat.shape[2:])

    mean_a, mean_b = blur(a), blur(b)
    var_a, var_b = blur(a * a) - mean_a**2, blur(b * b) - mean_b**2
    both = blur(a * b) - mean_a * mean_b
    luminance = (2 * mean_a * mean_b + _C1) / (mean_a**2 + mean_b**2 + _C1)
    return luminance, (2 * both + _C2) / (var_a + var_b + _C2)


def ms_ssim_diversity(x: Images, labels: Tensor | None = None, *, pairs: int = 1000, seed: int = 0) -> Value:
    """Compute the mean MS-SSIM over random pairs of different images. Lower is more varied.

    Compare it with the value of the real images.

    Args:
        x: (N, C, H, W) images in [-1, 1], 11 pixels a side or more.
        labels: (N,) class of each image. With labels both images of a pair are of one class.
        pairs: number of pairs.
        seed: keys the pairs.

    Returns:
        The mean and its 95 % interval over the draw of the images, at these labels (see `pair_variance`); no interval
        for one pair.

    Raises:
        BadInput: as `ms_ssim`, and if no class has two images.
    """
    images = check_images(x, "x")
    rng = torch.Generator().manual_seed(seed)
    labels = torch.zeros(len(images), dtype=torch.long) if labels is None else labels
    if len(labels) != len(images):
        raise BadInput(f"labels: {len(labels)} labels for {len(images)} images; give one label for each image")
    groups = [rows for v in labels.unique() if len(rows := (labels == v).nonzero()[:, 0]) >= 2]
    if not groups or pairs < 1:
        raise BadInput(f"{len(images)} images, {pairs} pairs: similarity needs a pair of one class")
    sizes = torch.tensor([len(rows) for rows in groups], dtype=torch.float64)
    chosen = torch.multinomial(sizes, pairs, replacement=True, generator=rng)
    first, second = [], []
    for group in chosen.tolist():
        rows = groups[group]
        i = int(torch.randint(len(rows), (1,), generator=rng))
        first.append(int(rows[i]))
        second.append(int(rows[(i + int(torch.randint(1, len(rows), (1,), generator=rng))) % len(rows)]))
    parts = [ms_ssim(images[first[s : s + 64]], images[second[s : s + 64]]).double() for s in range(0, pairs, 64)]
    values = torch.cat(parts)
    mean = float(values.mean())
    if pairs < 2:
        return Value(mean)
    variance = pair_variance(values, torch.tensor(first), torch.tensor(second), chosen)
    return Value(mean, *interval(mean, variance**0.5, len(images), (0.0, 1.0)))
