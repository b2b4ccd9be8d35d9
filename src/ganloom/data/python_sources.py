"""Data that Python users hold: lists of paths or images, (image, label) items, torch data sets, Hugging Face sets, frames.

``items_of`` brings them to one form, ``Items``; `item_images` opens that as images.
"""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from PIL import Image
from torch import Tensor
from torch.utils import data as torch_data

from ganloom.core.errors import BadInput
from ganloom.data import table_sources
from ganloom.data.arrays import to_numpy

TAKEN = (
    "a path, an array, a list of paths or images, (images, labels), a torch Dataset, a Hugging Face dataset or a pandas "
    "frame (see docs/data.md)"
)
_IMAGE_KEYS, _LABEL_KEYS = ("image", "img", "images", "pixel_values", "x"), ("label", "labels", "y", "target")


@dataclass
class Items:
    """Images that are read one by one.

    Attributes:
        count: N, their number.
        image: Index -> a path, a Pillow image, an array, or encoded bytes {"bytes": ..., "path": ...}; with
            ``label_in_item`` a tuple of it and its label.
        label_in_item: Whether ``image`` also returns the label: reading an item twice may be slow.
        labels: N labels, or None.
        classes: Names of the classes, or None.
        paths: The paths, if every image is a file.
        notes: One line for each thing that the user should know.
    """

    count: int
    image: Callable[[int], Any]
    label_in_item: bool = False
    labels: Any = None
    classes: list[str] | None = None
    paths: list[str] | None = None
    notes: list[str] = field(default_factory=list)


def items_of(source: Any, labels: Any = None) -> Items | None:
    """Bring a Python object to the form of items.

    Args:
        source: a list of paths, images, arrays or (image, label); a torch Dataset or DataLoader; a Hugging Face Dataset; a
            pandas or polars frame; or any other object with ``__len__`` and ``__getitem__``.
        labels: the labels, the name of a column of labels, False for none, or None for those of the source.

    Returns:
        The items; None for an array, a tensor or a nested list of numbers.

    Raises:
        BadInput: the type is not supported; the message says what to give instead.
    """
    source = _listed(source)
    if isinstance(source, (np.ndarray, Tensor)) or (isinstance(source, (list, tuple)) and _is_nested_numbers(source)):
        return None
    if table_sources.is_table(source):
        return _table_items(source, labels)
    if isinstance(source, (list, tuple)):
        items = _list_items(list(source))
    elif isinstance(source, torch_data.DataLoader):
        items = _dataset_items(source.dataset)
        items.notes.append("the items of the DataLoader's dataset are used; its batch size, order and workers are not")
    elif isinstance(source, torch_data.Dataset):
        items = _dataset_items(source)
    elif hasattr(source, "__array__"):
        return None
    elif hasattr(source, "__len__") and hasattr(source, "__getitem__") and not isinstance(source, (Mapping, bytes)):
        items = _dataset_items(source)
    else:
        raise BadInput(f"data of type {type_name(source)} cannot be read{_way_out(source)}; give {TAKEN}")
    return _with_labels(items, labels)


def split_pairs(source: Any) -> tuple[list[Any], list[Any]] | None:
    """The inputs and the targets of items that are (image, image); None for other data."""
    items = items_of(source)
    if items is None or not items.label_in_item or not _is_image(items.image(0)[1]):
        return None
    pairs = [items.image(i) for i in range(items.count)]
    return [pair[0] for pair in pairs], [pair[1] for pair in pairs]


def type_name(value: Any) -> str:
    """The type of an object with its module, as users write it."""
    kind = type(value)
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"


def _way_out(source: Any) -> str:
    if isinstance(source, Image.Image):
        return ": one image is no data set, give a list of images"
    if hasattr(source, "__iter__") and not hasattr(source, "__len__"):
        return ": it has no length, give list(...) of it"
    return ""


def _with_labels(items: Items, labels: Any) -> Items:
    """The items with the labels that the user gave."""
    if labels is None:
        return items
    if isinstance(labels, str):
        raise BadInput(f'labels="{labels}" names a column, and this data has none; give one label per image')
    items.labels, items.classes = (None if labels is False else labels), None
    if items.label_in_item:
        read = items.image
        items.image, items.label_in_item = (lambda i: read(i)[0]), False
    return items


def _is_nested_numbers(values: Sequence[Any]) -> bool:
    first: Any = values
    for _ in range(5):
        if not isinstance(first, (list, tuple)) or not len(first):
            break
        first = first[0]
    return isinstance(first, (int, float, bool, np.generic)) and not isinstance(first, str)


