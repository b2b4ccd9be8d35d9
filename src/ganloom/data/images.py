"""A data set of images: uint8 rows of one shape, converted to float32 batch by batch."""

import hashlib
import os
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ganloom.data.dataset import Data, Facts, Indices
from ganloom.data.npz_writer import write_npz
from ganloom.data.resize import Shape
from ganloom.imaging import levels

DEVICE_SHARE = 0.5
"""The rows are kept on a GPU if they take at most this share of its free memory."""


class Images(Data):
    """N images of one shape (C, H, W), kept as uint8 (N, H, W, C) in memory or in a memory-mapped file.

    Args:
        rows: uint8 (N, H, W, C), not copied.
        facts: what is known about the rows.
        sha256: SHA-256 of the rows, if it is known.
    """

    kind = "images"
    d_judges_images = True
    shape: Shape

    def __init__(self, rows: NDArray[np.uint8], facts: Facts, sha256: str | None = None) -> None:
        super().__init__(len(rows), facts)
        self.rows = rows
        height, width, channels = rows.shape[1:]
        self.shape = (channels, height, width)
        self._bytes = torch.from_numpy(rows).reshape(len(rows), height, width, channels)
        self._sha256 = sha256

    def uint8(self, indices: Indices) -> NDArray[np.uint8]:
        """Return images as stored, uint8 (n, H, W, C). Raises BadInput for indices out of range."""
        return self.rows[self.picks(indices)]

    def to(self, device: torch.device | str) -> Self:
        """Deliver on ``device``, and keep the rows there if they take at most half of a GPU's free memory. Returns itself."""
        super().to(device)
        kind, fits = self.device.type, False
        if kind == "cuda":
            fits = self.rows.nbytes <= DEVICE_SHARE * torch.cuda.mem_get_info(self.device)[0]
        elif kind == "mps":
            fits = self.rows.nbytes <= DEVICE_SHARE * torch.mps.recommended_max_memory()
        self._bytes = torch.from_numpy(self.rows)
        if fits:
            self._bytes = self._bytes.to(self.device)
        return self

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write an .npz file with ``images`` (uint8 NHWC), labels, classes, captions and factors.

        ``open(path)`` reads it back, with the same fingerprint.

        Raises:
            BadInput: the name does not end in .npz, or the file cannot be written.
        """
        meta = {"version": 1, "kind": "images", "name": self.name, "flip": self.flip, "fit": self.fit}
        arrays: dict[str, NDArray[Any]] = {"images": self.rows}
        if self.labels is not None:
            arrays["labels"] = self.labels
        for key, texts in (("classes", self.classes), ("captions", self.captions)):
            if texts is not None:
                arrays[key] = np.array(texts, dtype=np.str_)
        if self.facts.other_captions is not None:
            more = [(row, text) for row, own in enumerate(self.facts.other_captions) for text in own]
            arrays["other_captions"] = np.array([text for _, text in more], dtype=np.str_)
            arrays["other_captions_row"] = np.array([row for row, _ in more], np.int64)
        if self.facts.caption_groups is not None:
            arrays["caption_groups"] = self.facts.caption_groups
        arrays.update({f"factor_{name}": values for name, values in (self.factors or {}).items()})
        write_npz(path, meta, arrays)

    def _gather(self, picks: Tensor, flips: Tensor | None) -> Tensor:
        rows = self._bytes.index_select(0, picks.to(self._bytes.device))
        if rows.device != self.device:
            rows = (rows.pin_memory() if self.device.type == "cuda" else rows).to(self.device, non_blocking=True)
        if flips is not None:
            rows = torch.where(flips.to(self.device)[:, None, None, None], rows.flip(2), rows)
        return levels.from_uint8(rows)

    def _rows_sha256(self) -> str:
        if self._sha256 is None:
            self._sha256 = rows_sha256(self.rows)
        return self._sha256

    def with_facts(self, facts: Facts) -> "Images":
        """Return a data set of the same rows, which are not copied, with other facts."""
        return Images(self.rows, facts, self._sha256)

    def _take(self, rows: NDArray[np.int64], facts: Facts) -> Self:
        return type(self)(self.rows[rows], facts)


def rows_sha256(rows: NDArray[Any]) -> str:
    """Return the SHA-256 of an array's bytes, 64 hex digits.

    The array is read in parts of 64 MiB, so a mapped file need not fit in RAM.
    """
    digest = hashlib.sha256()
    step = max(1, 2**26 // max(1, rows[:1].nbytes))
    for start in range(0, len(rows), step):
        digest.update(np.ascontiguousarray(rows[start : start + step]).data)
    return digest.hexdigest()
