"""Images: a uint8 store of equal rows, gathered and converted a batch at a time."""

import hashlib
import json
import os
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ganloom.core.errors import BadInput
from ganloom.data.dataset import Data, Facts, Indices
from ganloom.data.resize import Shape

DEVICE_SHARE = 0.5
"""The store moves to a GPU when it takes at most this share of the memory free there."""


class Images(Data):
    """N images of one shape (C, H, W), kept as uint8 (N, H, W, C) in memory or in a mapped file."""

    kind = "images"
    shape: Shape

    def __init__(self, rows: NDArray[np.uint8], facts: Facts, sha256: str | None = None) -> None:
        super().__init__(len(rows), facts)
        self.rows = rows
        height, width, channels = rows.shape[1:]
        self.shape = (channels, height, width)
        # One row of bytes an image, so that a batch is one index_select.
        self._bytes = torch.from_numpy(rows).reshape(len(rows), height, width, channels)
        self._sha256 = sha256

    def uint8(self, indices: Indices) -> NDArray[np.uint8]:
        """Images as stored: uint8 (n, H, W, C)."""
        return self.rows[self.picks(indices)]

    def to(self, device: torch.device | str) -> Self:
        """Deliver on ``device``; the bytes move to a GPU too if they take at most half of its free memory."""
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
        """Write an .npz with ``images`` (uint8 NHWC), labels, classes, captions, factors; ``open(path)`` reads it back.

        The fingerprint is the same afterwards. Written beside and renamed, so a stopped save leaves no half file.
        """
        meta = {"version": 1, "kind": "images", "name": self.name, "flip": self.flip, "fit": self.fit}
        parts: dict[str, NDArray[Any]] = {"images": self.rows}
        if self.labels is not None:
            parts["labels"] = self.labels
        for key, words in (("classes", self.classes), ("captions", self.captions)):
            if words is not None:
                parts[key] = np.array(words, dtype=np.str_)
        parts.update({f"factor_{name}": values for name, values in (self.factors or {}).items()})
        write_npz(path, meta, parts)

    def _gather(self, picks: Tensor, flips: Tensor | None) -> Tensor:
        store = self._bytes
        rows = store.index_select(0, picks.to(store.device))
        if rows.device != self.device:
            rows = (rows.pin_memory() if self.device.type == "cuda" else rows).to(self.device, non_blocking=True)
        if flips is not None:
            rows = torch.where(flips.to(self.device)[:, None, None, None], rows.flip(2), rows)
        # The permuted view keeps its strides through the conversion: channels_last without a copy.
        return rows.permute(0, 3, 1, 2).to(torch.float32).div_(127.5).sub_(1.0)

    def _rows_sha256(self) -> str:
        if self._sha256 is None:
            self._sha256 = rows_sha256(self.rows)
        return self._sha256

    def _take(self, rows: NDArray[np.int64], facts: Facts) -> Self:
        return type(self)(self.rows[rows], facts)


def rows_sha256(rows: NDArray[Any]) -> str:
    """SHA-256 of an array's bytes, 64 MiB at a time, so a mapped file need not fit in memory."""
    digest = hashlib.sha256()
    step = max(1, 2**26 // max(1, rows[:1].nbytes))
    for start in range(0, len(rows), step):
        digest.update(np.ascontiguousarray(rows[start : start + step]).data)
    return digest.hexdigest()


def write_npz(path: str | os.PathLike[str], meta: dict[str, Any], parts: dict[str, NDArray[Any]]) -> None:
    """Write a compressed .npz with ``meta`` as JSON under "ganloom". BadInput when the place cannot be written."""
    target = Path(path)
    if target.suffix != ".npz":
        raise BadInput(f"{target}: the name must end in .npz")
    temporary = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("wb") as file:
            # mypy takes **parts for the keyword allow_pickle
            np.savez_compressed(file, ganloom=np.array(json.dumps(meta)), **parts)  # type: ignore[arg-type]
        temporary.replace(target)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise BadInput(f"cannot write {target}: {error.strerror or error}") from None
