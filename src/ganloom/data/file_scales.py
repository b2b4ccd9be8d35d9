"""The scales of image files with more than 8 bits: decided from all files of a set when the first of them is decoded.

A set of 8-bit files costs nothing. Otherwise the headers are read, and the files with this type of numbers are decoded
once more, until one of them shows that all bits are used.
"""

import math
import os
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, BinaryIO, Protocol

from ganloom.data.decode import BadImage, Header, value_range
from ganloom.data.deep_images import Range
from ganloom.data.file_kinds import ending_of
from ganloom.data.pixel_scale import FULL_RANGE, Scale, Scales, UnclearScale

_EIGHT_BITS = frozenset(".jpg .jpeg .jpe .jfif .gif .bmp .dib .webp .ico .avif .heic .heif .hif".split())


class Files(Protocol):
    """Image files by their index, such as a `file_index.Listing`."""

    entries: list[Any]

    def header(self, index: int) -> Header:
        """Read the header of a file. Raises `BadImage`."""

    def open(self, index: int) -> BinaryIO:
        """Open a file. Raises `BadImage`."""


class FileScales:
    """The scales of the files of one set.

    Args:
        known: (black, white) that a run was trained with, by type of numbers.

    Attributes:
        scales: what was chosen, with notes for the user.
        label_maps: integers up to 255 are labels and stay as they are.
    """

    def __init__(self, known: Mapping[str, Sequence[float]] | None = None) -> None:
        self.scales = Scales(known or {})
        self.label_maps = False
        self._decided: dict[str, Scale | UnclearScale] = {}
        self._by_kind: dict[str, list[int]] | None = None
        self._lock = threading.Lock()

    def scale_of(self, kind: str, files: Files) -> Scale:
        """Return the scale of a type of numbers.

        Args:
            kind: the type, see `Header.numbers`.
            files: all files of the set.

        Raises:
            UnclearScale: the values of all files do not say which of them is white.
        """
        with self._lock:  # images are decoded in threads
            if kind not in self._decided:
                try:
                    self._decided[kind] = self._decide(kind, files)
                except UnclearScale as error:
                    self._decided[kind] = error
        decided = self._decided[kind]
        if isinstance(decided, UnclearScale):
            raise UnclearScale(str(decided))
        return decided

    def _decide(self, kind: str, files: Files) -> Scale:
        if self._by_kind is None:
            self._by_kind = _indices_by_kind(files)
        indices = self._by_kind.get(kind, [])
        low, high = _range_of(kind, indices, files)
        if self.label_maps and kind != "float" and low >= 0 and high <= 255:
            return Scale(0.0, 255.0)
        return self.scales.choose_for(kind, low, high, [files.entries[i].name for i in indices])


def _indices_by_kind(files: Files) -> dict[str, list[int]]:
    """Type of numbers -> the files that have it; endings of formats with 8 bits are not opened."""
    found: dict[str, list[int]] = {}
    for i, entry in enumerate(files.entries):
        if ending_of(entry.name) in _EIGHT_BITS:
            continue
        try:
            found.setdefault(files.header(i).numbers, []).append(i)
        except BadImage:
            continue
    return found


def _range_of(kind: str, indices: list[int], files: Files) -> Range:
    """The range of the values of some files; files that cannot be read, or that hold NaN, do not count."""

    def measure(index: int) -> Range | str:
        try:
            with files.open(index) as file:
                span = value_range(file, files.entries[index].name)
        except BadImage as error:
            return str(error)
        return span if math.isfinite(span.low) and math.isfinite(span.high) else "NaN or infinite values"

    workers = os.cpu_count() or 1
    low, high, reason = math.inf, -math.inf, "damaged"
    with ThreadPoolExecutor(workers, "ganloom-range") as pool:
        for start in range(0, len(indices), 4 * workers):
            for span in pool.map(measure, indices[start : start + 4 * workers]):
                if isinstance(span, str):
                    reason = span
                else:
                    low, high = min(low, span.low), max(high, span.high)
            if kind == "uint16" and high >= FULL_RANGE:
                break
    if low > high:
        raise UnclearScale(reason)
    return Range(low, high)
