"""Data sets of texts that were encoded as numbers of tokens, with the texts that are held out and the vocabulary."""

import hashlib
import json
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

HELD = ("validation", "test")
"""The parts that are never trained on."""


class EncodedTexts(Data):
    """N texts of at most L tokens, int64 (N, L); the rest of a row is padding, the number 0.

    Args:
        rows: the texts to train on, numbers of tokens in [0, V).
        facts: what is known about them; labels are class numbers.
        vocabulary: the tokens as JSON values, see `texts.vocabulary.Vocabulary.to_dict`; empty where they have no names.
        validation: texts that decide which weights are kept; None: there are none.
        test: texts that the trained model is measured on; None: there are none.
    """

    kind = "texts"
    unit = "texts"

    def __init__(
        self,
        rows: NDArray[Any],
        facts: Facts,
        vocabulary: dict[str, Any] | None = None,
        validation: Self | None = None,
        test: Self | None = None,
    ) -> None:
        super().__init__(len(rows), facts)
        if rows.ndim != 2 or not rows.shape[1] or int(rows.min()) < 0:
            raise BadInput(f"{facts.name}: rows of shape {rows.shape} are no numbers of tokens")
        self.rows = np.ascontiguousarray(rows, np.int32)
        self.vocabulary, self.validation, self.test = vocabulary or {}, validation, test
        self.shape = (rows.shape[1],)
        self._tensor = torch.from_numpy(self.rows)

    @property
    def held(self) -> "Data | None":
        """The validation texts."""
        return self.validation

    def to(self, device: torch.device | str) -> Self:
        """Keep and deliver the texts on ``device``. Returns the data set itself."""
        super().to(device)
        self._tensor = torch.from_numpy(self.rows).to(self.device)
        return self

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write an .npz file from which ``open(path)`` reads equal texts. Raises BadInput if it cannot be written."""
        meta = {
            "version": 1, "kind": "texts", "name": self.name, "vocabulary": self.vocabulary, "classes": self.classes,
        }  # fmt: skip
        arrays: dict[str, NDArray[Any]] = {}
        for name, part in self.parts().items():
            arrays[f"{name}_rows"] = part.rows
            if part.labels is not None:
                arrays[f"{name}_labels"] = part.labels
        write_npz(path, meta, arrays)

    def parts(self) -> "dict[str, EncodedTexts]":
        """The parts that there are, by name: "train", "validation" and "test"."""
        found = {"train": self, "validation": self.validation, "test": self.test}
        return {name: part for name, part in found.items() if part is not None}

    def _rows_sha256(self) -> str:
        digest = hashlib.sha256(json.dumps(self.vocabulary, sort_keys=True).encode())
        for part in self.parts().values():
            digest.update(rows_sha256(part.rows).encode())
            if part.labels is not None:
                digest.update(np.ascontiguousarray(part.labels, "<i8").tobytes())
        return digest.hexdigest()

    def _gather(self, picks: Tensor, flips: Tensor | None) -> Tensor:
        return self._tensor.index_select(0, picks.to(self._tensor.device)).long()

    def _take(self, rows: NDArray[np.int64], facts: Facts) -> Self:
        return type(self)(self.rows[rows], facts, self.vocabulary, self.validation, self.test)


def of_arrays(arrays: Any, facts: Facts, meta: dict[str, Any]) -> EncodedTexts:
    """Read what ``EncodedTexts.save`` wrote. Raises BadInput if a part is damaged."""
    vocabulary, classes = meta.get("vocabulary"), meta.get("classes")
    if not isinstance(vocabulary, dict) or not (classes is None or isinstance(classes, list)):
        raise BadInput(f"{facts.name}: the vocabulary of the encoded texts is damaged")

    def part(name: str, **more: Any) -> EncodedTexts:
        labels = arrays[f"{name}_labels"].astype(np.int64) if f"{name}_labels" in arrays else None
        own = Facts(facts.name, labels=labels, classes=classes if labels is not None else None)
        return EncodedTexts(np.asarray(arrays[f"{name}_rows"]), own, vocabulary, **more)

    return part("train", **{name: part(name) for name in HELD if f"{name}_rows" in arrays})
