"""Open normal samples to learn from, and new samples to score: folders of images, arrays, CSV files of numbers."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ganloom import data as datasets
from ganloom.anomaly import csv_rows
from ganloom.core.errors import BadInput
from ganloom.core.names import as_path
from ganloom.data.dataset import Data, Facts
from ganloom.data.images import Images
from ganloom.data.points import Points
from ganloom.data.sources import listing_of
from ganloom.report.progress import Report, part_of

FEWEST = 10
"""Least number of normal samples."""
MOST_HELD_OUT = 500
SHARE = 0.2


@dataclass(frozen=True)
class Columns:
    """The columns of a table, and how they are scaled to mean 0 and standard deviation 1."""

    names: list[str]
    centre: list[float]
    spread: list[float]

    def scaled(self, rows: NDArray[np.float64]) -> NDArray[np.float32]:
        """Scale rows (N, d)."""
        scaled = (rows - np.array(self.centre)) / np.array(self.spread)
        return np.asarray(scaled, np.float32)


@dataclass(frozen=True)
class Opened:
    """New samples.

    Attributes:
        x: Samples (N, *shape), images in [-1, 1].
        names: A name for each: the file, or the number of the row.
        bad: (file, reason) of images that could not be read.
        notes: Lines for the user.
    """

    x: Tensor
    names: list[str]
    bad: list[tuple[str, str]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def open_normal(
    source: Any, shape: tuple[int, ...] | None = None, fit: str = "crop", progress: Report = None
) -> tuple[Data, Columns | None]:
    """Open normal samples.

    Args:
        source: A folder of images, a CSV file of numbers, or what ``ganloom.data.open`` accepts. An array (N, d) is a table.
        shape: Shape that images are brought to, (C, H, W); None: see ``ganloom.data.open``.
        fit: How images are resized: "crop", "pad" or "squash".
        progress: Called with (what, done, total).

    Returns:
        (the data, the columns of a table or None).

    Raises:
        BadInput: The source cannot be opened, or has fewer than ``FEWEST`` samples.
    """
    table = _table_of(source)
    if table is not None:
        if shape is not None:
            raise BadInput("--shape is for images, and these samples are rows of a table. Leave it out")
        _check_count(len(table.rows), "rows", _name(source))
        return _scaled(table.rows, table.columns, _name(source))
    opened = datasets.open(
        source, labels=False, fit=fit, shape=None if shape is None else datasets.full_shape(source, shape, labels=False),
        progress=part_of(progress, "reading the images"),
    )  # fmt: skip
    if opened.inputs is not None or not isinstance(opened, Images | Points):
        raise BadInput(f"{opened.name} holds two sets of images. Give one folder of normal images")
    is_points = isinstance(opened, Points)
    _check_count(len(opened), "rows" if is_points else "images", opened.name)
    if not is_points:
        return opened, None
    rows = np.asarray(opened.rows, np.float64)
    return _scaled(rows, [str(i + 1) for i in range(rows.shape[1])], opened.name)


def _scaled(rows: NDArray[np.float64], names: list[str], name: str) -> tuple[Points, Columns]:
    """Scale a table to mean 0 and standard deviation 1; return it and its columns."""
    spread = rows.std(0)
    columns = Columns(names, rows.mean(0).tolist(), np.where(spread > 0, spread, 1.0).tolist())
    return Points(columns.scaled(rows), Facts(name)), columns


def _check_count(count: int, what: str, name: str) -> None:
    if count < FEWEST:
        raise BadInput(
            f"{name} has {count} {what if count != 1 else what[:-1]}: give at least {FEWEST} normal ones, better some hundreds"
        )


def _name(source: Any) -> str:
    return Path(source).stem if isinstance(source, (str, os.PathLike)) else "a table in memory"


def _table_of(source: Any) -> csv_rows.Table | None:
    """A table from a CSV file, an array (N, d) or a frame of numbers; None for other sources."""
    if isinstance(source, (str, os.PathLike)):
        path = as_path(source)
        return csv_rows.read(path) if csv_rows.is_table(path) else None
    columns = getattr(source, "columns", None)
    if columns is not None and hasattr(source, "to_numpy") and not _holds_images(source):
        try:
            rows = np.asarray(source.to_numpy(), np.float64)
        except (TypeError, ValueError):
            raise BadInput("the table has columns that are not numbers. Convert or remove them") from None
        return _checked(csv_rows.Table(rows, [str(name) for name in columns], True))
    if isinstance(source, Tensor):
        source = source.detach().cpu().numpy()
    if isinstance(source, np.ndarray) and source.ndim == 2 and source.dtype.kind in "fiub":
        return _checked(csv_rows.Table(source.astype(np.float64), [str(i + 1) for i in range(source.shape[1])], False))
    return None


def _holds_images(frame: Any) -> bool:
    return any(str(getattr(frame[name], "dtype", "")) in ("object", "str", "string") for name in frame.columns)


def _checked(table: csv_rows.Table) -> csv_rows.Table:
    if not len(table.rows) or not table.rows.shape[1]:
        raise BadInput("the table is empty: give one row of numbers per sample")
    if not np.isfinite(table.rows).all():
        row, column = (int(i) for i in np.argwhere(~np.isfinite(table.rows))[0])
        raise BadInput(f"row {row}, column {table.columns[column]}: the value is not a finite number. Fill it in")
    return table


def open_new(
    source: Any,
    shape: tuple[int, ...],
    columns: Columns | None,
    fit: str = "crop",
    scales: dict[str, Any] | None = None,
    progress: Report = None,
) -> Opened:
    """Open samples to score, in the shape of the training samples.

    Args:
        source: See ``open_normal``; also a single image file.
        shape: Shape of a training sample.
        columns: The columns of the training table, or None for images.
        fit: How images are resized.
        scales: Which numbers were black and white in training, for images of more than 8 bits.
        progress: Called with (what, done, total).

    Raises:
        BadInput: The samples cannot be opened, or are of another kind.
    """
    table = _table_of(source)
    if columns is not None:
        rows = table if table is not None else _points_of(source)
        return Opened(
            torch.from_numpy(columns.scaled(_ordered(rows, columns))), [str(i) for i in range(len(rows.rows))]
        )
    if table is not None:
        raise BadInput(f"{_name(source)} is a table, and the detector has learned images of {_text(shape)}")
    single = _single_image(source)
    data = datasets.open(
        [str(single)] if single is not None else source, labels=False, fit=fit, shape=(shape[0], shape[1], shape[2]),
        scales=scales or None, progress=part_of(progress, "reading the images"),
    )  # fmt: skip
    if not isinstance(data, Images) or data.inputs is not None:
        raise BadInput(f"{data.name} holds no plain images, and the detector has learned images of {_text(shape)}")
    names = [str(single)] if single is not None else _names(source, data)
    return Opened(data.get(slice(None)).cpu(), names, list(data.bad_files), list(data.notes))


def _single_image(source: Any) -> Path | None:
    """The path of a single image file, if the source is one."""
    if not isinstance(source, (str, os.PathLike)):
        return None
    path = as_path(source)
    archives = (".zip", ".npz", ".npy", ".gz")
    return path if path.is_file() and not str(path).lower().endswith(archives) and path.suffix else None


def _names(source: Any, data: Data) -> list[str]:
    """A name for each row: that of its file, or its number."""
    try:
        listing = listing_of(source, use_labels=False)
    except (BadInput, TypeError):
        listing = None
    if listing is None:
        return [str(i) for i in range(len(data))]
    bad = {name for name, _ in data.bad_files}
    names = [entry.name for entry in listing.entries if listing.path(entry.name) not in bad]
    listing.close()
    return names if len(names) == len(data) else [str(i) for i in range(len(data))]


def _points_of(source: Any) -> csv_rows.Table:
    data = datasets.open(source, labels=False)
    if not isinstance(data, Points):
        raise BadInput(f"{data.name} holds images, and the detector has learned a table")
    rows = np.asarray(data.rows, np.float64)
    return csv_rows.Table(rows, [str(i + 1) for i in range(rows.shape[1])], False)


def _ordered(table: csv_rows.Table, columns: Columns) -> NDArray[np.float64]:
    """The columns of the training table, in its order."""
    if table.named and set(table.columns) != set(columns.names):
        missing = [name for name in columns.names if name not in table.columns]
        extra = [name for name in table.columns if name not in columns.names]
        what = (
            f"has no column {', '.join(missing[:3])}"
            if missing
            else f"has columns that training had not: {', '.join(extra[:3])}"
        )
        raise BadInput(f"the table {what}. The detector has learned the columns {', '.join(columns.names[:8])}")
    if table.rows.shape[1] != len(columns.names):
        raise BadInput(
            f"the table has {table.rows.shape[1]} columns, and the detector has learned {len(columns.names)}"
        )
    if not table.named:
        return table.rows
    return table.rows[:, [table.columns.index(name) for name in columns.names]]


def _text(shape: Sequence[int]) -> str:
    return " x ".join(map(str, shape))
