"""What every data set offers, whatever it holds: ``draw`` for training, ``get`` for looking, a name and a fingerprint."""

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ganloom.core.batch import Batch
from ganloom.core.errors import BadInput
from ganloom.data.sampler import Alike, Order

Indices = int | slice | Sequence[int] | NDArray[Any] | Tensor


@dataclass
class Facts:
    """What is known of a data set beside its rows; the lists and arrays have one entry a row.

    ``factors``: name -> array (N,), what a rendered image was made from. ``source``: JSON-able, see ``reopen``.
    ``native``: the rows were saved at the shape they are to have. ``beside``: (inputs, whether row by row) of a file.
    """

    name: str
    source: dict[str, Any] = field(default_factory=dict)
    labels: NDArray[np.int64] | None = None
    classes: list[str] | None = None
    captions: list[str] | None = None
    factors: dict[str, NDArray[Any]] | None = None
    bad_files: list[tuple[str, str]] = field(default_factory=list)
    flip: bool = False
    fit: str = "crop"
    native: bool = False
    beside: tuple[NDArray[np.uint8], bool] | None = None

    def take(self, rows: NDArray[np.int64]) -> "Facts":
        """The facts of some rows. Classes without names get their numbers as names: the rows may miss the last ones."""
        classes = self.classes
        if self.labels is not None and classes is None:
            classes = [str(i) for i in range(int(self.labels.max()) + 1)]
        return replace(
            self,
            classes=classes,
            labels=None if self.labels is None else self.labels[rows],
            captions=None if self.captions is None else [self.captions[i] for i in rows],
            factors=None if self.factors is None else {k: v[rows] for k, v in self.factors.items()},
        )


