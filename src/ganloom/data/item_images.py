"""Open images that Python objects hold (`python_sources.Items`): files as files, images one by one, arrays together."""

import io
import os
import stat
from collections import Counter
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from ganloom.core.errors import BadInput
from ganloom.data import arrays, cache, decode, store
from ganloom.data.apply_options import images_with_options
from ganloom.data.dataset import Facts
from ganloom.data.decode import BadImage
from ganloom.data.default_shape import choose_shape
from ganloom.data.file_index import Entry, Listing
from ganloom.data.image_folders import open_listing
from ganloom.data.images import Images
from ganloom.data.labels import to_labels
from ganloom.data.open_options import Options, image_shape
from ganloom.data.python_sources import Items, plain_label, type_name
from ganloom.data.resize import fit_image

Rows = NDArray[np.uint8]


def open_items(items: Items, options: Options, use_cache: bool, progress: store.Progress) -> Images:
    """Open items as images. What cannot be decoded is left out, with its label, and listed in ``bad_files``.

    Args:
        items: the images and their labels.
        options: the options of ``open``.
        use_cache: keep decoded files in the cache.
        progress: called with (done, total) while images are decoded.

    Raises:
        BadInput: there are no images, they cannot be decoded, or the labels do not fit.
    """
    if options.get("labels") is False:
        items.labels = None
    if items.paths is not None:
        listing = list_paths(items.paths)
        if items.labels is not None:
            listing.labels, listing.classes = _named(items.labels, items.count, items.classes)
        listing.notes = items.notes
        images = open_listing(listing, f"{items.count} image files", options, use_cache, progress)
        options["source"] = None  # a list of paths is no name from which the data could be opened again
        return images
    read = _Reader(items, progress)
    facts = Facts(f"{items.count} images in memory", notes=items.notes, bad_files=read.bad, sizes=read.sizes)
    labels = None if options.get("labels") is False else read.labels
    if labels is not None:
        facts.labels, facts.classes = _named(labels, len(read.good), items.classes)
    rows = read.array_rows(options) if read.arrays else read.image_rows(options)
    return images_with_options(rows, facts, options, progress)


def list_paths(paths: list[str]) -> Listing:
    """List image files in the given order. Files that are not there are kept, so that they become ``bad_files``.

    Raises:
        BadInput: a path is a folder, or no file is there.
    """
    entries, there = [], 0
    for path in paths:
        try:
            status = os.stat(path)
        except (OSError, ValueError):
            entries.append(Entry(path, 0, 0))
            continue
        if not stat.S_ISREG(status.st_mode):
            raise BadInput(f"{path} in the list is not a file; give the paths of image files, or a folder by itself")
        entries.append(Entry(path, status.st_size, status.st_mtime_ns))
        there += 1
    if not there:
        raise BadInput(f"none of the {len(paths)} files in the list is there, such as {paths[0]}; check the paths")
    return Listing("", entries)


def _named(values: Any, count: int, classes: list[str] | None) -> tuple[NDArray[np.int64], list[str] | None]:
    """Labels as numbers, and the names of the classes that the data set declares."""
    try:
        numbers, names = to_labels(values, count, "the data")
    except BadInput as error:
        raise BadInput(f"{error}; labels=False ignores them") from None
    if names is None and classes is not None and numbers.max() < len(classes):
        return numbers, classes
    return numbers, names


