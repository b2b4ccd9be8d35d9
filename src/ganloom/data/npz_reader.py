"""Read .npy and .npz files: images with labels, pairs of images, or points, from ganloom or from elsewhere."""

import os
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ganloom.core import json_files
from ganloom.core.errors import BadInput
from ganloom.data import encoded_texts
from ganloom.data.array_members import Member, find_roles, unread_note
from ganloom.data.arrays import to_numpy, to_rows
from ganloom.data.dataset import Facts
from ganloom.data.encoded_table import EncodedTable, of_arrays
from ganloom.data.encoded_texts import EncodedTexts
from ganloom.data.labels import to_labels
from ganloom.data.pixel_scale import Scales, by_side, known_of_side
from ganloom.data.points import Points
from ganloom.data.private_copy import read_npy

DAMAGE = (
    OSError, ValueError, EOFError, KeyError, MemoryError, OverflowError, SyntaxError, zipfile.BadZipFile, zlib.error,
    NotImplementedError, RuntimeError,
)  # fmt: skip
"""What a damaged file raises: EOFError if it is empty, MemoryError if its header gives a wrong size, RuntimeError if it
needs a password."""


def read(
    path: str, channels: int | None = None, use_labels: bool = True, known: Mapping[str, Any] | None = None
) -> tuple[NDArray[np.uint8], Facts] | Points | EncodedTable | EncodedTexts:
    """Read a .npy or .npz file. Pickled objects are refused. Arrays that are not used are not read, and get a note.

    Args:
        path: the file; its ending decides the format.
        channels: number of channels that decides between NHWC and NCHW where both are possible.
        use_labels: False: do not read labels.
        known: (black, white) that a run was trained with, by type of numbers, see `pixel_scale.known_of_side`.

    Returns:
        uint8 (N, H, W, C) and `Facts`, or `Points`, `EncodedTable` or `EncodedTexts` when ganloom saved them. For a file that
        holds pairs or two domains, ``Facts.beside`` holds the inputs.

    Raises:
        BadInput: the file cannot be read, or holds neither images nor points, or its labels cannot be used.
    """
    try:
        if path.lower().endswith(".npy"):
            scales = Scales(known_of_side(known, "b"))
            rows = to_rows(read_npy(path), path, channels, scales)
            return rows, Facts(_stem(path), notes=scales.notes, scales=scales.used)
        # numpy.load would decide by the content, not by the ending, and leaves open a file that it cannot read.
        with open(path, "rb") as file, np.lib.npyio.NpzFile(file, allow_pickle=False) as archive:
            return from_arrays(_NpzArrays(archive), path, _stem(path), channels, use_labels, known)
    except DAMAGE as error:
        if isinstance(error, BadInput):
            raise
        reason = " ".join(str(error).split())[:100]
        raise BadInput(f"cannot read {path} ({reason}); save it with numpy.savez, plain numbers only") from None


class _NpzArrays(Mapping[str, Any]):
    """The arrays of an open .npz file. Each is read when it is used; ``headers`` are read at once."""

    def __init__(self, archive: np.lib.npyio.NpzFile) -> None:
        self._archive = archive
        self.headers = {name: _header(archive, name) for name in archive.files}

    def __getitem__(self, name: str) -> Any:
        return self._archive[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.headers)

    def __len__(self) -> int:
        return len(self.headers)


def _header(archive: np.lib.npyio.NpzFile, name: str) -> Member:
    """Shape and dtype of an array, without reading it; those of an object if the header is damaged."""
    assert archive.zip is not None
    member = name + ".npy" if name + ".npy" in archive.zip.NameToInfo else name
    try:
        with archive.zip.open(member) as file:
            version = np.lib.format.read_magic(file)
            read_header = (
                np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
            )
            shape, _, dtype = read_header(file)
    except DAMAGE:  # the array may be unused
        return Member((), np.dtype(object))
    return Member(shape, dtype)


def from_arrays(
    arrays: Mapping[str, Any],
    where: str,
    name: str,
    channels: int | None = None,
    use_labels: bool = True,
    known: Mapping[str, Any] | None = None,
) -> tuple[NDArray[np.uint8], Facts] | Points | EncodedTable | EncodedTexts:
    """Images or points from the arrays of an .npz file or of a dictionary, by their names.

    Args:
        arrays: name -> array; only what is used is read.
        where: the file, for messages.
        name: name of the data set.
        channels: see ``read``.
        use_labels: see ``read``.
        known: see ``read``.

    Raises:
        BadInput: no array is named like images, or the images or labels cannot be used.
    """
    members = arrays.headers if isinstance(arrays, _NpzArrays) else {key: _member(arrays[key]) for key in arrays}
    meta = _meta(arrays)
    members.pop("ganloom", None)
    facts = Facts(str(meta.get("name", name)), flip=bool(meta.get("flip")), fit=str(meta.get("fit", "crop")))
    if "points" in members and (meta.get("kind") == "points" or set(members) <= {"points", "labels", "modes"}):
        return _points(arrays, facts, meta)
    if meta.get("kind") == "table" and "rows" in members:
        return of_arrays(arrays, facts, meta)
    if meta.get("kind") == "texts" and "train_rows" in members:
        return encoded_texts.of_arrays(arrays, facts, meta)
    roles = find_roles(members, where)
    # ganloom saves images as uint8 NHWC, so neither the value range nor the layout is in doubt.
    images = to_numpy(arrays[roles.images], f"{roles.images} of {where}")
    facts.native = meta.get("kind") in ("images", "domains") and images.dtype == np.uint8 and images.ndim == 4
    scales = Scales(known_of_side(known, "b"))
    rows = images if facts.native else to_rows(images, where, channels, scales)
    used = {roles.images, "inputs"}
    if use_labels and roles.labels is not None:
        used |= {roles.labels} | _add_labels(arrays, facts, roles.labels, roles.by_position, len(rows), where)
    elif roles.labels is not None:
        used |= {roles.labels, "classes"}
    used |= _add_texts(arrays, facts, len(rows), where)
    note = unread_note(members, used, roles.images, facts.labels is not None or not use_labels)
    facts.notes += [note] if note else []
    facts.notes += scales.notes
    facts.scales = scales.used
    if "inputs" in members:
        _add_inputs(facts, to_numpy(arrays["inputs"], f"inputs of {where}"), len(rows), where, meta, known)
    return rows, facts


