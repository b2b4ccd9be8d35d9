"""Features of real images, kept from one evaluation to the next.

A file a set, in ``$GANLOOM_CACHE/features``, named after the SHA-256 of what the features depend on: the images (the
data's fingerprint and the rows drawn), the net's weights, its resizer, size, channels and value range.
"""

import hashlib
import os
import tempfile
from collections.abc import Callable
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from ganloom.metrics.extractors.extractor import Extractor
from ganloom.metrics.extractors.task import cache_folder

LIMIT = 4 * 2**30
"""Bytes that the folder may hold; the oldest files go first."""
_FORMAT = "1"

Found = tuple[Tensor, Tensor | None]


def kept(extractor: Extractor, key: str | None, make: Callable[[], Found]) -> Found:
    """``make()``'s features and logits, or those kept under ``key`` for this extractor.

    Nothing is kept for ``key`` None or for a plain function, whose content has no digest.
    """
    if key is None or not isinstance(extractor.net, torch.nn.Module):
        return make()
    path = _path(extractor, key)
    try:
        found = load_file(path)
        os.utime(path)
        return found["features"], found.get("logits")
    except (OSError, SafetensorError, KeyError):
        pass
    features, logits = make()
    _write(path, {"features": features} | ({} if logits is None else {"logits": logits}))
    return features, logits


def _path(extractor: Extractor, key: str) -> Path:
    e = extractor
    parts = (_FORMAT, key, e.digest, e.resizer, e.size, e.channels, e.value_range, type(e.net).__name__)
    name = hashlib.sha256(repr(parts).encode()).hexdigest()
    return cache_folder().with_name("features") / f"{name}.safetensors"


def _write(path: Path, tensors: dict[str, Tensor]) -> None:
    """Whole or not at all; a cache that cannot be written is no reason to fail."""
    size = sum(t.numel() * t.element_size() for t in tensors.values())
    if size > LIMIT // 4:
        return
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _make_room(path.parent, size)
        with tempfile.TemporaryDirectory(dir=path.parent) as folder:
            temporary = Path(folder) / path.name
            save_file({k: v.contiguous() for k, v in tensors.items()}, temporary)
            temporary.replace(path)
    except OSError:
        return


def _make_room(folder: Path, size: int) -> None:
    files = sorted(folder.glob("*.safetensors"), key=lambda p: p.stat().st_mtime)
    held = sum(p.stat().st_size for p in files)
    for path in files:
        if held + size <= LIMIT:
            return
        held -= path.stat().st_size
        path.unlink(missing_ok=True)
