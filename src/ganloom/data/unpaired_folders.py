"""Read two folders of images as two domains that are drawn independently."""

from collections import Counter

import numpy as np
from numpy.typing import NDArray

from ganloom.core.errors import BadInput
from ganloom.data import store
from ganloom.data.decode import BadImage
from ganloom.data.file_index import list_folder
from ganloom.data.image_folders import open_files
from ganloom.data.label_maps import check_label_maps, examined_indices
from ganloom.data.open_options import Options


def read_domains(
    a: str, b: str, options: Options, use_cache: bool, progress: store.Progress
) -> tuple[NDArray[np.uint8], NDArray[np.uint8], list[tuple[str, str]], list[str]]:
    """Decode two folders and bring both to one shape: the requested one, or A's, with the channels of the richer domain.

    Args:
        a: the folder of domain A.
        b: the folder of domain B.
        options: the options of ``open``.
        use_cache: keep decoded images in the cache.
        progress: called with (done, total) while images are decoded.

    Returns:
        A uint8 (M, H, W, C), B uint8 (N, H, W, C), (path, reason) of each file left out, and notes.

    Raises:
        BadInput: the images of A are label maps, or no image of a folder can be read.
    """
    if options["label_maps"]:
        raise BadInput("--label-maps needs pairs: in unpaired domains, label maps cannot be told from colour images")
    check_label_maps(list_folder(a, False), options)
    plain = {**options, "labels": False, "flip": False}
    first = open_files(a, dict(plain), use_cache, progress)
    second = open_files(b, {**plain, "shape": plain["shape"] or list(first.shape)}, use_cache, progress)
    channels = max(first.shape[0], _most_common_channels(b))
    if options["shape"] is None and channels != first.shape[0]:
        plain["shape"] = [channels, *first.shape[1:]]
        first, second = (open_files(folder, dict(plain), use_cache, progress) for folder in (a, b))
    return first.rows, second.rows, first.bad_files + second.bad_files, first.notes + second.notes


def _most_common_channels(folder: str) -> int:
    """The number of channels of most of the examined images in a folder; 3 if none can be read."""
    listing, counts = list_folder(folder, False), Counter[int]()
    for i in examined_indices(listing):
        try:
            counts[listing.header(i).channels] += 1
        except BadImage:
            continue
    return max(counts, key=lambda c: (counts[c], c), default=3)
