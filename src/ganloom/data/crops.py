"""Random crops of photographs of any size, for restoration: the photographs are decoded as they are needed.

Only a few photographs are in memory at a time. They are taken from the folder in random order, each stays for a number of
crops, and then the next one takes its place. Which photographs these are, and where a crop lies, is a function of the seed
and of the position in the run, so a resumed run draws the same crops.
"""

import hashlib
import math
import sys
from collections import OrderedDict
from collections.abc import Sequence
from typing import Any, Protocol, Self

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from ganloom.core.batch import Batch
from ganloom.core.errors import BadInput
from ganloom.core.terminal import say
from ganloom.data.dataset import Data, Facts
from ganloom.data.decode import BadImage, convert, from_array, quiet, to_array
from ganloom.data.file_index import Listing
from ganloom.data.images import Images
from ganloom.data.resize import Shape
from ganloom.imaging import levels

MAX_SIDE = 1400
"""Longest side of a photograph in memory. Larger ones are reduced: the pixels of a camera are less sharp than its photograph
at half the size, and a crop of 128 pixels of 12 million shows little."""
MEMORY = 512 * 2**20
"""Bytes of decoded photographs in memory at a time."""
FEWEST = 8
"""At least this many photographs are in memory at a time."""
TURN = 32
"""Crops after which the oldest photograph in memory is replaced, if there are more of them than fit."""
ZOOM = 1.75
"""Half of the crops are cut larger by up to this factor and reduced, so that details of several sizes are seen."""
CANDIDATES = 2
"""Places that are drawn for each crop; the one with the most detail is used, because flat areas teach little."""


class Photos(Protocol):
    """Photographs of any size."""

    sizes: list[tuple[int, int]]
    """(height, width) of each."""
    names: list[str]

    def read(self, index: int) -> NDArray[np.uint8]:
        """Return a photograph, uint8 (height, width, C). Raises BadImage."""

    def take(self, rows: NDArray[np.int64]) -> "Photos":
        """Return some of them."""

    def sha256(self) -> str:
        """Return a digest of their content."""


class Files:
    """Photographs in image files, reduced to ``MAX_SIDE``.

    Args:
        listing: the files.
        rows: which of them.
        sizes: (height, width) of each of these, as ``reduced`` gives it.
        channels: 1 to 4.
    """

    def __init__(self, listing: Listing, rows: Sequence[int], sizes: list[tuple[int, int]], channels: int) -> None:
        self.listing, self.rows, self.sizes, self.channels = listing, list(rows), sizes, channels
        self.names = [listing.entries[row].name for row in self.rows]

    def read(self, index: int) -> NDArray[np.uint8]:
        height, width = self.sizes[index]
        with quiet():
            image = convert(self.listing.decode(self.rows[index], at_least=min(height, width)), self.channels)
        if image.size != (width, height):
            image = image.resize((width, height), Image.Resampling.LANCZOS)
        return to_array(image)

    def take(self, rows: NDArray[np.int64]) -> "Files":
        return Files(self.listing, [self.rows[i] for i in rows], [self.sizes[i] for i in rows], self.channels)

    def sha256(self) -> str:
        digest = hashlib.sha256(f"{self.channels} {MAX_SIDE}".encode())
        for row in self.rows:
            with self.listing.open(row) as file:
                digest.update(hashlib.file_digest(file, "sha256").digest())  # type: ignore[arg-type]
        return digest.hexdigest()


class Rows:
    """Images of one size that are in memory already."""

    def __init__(self, images: Images) -> None:
        self.images = images
        height, width = images.shape[1:]
        self.sizes = [(height, width)] * len(images)
        self.names = [f"image {i}" for i in range(len(images))]

    def read(self, index: int) -> NDArray[np.uint8]:
        return np.asarray(self.images.rows[index])

    def take(self, rows: NDArray[np.int64]) -> "Rows":
        return Rows(Images(self.images.rows[rows], Facts(self.images.name)))

    def sha256(self) -> str:
        return self.images.fingerprint


