"""Faults of the data: images that draw() or the files spoil."""

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from ganloom.bench.doctor.fault import Fault, Kind, Patch
from ganloom.data.images import Images
from ganloom.gan import GAN


def drawn(change: Callable[[Tensor, Any], Tensor]) -> Patch:
    """Return a patch of draw() that changes the images of each batch: ``change(x, rng)``."""

    def patch(kind: Kind, seed: int) -> dict[str, Any]:
        draw = kind.draw

        def changed(self: GAN, data: Any, rng: Any) -> Any:
            batch: Any = draw(self, data, rng)
            return batch._replace(x=change(batch.x, rng))

        return {"draw": changed}

    return patch


def _noise(x: Tensor, rng: Any) -> Tensor:
    return (x + 0.5 * torch.randn(x.shape, generator=rng)).clamp(-1, 1)


def _half_upside_down(x: Tensor, rng: Any) -> Tensor:
    return torch.where(torch.rand(len(x), 1, 1, 1, generator=rng) < 0.5, x.flip(2), x)


def _framed(x: Tensor, rng: Any) -> Tensor:
    small = functional.interpolate(x, scale_factor=0.5, mode="area")
    return functional.pad(small, [x.shape[3] // 4] * 2 + [x.shape[2] // 4] * 2, value=-1.0)


def _scrambled(x: Tensor, rng: Any) -> Tensor:
    """Return the pixels in a wrong order, as a view of the wrong shape gives them."""
    views: Tensor = x.flatten(1).reshape(len(x), x.shape[2] // 2, -1)
    return views.transpose(1, 2).reshape(x.shape)


def _rows(change: Callable[[Any, Any], Any]) -> Callable[[Any, int], Any]:
    """Return a change of the stored images (N, H, W, C): ``change(rows, rng)``."""
    return lambda data, seed: Images(change(data.rows.copy(), np.random.default_rng(seed)), data.facts)


def _blank(rows: Any, rng: Any) -> Any:
    rows[rng.random(len(rows)) < 0.5] = 0
    return rows


def _few_originals(data: Any, seed: int) -> Any:
    picks = np.random.default_rng(seed).integers(0, 40, len(data))
    return Images(data.rows[picks], dataclasses.replace(data.facts, labels=data.labels[picks]))


def _fault(name: str, what: str, named: tuple[str, ...], **more: Any) -> Fault:
    return Fault(name, what, named, family="data", **more)


RANGE, CHANGED = "data range", "images changed"
FAULTS: tuple[Fault, ...] = (
    _fault("noisy reals", "draw() adds strong noise to the images", (CHANGED,), patch=drawn(_noise)),
    _fault("low contrast", "draw() multiplies the images by 0.3", (RANGE, CHANGED), patch=drawn(lambda x, rng: 0.3 * x)),
    _fault("shifted range", "draw() adds 1 to all values", (RANGE, CHANGED), patch=drawn(lambda x, rng: x + 1)),
    _fault("half upside down", "draw() flips half of the images", (CHANGED,), patch=drawn(_half_upside_down)),
    _fault("small in a frame", "draw() shrinks the images into a frame", (CHANGED,), patch=drawn(_framed)),
    _fault("scrambled pixels", "draw() returns the pixels in a wrong order", (CHANGED,), patch=drawn(_scrambled)),
    _fault("negatives", "draw() inverts the images", (CHANGED,), patch=drawn(lambda x, rng: -x)),
    _fault("blank images", "half of the files are black", ("repeated images",), data=_rows(_blank)),
    _fault("forty originals", "the data are copies of 40 images", ("repeated images", "D memorises"), data=_few_originals),
)  # fmt: skip
