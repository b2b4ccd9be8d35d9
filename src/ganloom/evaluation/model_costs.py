"""What a trained model costs and makes, apart from distances: images drawn once, milliseconds a sample, bits, sharpness."""

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
"""A timing is the median of so many calls, or of fewer where they would take longer."""


class Drawn(GAN):
    """A model whose images are kept: several feature nets and figures look at them, and each is made once.

    It stands in for the model wherever ``generate`` with consecutive seeds is all that is asked for. ``progress`` hears
    ("samples", done, total) after each batch.
    """

    def __init__(self, model: GAN, total: int, progress: metrics.Progress = None) -> None:
        super().__init__(model.cfg)
        self.model, self.total, self.progress = model, total, progress
        self.kept: dict[int, Tensor] = {}

    def generate(self, n: int = 1, seed: int = 0, *, c: Any = None, **options: Any) -> Tensor:
        """Images of seeds ``seed`` to ``seed + n - 1`` on the CPU; those made before are not made again."""
        for start in range(0, n, BATCH):
            count = min(BATCH, n - start)
            if any(seed + start + i not in self.kept for i in range(count)):
                labels = c[start : start + count] if c is not None else None
                made = self.model.generate(count, seed=seed + start, c=labels).cpu()
                self.kept |= {seed + start + i: image for i, image in enumerate(made)}
                if self.progress is not None:
                    self.progress("samples", len(self.kept), self.total)
        return torch.stack([self.kept[seed + i] for i in range(n)])

    @property
    def images(self) -> Tensor:
        """All that were made, in the order of their seeds, (N, C, H, W)."""
        return torch.stack([self.kept[seed] for seed in sorted(self.kept)])


def milliseconds(model: GAN, n: int) -> float:
    """Time a sample in batches of ``n``: the median over calls, after one that counts for nothing."""
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
    """Mean bits a dimension of images and its 95 % interval over them; None for a model without a likelihood."""
    of: Callable[[Tensor, Tensor | None], Tensor] | None = getattr(model, "bits_per_dim", None)
    if of is None:
        return None
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        parts = [
            of(x[i : i + BATCH].to(model.device), None if c is None else c[i : i + BATCH].to(model.device)).cpu()
            for i in range(0, len(x), BATCH)
        ]
    return metrics.Value.mean_of(torch.cat(parts))


def sharpness(fake: Tensor, real: Tensor) -> metrics.Value:
    """Mean Laplacian variance of samples over that of real images, with the 95 % interval over samples."""
    return metrics.Value.mean_of(
        metrics.laplacian_variance(fake).double() / metrics.laplacian_variance(real).double().mean()
    )


def classes_apart(fake: list[int], real: list[int]) -> tuple[float, float]:
    """(half the summed difference of the two sets' class shares, the least share of a class over its real share).

    0 and 1 for equal shares; 1 and 0 for samples of classes that the real images do not have.
    """
    a, b = torch.tensor(fake).double(), torch.tensor(real).double()
    a, b = a / a.sum().clamp_min(1), b / b.sum().clamp_min(1)
    there = b > 0
    return float((a - b).abs().sum() / 2), float((a[there] / b[there]).min())