class _Reader:
    """Reads all items once.

    Attributes:
        good: Indices of the items that can be read.
        bad: (item, reason) of the others.
        sizes: (width, height) of each good item.
        labels: Labels of the good items, or None.
        arrays: The good items, if they are arrays; else empty.
    """

    def __init__(self, items: Items, progress: store.Progress) -> None:
        self._items = items
        self.good: list[int] = []
        self.bad: list[tuple[str, str]] = []
        self.sizes: list[tuple[int, int]] = []
        self.arrays: list[NDArray[Any]] = []
        self._images: list[Image.Image] = []
        self._bytes, self._channels = 0, Counter[int]()
        labels: list[Any] = []
        with decode.quiet():
            for index in range(items.count):
                item = items.image(index)
                value, label = item if items.label_in_item else (item, None)
                try:
                    self._add(index, value)
                    labels.append(plain_label(label) if items.label_in_item else None)
                except BadImage as error:
                    self.bad.append((f"image {index}", str(error)))
                if progress is not None:
                    progress(index + 1, items.count)
        if not self.good:
            raise BadInput(f"none of the {items.count} images can be read; the first: {self.bad[0][1]}")
        self.labels: Any = labels if items.label_in_item else self._of_good(items.labels)

    def _of_good(self, labels: Any) -> Any:
        """The labels of the good items."""
        if labels is None:
            return None
        values = list(labels)
        if len(values) != self._items.count:
            raise BadInput(f"{len(values)} labels for {self._items.count} images; give one label per image")
        return [values[i] for i in self.good]

    def _add(self, index: int, value: Any) -> None:
        if isinstance(value, (np.ndarray, Tensor, list)):
            array = arrays.to_numpy(value, f"image {index}")
            if (self.arrays and array.dtype != self.arrays[0].dtype) or self._images or self._bytes:
                raise BadInput(
                    f"image {index} is of another type than the images before it; give all images in one type"
                )
            hwc = arrays.channels_last(array[None], f"image {index}", None)[0]
            self.arrays.append(hwc)
            self.sizes.append((hwc.shape[1], hwc.shape[0]))
        else:
            if self.arrays:
                raise BadInput(
                    f"image {index} is of another type than the images before it; give all images in one type"
                )
            image = _plain(index, value)
            self.sizes.append(image.size)
            channels = len(image.getbands())
            self._channels[channels] += 1
            self._bytes += image.width * image.height * channels
            self._images.append(image)
            if self._bytes > cache.MEMORY_LIMIT:  # read the items again later instead of keeping them
                self._images.clear()
        self.good.append(index)

    def array_rows(self, options: Options) -> Rows:
        """Arrays as uint8 (N, H, W, C): one value range for all of them; resized if their shapes differ."""
        if len({array.shape for array in self.arrays}) == 1:
            stack = np.stack(self.arrays)
            return arrays.to_rows(stack, "the images", stack.shape[3])
        # One row of all values, so that one value range is found for all images.
        flat = np.concatenate([array.reshape(-1) for array in self.arrays])
        padded = np.concatenate([flat, np.repeat(flat[:1], -len(flat) % 8)]).reshape(1, -1, 8)
        values = arrays.to_rows(padded, "the images").reshape(-1)
        images, start = [], 0
        for array in self.arrays:
            images.append(decode.from_array(values[start : start + array.size].reshape(array.shape)))
            start += array.size
        channels = Counter(len(image.getbands()) for image in images)
        shape = image_shape(options) or choose_shape(channels, Counter(self.sizes), options["default_size"])
        return np.stack([fit_image(image, shape, options["fit"]) for image in images])

    def image_rows(self, options: Options) -> Rows:
        """Pillow images as uint8 (N, H, W, C) of one shape."""
        shape = image_shape(options) or choose_shape(self._channels, Counter(self.sizes), options["default_size"])
        rows = np.empty((len(self.good), *shape[1:], shape[0]), np.uint8)
        for row, index in enumerate(self.good):
            if len(self._images) == len(self.good):
                image = self._images[row]
            else:
                item = self._items.image(index)
                image = _plain(index, item[0] if self._items.label_in_item else item)
            rows[row] = fit_image(image, shape, options["fit"])
        return rows


def _plain(index: int, value: Any) -> Image.Image:
    """An item as an 8-bit Pillow image. Raises BadImage if it cannot be decoded, BadInput if it is no image."""
    if isinstance(value, Image.Image):
        return decode.plain(value)
    if isinstance(value, (str, os.PathLike)):
        try:
            with open(value, "rb") as file:
                return decode.decode(file, os.fspath(value))
        except (OSError, ValueError) as error:
            raise BadImage(f"{os.fspath(value)} cannot be read: {getattr(error, 'strerror', None) or error}") from None
    if isinstance(value, Mapping) and value.keys() & {"bytes", "path"}:
        if value.get("bytes") is not None:
            return decode.decode(io.BytesIO(value["bytes"]), str(value.get("path") or ""))
        return _plain(index, value["path"])
    if isinstance(value, bytes):
        return decode.decode(io.BytesIO(value), "")
    if value is None:
        raise BadImage("no image")
    raise BadInput(f"image {index} is of type {type_name(value)}; give Pillow images, arrays, tensors or paths")
