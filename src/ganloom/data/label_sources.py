"""Where labels come from: one rule for folders, archives, .npz files and arrays.

For image files in a folder or an archive, the first of these that is there counts:

1. ``dataset.json`` (NVlabs), ``metadata.csv``, ``metadata.jsonl`` or ``labels.csv`` (a column of file names and one named
   label), in the top folder or in the folder that holds all images;
2. class folders: the first folder of each image, if there are two or more (see `class_folders`).

For arrays with names (.npz files and dictionaries), the labels are the array ``labels``, ``y``, ``y_train`` or of a
similar name; in files of ``numpy.savez(x, y)``, the second array if it has one whole number or name for each image (see
`array_members`). Labels of arrays in Python are given as ``labels=`` or ``(x, y)``. A source of labels that is there and
damaged or incomplete raises BadInput; one that is not used gets a note, which ``data check``, ``plan`` and ``train`` print.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ganloom.core.errors import BadInput
from ganloom.data import label_files
from ganloom.data.class_folders import Arrangement, arrange, classes_of
from ganloom.data.label_files import NotLabels
from ganloom.data.labels import to_labels

ReadFile = Callable[[str], bytes]
"""Reads a file of the source by its name. Raises OSError, or BadInput with a short reason."""


class FileLabels(NamedTuple):
    """The labels int64 (N,) and the names of the classes of the files that are data; both None without labels."""

    files: Arrangement
    labels: NDArray[np.int64] | None = None
    classes: list[str] | None = None


def labels_of_files(
    names: Sequence[str], others: Sequence[str], read: ReadFile, source: str, use_labels: bool = True
) -> FileLabels:
    """Find out which image files are data, and read their labels.

    Args:
        names: names of the N images under the source, with "/".
        others: names of the files that may hold labels, see `label_files.looks_like_labels`.
        read: reads one of ``others``.
        source: the folder or archive, for messages.
        use_labels: False: only look for splits and sides.

    Raises:
        BadInput: a file of labels is damaged, or has no label or two labels for an image.
    """
    files = arrange(names, source)
    if not use_labels or files.sides is not None:
        return FileLabels(files)
    kept = [names[i] for i in files.keep]
    found = [name for file in label_files.READ for top in files.tops for name in _in_folder(others, top, file)]
    result: FileLabels | None = None
    used = ""
    for name in found:
        if result is not None:
            files.notes.append(f"{name} is not read: {used} says what the labels are")
            continue
        try:
            result, used = _from_file(name, kept, read, source, files), name
        except NotLabels as error:
            files.notes.append(f"{name} is not read: {error}")
    if result is None:
        result = FileLabels(files, *classes_of(files))
    else:
        _compare_with_folders(result, used)
    _note_unread(files, [name for name in others if name not in found], kept)
    return result


def _note_unread(files: Arrangement, others: Sequence[str], images: Sequence[str]) -> None:
    """Add a note about files that may hold labels of these images and are not read."""
    if not others:
        return
    unread = [name for name in others if _folder(name) in files.tops]
    deeper = [name for name in others if name not in unread and name.rpartition("/")[2].lower() in label_files.READ]
    folders = {_folder(image) for image in images}
    unread += [name for name in deeper if any(f"{folder}/".startswith(f"{_folder(name)}/") for folder in folders)]
    if unread:
        files.notes.append(
            f"{', '.join(unread[:3])}{' ...' if len(unread) > 3 else ''} may hold labels, not read: labels come from class "
            f"folders, or from {', '.join(label_files.READ)} in the folder that holds all images"
        )


def _folder(name: str) -> str:
    return name.rpartition("/")[0]


def _in_folder(others: Sequence[str], top: str, file: str) -> list[str]:
    return [name for name in others if _folder(name) == top and name.rpartition("/")[2].lower() == file]


def _from_file(name: str, images: list[str], read: ReadFile, source: str, files: Arrangement) -> FileLabels:
    """Labels from one file. Raises NotLabels if it is intact but holds none."""
    folder, _, base = name.rpartition("/")
    own = [image.removeprefix(f"{folder}/") if folder else image for image in images]
    try:
        try:
            pairs = label_files.parse(base, read(name), own).pairs
        except OSError as error:
            raise BadInput(error.strerror or "it cannot be opened") from None
        if pairs is None:
            return FileLabels(files)
        try:
            labels = label_files.match(pairs, own)
        except NotLabels as error:
            if base.lower() != "dataset.json":
                raise
            raise BadInput(str(error)) from None
    except BadInput as error:
        raise BadInput(
            f"{name} in {source} cannot be used: {error}; correct or remove it, or give --labels none"
        ) from None
    try:
        numbers, classes = to_labels(labels, len(images), f"{name} in {source}")
    except BadInput as error:
        raise BadInput(f"{error}; or give --labels none") from None
    return FileLabels(files, numbers, classes)


def _compare_with_folders(result: FileLabels, used: str) -> None:
    """Add a note if there are class folders that say something else than the file of labels."""
    files = result.files
    folders = sorted({path[0] for path in files.paths if len(path) > 1})
    if len(folders) < 2 or all(folder.isdigit() for folder in folders) or any(len(path) == 1 for path in files.paths):
        return
    if result.labels is not None:
        pairs = {(path[0], int(label)) for path, label in zip(files.paths, result.labels, strict=True)}
        if len(pairs) == len(folders) == len({label for _, label in pairs}):
            return
        files.notes.append(f"the labels come from {used}, not from the folders {folders[0]}, {folders[1]} ...")
    else:
        files.notes.append(
            f"{used} says that there are no labels, so the folders {folders[0]}, {folders[1]} ... are none"
        )
