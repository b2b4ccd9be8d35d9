"""Images that are made from images: targets with inputs beside them, each with its partner or the two drawn apart."""

import os
from collections.abc import Callable
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray

from ganloom.core.batch import Batch
from ganloom.core.errors import BadInput
from ganloom.data.dataset import Facts
from ganloom.data.images import Images, write_npz
from ganloom.data.sampler import Order

Rows = NDArray[np.uint8]


class Domains(Images):
    """Targets (the rows, domain B) and ``inputs`` (domain A), of one height and width.

    ``paired``: row i of the inputs belongs to row i of the targets, and a batch holds x = targets, c = their inputs.
    Otherwise x = targets and y = inputs, each from its own order, and there may be more of one than of the other.
    ``held``: pairs, or two domains, that training never sees; None where there are none.
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
            raise BadInput(f"{facts.name}: {len(inputs)} inputs and {len(targets)} targets; pairs need as many of both")
        if targets.shape[1:3] != inputs.shape[1:3]:
            sizes = " and ".join(f"{w} x {h}" for h, w in (inputs.shape[1:3], targets.shape[1:3]))
            raise BadInput(f"{facts.name}: inputs and targets are {sizes}; give both one size")
        super().__init__(targets, facts)
        self.inputs, self.paired = Images(inputs, Facts(f"inputs of {facts.name}")), paired
        self._held, self._apart = held, Order(len(inputs), "inputs")
        self._unpaired: Domains | None = None

    @property
    def held(self) -> "Domains | None":
        """What was kept from training, opened when it is asked for."""
        return self._held() if self._held is not None else None

    def draw(self, n: int, rng: torch.Generator, alike: int = 1) -> Batch:
        """The next global batch of ``n``, or this process's rows of it; see ``Data.draw``. Pairs are mirrored together."""
        picks, flips = self._next(n, rng)
        x = self._gather(picks, flips)
        if self.paired:
            return Batch(x, c=self.inputs._gather(picks, flips))
        others, flips = self._next(n, rng, self._apart)
        return Batch(x, y=self.inputs._gather(others, flips))

    def unpaired(self) -> "Domains":
        """The same images drawn apart: what a recipe that needs no pairs trains on."""
        if not self.paired:
            return self
        if self._unpaired is None:
            found = Domains(self.rows, self.inputs.rows, self.facts, paired=False, held=self._held)
            self._unpaired = found.to(self.device)
        return self._unpaired

    def to(self, device: torch.device | str) -> Self:
        """Deliver both on ``device``; see ``Images.to``."""
        super().to(device)
        self.inputs.to(device)
        return self

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write an .npz with ``images`` (targets) and ``inputs``, uint8 NHWC; ``open(path)`` reads it back."""
        meta = {"version": 1, "kind": "domains", "name": self.name, "paired": self.paired, "flip": self.flip}
        write_npz(path, meta, {"images": self.rows, "inputs": self.inputs.rows})

    def _rows_sha256(self) -> str:
        return f"{super()._rows_sha256()} {self.inputs._rows_sha256()} {self.inputs.shape} {self.paired}"

    def _take(self, rows: NDArray[np.int64], facts: Facts) -> Self:
        """Some targets: with their own inputs, or with all of them where the two are apart."""
        inputs = self.inputs.rows[rows] if self.paired else self.inputs.rows
        return type(self)(self.rows[rows], inputs, facts, paired=self.paired, held=self._held)


def chosen(inputs: Rows, targets: Rows, facts: Facts, asked: dict[str, Any], paired: bool, held: Any = None) -> Domains:
    """A data set in the direction that was asked for: BtoA makes inputs of the targets."""
    if asked.get("direction") == "BtoA":
        inputs, targets = targets, inputs
    facts.source, facts.fit, facts.flip = asked, asked["fit"], bool(asked["flip"])
    return Domains(targets, inputs, facts, paired=paired, held=held)
