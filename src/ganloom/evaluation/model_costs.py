"""Measure a trained model apart from distances: sampling time, bits per dimension, sharpness and class shares."""

import time
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from ganloom import metrics
from ganloom.core import hardware
from ganloom.gan import GAN

BATCH = 64
REPEATS, SECONDS = 5, 6.0
"""A timing is the median of this many calls, or of fewer calls if they would take longer than this."""


class CachedSamples(GAN):
    """A model that keeps the images that it generates, so that several measurements can use them.

    It can replace the model wherever only ``generate`` with consecutive seeds is used.

    Args:
        model: The model.
        total: The number of images that will be generated, for ``progress``.
        progress: Called with ("samples", number of images, total) after each batch.
    """

    def __init__(self, model: GAN, total: int, progress: metrics.Progress = None) -> None:
        super().__init__(model.cfg)
        self.model, self.total, self.progress = model, total, progress
        self.cache: dict[int, Tensor] = {}
        self.class_names, self.drawn_classes = model.class_names, model.drawn_classes

    def generate(self, n: int = 1, seed: int | None = None, *, c: Any = None, **options: Any) -> Tensor:
        """Return the images of seeds ``seed`` to ``seed + n - 1``, (N, C, H, W) on the CPU; generate only new ones."""
        seed = seed or 0
        for start in range(0, n, BATCH):
            count = min(BATCH, n - start)
            if any(seed + start + i not in self.cache for i in range(count)):
                labels = c[start : start + count] if c is not None else None
                images = self.model.generate(count, seed=seed + start, c=labels).cpu()
                self.cache |= {seed + start + i: image for i, image in enumerate(images)}
                if self.progress is not None:
                    self.progress("samples", len(self.cache), self.total)
        return torch.stack([self.cache[seed + i] for i in range(n)])

    @property
    def images(self) -> Tensor:
        """All images, in the order of their seeds, (N, C, H, W)."""
        return torch.stack([self.cache[seed] for seed in sorted(self.cache)])


def milliseconds(model: GAN, n: int) -> float:
    """Measure the time for one sample.

    Args:
        model: The model.
        n: Batch size.

    Returns:
        Milliseconds per sample: the median over several calls, after a first call that is not counted.
    """
    device = str(model.device)

    def once(seed: int) -> float:
        start = time.perf_counter()
        model.generate(n, seed=seed, batch=n)
        hardware.wait(device)
        return time.perf_counter() - start

    first = once(0)
    times: list[float] = []
    while not times or (len(times) < REPEATS and first * (len(times) + 1) < SECONDS):
        times.append(once(1 + len(times)))
    return sorted(times)[len(times) // 2] / n * 1000


def bits_per_dim(model: GAN, x: Tensor, c: Tensor | None, seed: int = 0) -> metrics.Value | None:
    """Compute the mean bits per dimension of images.

    Args:
        model: A model; one with a likelihood has a method ``bits_per_dim``.
        x: Images in [-1, 1], (N, C, H, W).
        c: Labels (N,), or None.
        seed: Seed of the model's random numbers.

    Returns:
        The mean and its 95 % interval over the images; None for a model without a likelihood.
    """
    bits: Callable[[Tensor, Tensor | None], Tensor] | None = getattr(model, "bits_per_dim", None)
    if bits is None:
        return None
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        parts = [
            bits(x[i : i + BATCH].to(model.device), None if c is None else c[i : i + BATCH].to(model.device)).cpu()
            for i in range(0, len(x), BATCH)
        ]
    return metrics.Value.mean_of(torch.cat(parts))


def sharpness(fake: Tensor, real: Tensor) -> metrics.Value:
    """Divide the mean Laplacian variance of samples by that of real images; with the 95 % interval over samples.

    Args:
        fake: Samples in [-1, 1], (N, C, H, W).
        real: Real images in [-1, 1], (M, C, H, W).

    Returns:
        1 for samples that are as sharp as real images, less for blurred ones.
    """
    return metrics.Value.mean_of(
        metrics.laplacian_variance(fake).double() / metrics.laplacian_variance(real).double().mean()
    )


def classes_apart(fake: list[int], real: list[int]) -> tuple[float, float]:
    """Compare the class shares of samples and of real images.

    Args:
        fake: Number of samples in each class.
        real: Number of real images in each class.

    Returns:
        (half of the sum of absolute differences of the shares, the least ratio of a class's share to its real share).
        Equal shares give (0, 1). Samples of classes that the real images do not have give (1, 0).
    """
    a, b = torch.tensor(fake).double(), torch.tensor(real).double()
    a, b = a / a.sum().clamp_min(1), b / b.sum().clamp_min(1)
    present = b > 0
    return float((a - b).abs().sum() / 2), float((a[present] / b[present]).min())
