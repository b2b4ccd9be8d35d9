"""Open images that Python objects hold (`python_sources.Items`): files as files, images one by one, arrays together."""

import io
import math
import os
import stat
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from ganloom.core.errors import BadInput
from ganloom.data import arrays, cache, decode, store
from ganloom.data.apply_options import images_with_options
from ganloom.data.brightness import check_brightness
from ganloom.data.dataset import Facts
from ganloom.data.decode import BadImage
from ganloom.data.deep_images import Range
from ganloom.data.default_shape import choose_shape, crop_note
from ganloom.data.file_index import Listing
from ganloom.data.file_kinds import left_out_notes, why_not_read
from ganloom.data.found_files import Entry
from ganloom.data.image_folders import open_listing
from ganloom.data.images import Images
from ganloom.data.labels import to_labels
from ganloom.data.open_options import Options, image_shape
from ganloom.data.pixel_scale import Scale, Scales, UnclearScale
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
        listing.notes += items.notes
        images = open_listing(listing, f"{items.count} image files", options, use_cache, progress)
        options["source"] = None  # a list of paths is no name from which the data could be opened again
        return images
    read = _Reader(items, options, progress)
    facts = Facts(f"{items.count} images in memory", bad_files=read.bad, sizes=read.sizes)
    labels = None if options.get("labels") is False else read.labels()
    if labels is not None:
        facts.labels, facts.classes = _named(labels, len(read.good), items.classes)
    rows = read.rows()
    facts.notes, facts.scales = read.notes, read.scales.used
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
    unread = [(path, reason) for path in paths if (reason := why_not_read(path)) is not None]
    return Listing("", entries, notes=left_out_notes(unread))


def _named(values: Any, count: int, classes: list[str] | None) -> tuple[NDArray[np.int64], list[str] | None]:
    """Labels as numbers, and the names of the classes that the data set declares."""
    try:
        numbers, names = to_labels(values, count, "the data")
    except BadInput as error:
        raise BadInput(f"{error}; labels=False ignores them") from None
    if names is None and classes is not None and numbers.max() < len(classes):
        return numbers, classes
    return numbers, names


@dataclass(frozen=True)
class _Read:
    """An item that can be read: its number, size (width, height), number of channels, label, and type of numbers.

    ``span`` is the range of its values if they have more than 8 bits.
    """

    index: int
    size: tuple[int, int]
    channels: int
    label: Any
    numbers: str = "uint8"
    span: Range | None = None