class Data:
    """A data set of N rows: images (``Images``) or points (``Points``).

    Attributes: ``kind`` "images" or "points"; ``shape`` of one row, (C, H, W) or (d,); ``labels`` int64 (N,) or None;
    ``classes`` their names or None; ``captions`` or None; ``factors`` or None; ``name``; ``source``, from which
    ``reopen`` opens the same data; ``bad_files``, (path, reason) of each file left out; ``flip`` and ``fit`` as opened;
    ``device``, where ``get`` and ``draw`` deliver. ``inputs``: the images that rows are made from, or None; ``paired``
    says whether each row has its own (see ``Domains``).
    """

    kind: str
    shape: tuple[int, ...]
    split_off: "Data | None" = None
    """Rows that were split off and that training never draws, where somebody keeps them here."""
    inputs: "Data | None" = None
    paired: bool = False

    @property
    def held(self) -> "Data | None":
        """Rows that were kept from training, or None."""
        return None

    def __init__(self, size: int, facts: Facts) -> None:
        if size < 1:
            raise BadInput(f"{facts.name} holds no data: give at least one row")
        self.facts = facts
        self.name, self.source, self.bad_files = facts.name, facts.source, facts.bad_files
        self.labels, self.classes, self.captions, self.factors = (
            facts.labels, facts.classes, facts.captions, facts.factors,
        )  # fmt: skip
        self.flip, self.fit = facts.flip, facts.fit
        self.device = torch.device("cpu")
        self._size = size
        self._order = Order(size)
        self._alike: dict[int, Order] = {}
        self._fingerprint: str | None = None
        self._labels = None if self.labels is None else torch.from_numpy(np.array(self.labels, np.int64))

    def __len__(self) -> int:
        return self._size

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name}: {len(self)} of shape {self.shape}, {self.n_classes} classes>"

    @property
    def n_classes(self) -> int:
        """Number of classes; 0 without labels."""
        if self.labels is None:
            return 0
        return len(self.classes) if self.classes is not None else int(self.labels.max()) + 1

    @property
    def class_names(self) -> list[str]:
        """One name a class: ``classes``, else "0", "1", ...; empty without labels."""
        if self.labels is None:
            return []
        return list(self.classes) if self.classes is not None else [str(i) for i in range(self.n_classes)]

    @property
    def fingerprint(self) -> str:
        """64 hex digits over the rows, labels, shape and flip: equal data trains equally. Computed once."""
        if self._fingerprint is None:
            digest = hashlib.sha256(f"ganloom data 1 {self.kind} {self.shape} {len(self)} {self.flip}".encode())
            digest.update(self._rows_sha256().encode())
            if self.labels is not None:
                digest.update(np.ascontiguousarray(self.labels, "<i8").tobytes())
            self._fingerprint = digest.hexdigest()
        return self._fingerprint

    def draw(self, n: int, rng: torch.Generator, alike: int = 1) -> Batch:
        """The next global batch of ``n``, or of it this process's rows ``[rng.rank::rng.world]``.

        Which rows is a function of ``rng.run_seed`` and ``rng.position`` alone (see ``Order``); a plain generator draws
        them at random. ``rng`` itself decides the flips, one number an image of the global batch. ``x`` float32 on
        ``device``; ``c`` the labels, int64 (n,), or None. ``alike``: of labelled data so many samples, strided in the
        batch, share a label (their greatest common divisor with n, where n is no multiple).
        """
        picks, flips = self._next(n, rng, self._order_of(math.gcd(n, alike)))
        return Batch(self._gather(picks, flips), self._labels_of(picks))

    def get(self, indices: Indices) -> Tensor:
        """Rows as float32 (n, *shape) on ``device``, images in [-1, 1], never flipped. BadInput beyond the end."""
        return self._gather(torch.from_numpy(self.picks(indices)), None)

    def picks(self, indices: Indices) -> NDArray[np.int64]:
        """Any form of indices (an int, a slice, a list, a mask, negative ones) as int64 (n,) in [0, N)."""
        if isinstance(indices, slice):
            return np.arange(len(self))[indices]
        given = np.atleast_1d(np.asarray(indices.cpu() if isinstance(indices, Tensor) else indices))
        if given.dtype == bool:
            if given.shape != (len(self),):
                raise BadInput(f"a mask over {self.name} needs {len(self)} entries, got {given.shape}")
            return np.flatnonzero(given)
        if given.size and given.dtype.kind not in "iu":
            raise BadInput(f"indices into {self.name} are of type {given.dtype}; give whole numbers, a slice or a mask")
        chosen = given.astype(np.int64).ravel()
        if len(chosen) and not (-len(self) <= chosen.min() and chosen.max() < len(self)):
            raise BadInput(
                f"{self.name} has {len(self)} rows: indices from {chosen.min()} to {chosen.max()} are beyond"
            )
        return np.where(chosen < 0, chosen + len(self), chosen)

    def split(self, part: float | int, seed: int = 0) -> tuple[Self, Self]:
        """Two disjoint data sets, the first of ``part`` of the rows (a fraction below 1, or a number), drawn by ``seed``.

        Rows keep their order. Each half's ``source`` opens that half again.
        """
        fraction = isinstance(part, float)
        count = round(part * len(self)) if fraction and 0 < part < 1 else 0 if fraction else int(part)
        if not 0 < count < len(self):
            raise BadInput(f"cannot split {part} of {self.name}, which has {len(self)} rows: leave some on both sides")
        shuffled = np.random.default_rng(seed).permutation(len(self)).astype(np.int64)
        halves = []
        for which, rows in enumerate((np.sort(shuffled[:count]), np.sort(shuffled[count:]))):
            facts = self.facts.take(rows)
            steps = [*self.source.get("splits", []), [count, seed, which]]
            facts.source = {**self.source, "splits": steps}
            halves.append(self._take(rows, facts).to(self.device))
        return halves[0], halves[1]

    def to(self, device: torch.device | str) -> Self:
        """Deliver on ``device`` from now on, keeping the rows there too where they fit. Returns itself."""
        self.device = torch.device(device)
        if self._labels is not None:
            self._labels = self._labels.to(self.device)
        return self

    def save(self, path: str) -> None:
        """Write one .npz from which ``open(path)`` gives equal data."""
        raise NotImplementedError

    def _next(self, n: int, rng: torch.Generator, order: Order | None = None) -> tuple[Tensor, Tensor | None]:
        """This process's rows of the next global batch of ``n``, and which of them are mirrored."""
        if n < 1:
            raise BadInput(f"the batch size must be at least 1, got {n}")
        picks = (order or self._order).batch(n, rng)
        flips = torch.rand(n, generator=rng) < 0.5 if self.flip else None
        world: int = getattr(rng, "world", 1)
        if world > 1:
            rank: int = getattr(rng, "rank", 0)
            picks = picks[rank::world]
            flips = None if flips is None else flips[rank::world]
        return picks, flips

    def _order_of(self, group: int) -> Order:
        if group <= 1 or self._labels is None:
            return self._order
        if group not in self._alike:
            self._alike[group] = Alike(self._labels.cpu(), group)
        return self._alike[group]

    def _rows_sha256(self) -> str:
        raise NotImplementedError

    def _gather(self, picks: Tensor, flips: Tensor | None) -> Tensor:
        raise NotImplementedError

    def _take(self, rows: NDArray[np.int64], facts: Facts) -> Self:
        raise NotImplementedError

    def _labels_of(self, picks: Tensor) -> Tensor | None:
        if self._labels is None:
            return None
        return self._labels.index_select(0, picks.to(self._labels.device))
