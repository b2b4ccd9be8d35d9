"""Recognise image-to-image data among plain images: two folders A and B, or images A|B side by side."""

import os
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ganloom.core.names import command_line, printable, word_of
from ganloom.data.decode import BadImage
from ganloom.data.file_index import Listing, list_folder
from ganloom.data.paired_folders import equal_names_and_sizes

EXAMINED = 24
"""At most this many images, evenly spaced, are examined."""
FIRST = 6
"""About this many are decoded first; the others only if the halves of these are related."""
RELATED = 0.15
"""Halves of images are a pair if the edges in them correlate more than this, and more than those of different images by
half of it. Edges of the two halves of one photograph correlate by about 0: at most 0.03 in 30 sets of 6 or 24 photographs,
while smooth photographs and their thin edges reach 0.27. For the few images that are decoded first, half of it is enough."""
_GRID = 32


class Translation(NamedTuple):
    """How to train on image-to-image data: the recipe ("pix2pix" or "cyclegan"), the path to give to it, and a note."""

    recipe: str
    path: str
    note: str


def of_path(path: str) -> Translation | None:
    """What ``find`` finds in a folder; or how to train on two folders "A,B"."""
    folders = [part.strip() for part in path.split(",")]
    if len(folders) == 2 and not os.path.exists(path) and all(os.path.isdir(folder) for folder in folders):
        paired = equal_names_and_sizes(folders[0], folders[1])
        kind = "image pairs (equal names and sizes)" if paired else "two image domains"
        return Translation("pix2pix" if paired else "cyclegan", path, f"{path} are taken for {kind}")
    return find(list_folder(path, use_labels=False)) if os.path.isdir(path) else None


def find(listing: Listing) -> Translation | None:
    """Recognise image-to-image data. Only some headers, and of flat folders some images, are read."""
    found = _recipe_and_path(listing)
    return None if found is None else Translation(*found, printable(_note(listing, *found)))


def _recipe_and_path(listing: Listing) -> tuple[str, str] | None:
    path = os.path.join(listing.root, listing.base) if listing.base else listing.root
    if listing.sides is not None:
        recipe = "pix2pix" if listing.paired and _equal_sizes(listing) else "cyclegan"
        exact = listing.sides in (("trainA", "trainB"), ("A", "B")) or listing.archive is not None
        return recipe, path if exact else ",".join(os.path.join(path, side) for side in listing.sides)
    if listing.flat and len(listing.entries) > 1 and _side_by_side(listing):
        return "pix2pix", path
    return None


def _note(listing: Listing, recipe: str, path: str) -> str:
    """One line that says what was recognised and how to train on it."""
    command = command_line(["ganloom", "train", recipe, word_of(path)])
    train = f"train on it with `{command}`"
    if listing.archive is not None:
        train = f"unpack the archive, then `ganloom train {recipe} FOLDER`"
    if listing.sides is None:
        return f"the images look like pairs A|B side by side (edges at equal places in both halves): {train}"
    kind = "the two sides of image pairs (equal names)" if recipe == "pix2pix" else "two image domains"
    a, b = listing.sides
    return f"{a}/ and {b}/ are taken for {kind}, not for classes: {train}, or rename the folders if they are classes"


def _equal_sizes(listing: Listing) -> bool:
    """Whether the images of each examined pair have equal sizes."""
    half = len(listing.entries) // 2  # sorted by name: first all files of one side, then those of the other
    for i in _examined(half):
        try:
            if listing.header(i).size != listing.header(half + i).size:
                return False
        except BadImage:
            continue
    return True


def _side_by_side(listing: Listing) -> bool:
    """Whether all images have one aspect, wider than high, and edges at equal places in both halves."""
    examined = list(_examined(len(listing.entries)))
    aspects = set()
    for i in examined:
        try:
            width, height = listing.header(i).size
        except BadImage:
            continue
        aspects.add(round(width / height, 1))
        if width % 2 or width <= height or len(aspects) > 1:
            return False
    first = examined[:: max(1, len(examined) // FIRST)]
    return _are_related(listing, first, RELATED / 2) and _are_related(listing, examined, RELATED)


def _are_related(listing: Listing, indices: list[int], least: float) -> bool:
    halves = []
    for i in indices:
        try:
            halves.append(_edges_of_halves(listing.decode(i, at_least=2 * _GRID)))
        except BadImage:
            continue
    if len(halves) < 2:
        return False
    left, right = (np.stack(side) for side in zip(*halves, strict=True))
    own = _correlation(left, right)
    other = _correlation(left, np.roll(right, 1, axis=0))
    return own > least and own - other > least / 2


def _examined(count: int) -> Iterable[int]:
    return np.unique(np.linspace(0, count - 1, min(EXAMINED, count)).astype(int)).tolist() if count else []


def _edges_of_halves(image: Image.Image) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The strength of edges in both halves, each as (_GRID, _GRID), without the mean of each row and column."""
    grey = np.asarray(image.convert("L").resize((4 * _GRID, 2 * _GRID), Image.Resampling.BOX), np.float64)
    left, right = (_edges(half) for half in (grey[:, : 2 * _GRID], grey[:, 2 * _GRID :]))
    return left, right


def _edges(grey: NDArray[np.float64]) -> NDArray[np.float64]:
    steps = np.abs(np.diff(grey, axis=0)[:, :-1]) + np.abs(np.diff(grey, axis=1)[:-1])
    padded = np.pad(steps, ((0, 1), (0, 1)))
    cells: NDArray[np.float64] = padded.reshape(_GRID, 2, _GRID, 2).mean((1, 3))
    # Without the means, a horizon at the same height in both halves of a panorama does not count.
    centred: NDArray[np.float64] = cells - cells.mean(0, keepdims=True) - cells.mean(1, keepdims=True) + cells.mean()
    return centred


def _correlation(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    """The mean correlation of the maps in two stacks."""
    scale = np.sqrt((a**2).sum((1, 2)) * (b**2).sum((1, 2)))
    return float(np.mean((a * b).sum((1, 2)) / np.maximum(scale, 1e-9)))