class _Reader:
    """Reads all items once, and decides which of their numbers are black and white.

    Attributes:
        good: The items that can be used.
        bad: (item, reason) of the others.
        notes: Lines for the user.
        scales: The scales of numbers of more than 8 bits.
        arrays: The good items, if they are arrays; else empty.
    """

    def __init__(self, items: Items, options: Options, progress: store.Progress) -> None:
        self._items, self._options = items, options
        self.scales = Scales(options.get("scales") or {}, noun="items")
        self.good: list[_Read] = []
        self.bad: list[tuple[str, str]] = []
        self.notes = list(items.notes)
        self.arrays: list[NDArray[Any]] = []
        self._images: dict[int, Image.Image] = {}
        self._several: set[int] = set()
        self._bytes = 0
        self._decided: dict[str, Scale] = {}
        with decode.quiet():
            for index in range(items.count):
                item = items.image(index)
                value, label = item if items.label_in_item else (item, None)
                try:
                    self._add(index, value, plain_label(label) if items.label_in_item else None)
                except BadImage as error:
                    self.bad.append((_name(index), str(error)))
                if progress is not None:
                    progress(index + 1, items.count)
        self._decide()
        if not self.good:
            raise BadInput(f"none of the {items.count} images can be read; the first: {self.bad[0][1]}")

    @property
    def sizes(self) -> list[tuple[int, int]]:
        """(width, height) of each good item."""
        return [item.size for item in self.good]

    def labels(self) -> Any:
        """The labels of the good items, or None."""
        if self._items.label_in_item:
            return [item.label for item in self.good]
        if self._items.labels is None:
            return None
        values = list(self._items.labels)
        if len(values) != self._items.count:
            raise BadInput(f"{len(values)} labels for {self._items.count} images; give one label per image")
        return [values[item.index] for item in self.good]

    def _add(self, index: int, value: Any, label: Any) -> None:
        is_array = isinstance(value, (np.ndarray, Tensor, list))
        array = arrays.to_numpy(value, _name(index)) if is_array else None
        first = self.arrays[0].dtype if self.arrays else None
        if self.good and (None if array is None else array.dtype) != first:
            raise BadInput(f"image {index} is of another type than the images before it; give all images in one type")
        if array is not None:
            hwc = arrays.channels_last(array[None], _name(index), None)[0]
            self.arrays.append(hwc)
            self.good.append(_Read(index, (hwc.shape[1], hwc.shape[0]), hwc.shape[2], label))
            return
        encoded = _encoded(index, value)
        header = decode.header_of(value) if encoded is None else decode.header(io.BytesIO(encoded[0]), encoded[1])
        if header.numbers != "uint8":
            span = decode.value_range_of(value) if encoded is None else decode.value_range(
                io.BytesIO(encoded[0]), encoded[1])  # fmt: skip
            if not (math.isfinite(span.low) and math.isfinite(span.high)):
                raise BadImage("NaN or infinite values")
            self.good.append(_Read(index, header.size, header.channels, label, header.numbers, span))
            return
        image = self._plain(index, value, encoded)
        channels = len(image.getbands())
        self._bytes += image.width * image.height * channels
        self._images[index] = image
        if self._bytes > cache.MEMORY_LIMIT:  # read the items again later instead of keeping them
            self._images.clear()
        self.good.append(_Read(index, image.size, channels, label))

    def _decide(self) -> None:
        """Choose the scale of each type of numbers from all items of that type; items with an unclear scale are bad."""
        by_kind: dict[str, list[_Read]] = {}
        for item in self.good:
            if item.span is not None:
                by_kind.setdefault(item.numbers, []).append(item)
        for kind, found in by_kind.items():
            spans = [item.span for item in found if item.span is not None]
            low, high = min(span.low for span in spans), max(span.high for span in spans)
            try:
                self._decided[kind] = self.scales.choose_for(kind, low, high, [_name(item.index) for item in found])
            except UnclearScale as error:
                self.bad += [(_name(item.index), str(error)) for item in found]
                self.good = [item for item in self.good if item.span is None or item.numbers != kind]

    def rows(self) -> Rows:
        """The good items as uint8 (N, H, W, C). Adds notes."""
        rows = self._array_rows() if self.arrays else self._image_rows()
        self.notes += self.scales.notes
        if self._several:
            first = _name(min(self._several))
            many = f"{len(self._several)} items such as {first} hold" if len(self._several) > 1 else f"{first} holds"
            self.notes.append(f"{many} several frames or pages: only the first is used")
        return rows

    def _array_rows(self) -> Rows:
        """Arrays as rows: one value range for all of them; resized if their shapes differ."""
        if len({array.shape for array in self.arrays}) == 1:
            stack = np.stack(self.arrays)
            return arrays.to_rows(stack, "the images", stack.shape[3], self.scales)
        values = np.concatenate([array.reshape(-1) for array in self.arrays])
        if values.dtype != np.uint8:
            # One row of all values, so that one value range is found for all images.
            padded = np.concatenate([values, np.repeat(values[:1], -len(values) % 8)]).reshape(1, -1, 8)
            values = arrays.to_rows(padded, "the images", scales=self.scales).reshape(-1)
        images, start = [], 0
        for array in self.arrays:
            images.append(decode.from_array(values[start : start + array.size].reshape(array.shape)))
            start += array.size
        return self._resized(images.__getitem__)

    def _image_rows(self) -> Rows:
        """Pillow images and encoded images as rows."""

        def image(row: int) -> Image.Image:
            index = self.good[row].index
            if index in self._images:
                return self._images[index]
            item = self._items.image(index)
            value = item[0] if self._items.label_in_item else item
            try:
                return self._plain(index, value, _encoded(index, value))
            except (BadImage, KeyError) as error:
                raise BadInput(f"image {index} is not the same when it is read again ({error})") from None

        with decode.quiet():
            return self._resized(image)

    def _resized(self, image: Callable[[int], Image.Image]) -> Rows:
        """Images of any sizes as uint8 (N, H, W, C) of one shape."""
        options, sizes = self._options, self.sizes
        channels = Counter(item.channels for item in self.good)
        shape = image_shape(options) or choose_shape(channels, Counter(sizes), options["default_size"])
        rows = np.empty((len(self.good), *shape[1:], shape[0]), np.uint8)
        for row in range(len(self.good)):
            rows[row] = fit_image(image(row), shape, options["fit"])
        cropped = crop_note(sizes, shape, options["fit"])
        self.notes += [cropped] if cropped else []
        self.notes += check_brightness(rows, "the images")
        return rows

    def _plain(self, index: int, value: Any, encoded: tuple[bytes, str] | None) -> Image.Image:
        """An item as an 8-bit Pillow image. Raises BadImage if it cannot be decoded."""
        if encoded is None:
            return decode.plain(value, self._decided.__getitem__)
        content, name = encoded
        several: list[str] = []
        image = decode.decode(io.BytesIO(content), name, scale_of=self._decided.__getitem__, several=several)
        self._several |= {index} if several else set()
        return image


def _name(index: int) -> str:
    return f"image {index}"


def _encoded(index: int, value: Any) -> tuple[bytes, str] | None:
    """The file of an item, and its name; None for a Pillow image.

    Raises:
        BadImage: the file cannot be read.
        BadInput: the item is no image.
    """
    if isinstance(value, Image.Image):
        if value.mode not in ("RGB", "RGBA", "LA") or decode.header_of(value).numbers == "uint8":
            return None
        file, before = value.fp, value.fp.tell()  # type: ignore[attr-defined]
        file.seek(0)  # not loaded yet; Pillow would keep only the high bytes of colours with 16 bits
        content = file.read()
        file.seek(before)
        return content, ""
    if isinstance(value, (str, os.PathLike)):
        name = os.fspath(value)
        try:
            listing = list_paths([name])
        except BadInput:
            raise BadImage(f"{name} is no file") from None
        with listing.open(0) as opened:
            return opened.read(), name
    if isinstance(value, Mapping) and value.keys() & {"bytes", "path"}:
        if value.get("bytes") is not None:
            return value["bytes"], str(value.get("path") or "")
        return _encoded(index, value["path"])
    if isinstance(value, bytes):
        return value, ""
    if value is None:
        raise BadImage("no image")
    raise BadInput(f"image {index} is of type {type_name(value)}; give Pillow images, arrays, tensors or paths")
