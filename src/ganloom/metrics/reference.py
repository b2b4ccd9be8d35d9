"""A cache for the features of real images, from one evaluation to the next.

One file for each set, in ``$GANLOOM_CACHE/features``. Its name is the SHA-256 of what the features depend on: the images
(the fingerprint of the data and the chosen rows), the weights of the net, its resizer, size, channels and value range.
"""

import hashlib
import os
import tempfile
from collections.abc import Callable
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from ganloom.data import cache
from ganloom.metrics.extractors.extractor import Extractor
from ganloom.metrics.extractors.task import cache_folder

LIMIT = 4 * 2**30
"""Largest size of the folder in bytes. The oldest files are deleted first."""
_FORMAT = "1"

FeaturesAndLogits = tuple[Tensor, Tensor | None]


def cached_features(
    extractor: Extractor, key: str | None, compute: Callable[[], FeaturesAndLogits]
) -> FeaturesAndLogits:
    """Read features from the cache, or compute and store them.

    Args:
        extractor: makes the features. A plain function has no digest, so its features are not cached.
        key: names the content of the images. None: not cached.
        compute: makes the features if they are not in the cache.

    Returns:
        Features (N, d), and logits (N, classes) or None.
    """
    if key is None or not isinstance(extractor.net, torch.nn.Module):
        return compute()
    path = _path(extractor, key)
    tensors = _read(path)
    if tensors is not None:
        return tensors["features"], tensors.get("logits")
    features, logits = compute()
    _write(path, {"features": features} | ({} if logits is None else {"logits": logits}))
    return features, logits


kept = cached_features  # the former name


def _path(extractor: Extractor, key: str) -> Path:
    """The file of these images and this net."""
    e = extractor
    parts = (_FORMAT, key, e.digest, e.resizer, e.size, e.channels, e.value_range, type(e.net).__name__)
    name = hashlib.sha256(repr(parts).encode()).hexdigest()
    return cache_folder().with_name("features") / f"{name}.safetensors"


def _read(path: Path) -> dict[str, Tensor] | None:
    """The tensors of a file; None if there is none, or if it is damaged."""
    try:
        with safe_open(path, "pt") as file:
            digest = (file.metadata() or {}).get("sha256")
            tensors = {name: file.get_tensor(name) for name in file.keys()}
        os.utime(path)
    except (OSError, SafetensorError, ValueError, RuntimeError):
        return None
    return tensors if "features" in tensors and digest == _digest(tensors) else None


def _digest(tensors: dict[str, Tensor]) -> str:
    """SHA-256 of names, types, shapes and values: one wrong feature could change a metric unnoticed."""
    digest = hashlib.sha256()
    for name, value in sorted(tensors.items()):
        digest.update(f"{name} {value.dtype} {tuple(value.shape)}".encode())
        digest.update(value.contiguous().view(torch.uint8).numpy().data)
    return digest.hexdigest()


def _write(path: Path, tensors: dict[str, Tensor]) -> None:
    """Write the whole file or nothing. An evaluation does not fail if the cache cannot be written."""
    size = sum(t.numel() * t.element_size() for t in tensors.values())
    if size > LIMIT // 4:
        return
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _make_room(path.parent, size)
        cache.sweep(path.parent)
        with tempfile.TemporaryDirectory(dir=path.parent, prefix=".", suffix=".tmp") as folder:
            temporary = Path(folder) / path.name
            save_file({k: v.contiguous() for k, v in tensors.items()}, temporary, {"sha256": _digest(tensors)})
            temporary.replace(path)
    except OSError:
        return


def _make_room(folder: Path, size: int) -> None:
    """Delete the oldest files until ``size`` bytes fit."""
    files = sorted(folder.glob("*.safetensors"), key=lambda p: p.stat().st_mtime)
    total = sum(p.stat().st_size for p in files)
    for path in files:
        if total + size <= LIMIT:
            return
        total -= path.stat().st_size
        path.unlink(missing_ok=True)
