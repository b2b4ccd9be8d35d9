"""Keep what a frozen text encoder makes of captions on disk, so that a second run on the same captions starts at once."""

import contextlib
import hashlib
import io
from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from ganloom.core.output_files import replace_file
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
    content = io.BytesIO()
    np.save(content, result.numpy())
    with contextlib.suppress(OSError):  # without a cache it is computed again
        replace_file(file, content.getvalue(), sync=False)
    return result
