"""The models and the labelled images that `ganloom augment data` and `report` work with, and how their classes match."""

import io
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ganloom import data as datasets
from ganloom.api import load
from ganloom.core import class_names, csv_text
from ganloom.core.device import choose_device
from ganloom.core.errors import BadInput
from ganloom.core.names import as_path, printable
from ganloom.data.images import Images
from ganloom.evaluation.class_labels import match_classes
from ganloom.evaluation.evaluate import recorded_scales
from ganloom.gan import GAN
from ganloom.imaging.grid import to_uint8
from ganloom.report.progress import Report, part_of, stage
from ganloom.runs.folder import Folder

Shape = tuple[int, int, int]
CHUNK = 512
"""Images that are generated and kept as floats at once."""


@dataclass(frozen=True)
class ClassModel:
    """A model that generates images of a class.

    Attributes:
        gan: the model.
        name: of the run, for messages and tables.
        path: of the run or model/ folder; None for a model in memory.
        shape: of its images, (C, H, W).
    """

    gan: GAN
    name: str
    path: Path | None
    shape: Shape

    @property
    def described(self) -> dict[str, Any]:
        """The content of the run's config.json; empty for a model in memory."""
        return {} if self.path is None else Folder(self.path).read("config.json")

    def numbers_of(self, data: Images) -> tuple[tuple[int, ...], str]:
        """Find the classes of a data set in this model, by name.

        Args:
            data: Labelled images.

        Returns:
            For each class of the data its number in the model, and a sentence if the two lists differ.

        Raises:
            BadInput: The model lacks a class of the data.
        """
        found = match_classes(self.gan, data)
        assert found is not None  # both have classes
        missing = [data.class_names[j] for j in data.classes_with_rows if found.numbers[j] < 0]
        if missing:
            known = class_names.complete(self.gan.class_names, self.gan.cfg.n_classes)
            raise BadInput(
                f"{self.name} cannot generate {len(missing)} of the {len(data.classes_with_rows)} classes of {data.name}: "
                f"{class_names.listing(missing)}; it has {class_names.listing(known)}. Train a model on these classes"
            )
        return found.numbers, found.text

    def draw(self, number: int, n: int, seed: int, truncation: float = 1.0) -> NDArray[np.uint8]:
        """Generate images of a class.

        Args:
            number: The class.
            n: Number of images.
            seed: Image i has the seed ``seed + i``.
            truncation: See ``GAN.generate``.

        Returns:
            uint8 (n, H, W, C).
        """
        parts = [
            to_uint8(self.gan.generate(min(CHUNK, n - i), seed=seed + i, c=number, truncation=truncation))
            for i in range(0, n, CHUNK)
        ]
        return np.concatenate(parts)


def open_model(run: Any, *, checkpoint: str = "latest", device: str = "auto", progress: Report = None) -> ClassModel:
    """Load a model and check that it generates images of a class.

    Args:
        run: A run folder, a model/ folder, a Run, or a model.
        checkpoint: "latest", "best", or the name of a checkpoint.
        device: "auto", "cpu", "cuda" or "mps".
        progress: Called with (what, done, total).

    Raises:
        BadInput: There is no model, or it takes no classes.
    """
    stage(progress, "loading the model")
    path = None if isinstance(run, GAN) else as_path(run)
    gan = run if isinstance(run, GAN) else load(run, checkpoint=checkpoint, device=choose_device(device))
    name = printable(type(gan).__name__ if path is None else path)
    if gan.conditions_on == "images":
        raise BadInput(
            f"{name} makes images from images, not from a class: give a run that was trained on labelled data"
        )
    if not int(getattr(gan.cfg, "n_classes", 0) or 0):
        raise BadInput(f"{name} was trained without labels, so it has no classes: give a run trained on labelled data")
    shape = tuple(gan.generate(1).shape[1:])
    if len(shape) != 3:
        raise BadInput(f"{name} generates points, not images")
    return ClassModel(gan, name, path, shape)


