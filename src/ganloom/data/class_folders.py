"""Labels of image files: from class folders (one sub-folder per class), or from NVlabs' dataset.json."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ganloom.core import json_files
from ganloom.core.errors import BadInput
from ganloom.data.labels import to_labels

LABEL_FILE = "dataset.json"
"""NVlabs' file of labels in the top folder: {"labels": [[name, label], ...]}, or {"labels": null} for none."""


class FileLabels(NamedTuple):
    """Labels int64 (N,) and the names of the classes; both None for files without labels."""

    labels: NDArray[np.int64] | None = None
    classes: list[str] | None = None


def labels_of_files(names: Sequence[str], label_file: bytes | None, source: str, skip_top: bool) -> FileLabels:
    """Read the labels of image files from dataset.json, or else from their folders.

    The classes are the immediate sub-folders, in alphabetical order, if there are two or more and every image is in
    one of them.

    Args:
        names: names of the N files under the source, with "/".
        label_file: content of dataset.json; None without it. A file of another form is ignored.
        source: the folder or archive, for error messages.
        skip_top: ignore top folders that hold all the files, as archives often have.

    Raises:
        BadInput: dataset.json is malformed, has no label for an image, or its labels are not class numbers.
    """
    pairs = _dataset_json(label_file)
    if pairs is not None:
        return _labels_by_name(names, pairs, f"{LABEL_FILE} in {source}") if pairs else FileLabels()
    paths = [name.split("/") for name in names]
    while skip_top and paths and all(len(path) > 1 and path[0] == paths[0][0] for path in paths):
        paths = [path[1:] for path in paths]
    folders = sorted({path[0] for path in paths if len(path) > 1})
    if len(folders) < 2 or any(len(path) == 1 for path in paths):
        return FileLabels()
    number = {folder: i for i, folder in enumerate(folders)}
    return FileLabels(np.array([number[path[0]] for path in paths], np.int64), folders)


def _dataset_json(label_file: bytes | None) -> list[Any] | None:
    """The [name, label] pairs of NVlabs' dataset.json: [] if its labels are null, None for any other file."""
    try:
        content = json_files.parse(label_file or b"")
    except ValueError:
        return None
    if not isinstance(content, dict) or "labels" not in content:
        return None
    pairs = content["labels"]
    if pairs is None:
        return []
    pairs = list(pairs.items()) if isinstance(pairs, dict) else pairs
    return pairs if isinstance(pairs, list) else None


def _labels_by_name(names: Sequence[str], pairs: list[Any], where: str) -> FileLabels:
    try:
        known = {str(name).replace("\\", "/"): label for name, label in pairs}
    except (TypeError, ValueError):
        raise BadInput(f"{where}: labels must be a list of [name, label]; correct or remove the file") from None
    missing = [name for name in names if name not in known]
    if missing:
        raise BadInput(f"{where} has no label for {len(missing)} images, such as {missing[0]}; add or remove them")
    return FileLabels(*to_labels([known[name] for name in names], len(names), where))
