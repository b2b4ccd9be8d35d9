"""Whether two sets of samples have the same distribution, and whether labels belong to their images."""

import math
from collections import Counter

import torch
from torch import Tensor

from ganloom.doctor.statistics import distances


def energy_distance(x: Tensor, y: Tensor) -> float:
    """Compute the energy distance of two sets, relative to the mean distance within ``y``.

    (2 E|x - y| - E|x - x'| - E|y - y'|) / E|y - y'|, without the pairs of a sample with itself, so that its mean is 0 for
    equal distributions (Szekely & Rizzo 2013, "Energy statistics").

    Args:
        x: Features (n, d).
        y: Features (m, d).

    Returns:
        About 0 for equal distributions, about 1 and more for distributions far apart. NaN with fewer than 2 rows, or if
        all rows of ``y`` are equal.
    """
    n, m = len(x), len(y)
    if n < 2 or m < 2:
        return math.nan
    within_y = distances(y, y).sum().item() / (m * (m - 1))
    if not within_y > 1e-9:
        return math.nan
    within_x = distances(x, x).sum().item() / (n * (n - 1))
    return (2 * distances(x, y).mean().item() - within_x - within_y) / within_y


def kappa(predicted: Tensor, target: Tensor, classes: int) -> tuple[float, float]:
    """Compute Cohen's kappa (1960) of two labellings, and its standard error under independence.

    Args:
        predicted: Classes (n,).
        target: Classes (n,).
        classes: Number of classes.

    Returns:
        (kappa, standard error). 1: equal labels; 0: no better than two independent labellings with these class shares,
        whatever the shares are. NaN if both labellings have one and the same class throughout.
    """
    n = len(predicted)
    a = torch.bincount(predicted.long(), minlength=classes).double() / n
    b = torch.bincount(target.long(), minlength=classes).double() / n
    chance = float((a * b).sum())
    if chance >= 1 - 1e-9:
        return math.nan, math.nan
    agree = float((predicted == target).double().mean())
    # Fleiss, Cohen & Everitt 1969, the variance if the labellings are independent.
    variance = (chance + chance**2 - float((a * b * (a + b)).sum())) / (n * (1 - chance) ** 2)
    return (agree - chance) / (1 - chance), math.sqrt(max(variance, 0.0))


def repeated_share(rows: list[int], total: int) -> float:
    """Estimate the share of the images of a whole set that are copies of another image.

    Args:
        rows: A hash for each image of a sample of the set; of the whole set, the share is exact.
        total: Number of images in the set.

    Returns:
        A share in [0, 1]. Of each group of equal images, one is not counted. A sample of n images contains both of two
        equal images with probability (n / total)^2 only, so pairs are scaled up; larger groups are taken as they are.
    """
    n, counts = len(rows), Counter(rows).values()
    if n >= total or n < 2:
        return 1 - len(counts) / n if n else 0.0
    large = sum(k - 1 for k in counts if k > 2) / n
    pairs = sum(k == 2 for k in counts) * (total / n) ** 2 / total
    return min(1.0, large + pairs)
