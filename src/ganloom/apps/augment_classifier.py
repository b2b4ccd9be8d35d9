"""The classifier of `ganloom augment report`: a small convolutional network that is trained on real and on generated images.

All classifiers of a row have equal networks, start weights, numbers of steps and batches. With generated images, half of each
batch is real, so that many generated images do not outweigh a few real ones.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from ganloom.core.randomness import key
from ganloom.imaging import levels
from ganloom.metrics.extractors.inputs import to_channels, to_size
from ganloom.metrics.extractors.nets import SmallNet

SMALLEST, LARGEST = 8, 32
"""Sides of the images that the classifier gets, in pixels; larger images are made smaller."""
BATCH = 128
SHIFT, ZOOM, LIGHT = 0.125, 0.1, 0.2
"""Classic augmentation: largest shift as a share of the side, largest change of size, of brightness and of contrast."""
NOISE = 0.2
"""Standard deviation of the noise on the copies of the control, for images in [-1, 1]."""


@dataclass(frozen=True)
class Pool:
    """Labelled images as the classifier gets them.

    Attributes:
        x: uint8 (N, C, S, S), C 1 or 3, S from 8 to 32.
        y: int64 (N,) classes.
    """

    x: Tensor
    y: Tensor

    def __len__(self) -> int:
        return len(self.y)


@dataclass(frozen=True)
class Training:
    """How a classifier is trained.

    Attributes:
        steps: number of steps, of 128 images each.
        seed: of the start weights, the order and the augmentation.
        classic: shift, zoom, brightness and contrast at random.
        flip: mirror at random too.
        noise: add noise to the second half of each batch.
    """

    steps: int
    seed: int
    classic: bool = True
    flip: bool = False
    noise: bool = False


def pool_of(images: NDArray[np.uint8], labels: NDArray[np.int64]) -> Pool:
    """Bring images to the size and the channels of the classifier.

    Args:
        images: uint8 (N, H, W, C), C from 1 to 4. Alpha is blended with white.
        labels: int64 (N,).
    """
    channels, side = 1 if images.shape[3] <= 2 else 3, min(LARGEST, max(SMALLEST, *images.shape[1:3]))
    parts = []
    for start in range(0, len(images), 1024):
        x = levels.from_uint8(np.ascontiguousarray(images[start : start + 1024]))
        small = to_size(to_channels(x, channels), side)
        parts.append(((small.clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8))
    return Pool(torch.cat(parts), torch.from_numpy(np.ascontiguousarray(labels)))


def train(
    first: Pool, second: Pool | None, classes: int, how: Training, each: Callable[[int], None] | None = None
) -> SmallNet:
    """Train a classifier: AdamW, cosine decay after a short warm-up, cross-entropy.

    The global random state is neither read nor changed.

    Args:
        first: Images of each batch; of the first half of each batch if there is a second pool.
        second: Images of the second half, or None.
        classes: Number of classes.
        how: How to train.
        each: Called with the number of steps that are done.

    Returns:
        The classifier in eval mode.
    """
    rng = torch.Generator().manual_seed(key(how.seed, "classifier"))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(how.seed)
        net = SmallNet(first.x.shape[1], classes, first.x.shape[2])
    net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimizer = torch.optim.AdamW(net.parameters(), lr=3e-3, weight_decay=0.02)
    pools = [first] if second is None else [first, second]
    orders = [_order(len(pool), BATCH // len(pools), rng) for pool in pools]
    net.train()
    for step in range(how.steps):
        picks = [next(order) for order in orders]
        x = levels.from_levels(torch.cat([pool.x[i] for pool, i in zip(pools, picks, strict=True)]))
        y = torch.cat([pool.y[i] for pool, i in zip(pools, picks, strict=True)])
        if how.noise:
            half = len(x) // 2
            x[half:] += NOISE * torch.randn(x[half:].shape, generator=rng)
        x = (classic(x, how.flip, rng) if how.classic else x).contiguous(memory_format=torch.channels_last)
        warm_up = min(1.0, (step + 1) / (0.05 * how.steps))
        optimizer.param_groups[0]["lr"] = 1.5e-3 * warm_up * (1 + math.cos(math.pi * step / how.steps))
        optimizer.zero_grad(set_to_none=True)
        F.cross_entropy(net(x)[1], y).backward()
        optimizer.step()
        if each is not None:
            each(step + 1)
    net.eval()
    return net


def _order(n: int, batch: int, rng: torch.Generator) -> Iterator[Tensor]:
    """Yield batches of row numbers: one random order after the other, without gaps."""
    order = torch.empty(0, dtype=torch.long)
    while True:
        while len(order) < batch:
            order = torch.cat([order, torch.randperm(n, generator=rng)])
        yield order[:batch]
        order = order[batch:]


def classic(x: Tensor, flip: bool, rng: torch.Generator) -> Tensor:
    """Augment images in the classic way, each with its own numbers.

    Shift by up to an eighth of the side, zoom, brightness and contrast. Images are not turned, and mirrored only if the user
    says so: a mirrored letter or a turned 6 is another class.

    Args:
        x: (N, C, H, W) in [-1, 1].
        flip: Mirror half of the images.
        rng: Source of the random numbers.
    """
    n = len(x)
    shift, zoom, light, contrast = (
        2 * torch.rand(n, *size, generator=rng) - 1 for size in ((2,), (1,), (1,), (1,))
    )  # fmt: skip
    scale = 1 + ZOOM * zoom[:, 0]
    mirrored = torch.where(torch.rand(n, generator=rng) < 0.5, -1.0, 1.0) if flip else torch.ones(n)
    theta = torch.zeros(n, 2, 3)
    theta[:, 0, 0], theta[:, 1, 1], theta[:, :, 2] = scale * mirrored, scale, 2 * SHIFT * shift
    moved = F.grid_sample(x, F.affine_grid(theta, list(x.shape), False), padding_mode="border", align_corners=False)
    return (moved * (1 + LIGHT * contrast)[:, :, None, None] + LIGHT * light[:, :, None, None]).clamp(-1, 1)


@torch.no_grad()
def predict(net: SmallNet, pool: Pool) -> Tensor:
    """Predict the classes of images; (N,) int64."""
    parts = (levels.from_levels(part).contiguous(memory_format=torch.channels_last) for part in pool.x.split(500))
    return torch.cat([net(part)[1].argmax(1) for part in parts])