class Crops(Data):
    """Crops (C, H, W) of N photographs. ``draw`` cuts at random places, ``get`` cuts the centre.

    Args:
        photos: the photographs, each at least H x W.
        shape: (C, H, W) of a crop.
        facts: what is known about the photographs.
    """

    kind = "images"
    shape: Shape

    def __init__(self, photos: Photos, shape: Shape, facts: Facts) -> None:
        super().__init__(len(photos.sizes), facts)
        self.photos, self.shape = photos, shape
        largest = max(height * width for height, width in photos.sizes) * shape[0]
        self._in_memory = max(FEWEST, MEMORY // largest)
        self._decoded: OrderedDict[int, NDArray[np.uint8]] = OrderedDict()
        self._damaged: set[int] = set()

    def draw(self, n: int, rng: torch.Generator, alike: int = 1) -> Batch:
        """Draw the next global batch of ``n`` crops, or this process's rows of it, see ``Data.draw``.

        ``alike`` is ignored: there are no labels.
        """
        if n < 1:
            raise BadInput(f"the batch size must be at least 1, got {n}")
        numbers = torch.rand(n, 2 + 2 * CANDIDATES, generator=rng, dtype=torch.float64)
        flips = torch.rand(n, generator=rng) < 0.5 if self.flip else torch.zeros(n, dtype=torch.bool)
        photos = self._photos_of(n, rng, numbers[:, 0])
        own = slice(getattr(rng, "rank", 0), None, getattr(rng, "world", 1))
        crops = [self._crop(photo, *drawn) for photo, drawn in zip(photos[own], numbers[own, 1:].tolist(), strict=True)]
        x = self._to_tensor(np.stack(crops))
        mirrored = flips[own].to(x.device)[:, None, None, None]
        return Batch(torch.where(mirrored, x.flip(3), x))

    def uint8(self, indices: Any) -> NDArray[np.uint8]:
        """Return the centres of photographs, uint8 (n, H, W, C)."""
        return np.stack([self._centre(int(i)) for i in self.picks(indices)])

    def photo(self, index: int) -> NDArray[np.uint8]:
        """Return a photograph, uint8 (height, width, C); a damaged one is replaced by the next one.

        Raises:
            BadInput: no photograph can be decoded.
        """
        for step in range(len(self)):
            at = (index + step) % len(self)
            if at in self._decoded:
                self._decoded.move_to_end(at)
                return self._decoded[at]
            if at in self._damaged:
                continue
            try:
                pixels = self.photos.read(at)
            except BadImage as error:
                self._damaged.add(at)
                say(f"left out {self.photos.names[at]}: {error}", sys.stderr)
                continue
            while len(self._decoded) >= self._in_memory:
                self._decoded.popitem(last=False)
            self._decoded[at] = pixels
            return pixels
        raise BadInput(f"none of the {len(self)} photographs of {self.name} can be decoded")

    def save(self, path: str) -> None:
        """Write an .npz file of images that are in memory. Raises BadInput for photographs in files."""
        if not isinstance(self.photos, Rows):
            raise BadInput("photographs from a list of files cannot be saved in the run: put them into a folder")
        self.photos.images.save(path)

    def _photos_of(self, n: int, rng: torch.Generator, numbers: Tensor) -> list[int]:
        """Choose the photograph of each crop of the global batch."""
        position: int | None = getattr(rng, "position", None)
        if position is None or len(self) <= self._in_memory:
            picks: list[int] = self._sampler.batch(n, rng).tolist()
            return picks
        seed: int = getattr(rng, "run_seed", 0)
        places = (numbers * self._in_memory).long().tolist()
        turns = [divmod((position + i) // TURN + place, len(self)) for i, place in enumerate(places)]
        return [int(self._sampler.epoch(seed, epoch)[at]) for epoch, at in turns]

    def _crop(self, index: int, zoom: float, *places: float) -> NDArray[np.uint8]:
        """Cut a crop, and reduce it if it was cut larger.

        Args:
            index: the photograph.
            zoom: a number in [0, 1): up to 1/2 for a crop at full size, above it for a larger one.
            places: numbers in [0, 1): top and left of each candidate.
        """
        pixels = self.photo(index)
        height, width = self.shape[1:]
        most = min(ZOOM, pixels.shape[0] / height, pixels.shape[1] / width)
        factor = 1.0 if zoom < 0.5 else 1 + (2 * zoom - 1) * (most - 1)
        h, w = min(math.ceil(height * factor), pixels.shape[0]), min(math.ceil(width * factor), pixels.shape[1])
        best: tuple[float, NDArray[np.uint8]] | None = None
        for down, right in zip(places[::2], places[1::2], strict=True):
            top, left = int(down * (pixels.shape[0] - h + 1)), int(right * (pixels.shape[1] - w + 1))
            part = pixels[top : top + h, left : left + w]
            detail = float(np.abs(np.diff(part[::2, ::2].astype(np.int16), axis=0)).mean()) if h > 2 else 0.0
            if best is None or detail > best[0]:
                best = detail, part
        assert best is not None
        if best[1].shape[:2] == (height, width):
            return best[1]
        return to_array(from_array(np.ascontiguousarray(best[1])).resize((width, height), Image.Resampling.LANCZOS))

    def _centre(self, index: int) -> NDArray[np.uint8]:
        pixels, (height, width) = self.photo(index), self.shape[1:]
        top, left = (pixels.shape[0] - height) // 2, (pixels.shape[1] - width) // 2
        return pixels[top : top + height, left : left + width]

    def _gather(self, picks: Tensor, flips: Tensor | None) -> Tensor:
        x = self._to_tensor(np.stack([self._centre(i) for i in picks.tolist()]))
        return x if flips is None else torch.where(flips.to(x.device)[:, None, None, None], x.flip(3), x)

    def _to_tensor(self, pixels: NDArray[np.uint8]) -> Tensor:
        return levels.from_uint8(torch.from_numpy(pixels).to(self.device))

    def _rows_sha256(self) -> str:
        return self.photos.sha256()

    def _take(self, rows: NDArray[np.int64], facts: Facts) -> Self:
        return type(self)(self.photos.take(rows), self.shape, facts)


def reduced(size: tuple[int, int]) -> tuple[int, int]:
    """Return (height, width) of a photograph of (width, height) in memory: at most ``MAX_SIDE`` a side."""
    scale = min(1.0, MAX_SIDE / max(size))
    return max(1, round(size[1] * scale)), max(1, round(size[0] * scale))
