"""Tables of images and labels: Hugging Face data sets, and frames of pandas or polars. Neither package is imported.

A Hugging Face data set is recognised by its attributes ``features`` and ``column_names``, a frame by ``columns``.
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from PIL import Image

from ganloom.core.errors import BadInput, did_you_mean
from ganloom.data.file_kinds import is_image, why_not_read

_IMAGE_COLUMNS = ("image", "img", "images", "pixel_values", "picture", "photo")
_PATH_COLUMNS = (
    "path", "paths", "file", "files", "filename", "file_name", "filenames", "filepath", "file_path", "image_path", "img_path",
)  # fmt: skip
_LABEL_COLUMNS = ("label", "labels", "class", "class_name", "category", "target", "fine_label", "y", "cls")


@dataclass
class Table:
    """The images and the labels of a table.

    Attributes:
        images: N images or paths.
        column: The name of their column.
        labels: N labels, or None.
        classes: Names of the classes, if the table declares them.
        notes: One line for each thing that the user should know.
    """

    images: Sequence[Any]
    column: str
    labels: Any = None
    classes: list[str] | None = None
    notes: list[str] = field(default_factory=list)


class _ImageColumn(Sequence[Any]):
    """A column of a Hugging Face data set; each image is decoded when it is used."""

    def __init__(self, source: Any, column: str) -> None:
        self._source, self._column = source, column

    def __len__(self) -> int:
        return len(self._source)

    def __getitem__(self, index: Any) -> Any:
        return self._source[int(index)][self._column]


def is_table(source: Any) -> bool:
    """Whether an object is a Hugging Face data set, a dictionary of them, or a frame."""
    return _is_hugging_face(source) or _parts(source) is not None or _is_frame(source)


def read(source: Any, labels: Any = None) -> Table:
    """Find the columns of images and labels.

    Args:
        source: the table.
        labels: the labels, the name of their column, False for none, or None to find the column by its name.

    Raises:
        BadInput: there is no column of images, or several, or none of the given name.
    """
    notes = []
    parts = _parts(source)
    if parts is not None:
        used = "train" if "train" in parts else next(iter(parts))
        others = [name for name in parts if name != used]
        notes += [f"the split {used} is used, not {', '.join(others)}"] if others else []
        source = parts[used]
    if _is_hugging_face(source):
        table = _hugging_face(source, labels)
    else:
        table = _frame(source, labels)
    table.notes = notes + table.notes
    return table


def _is_hugging_face(source: Any) -> bool:
    return isinstance(getattr(source, "features", None), Mapping) and isinstance(
        getattr(source, "column_names", None), list
    )


def _parts(source: Any) -> dict[str, Any] | None:
    """The splits of a dictionary of Hugging Face data sets; None for anything else."""
    if isinstance(source, Mapping) and source and all(_is_hugging_face(part) for part in source.values()):
        return dict(source)
    return None


def _is_frame(source: Any) -> bool:
    return hasattr(source, "columns") and hasattr(source, "__getitem__") and hasattr(source, "__len__")


def _hugging_face(source: Any, labels: Any) -> Table:
    if not hasattr(source, "__len__"):
        raise BadInput("this Hugging Face data set is streamed and has no length; load it without streaming=True")
    features, columns = source.features, list(source.column_names)
    images = [name for name in columns if type(features[name]).__name__ == "Image"]
    images = images or [name for name in columns if name in _IMAGE_COLUMNS]
    column = _one_image_column(images, columns, len(source))
    plain = source.with_format(None) if hasattr(source, "with_format") else source
    named = [name for name in columns if _class_names(features[name]) is not None]
    label = _label_column(labels, columns, named, column)
    narrow = plain.select_columns([column]) if hasattr(plain, "select_columns") else plain
    table = Table(_ImageColumn(narrow, column), column, notes=_unused_labels(labels, columns, named, column, label))
    if label is not None:
        table.labels, table.classes = list(plain[label]), _class_names(features[label])
    elif labels is not None and labels is not False:
        table.labels = labels
    return table


def _frame(source: Any, labels: Any) -> Table:
    columns = [str(name) for name in source.columns]
    count = len(source)
    by_name = [name for name in columns if name.lower() in (*_IMAGE_COLUMNS, *_PATH_COLUMNS)]
    images = [name for name in by_name if count and _is_image_value(_first(source, name))]
    images = images or [name for name in columns if count and _is_image_value(_first(source, name))]
    column = _one_image_column(images, columns, count)
    label = _label_column(labels, columns, [], column)
    table = Table(list(source[column]), column, notes=_unused_labels(labels, columns, [], column, label))
    if label is not None:
        table.labels = list(source[label])
    elif labels is not None and labels is not False:
        table.labels = labels
    return table


def _first(source: Any, column: str) -> Any:
    return next(iter(source[column]))


def _is_image_value(value: Any) -> bool:
    """Whether a value of a frame is an image or the path of one, also of a kind that is not read."""
    if isinstance(value, (str, os.PathLike)):
        name = os.fspath(value)
        return is_image(name) or why_not_read(name) is not None
    return isinstance(value, Image.Image) or getattr(value, "ndim", 0) >= 2


def _class_names(feature: Any) -> list[str] | None:
    """The names that a ClassLabel feature declares."""
    names = getattr(feature, "names", None)
    return list(names) if isinstance(names, (list, tuple)) and names else None


def _one_image_column(images: list[str], columns: list[str], count: int) -> str:
    if count < 1:
        raise BadInput("the table has no rows; give at least one image")
    if not images:
        raise BadInput(
            f"no column of images among {', '.join(columns[:8])}; name the column of images image, or that of paths path"
        )
    if len(images) > 1:
        raise BadInput(f"several columns hold images: {', '.join(images[:4])}; select one, and the column of labels")
    return images[0]


def _label_column(labels: Any, columns: list[str], named: list[str], image: str) -> str | None:
    """The column of labels: the one that ``labels`` names, or the first with a usual name, or with names of classes."""
    if isinstance(labels, str):
        if labels not in columns:
            raise BadInput(
                f'labels="{labels}": the columns are {", ".join(columns[:8])}{did_you_mean(labels, columns)}'
            )
        return labels
    if labels is not None:
        return None
    usual = [name for usual_name in _LABEL_COLUMNS for name in columns if name.lower() == usual_name and name != image]
    return next((name for name in usual if name in named or not named), next(iter(named), None))


def _unused_labels(labels: Any, columns: list[str], named: list[str], image: str, used: str | None) -> list[str]:
    """A note about columns that may be labels and are not used."""
    others = [name for name in columns if name not in (image, used)]
    if labels is not None or not others:
        return []
    if used is None:
        return [f'no labels: no column is named label; labels="{others[0]}" uses that column']
    usual = [name for name in others if name in named or name.lower() in _LABEL_COLUMNS]
    return [f'the labels are column {used}, not {", ".join(usual)}; labels="{usual[0]}" changes that'] if usual else []
