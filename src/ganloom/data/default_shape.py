"""The shape that images get when the user names none."""

from collections import Counter
from collections.abc import Iterable

from ganloom.data import store
from ganloom.data.decode import BadImage
from ganloom.data.file_index import Listing
from ganloom.data.resize import Shape, kept_share

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
        if keeps_size((width, height)):
            return most_common, height, width
    return most_common, default_size, default_size


def keeps_size(size: tuple[int, int]) -> bool:
    """Whether images that all have this size (width, height) keep it."""
    return max(size) <= NATIVE_LIMIT


def shape_of_files(listing: Listing, default_size: int) -> Shape:
    """Choose one shape (C, H, W) for image files, see `choose_shape`. Only the headers are read."""
    channels: Counter[int] = Counter()
    sizes: Counter[tuple[int, int]] = Counter()
    for _, header in store.each(listing.header, len(listing.entries)):
        if not isinstance(header, BadImage):
            channels[header.channels] += 1
            sizes[header.size] += 1
    return choose_shape(channels, sizes, default_size)


CROP_LIMIT = 0.25
"""If cropping removes more than this share of the pixels, a note says so."""


def crop_note(sizes: Iterable[tuple[int, int]], shape: Shape, fit: str) -> str | None:
    """Say how much of the images cropping removes, and how to keep it.

    Args:
        sizes: (width, height) of each image, or another size of the same format.
        shape: (C, H, W) that images are brought to.
        fit: "crop", "pad" or "squash".

    Returns:
        One line; None if at most `CROP_LIMIT` of the pixels are cut away on average, or without images.
    """
    counts = Counter(sizes)
    cut = _mean_cut(counts, shape, fit)
    if cut <= CROP_LIMIT:
        return None
    channels, height, width = shape
    formats = sorted((w / h for w, h in counts.elements()))
    middle, short = formats[len(formats) // 2], min(height, width)
    step = 8 if short >= 32 else 1
    long = max(step, round(short * max(middle, 1 / middle) / step) * step)
    kept = (channels, short, long) if middle >= 1 else (channels, long, short)
    note = f"fit crop cuts away {cut:.0%} of the pixels on average: use --fit pad"
    if long <= 8 * short and _mean_cut(counts, kept, fit) <= CROP_LIMIT:
        note += f", or --shape {channels} {kept[1]} {kept[2]} to keep the format"
    return note


def _mean_cut(counts: Counter[tuple[int, int]], shape: Shape, fit: str) -> float:
    """The mean share of an image that is cropped away, 0 without images."""
    total = sum(counts.values())
    return sum(n * (1 - kept_share(size, shape, fit)) for size, n in counts.items()) / total if total else 0.0
