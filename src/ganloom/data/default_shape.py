"""The shape that images get when the user names none."""

from collections import Counter

from ganloom.data import store
from ganloom.data.decode import BadImage
from ganloom.data.file_index import Listing
from ganloom.data.resize import Shape

NATIVE_LIMIT = 128
"""Images that all have one size keep it if no side is longer, in pixels; others become ``default_size`` square."""


def choose_shape(channels: Counter[int], sizes: Counter[tuple[int, int]], default_size: int) -> Shape:
    """Choose one shape for a set of images.

    Args:
        channels: number of channels -> number of images.
        sizes: (width, height) -> number of images.
        default_size: side in pixels for images of several sizes, or larger than `NATIVE_LIMIT`.

    Returns:
        (C, H, W) with the most common number of channels, the larger one on a tie, 3 without images.
    """
    most_common = max(channels, key=lambda c: (channels[c], c), default=3)
    if len(sizes) == 1:
        ((width, height),) = sizes
        if max(width, height) <= NATIVE_LIMIT:
            return most_common, height, width
    return most_common, default_size, default_size


def shape_of_files(listing: Listing, default_size: int) -> Shape:
    """Choose one shape (C, H, W) for image files, see `choose_shape`. Only the headers are read."""
    channels: Counter[int] = Counter()
    sizes: Counter[tuple[int, int]] = Counter()
    for _, header in store.each(listing.header, len(listing.entries)):
        if not isinstance(header, BadImage):
            channels[header.channels] += 1
            sizes[header.size] += 1
    return choose_shape(channels, sizes, default_size)