TABLE = "metadata.csv"
"""The table of a data set with real and generated images."""
COLUMNS = ("file_name", "class", "source", "seed", "run", "original")


def _check_real(source: Any) -> None:
    """Raise BadInput for a data set that ``augment_data`` wrote: its generated images would count as real ones."""
    table = as_path(source) / TABLE if isinstance(source, str | os.PathLike) else None
    if table is None or not table.is_file():
        return
    rows = list(csv_text.reader(io.StringIO(table.read_text(encoding="utf-8", errors="replace"))))
    if rows and tuple(rows[0]) == COLUMNS and (count := sum(row[2:3] == ["generated"] for row in rows)):
        raise BadInput(
            f"{source} was written by `ganloom augment data`, and {count:,} of its images are generated: give the real data"
        )


def _empty_folders(source: Any, opened: Images) -> list[str]:
    """Folders without any file beside those of the classes."""
    folder = as_path(source) if isinstance(source, str | os.PathLike) else None
    if folder is None or not folder.is_dir() or any(not (folder / name).is_dir() for name in opened.class_names):
        return []
    beside = [p for p in sorted(folder.iterdir()) if p.is_dir() and not p.name.startswith((".", "_"))]
    return [p.name for p in beside if p.name not in opened.class_names and not any(p.iterdir())]


def open_labelled(
    source: Any, model: ClassModel | None, *, resize: bool = False, what: str = "DATA", progress: Report = None
) -> Images:
    """Open labelled images, in the shape of a model.

    The training data of the model's run is opened in the run's shape, and other data in its own, which must be the same.

    Args:
        source: Whatever ``ganloom.data.open`` accepts.
        model: The model; None: any shape.
        resize: Resize the images to the shape of the model.
        what: What the user calls the data, for messages.
        progress: Called with (what, done, total).

    Raises:
        BadInput: The images have no labels or another shape, or a class has no images.
    """
    _check_real(source)
    scales = None if model is None else recorded_scales(model.path)
    resize = resize or (model is not None and is_own_data(source, model))
    shape = model.shape if model is not None and resize else None
    opened = datasets.open(
        source, shape=shape, scales=scales, progress=part_of(progress, f"reading {what}") if progress else None
    )
    if not isinstance(opened, Images) or opened.kind != "images":
        raise BadInput(f"{opened.name} holds points, not images")
    if opened.labels is None:
        raise BadInput(
            f"{opened.name} has no labels: put the images of each class into a folder of its own, or give a file of labels"
        )
    empty = [name for name in opened.facts.empty_classes if not name.isdigit()] or _empty_folders(source, opened)
    if empty:
        raise BadInput(
            f"{opened.name}: {len(empty)} {'classes have' if len(empty) > 1 else 'class has'} no images: "
            f"{class_names.listing(empty)}. Add images, or remove {'these folders' if len(empty) > 1 else 'the folder'}"
        )
    if model is not None and opened.shape != model.shape:
        ours, theirs = (" x ".join(map(str, shape)) for shape in (model.shape, opened.shape))
        raise BadInput(
            f"{model.name} generates images of {ours} (channels, height, width), and those of {opened.name} are {theirs}: "
            "give a run trained on images of this size, or add --resize"
        )
    return opened


def is_own_data(source: Any, model: ClassModel) -> bool:
    """Whether a path or name is the recorded training data of the model's run."""
    recorded = model.described.get("data")
    record = recorded.get("source") if isinstance(recorded, dict) else None
    path = record.get("source") if isinstance(record, dict) else None
    if not isinstance(path, str) or not isinstance(source, str | os.PathLike):
        return False
    return path in (os.fspath(source), os.path.abspath(as_path(source)))


def counts_of(data: Images) -> list[int]:
    """Return the number of images of each class."""
    assert data.labels is not None
    counts: list[int] = np.bincount(data.labels, minlength=data.n_classes).tolist()
    return counts
