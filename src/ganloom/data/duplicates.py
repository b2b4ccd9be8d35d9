"""Find images that occur twice: exact copies, near copies, and images of a single colour."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

EXAMPLES = 5
"""The number of examples of each kind that a report names."""

# Images of equal hash are near copies if their 8 x 8 thumbnails differ, on average, by at most a tenth of their
# contrast, but never by more than 4 of 255 levels. Half a level is always allowed: rounding alone causes that much.
_MAX_DIFFERENCE, _MAX_SHARE, _ROUNDING = 4.0, 0.1, 0.5
# Compare at most this many images of one hash with the rest: thousands of different images may share a hash.
_COMPARED = 64


@dataclass(frozen=True)
class Copies:
    """A count of images and a few examples.

    Args:
        count: the number of images, without the first one of each group of copies.
        examples: (first, copy), by file name or number; at most `EXAMPLES`.
    """

    count: int
    examples: list[tuple[str, str]]


class ExactCopies(NamedTuple):
    """Exact copies among N images.

    Args:
        copies: their count and examples.
        conflicting: how many have another label than the first of their group; None without labels.
        first: bool (N,), whether no earlier image has the same pixels.
    """

    copies: Copies
    conflicting: int | None
    first: NDArray[np.bool_]


def exact_copies(rows: NDArray[np.uint8], labels: NDArray[np.int64] | None, names: Sequence[str]) -> ExactCopies:
    """Find images whose pixels are equal.

    Args:
        rows: uint8 (N, H, W, C).
        labels: int64 (N,), or None.
        names: names of the images, for the examples.
    """
    index_of: dict[bytes, int] = {}
    first = np.ones(len(rows), bool)
    examples: list[tuple[str, str]] = []
    conflicting = 0
    for i, row in enumerate(rows):
        original = index_of.setdefault(hashlib.sha256(np.ascontiguousarray(row).data).digest(), i)
        if original == i:
            continue
        first[i] = False
        conflicting += labels is not None and bool(labels[i] != labels[original])
        if len(examples) < EXAMPLES:
            examples.append((names[original], names[i]))
    return ExactCopies(Copies(int((~first).sum()), examples), None if labels is None else conflicting, first)


def near_copies(rows: NDArray[np.uint8], names: Sequence[str], among: NDArray[np.bool_]) -> Copies:
    """Find images that look almost the same: equal 8 x 8 average hash, and thumbnails that differ little.

    This is approximate: it misses shifted and cropped copies, and takes images that differ only in fine detail for
    copies.

    Args:
        rows: uint8 (N, H, W, C).
        names: names of the images, for the examples.
        among: bool (N,), the images to compare.
    """
    thumbnails = _thumbnails(rows)
    grey = thumbnails[..., :3].mean(3) if rows.shape[3] >= 3 else thumbnails[..., 0]
    hashes = np.packbits((grey > grey.mean((1, 2), keepdims=True)).reshape(len(rows), 64), axis=1)
    groups: dict[bytes, list[int]] = {}
    for i in np.flatnonzero(among).tolist():
        groups.setdefault(hashes[i].tobytes(), []).append(i)
    pairs = sorted(pair for group in groups.values() for pair in _similar(np.array(group), thumbnails))
    return Copies(len(pairs), [(names[a], names[b]) for a, b in pairs[:EXAMPLES]])


def _similar(group: NDArray[np.int64], thumbnails: NDArray[np.float32]) -> list[tuple[int, int]]:
    """(first, copy) of the near copies among images of one hash."""
    pairs: list[tuple[int, int]] = []
    for _ in range(_COMPARED):
        if len(group) < 2:
            break
        first, rest = int(group[0]), group[1:]
        contrast = float(np.abs(thumbnails[first] - thumbnails[first].mean((0, 1))).mean())
        limit = min(_MAX_DIFFERENCE, max(_ROUNDING, _MAX_SHARE * contrast))
        differs = np.abs(thumbnails[rest] - thumbnails[first]).mean((1, 2, 3)) > limit
        pairs += [(first, int(i)) for i in rest[~differs]]
        group = rest[differs]
    return pairs


def single_colour(rows: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Return which images of uint8 (N, H, W, C) have one colour only, as bool (N,)."""
    return np.concatenate([(rows[part] == rows[part, :1, :1]).all((1, 2, 3)) for part in _chunks(rows)])


def _chunks(rows: NDArray[np.uint8]) -> list[slice]:
    """Slices of about 16 million values each."""
    step = max(1, 2**24 // rows[0].size)
    return [slice(start, start + step) for start in range(0, len(rows), step)]


def _thumbnails(rows: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Means of 8 x 8 cells: float32 (N, 8, 8, C). Sides shorter than 8 repeat their pixels."""

    def reduce_to_8(values: NDArray[np.float32], axis: int) -> NDArray[np.float32]:
        side = values.shape[axis]
        edges = np.arange(9) * side // 8
        spans = np.maximum(np.diff(edges), 1).astype(np.float32)
        total = np.add.reduceat(values, edges[:8], axis)
        means: NDArray[np.float32] = total / spans.reshape([8 if i == axis else 1 for i in range(4)])
        return means

    return np.concatenate([reduce_to_8(reduce_to_8(rows[part].astype(np.float32), 1), 2) for part in _chunks(rows)])
