"""Keep what a frozen text encoder makes of captions on disk, so that a second run on the same captions starts at once."""

import contextlib
import hashlib
import os
import tempfile
from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from ganloom.data import cache


def cached(texts: Sequence[str], key: str, encode: Callable[[Sequence[str]], Tensor]) -> Tensor:
    """Return the codes of texts, from the cache if they are there.

    Args:
        texts: The texts.
        key: Digest of the encoder.
        encode: From texts to float32 (N, d).
    """
    folder = cache.root()
    if folder is None:
        return encode(texts)
    name = hashlib.sha256("\0".join([key, *texts]).encode("utf-8", "surrogatepass")).hexdigest()[:40]
    file = folder.parent / "texts" / f"{name}.npy"
    with contextlib.suppress(OSError, ValueError, EOFError):
        codes = np.load(file, allow_pickle=False)
        if codes.dtype == np.float32 and codes.ndim == 2 and len(codes) == len(texts) and np.isfinite(codes).all():
            return torch.from_numpy(codes)
    result = encode(texts)
    with contextlib.suppress(OSError):  # without a cache it is computed again
        file.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=file.parent, suffix=".npy")
        with os.fdopen(handle, "wb") as stream:
            np.save(stream, result.numpy())
        os.replace(temporary, file)
    return result
