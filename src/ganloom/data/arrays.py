"""Arrays, tensors, .npy and .npz as images: what their numbers mean is decided here, or refused."""

import json
import os
import zipfile
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ganloom.core.errors import BadInput
from ganloom.data.dataset import Facts
from ganloom.data.points import Points

_IMAGES = ("images", "x", "arr_0", "data", "x_train")
_LABELS = ("labels", "y", "y_train")
_SLACK = 1e-4  # floats that were scaled back and forth overshoot their range a little
MAX_CLASSES = 100_000


def to_numpy(values: Any, where: str) -> NDArray[Any]:
    """An array, tensor or nested list as a numpy array that is not an array of objects."""
    if isinstance(values, Tensor):
        values = values.detach().cpu()
        values = (values.float() if values.dtype == torch.bfloat16 else values).numpy()
    try:
        array = np.asarray(values)
    except ValueError:
        raise BadInput(f"{where}: the rows differ in shape; give one array of equal rows") from None
    if array.dtype == object:
        raise BadInput(f"{where}: an array of objects; give one array of numbers")
    return array


def to_rows(array: NDArray[Any], where: str, channels: int | None = None) -> NDArray[np.uint8]:
    """Images of any layout and range as uint8 (N, H, W, C).

    NHW, NHWC or NCHW with 1-4 channels; ``channels``, when given, decides where both would do. bool, uint8, uint16,
    other integers in 0..255, floats in [0, 1] or [-1, 1]; what could mean two things raises BadInput.
    """
    array = channels_last(array, where, channels)
    if array.size == 0:
        raise BadInput(f"{where}: shape {array.shape} holds no pixels")
    factor, offset = _meaning(array, where)
    if array.dtype == np.uint8:
        return np.ascontiguousarray(array)
    out = np.empty(array.shape, np.uint8)
    step = max(1, 2**24 // array[0].size)  # the float copy of the whole would be four times the store
    for start in range(0, len(array), step):
        part = array[start : start + step].astype(np.float64) * factor + offset
        out[start : start + step] = np.clip(np.rint(part), 0, 255)
    return out


def channels_last(array: NDArray[Any], where: str, channels: int | None) -> NDArray[Any]:
    """The same numbers as (N, H, W, C); BadInput where the layout is none, or could be two."""
    allowed = range(1, 5)
    if array.ndim == 3:
        if array.shape[2] in allowed:
            raise BadInput(f"{where}: shape {array.shape} looks like one image; many are (N, H, W, C)")
        return array[..., None]
    if array.ndim != 4:
        raise BadInput(f"{where}: shape {array.shape}; images are (N, H, W), (N, H, W, C) or (N, C, H, W)")
    last, first = array.shape[3] in allowed, array.shape[1] in allowed
    if last and first and channels is not None:
        last, first = array.shape[3] == channels, array.shape[1] == channels
    if last and first:
        raise BadInput(f"{where}: shape {array.shape} may be NHWC or NCHW; give shape=(C, H, W), or larger images")
    if not (last or first):
        raise BadInput(
            f"{where}: shape {array.shape} has no axis of 1 to 4 channels; give (N, H, W, C) or (N, C, H, W)"
        )
    return array if last else np.moveaxis(array, 1, 3)


def _meaning(array: NDArray[Any], where: str) -> tuple[float, float]:
    """(factor, offset) that bring the numbers to 0..255."""
    if array.dtype == bool:
        return 255.0, 0.0
    if array.dtype.kind not in "iuf":
        raise BadInput(f"{where}: numbers of type {array.dtype}; give uint8, uint16, bool or float")
    low, high = float(array.min()), float(array.max())
    span = f"{array.dtype} from {low:g} to {high:g}"
    if array.dtype.kind == "f":
        if not (np.isfinite(low) and np.isfinite(high)):
            raise BadInput(f"{where}: NaN or infinite values; remove them")
        if -_SLACK <= low and high <= 1 + _SLACK:
            return 255.0, 0.0
        if -1 - _SLACK <= low and high <= 1 + _SLACK:
            return 127.5, 127.5
        raise BadInput(f"{where}: {span}; scale floats to [0, 1] or [-1, 1], or give uint8")
    if low < 0:
        raise BadInput(f"{where}: {span}; negative integers have no brightness, give uint8")
    if array.dtype == np.uint16:
        if 0 < high <= 255:
            raise BadInput(f"{where}: {span} may be 8-bit or very dark 16-bit; give uint8, or multiply by 257")
        return 255.0 / 65535.0, 0.0
    if high > 255:
        raise BadInput(f"{where}: {span}; give uint8 (0..255) or uint16 (0..65535)")
    if high == 1:
        raise BadInput(f"{where}: {span}: is 1 white or nearly black? give bool, or multiply by 255")
    return 1.0, 0.0


def to_labels(values: Any, count: int, where: str) -> tuple[NDArray[np.int64], list[str] | None]:
    """Labels as (int64 (N,), names or None): integers from 0, whole floats, one-hot rows, or words."""
    array = to_numpy(values, f"labels of {where}")
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if array.ndim == 2 and len(array) and array.dtype.kind in "biuf" and _one_hot(array):
        array = array.argmax(1)
    if array.shape != (count,):
        raise BadInput(f"labels of {where}: shape {array.shape} for {count} images; give one label each")
    if array.dtype.kind == "U":
        names, numbers = np.unique(array, return_inverse=True)
        return numbers.astype(np.int64), [str(name) for name in names]
    if array.dtype.kind not in "biuf" or not np.array_equal(array, np.floor(array)):
        raise BadInput(f"labels of {where}: {array.dtype} values; give whole numbers from 0, or words")
    if array.min() < 0 or array.max() >= MAX_CLASSES:
        span = f"{array.min():g} to {array.max():g}"
        raise BadInput(f"labels of {where} run from {span}; number the classes 0, 1, 2 ... (fewer than {MAX_CLASSES})")
    return array.astype(np.int64), None


def _one_hot(array: NDArray[Any]) -> bool:
    return bool(((array == 0) | (array == 1)).all() and (array.sum(1) == 1).all())


def read(path: str, channels: int | None = None) -> tuple[NDArray[np.uint8], Facts] | Points:
    """Images (uint8 NHWC, facts) or points of a .npy or .npz file. BadInput when it holds neither."""
    try:
        if path.lower().endswith(".npy"):
            return to_rows(np.lib.format.open_memmap(path, mode="c"), path, channels), Facts(_stem(path))
        # numpy would go by the content, whatever the name says, and leave a file that it cannot read open.
        with open(path, "rb") as file, np.lib.npyio.NpzFile(file, allow_pickle=False) as archive:
            parts = {name: archive[name] for name in archive.files}
    # A damaged file shows as any of these; EOFError for an empty one, MemoryError for a header that lies about its size.
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
        words = " ".join(str(error).split())[:100]
        raise BadInput(f"cannot read {path} ({words}); save it with numpy.savez, plain numbers only") from None
    return _from_parts(parts, path, channels)


def _from_parts(
    parts: dict[str, NDArray[Any]], path: str, channels: int | None
) -> tuple[NDArray[np.uint8], Facts] | Points:
    meta = _meta(parts)
    facts = Facts(str(meta.get("name", _stem(path))), flip=bool(meta.get("flip")), fit=str(meta.get("fit", "crop")))
    key = next((k for k in _IMAGES if k in parts), None)
    if meta.get("kind") == "points" and "points" in parts:
        key = "points"
    if key is None and len(parts) == 1:
        key = next(iter(parts))
    if key is None:
        names = ", ".join(sorted(parts)[:8]) or "nothing"
        raise BadInput(f"{path} holds {names}; name the array of images x or images, and their labels y or labels")
    if key == "points":
        if "labels" in parts:
            facts.labels = parts["labels"].astype(np.int64)
        modes = torch.from_numpy(parts["modes"]) if "modes" in parts else None
        return Points(parts["points"], facts, modes, meta.get("sd"))
    # What this program saved is known to be plain bytes, however dark.
    ours = meta.get("kind") in ("images", "domains") and parts[key].dtype == np.uint8 and parts[key].ndim == 4
    facts.native = ours
    rows = parts[key] if ours else to_rows(parts[key], path, channels)
    labels = next((parts[k] for k in _LABELS if k in parts), None)
    if labels is not None:
        facts.labels, facts.classes = to_labels(labels, len(rows), path)
    _add_words(facts, parts, len(rows), path)
    if "inputs" in parts:
        inputs = parts["inputs"] if ours else to_rows(parts["inputs"], f"inputs of {path}")
        facts.beside = inputs, bool(meta.get("paired", len(inputs) == len(rows)))
    return rows, facts


def _add_words(facts: Facts, parts: dict[str, NDArray[Any]], count: int, path: str) -> None:
    """Class names, captions and factors, as ``Images.save`` writes them."""
    if facts.labels is not None and "classes" in parts:
        facts.classes = [str(name) for name in parts["classes"].ravel()]
        if facts.labels.max() >= len(facts.classes):
            raise BadInput(
                f"{path}: label {facts.labels.max()} but only {len(facts.classes)} names in classes; add names"
            )
    if "captions" in parts:
        facts.captions = [str(words) for words in parts["captions"].ravel()]
        if len(facts.captions) != count:
            raise BadInput(f"{path}: {len(facts.captions)} captions for {count} images; give one each")
    factors = {k.removeprefix("factor_"): v for k, v in parts.items() if k.startswith("factor_") and len(v) == count}
    facts.factors = factors or None


def _meta(parts: dict[str, NDArray[Any]]) -> dict[str, Any]:
    """What ``save`` noted of a file of this program; empty for files of other origin."""
    try:
        meta = json.loads(str(parts["ganloom"][()]))
    except (KeyError, ValueError, IndexError):
        return {}
    finally:
        parts.pop("ganloom", None)
    return meta if isinstance(meta, dict) else {}


def _stem(path: str) -> str:
    return os.path.splitext(os.path.basename(path))[0]
