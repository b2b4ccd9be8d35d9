"""Read .npy and .npz files: images with labels, pairs of images, or points, from ganloom or from elsewhere."""

import os
import zipfile
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ganloom.core import json_files
from ganloom.core.errors import BadInput
from ganloom.data.arrays import to_rows
from ganloom.data.dataset import Facts
from ganloom.data.labels import to_labels
from ganloom.data.points import Points

_IMAGE_KEYS = ("images", "x", "arr_0", "data", "x_train")
_LABEL_KEYS = ("labels", "y", "y_train")


def read(path: str, channels: int | None = None) -> tuple[NDArray[np.uint8], Facts] | Points:
    """Read a .npy or .npz file. Pickled objects are refused.

    Args:
        path: the file; its ending decides the format.
        channels: number of channels that decides between NHWC and NCHW where both are possible.

    Returns:
        uint8 (N, H, W, C) and `Facts`, or `Points` when ganloom saved points. For a file that holds pairs or two
        domains, ``Facts.beside`` holds the inputs.

    Raises:
        BadInput: the file cannot be read, or holds neither images nor points.
    """
    try:
        if path.lower().endswith(".npy"):
            return to_rows(np.lib.format.open_memmap(path, mode="c"), path, channels), Facts(_stem(path))
        # numpy.load would decide by the content, not by the ending, and leaves open a file that it cannot read.
        with open(path, "rb") as file, np.lib.npyio.NpzFile(file, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
    # A damaged file raises any of these: EOFError if it is empty, MemoryError if its header gives a wrong size.
    except (
        OSError,
        ValueError,
        EOFError,
        KeyError,
        MemoryError,
        OverflowError,
        SyntaxError,
        zipfile.BadZipFile,
    ) as error:
        if isinstance(error, BadInput):
            raise
        reason = " ".join(str(error).split())[:100]
        raise BadInput(f"cannot read {path} ({reason}); save it with numpy.savez, plain numbers only") from None
    return _from_arrays(arrays, path, channels)


def _from_arrays(
    arrays: dict[str, NDArray[Any]], path: str, channels: int | None
) -> tuple[NDArray[np.uint8], Facts] | Points:
    """Images or points from the arrays of an .npz file."""
    meta = _pop_meta(arrays)
    facts = Facts(str(meta.get("name", _stem(path))), flip=bool(meta.get("flip")), fit=str(meta.get("fit", "crop")))
    if meta.get("kind") == "points" and "points" in arrays:
        return _points(arrays, facts, meta)
    key = next((k for k in _IMAGE_KEYS if k in arrays), None)
    if key is None and len(arrays) == 1:
        key = next(iter(arrays))
    if key is None:
        names = ", ".join(sorted(arrays)[:8]) or "nothing"
        raise BadInput(f"{path} holds {names}; name the array of images x or images, and their labels y or labels")
    if key == "points":
        return _points(arrays, facts, meta)
    # ganloom saves images as uint8 NHWC, so neither the value range nor the layout is in doubt.
    native = meta.get("kind") in ("images", "domains") and arrays[key].dtype == np.uint8 and arrays[key].ndim == 4
    facts.native = native
    rows = arrays[key] if native else to_rows(arrays[key], path, channels)
    labels = next((arrays[k] for k in _LABEL_KEYS if k in arrays), None)
    if labels is not None:
        facts.labels, facts.classes = to_labels(labels, len(rows), path)
    _add_names(facts, arrays, len(rows), path)
    if "inputs" in arrays:
        inputs = arrays["inputs"] if native else to_rows(arrays["inputs"], f"inputs of {path}")
        facts.beside = inputs, bool(meta.get("paired", len(inputs) == len(rows)))
    return rows, facts


def _points(arrays: dict[str, NDArray[Any]], facts: Facts, meta: dict[str, Any]) -> Points:
    """Points as ``Points.save`` writes them."""
    if "labels" in arrays:
        facts.labels = arrays["labels"].astype(np.int64)
    modes = torch.from_numpy(arrays["modes"]) if "modes" in arrays else None
    return Points(arrays["points"], facts, modes, meta.get("sd"))


def _add_names(facts: Facts, arrays: dict[str, NDArray[Any]], count: int, path: str) -> None:
    """Add class names, captions and factors, as ``Images.save`` writes them."""
    if facts.labels is not None and "classes" in arrays:
        facts.classes = [str(name) for name in arrays["classes"].ravel()]
        if facts.labels.max() >= len(facts.classes):
            raise BadInput(
                f"{path}: label {facts.labels.max()} but only {len(facts.classes)} names in classes; add names"
            )
    if "captions" in arrays:
        facts.captions = [str(caption) for caption in arrays["captions"].ravel()]
        if len(facts.captions) != count:
            raise BadInput(f"{path}: {len(facts.captions)} captions for {count} images; give one per image")
    factors = {k.removeprefix("factor_"): v for k, v in arrays.items() if k.startswith("factor_") and len(v) == count}
    facts.factors = factors or None


def _pop_meta(arrays: dict[str, NDArray[Any]]) -> dict[str, Any]:
    """Remove and return the metadata that ``save`` wrote; empty for files that ganloom did not write."""
    try:
        meta = json_files.parse(str(arrays["ganloom"][()]))
    except (KeyError, ValueError, IndexError):
        return {}
    finally:
        arrays.pop("ganloom", None)
    return meta if isinstance(meta, dict) else {}


def _stem(path: str) -> str:
    """The file's name without folder and ending."""
    return os.path.splitext(os.path.basename(path))[0]
