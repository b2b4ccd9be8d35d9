"""Data sets for image-to-image translation: pairs (input, target), or two domains that are drawn independently."""

import os
from collections.abc import Callable
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray

from ganloom.core.batch import Batch
from ganloom.core.errors import BadInput
from ganloom.data.apply_options import resize_rows
from ganloom.data.dataset import Facts
from ganloom.data.images import Images
from ganloom.data.npz_writer import write_npz
from ganloom.data.resize import Shape
from ganloom.data.sampler import EpochSampler

Rows = NDArray[np.uint8]


class Domains(Images):
    """Targets (the rows, domain B) and ``inputs`` (domain A), of equal height and width.

    If ``paired``, row i of the inputs belongs to row i of the targets, and a batch holds x = targets and c = their
    inputs. Otherwise a batch holds x = targets and y = inputs, drawn independently, and their numbers may differ.

    Args:
        targets: uint8 (N, H, W, C).
        inputs: uint8 (M, H, W, C'); M = N for pairs.
        facts: what is known about the targets.
        paired: whether the rows are pairs.
        held: opens the hold-out set that training never draws; None if there is none.

    Raises:
        BadInput: pairs of different numbers, or inputs and targets of different sizes.
    """

    inputs: Images

    def __init__(
        self,
        targets: Rows,
        inputs: Rows,
        facts: Facts,
        *,
        paired: bool,
        held: Callable[[], "Domains | None"] | None = None,
    ) -> None:
        if paired and len(targets) != len(inputs):
            raise BadInput(
                f"{facts.name}: {len(inputs)} inputs and {len(targets)} targets; pairs need equal numbers of both"
            )
        if targets.shape[1:3] != inputs.shape[1:3]:
            sizes = " and ".join(f"{w} x {h}" for h, w in (inputs.shape[1:3], targets.shape[1:3]))
            raise BadInput(f"{facts.name}: inputs and targets are {sizes}; give both the same size")
        super().__init__(targets, facts)
        self.inputs, self.paired = Images(inputs, Facts(f"inputs of {facts.name}")), paired
        self._open_held, self._input_sampler = held, EpochSampler(len(inputs), "inputs")
        self._unpaired: Domains | None = None

    @property
    def held(self) -> "Domains | None":
        """The hold-out set that training never draws, or None. It is opened on each access."""
        return self._open_held() if self._open_held is not None else None

    def draw(self, n: int, rng: torch.Generator, alike: int = 1) -> Batch:
        """Draw the next global batch of ``n``, or this process's rows of it, see ``Data.draw``.

        The two images of a pair are mirrored together. ``alike`` is ignored: there are no labels.
        """
        picks, flips = self._next_rows(n, rng)
        x = self._gather(picks, flips)
        if self.paired:
            return Batch(x, c=self.inputs._gather(picks, flips))
        picks, flips = self._next_rows(n, rng, self._input_sampler)
        return Batch(x, y=self.inputs._gather(picks, flips))

    def unpaired(self) -> "Domains":
        """The same images as two domains that are drawn independently, for recipes that need no pairs."""
        if not self.paired:
            return self
        if self._unpaired is None:
            data = Domains(self.rows, self.inputs.rows, self.facts, paired=False, held=self._open_held)
            self._unpaired = data.to(self.device)
        return self._unpaired

    def resized(self, shape: Shape | None, in_channels: int | None, fit: str) -> "Domains":
        """Bring targets and inputs to another shape.

        Args:
            shape: (C, H, W) of the targets; None: unchanged.
            in_channels: channels of the inputs; None: unchanged.
            fit: "crop", "pad" or "squash", see `resize.FITS`.

        Returns:
            Another data set, or this one if its shapes are right already.
        """
        target, channels = shape or self.shape, in_channels or self.inputs.shape[0]
        if target == self.shape and channels == self.inputs.shape[0]:
            return self
        rows = resize_rows(self.rows, target, fit)
        inputs = resize_rows(self.inputs.rows, (channels, *target[1:]), fit)
        return Domains(rows, inputs, self.facts, paired=self.paired, held=self._open_held)

    def to(self, device: torch.device | str) -> Self:
        """Deliver inputs and targets on ``device``, see ``Images.to``."""
        super().to(device)
        self.inputs.to(device)
        return self

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write an .npz file with ``images`` (the targets) and ``inputs``, uint8 NHWC; ``open(path)`` reads it back."""
        meta = {"version": 1, "kind": "domains", "name": self.name, "paired": self.paired, "flip": self.flip}
        write_npz(path, meta, {"images": self.rows, "inputs": self.inputs.rows})

    def _rows_sha256(self) -> str:
        return f"{super()._rows_sha256()} {self.inputs._rows_sha256()} {self.inputs.shape} {self.paired}"

    def _take(self, rows: NDArray[np.int64], facts: Facts) -> Self:
        """Some targets, with their own inputs, or with all inputs if they are not paired."""
        inputs = self.inputs.rows[rows] if self.paired else self.inputs.rows
        return type(self)(self.rows[rows], inputs, facts, paired=self.paired, held=self._open_held)


def make_domains(
    a: Rows,
    b: Rows,
    facts: Facts,
    options: dict[str, Any],
    paired: bool,
    held: Callable[[], Domains | None] | None = None,
) -> Domains:
    """Build the data set of domains A and B in the requested direction.

    Args:
        a: domain A, uint8 (M, H, W, C): the inputs, or the targets if the direction is "BtoA".
        b: domain B, uint8 (N, H, W, C').
        facts: what is known about the targets; ``source``, ``fit`` and ``flip`` are set here.
        options: the options of ``open``; "scales_used" is set to ``facts.scales``, if there are any.
        paired: whether row i of A belongs to row i of B.
        held: opens the hold-out set.

    Raises:
        BadInput: see `Domains`.
    """
    inputs, targets = (b, a) if options.get("direction") == "BtoA" else (a, b)
    facts.source, facts.fit, facts.flip = options, options["fit"], bool(options["flip"])
    if facts.scales:
        options["scales_used"] = facts.scales
    return Domains(targets, inputs, facts, paired=paired, held=held)