def _listed(source: Any) -> Any:
    """Arrays and columns of paths or Pillow images as a list; anything else unchanged."""
    if isinstance(source, Tensor) or table_sources.is_table(source):
        return source
    if not hasattr(source, "__array__") or not hasattr(source, "__iter__"):
        return source
    if isinstance(source, np.ndarray) and source.dtype.kind not in "OU":
        return source
    first = next(iter(source), None)
    return list(source) if _is_path(first) or isinstance(first, Image.Image) else source


def _is_path(value: Any) -> bool:
    return isinstance(value, (str, os.PathLike))


def _is_image(value: Any) -> bool:
    return (
        _is_path(value)
        or isinstance(value, (Image.Image, Tensor))
        or (isinstance(value, np.ndarray) and value.ndim > 1)
    )


def _list_items(values: list[Any]) -> Items:
    """A list of images, or of (image, label)."""
    if not values:
        raise BadInput("the list holds no images; give at least one")
    first = values[0]
    if (isinstance(first, (list, tuple)) and first and _is_image(first[0])) or isinstance(first, Mapping):
        return _dataset_items(values)
    if not _is_image(first):
        raise BadInput(f"a list of {type_name(first)} cannot be read; give {TAKEN}")
    if all(_is_path(value) for value in values):
        paths = [os.fspath(value) for value in values]
        return Items(len(paths), paths.__getitem__, paths=paths)
    return Items(len(values), values.__getitem__)


def _dataset_items(source: Any) -> Items:
    """A data set of images, of (image, label), or of dictionaries with an image and a label."""
    if not hasattr(source, "__len__") or not hasattr(source, "__getitem__"):
        raise BadInput(f"{type_name(source)} has no length or no items to index; give list(...) of it")
    count = len(source)
    if count < 1:
        raise BadInput(f"{type_name(source)} holds no images; give at least one")
    first = source[0]
    classes = _class_names(source)
    notes = []
    if _has_transform(source):
        notes.append("the transform of the data set is applied once to each image, not at every draw")
    if isinstance(first, Mapping):
        image = next((key for key in _IMAGE_KEYS if key in first), None)
        label = next((key for key in _LABEL_KEYS if key in first), None)
        if image is None:
            raise BadInput(f"items of {type_name(source)} have the keys {', '.join(map(str, first))}; name one image")
        if label is None:
            return Items(count, lambda i: source[i][image], notes=notes)
        return Items(count, lambda i: _pick(source[i], image, label), True, classes=classes, notes=notes)
    if not isinstance(first, (list, tuple)):
        return Items(count, source.__getitem__, notes=notes)
    if len(first) == 1:
        return Items(count, lambda i: source[i][0], notes=notes)
    if len(first) > 2:
        notes.append(
            f"items have {len(first)} parts: the first is the image, the second its label, others are not used"
        )
    return Items(count, lambda i: _pick(source[i], 0, 1), True, classes=classes, notes=notes)


def _pick(item: Any, image: Any, label: Any) -> tuple[Any, Any]:
    return item[image], item[label]


def _class_names(source: Any) -> list[str] | None:
    """The names of classes that a data set declares as ``classes``, also behind ``Subset``."""
    while isinstance(source, torch_data.Subset):
        source = source.dataset
    names = getattr(source, "classes", None)
    if isinstance(names, (list, tuple)) and names and all(isinstance(name, str) for name in names):
        return list(names)
    return None


def _has_transform(source: Any) -> bool:
    while isinstance(source, torch_data.Subset):
        source = source.dataset
    return getattr(source, "transform", None) is not None


def _table_items(source: Any, labels: Any) -> Items:
    """A frame or a Hugging Face data set: its image column, and its column of labels."""
    table = table_sources.read(source, labels)
    items = Items(len(table.images), table.images.__getitem__, classes=table.classes, notes=table.notes)
    items.labels = table.labels
    first = items.image(0)
    if _is_path(first):
        items.paths = [os.fspath(table.images[i]) if _is_path(table.images[i]) else "" for i in range(items.count)]
    elif not _is_image(first) and not isinstance(first, (Mapping, list)):
        raise BadInput(f"column {table.column} holds values of type {type_name(first)}; give paths or images")
    return items


def plain_label(value: Any) -> Any:
    """A label of an item as a number, a text or a row of numbers.

    Raises:
        BadInput: the value is none of them.
    """
    if isinstance(value, (str, int, float)):
        return value
    if isinstance(value, (np.generic, np.ndarray, Tensor)):
        array = to_numpy(value, "the label")
        if array.ndim <= 1:
            return array.tolist()
    raise BadInput(
        f"the second part of an item is of type {type_name(value)}, and no label: give labels=False to ignore it, or train "
        "a recipe for image pairs"
    )
