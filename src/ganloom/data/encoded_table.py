"""Data sets of table rows that were encoded as numbers, with the layout that says which numbers belong together."""

import os
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ganloom.core.errors import BadInput
from ganloom.data.dataset import Data, Facts
from ganloom.data.images import rows_sha256
from ganloom.data.npz_writer import write_npz

Layout = tuple[tuple[str, int], ...]
"""("value", K): a number in [-1, 1] and K one-hot modes. ("choice", K): K one-hot categories."""


def is_layout(layout: Any) -> bool:
    """Whether a value lists ("value", modes) and ("choice", categories), as tuples or lists."""
    return isinstance(layout, list | tuple) and all(
        isinstance(part, list | tuple)
        and len(part) == 2
        and part[0] in ("value", "choice")
        and isinstance(part[1], int)
        and part[1] > 0
        for part in layout
    )


def width_of(layout: Layout) -> int:
    """Numbers in a row."""
    return sum(size + (kind == "value") for kind, size in layout)


def choices_of(layout: Layout) -> list[tuple[int, int]]:
    """(first number, categories) of each "choice"."""
    places, start = [], 0
    for kind, size in layout:
        if kind == "choice":
            places.append((start, size))
        start += size + (kind == "value")
    return places


class EncodedTable(Data):
    """N rows of an encoded table, float32 (N, d).

    Args:
        rows: the rows.
        layout: which numbers belong together.
        facts: what is known about the rows.
    """

    kind = "table"
    unit = "rows"

    def __init__(self, rows: NDArray[np.float32], layout: Layout, facts: Facts) -> None:
        super().__init__(len(rows), facts)
        if rows.ndim != 2 or rows.shape[1] != width_of(layout):
            raise BadInput(
                f"{facts.name}: rows of shape {rows.shape} do not have the {width_of(layout)} numbers of the layout"
            )
        self.rows, self.layout = (
            np.ascontiguousarray(rows, np.float32),
            tuple((kind, int(size)) for kind, size in layout),
        )
        self.shape = (rows.shape[1],)
        self._tensor = torch.from_numpy(self.rows)
        choices = choices_of(self.layout)
        codes = [self.rows[:, start : start + size].argmax(1) for start, size in choices]
        sizes = [size for _, size in choices]
        self._order = [np.argsort(code, kind="stable") for code in codes]
        counts = [np.bincount(code, minlength=size) for code, size in zip(codes, sizes, strict=True)]
        self.counts = np.concatenate(counts or [np.zeros(0, int)])
        """How many rows have each category of each "choice", one after the other."""
        starts = [np.cumsum([0, *count])[:-1] for count in counts]
        self._starts = np.concatenate(starts or [np.zeros(0, int)])
        self._column = np.repeat(np.arange(len(sizes)), sizes)

    def rows_with(self, categories: Tensor, u: Tensor) -> Tensor:
        """Choose a row for each category, evenly among the rows that have it.

        Args:
            categories: int64 (n,), numbers of categories as in ``counts``; each must have rows.
            u: uniform numbers in [0, 1), (n,).

        Returns:
            int64 (n,), numbers of rows.
        """
        chosen = categories.numpy()
        places = self._starts[chosen] + (u.double().numpy() * self.counts[chosen]).astype(np.int64)
        columns = self._column[chosen]
        return torch.tensor([self._order[column][place] for column, place in zip(columns, places, strict=True)])

    def to(self, device: torch.device | str) -> Self:
        """Keep and deliver the rows on ``device``. Returns the data set itself."""
        super().to(device)
        self._tensor = torch.from_numpy(self.rows).to(self.device)
        return self

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write an .npz file from which ``open(path)`` reads equal rows. Raises BadInput if it cannot be written."""
        meta = {"version": 1, "kind": "table", "name": self.name, "layout": [list(part) for part in self.layout]}
        write_npz(path, meta, {"rows": self.rows})

    def _rows_sha256(self) -> str:
        return rows_sha256(self.rows)

    def _gather(self, picks: Tensor, flips: Tensor | None) -> Tensor:
        return self._tensor.index_select(0, picks.to(self._tensor.device))

    def _take(self, rows: NDArray[np.int64], facts: Facts) -> Self:
        return type(self)(self.rows[rows], self.layout, facts)


def of_arrays(arrays: Any, facts: Facts, meta: dict[str, Any]) -> EncodedTable:
    """Read what ``EncodedTable.save`` wrote. Raises BadInput if the layout does not fit."""
    layout = meta.get("layout")
    if not isinstance(layout, list) or not is_layout(layout):
        raise BadInput(f"{facts.name}: the layout of the encoded table is damaged")
    return EncodedTable(np.asarray(arrays["rows"], np.float32), tuple((part[0], part[1]) for part in layout), facts)
