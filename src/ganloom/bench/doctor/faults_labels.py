"""Faults of the labels, for recipes with labels."""

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ganloom.bench.doctor.fault import Fault, Kind, Patch
from ganloom.data.images import Images
from ganloom.gan import GAN
from ganloom.scoring import Generated


def _drawn(change: Callable[[Tensor, int, Any], Tensor]) -> Patch:
    """Return a patch of draw() that changes the labels of each batch: ``change(c, classes, rng)``."""

    def patch(kind: Kind, seed: int) -> dict[str, Any]:
        draw = kind.draw

        def changed(self: GAN, data: Any, rng: Any) -> Any:
            batch: Any = draw(self, data, rng)
            return batch._replace(c=change(batch.c, data.n_classes, rng))

        return {"draw": changed}

    return patch


def _half_random(c: Tensor, classes: int, rng: Any) -> Tensor:
    other = torch.randint(classes, c.shape, generator=rng)
    return torch.where(torch.rand(c.shape, generator=rng) < 0.7, other, c)


def _other_for_d(kind: Kind, seed: int) -> dict[str, Any]:
    """D gets labels of fakes that are not those that G got."""
    fakes: Any = kind.fakes  # type: ignore[attr-defined]

    def shifted(self: Any, n: int, batch: Any) -> tuple[Generated, Tensor | None]:
        fake, c = fakes(self, n, batch)
        return fake, c if c is None else c.roll(1)

    return {"fakes": shifted}


def _one_class_asked(kind: Kind, seed: int) -> dict[str, Any]:
    return {"labels": lambda self, n, batch: torch.full((n,), seed % self.cfg.n_classes)}


def _g_without_c(kind: Kind, seed: int) -> dict[str, Any]:
    """G gets class 0 whatever class is asked for."""
    generated, sample = kind.generated, kind.sample

    def without(self: GAN, z: Tensor, *inputs: Any, **options: Any) -> Generated:
        return generated(self, z, *(torch.zeros_like(c) for c in inputs), **options)

    return {
        "generated": without,
        "sample": lambda self, z, c=None: sample(self, z, None if c is None else torch.zeros_like(c)),
    }


def _d_without_c(kind: Kind, seed: int) -> dict[str, Any]:
    scores: Any = kind.scores  # type: ignore[attr-defined]
    return {"scores": lambda self, x, c: scores(self, x, None if c is None else torch.zeros_like(c))}


def _stored(change: Callable[[Any, Any], Any]) -> Callable[[Any, int], Any]:
    """Return a change of the stored labels: ``change(labels, rng)``."""

    def changed(data: Any, seed: int) -> Any:
        labels = change(data.labels.copy(), np.random.default_rng(seed))
        return Images(data.rows, dataclasses.replace(data.facts, labels=labels))

    return changed


def _unsorted(labels: Any, rng: Any) -> Any:
    return rng.permutation(labels)


def _merged(labels: Any, rng: Any) -> Any:
    labels[labels < 5] = 0
    return labels


def _fault(name: str, what: str, named: tuple[str, ...], **more: Any) -> Fault:
    return Fault(name, what, named, family="labels", needs_labels=True, **more)


WRONG, OTHER = "labels shuffled", "labels differ"
FAULTS: tuple[Fault, ...] = (
    _fault("labels off by one", "draw() adds 1 to the labels", (WRONG,), patch=_drawn(lambda c, k, rng: (c + 1) % k)),
    _fault("most labels random", "draw() replaces 70 % of the labels", (WRONG,), patch=_drawn(_half_random)),
    _fault("one label for all", "draw() returns class 0 for all images", (WRONG, "class missing"),
           patch=_drawn(lambda c, k, rng: torch.zeros_like(c))),
    _fault("other labels for D", "fakes reach D with the labels of other fakes", (OTHER, "c ignored"), patch=_other_for_d),
    _fault("one class asked", "G is trained on one class only", ("class missing", OTHER, "c ignored"), patch=_one_class_asked),
    _fault("G without c", "G always gets class 0", ("c ignored", OTHER), patch=_g_without_c),
    _fault("D without c", "D always gets class 0", ("c ignored", OTHER), patch=_d_without_c),
    _fault("label file unsorted", "the stored labels are in another order than the images", (WRONG,), data=_stored(_unsorted)),
    _fault("classes merged", "half of the classes are stored as class 0", ("class missing",), data=_stored(_merged)),
)  # fmt: skip
