"""The base class of all data sets, ``Data``: draw batches, get rows, split, fingerprint; and its ``Facts``."""

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ganloom.core import class_names
from ganloom.core.batch import Batch
from ganloom.core.errors import BadInput
from ganloom.data.sampler import EpochSampler, SameLabelSampler

Indices = int | slice | Sequence[int] | NDArray[Any] | Tensor
"""Which rows: a number, a slice, numbers or a boolean mask; negative numbers count from the end."""


@dataclass
class Facts:
    """What is known about the rows of a data set. Lists and arrays have one entry per row.

    Args:
        name: a short name for messages and logs.
        source: JSON values from which ``reopen`` opens the data again.
        labels: int64 (N,) class numbers from 0.
        classes: names of the classes.
        empty_classes: names of the classes that were left out because they had no rows.
        captions: a text per row; "" where there is none.
        other_captions: further texts of each row, if rows have several.
        caption_groups: int64 (N,): rows with equal numbers have captions of equal meaning, in whatever words; None if that is
            not known.
        factors: name -> array (N,): the values from which an image was rendered.
        bad_files: (path, reason) of each file left out.
        notes: one line for each thing about the source that the user should know, such as a split that is not used;
            printed by ``data check``, ``train``, ``plan`` and ``evaluate``.
        translation: the recipe for image-to-image data, "pix2pix" or "cyclegan", and the path to give to it; None for
            other data.
        sizes: (width, height) of each row before it was resized; None if unknown.
        flip: ``draw`` mirrors images at random.
        fit: how images were resized, see `resize.FITS`.
        native: the rows are already at the shape in which they are used.
        beside: (inputs uint8 (M, H, W, C), whether row i of them belongs to row i) of a file of image-to-image data.
        scales: (black, white) of numbers that were no 8-bit numbers, by their type, see `pixel_scale.Scales`; of
            image-to-image data by domain, see `pixel_scale.by_side`.
    """

    name: str
    source: dict[str, Any] = field(default_factory=dict)
    labels: NDArray[np.int64] | None = None
    classes: list[str] | None = None
    empty_classes: list[str] = field(default_factory=list)
    captions: list[str] | None = None
    other_captions: list[tuple[str, ...]] | None = None
    caption_groups: NDArray[np.int64] | None = None
    factors: dict[str, NDArray[Any]] | None = None
    bad_files: list[tuple[str, str]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    translation: tuple[str, str] | None = None
    sizes: list[tuple[int, int]] | None = None
    flip: bool = False
    fit: str = "crop"
    native: bool = False
    beside: tuple[NDArray[np.uint8], bool] | None = None
    scales: dict[str, Any] = field(default_factory=dict)

    def take(self, rows: NDArray[np.int64]) -> "Facts":
        """Return the facts of some rows, int64 (n,).

        Classes without names are named by their numbers, so that their count stays the same if a class has no rows.
        """
        classes = self.classes
        if self.labels is not None and classes is None:
            classes = [str(i) for i in range(int(self.labels.max()) + 1)]
        return replace(
            self,
            classes=classes,
            labels=None if self.labels is None else self.labels[rows],
            captions=None if self.captions is None else [self.captions[i] for i in rows],
            other_captions=None if self.other_captions is None else [self.other_captions[i] for i in rows],
            caption_groups=None if self.caption_groups is None else self.caption_groups[rows],
            factors=None if self.factors is None else {k: v[rows] for k, v in self.factors.items()},
            sizes=None if self.sizes is None else [self.sizes[i] for i in rows],
        )

    def without_empty_classes(self) -> "Facts":
        """Return facts in which each class has rows. The other classes are left out; all keep their names.

        A class without a name is named by its number: labels 207, 281 and 283 become the classes "207", "281" and "283".
        """
        if self.labels is None or not len(self.labels):
            return self
        names = class_names.complete(self.classes, max(len(self.classes or ()), int(self.labels.max()) + 1))
        present, labels = np.unique(self.labels, return_inverse=True)
        if len(present) == len(names):
            return self
        kept = set(present.tolist())
        return replace(
            self,
            labels=labels.astype(np.int64),
            classes=[names[i] for i in present],
            empty_classes=[name for i, name in enumerate(names) if i not in kept],
        )


class Data:
    """A data set of N rows: images (``Images``) or points (``Points``).

    Args:
        size: N, the number of rows.
        facts: what is known about the rows.

    Attributes:
        kind: "images" or "points".
        unit: what a row is, in the plural, for messages: "images", "points", "texts" or "rows".
        facts: what is known about the rows.
        shape: shape of one row, (C, H, W) or (d,).
        name, source, labels, classes, captions, factors, bad_files, notes, flip, fit: see ``Facts``.
        device: where ``get`` and ``draw`` deliver.
        inputs: the input images of image-to-image data, else None.
        paired: whether input i belongs to row i, see ``Domains``.
        split_off: rows that were split off and are never drawn in training; the code that splits sets it.

    Raises:
        BadInput: there are no rows.
    """

    kind: str
    unit: str = "images"
    shape: tuple[int, ...]
    split_off: "Data | None" = None
    inputs: "Data | None" = None
    paired: bool = False
    d_judges_images: bool = False
    """Whether D of a recipe that learns the data judges images; not points, rows of a table, or volumes."""

    @property
    def held(self) -> "Data | None":
        """A hold-out set that belongs to the data and is never drawn in training, or None."""
        return None

    def __init__(self, size: int, facts: Facts) -> None:
        if size < 1:
            raise BadInput(f"{facts.name} holds no rows: give at least one")
        self.facts = facts
        self.name, self.source, self.bad_files, self.notes = facts.name, facts.source, facts.bad_files, facts.notes
        self.labels, self.classes, self.captions, self.factors = (
            facts.labels, facts.classes, facts.captions, facts.factors,
        )  # fmt: skip
        self.flip, self.fit = facts.flip, facts.fit
        self.device = torch.device("cpu")
        self._size = size
        self._sampler = EpochSampler(size)
        self._label_samplers: dict[int, EpochSampler] = {}
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
        """Names of the classes: ``classes``, or else "0", "1", ...; empty without labels."""
        if self.labels is None:
            return []
        return list(self.classes) if self.classes is not None else [str(i) for i in range(self.n_classes)]

    @property
    def classes_with_rows(self) -> list[int]:
        """Numbers of the classes that have rows, sorted; empty without labels. One half of a split may lack a class."""
        return [] if self.labels is None else np.unique(self.labels).tolist()

    @property
    def fingerprint(self) -> str:
        """SHA-256 of rows, labels, shape and flip, 64 hex digits: with equal fingerprints, training is equal. Computed once."""
        if self._fingerprint is None:
            digest = hashlib.sha256(f"ganloom data 1 {self.kind} {self.shape} {len(self)} {self.flip}".encode())
            digest.update(self._rows_sha256().encode())
            if self.labels is not None:
                digest.update(np.ascontiguousarray(self.labels, "<i8").tobytes())
            self._fingerprint = digest.hexdigest()
        return self._fingerprint

    def draw(self, n: int, rng: torch.Generator, alike: int = 1) -> Batch:
        """Draw the next global batch of ``n``, or this process's rows ``[rng.rank::rng.world]`` of it.

        Args:
            n: size of the global batch.
            rng: ``rng.run_seed`` and ``rng.position`` alone decide the rows (see `sampler.EpochSampler`); a plain
                generator draws them at random. The flips are drawn from ``rng``, one number per image of the global
                batch.
            alike: how many samples of labelled data share a label: groups of gcd(n, alike), strided in the batch.

        Returns:
            A batch on ``device``: ``x`` float32 (n, *shape), images in [-1, 1]; ``c`` labels int64 (n,), or None.

        Raises:
            BadInput: ``n`` is below 1.
        """
        picks, flips = self._next_rows(n, rng, self._sampler_of(math.gcd(n, alike)))
        return Batch(self._gather(picks, flips), self._labels_of(picks))

    def draw_with_factors(self, n: int, rng: torch.Generator, names: Sequence[str]) -> Batch:
        """Draw a batch as ``draw`` does, with ``factors`` as ``y``, float32 (n, len(names)).

        Args:
            n: See ``draw``.
            rng: See ``draw``.
            names: Names of factors.

        Raises:
            BadInput: a factor is not known, or images are mirrored at random, which would change it.
        """
        known = self.factors or {}
        missing = [name for name in names if name not in known]
        if missing:
            raise BadInput(f"{self.name} does not know the {' and '.join(missing)} of its images")
        if self.flip:
            raise BadInput(f"{self.name}: a mirrored image has other {' and '.join(names)}; leave --flip out")
        picks, _ = self._next_rows(n, rng)
        columns = [torch.from_numpy(np.asarray(known[name], np.float32)[picks.numpy()]) for name in names]
        return Batch(self._gather(picks, None), self._labels_of(picks), torch.stack(columns, 1).to(self.device))

    def get(self, indices: Indices) -> Tensor:
        """Return rows as float32 (n, *shape) on ``device``, images in [-1, 1], never flipped.

        Raises:
            BadInput: see ``picks``.
        """
        return self._gather(torch.from_numpy(self.picks(indices)), None)

    def picks(self, indices: Indices) -> NDArray[np.int64]:
        """Convert indices of any form to int64 (n,) in [0, N).

        Raises:
            BadInput: an index is out of range or not a whole number, or a mask has another length than the data.
        """
        if isinstance(indices, slice):
            return np.arange(len(self))[indices]
        array = np.atleast_1d(np.asarray(indices.cpu() if isinstance(indices, Tensor) else indices))
        if array.dtype == bool:
            if array.shape != (len(self),):
                raise BadInput(f"a mask over {self.name} needs {len(self)} entries, got {array.shape}")
            return np.flatnonzero(array)
        if array.size and array.dtype.kind not in "iu":
            raise BadInput(f"indices into {self.name} are of type {array.dtype}; give whole numbers, a slice or a mask")
        rows = array.astype(np.int64).ravel()
        if len(rows) and not (-len(self) <= rows.min() and rows.max() < len(self)):
            raise BadInput(f"{self.name} has {len(self)} rows: indices {rows.min()} to {rows.max()} are out of range")
        return np.where(rows < 0, rows + len(self), rows)

    def split(self, part: float | int, seed: int = 0) -> tuple[Self, Self]:
        """Split the rows at random into two disjoint data sets.

        Args:
            part: size of the first: a fraction of the rows (a float in (0, 1)) or their number (an int).
            seed: decides which rows are in the first.

        Returns:
            Both halves, with the rows in their original order. ``reopen`` opens each half from its ``source``.

        Raises:
            BadInput: one half would be empty.
        """
        fraction = isinstance(part, float)
        count = round(part * len(self)) if fraction and 0 < part < 1 else 0 if fraction else int(part)
        if not 0 < count < len(self):
            raise BadInput(
                f"cannot split {part} of {self.name}, which has {len(self)} rows: both halves need at least one"
            )
        shuffled = np.random.default_rng(seed).permutation(len(self)).astype(np.int64)
        halves = []
        for which, rows in enumerate((np.sort(shuffled[:count]), np.sort(shuffled[count:]))):
            facts = self.facts.take(rows)
            steps = [*self.source.get("splits", []), [count, seed, which]]
            facts.source = {**self.source, "splits": steps}
            halves.append(self._take(rows, facts).to(self.device))
        return halves[0], halves[1]

    def to(self, device: torch.device | str) -> Self:
        """Deliver on ``device`` from now on, and keep the rows there if they fit. Returns the data set itself."""
        self.device = torch.device(device)
        if self._labels is not None:
            self._labels = self._labels.to(self.device)
        return self

    def save(self, path: str) -> None:
        """Write an .npz file from which ``open(path)`` reads equal data. Raises BadInput if it cannot be written."""
        raise NotImplementedError

    def _next_rows(
        self, n: int, rng: torch.Generator, sampler: EpochSampler | None = None
    ) -> tuple[Tensor, Tensor | None]:
        """This process's rows of the next global batch of ``n``, and which of them are mirrored."""
        if n < 1:
            raise BadInput(f"the batch size must be at least 1, got {n}")
        picks = (sampler or self._sampler).batch(n, rng)
        flips = torch.rand(n, generator=rng) < 0.5 if self.flip else None
        world: int = getattr(rng, "world", 1)
        if world > 1:
            rank: int = getattr(rng, "rank", 0)
            picks = picks[rank::world]
            flips = None if flips is None else flips[rank::world]
        return picks, flips

    def _sampler_of(self, group: int) -> EpochSampler:
        """The sampler whose groups of ``group`` rows share a label."""
        if group <= 1 or self._labels is None:
            return self._sampler
        if group not in self._label_samplers:
            self._label_samplers[group] = SameLabelSampler(self._labels.cpu(), group)
        return self._label_samplers[group]

    def _rows_sha256(self) -> str:
        """SHA-256 of the rows."""
        raise NotImplementedError

    def _gather(self, picks: Tensor, flips: Tensor | None) -> Tensor:
        """Rows as float32 on ``device``, mirrored where ``flips`` is true."""
        raise NotImplementedError

    def _take(self, rows: NDArray[np.int64], facts: Facts) -> Self:
        """A data set of some rows."""
        raise NotImplementedError

    def _labels_of(self, picks: Tensor) -> Tensor | None:
        if self._labels is None:
            return None
        return self._labels.index_select(0, picks.to(self._labels.device))