def _add_inputs(
    facts: Facts, inputs: NDArray[Any], count: int, where: str, meta: dict[str, Any], known: Mapping[str, Any] | None
) -> None:
    """Add the inputs of image-to-image data. Their numbers have a scale of their own."""
    scales = Scales(known_of_side(known, "a"))
    inputs = inputs if facts.native else to_rows(inputs, f"inputs of {where}", scales=scales)
    facts.beside = inputs, bool(meta.get("paired", len(inputs) == count))
    facts.notes += [f"inputs: {note}" for note in scales.notes]
    facts.scales = by_side(scales.used, facts.scales)


def _member(values: Any) -> Member:
    array = values if hasattr(values, "dtype") and isinstance(values, np.ndarray) else to_numpy(values, "an array")
    return Member(array.shape, array.dtype)


def _points(arrays: Mapping[str, Any], facts: Facts, meta: dict[str, Any]) -> Points:
    """Points as ``Points.save`` writes them."""
    if "labels" in arrays:
        facts.labels = np.asarray(arrays["labels"]).astype(np.int64)
    modes = torch.from_numpy(arrays["modes"]) if "modes" in arrays else None
    return Points(arrays["points"], facts, modes, meta.get("sd"))


def _add_labels(
    arrays: Mapping[str, Any], facts: Facts, key: str, by_position: bool, count: int, where: str
) -> set[str]:
    """Add labels and the names of their classes. Returns the names of further arrays that were used or got a note."""
    try:
        facts.labels, facts.classes = to_labels(arrays[key], count, f"{where}, array {key}")
    except BadInput as error:
        if not by_position:
            raise
        facts.notes.append(f"array {key} is not read: {error}")
        return set()
    if "classes" not in arrays or key == "classes":
        return set()
    facts.classes = [str(name) for name in np.asarray(arrays["classes"]).ravel()]
    if facts.labels.max() >= len(facts.classes):
        raise BadInput(f"{where}: label {facts.labels.max()} but only {len(facts.classes)} names in classes; add names")
    return {"classes"}


def _add_texts(arrays: Mapping[str, Any], facts: Facts, count: int, where: str) -> set[str]:
    """Add captions and factors, as ``Images.save`` writes them. Returns the names of the arrays that were used."""
    used = set()
    if "captions" in arrays:
        used.add("captions")
        facts.captions = [str(caption) for caption in np.asarray(arrays["captions"]).ravel()]
        if len(facts.captions) != count:
            raise BadInput(f"{where}: {len(facts.captions)} captions for {count} images; give one per image")
        used |= _add_more_captions(arrays, facts, count, where)
    named = [key for key in arrays if key.startswith("factor_")]
    factors = {key.removeprefix("factor_"): arrays[key] for key in named}
    facts.factors = {key: values for key, values in factors.items() if np.shape(values)[:1] == (count,)} or None
    return used | set(named)


def _add_more_captions(arrays: Mapping[str, Any], facts: Facts, count: int, where: str) -> set[str]:
    """Add further captions of rows, and which rows have captions of equal meaning. Returns the names of the arrays used."""
    used = {"other_captions", "other_captions_row", "caption_groups"} & set(arrays)
    if {"other_captions", "other_captions_row"} <= used:
        texts = [str(text) for text in np.asarray(arrays["other_captions"]).ravel()]
        rows = np.asarray(arrays["other_captions_row"]).ravel()
        if len(rows) != len(texts) or rows.dtype.kind not in "iu" or not ((rows >= 0) & (rows < count)).all():
            raise BadInput(f"{where}: other_captions_row must hold the number of an image for each of other_captions")
        more: list[list[str]] = [[] for _ in range(count)]
        for row, text in zip(rows.tolist(), texts, strict=True):
            more[row].append(text)
        facts.other_captions = [tuple(own) for own in more]
    if "caption_groups" in used:
        groups = np.asarray(arrays["caption_groups"])
        if groups.shape != (count,) or groups.dtype.kind not in "iu":
            raise BadInput(f"{where}: caption_groups must hold a whole number for each of the {count} images")
        facts.caption_groups = groups.astype(np.int64)
    return used


def _meta(arrays: Mapping[str, Any]) -> dict[str, Any]:
    """The metadata that ``save`` wrote; empty for files that ganloom did not write."""
    try:
        meta = json_files.parse(str(arrays["ganloom"][()]))
    except (KeyError, ValueError, IndexError, TypeError):
        return {}
    return meta if isinstance(meta, dict) else {}


def _stem(path: str) -> str:
    """The file's name without folder and ending."""
    return os.path.splitext(os.path.basename(path))[0]
