"""Read two folders of images as two domains that are drawn independently."""

from collections import Counter

from ganloom.core.errors import BadInput
from ganloom.data import store
from ganloom.data.decode import BadImage
from ganloom.data.file_index import list_folder
from ganloom.data.image_folders import open_files
from ganloom.data.label_maps import check_label_maps, examined_indices
from ganloom.data.open_options import Options
from ganloom.data.paired_folders import Read
from ganloom.data.pixel_scale import by_side, known_of_side


def read_domains(a: str, b: str, options: Options, use_cache: bool, progress: store.Progress) -> Read:
    """Decode two folders and bring both to one shape: the requested one, or A's, with the channels of the richer domain.

    Args:
        a: the folder of domain A.
        b: the folder of domain B.
        options: the options of ``open``; "scales_used" is set to the scales of numbers of more than 8 bits.
        use_cache: keep decoded images in the cache.
        progress: called with (done, total) while images are decoded.

    Returns:
        The domains, of equal shape.

    Raises:
        BadInput: the images of A are label maps, or no image of a folder can be read.
    """
    if options["label_maps"]:
        raise BadInput("--label-maps needs pairs: in unpaired domains, label maps cannot be told from colour images")
    check_label_maps(list_folder(a, False), options)
    plain = {**options, "labels": False, "flip": False}
    plain_a, plain_b = ({**plain, "scales": known_of_side(options.get("scales"), side)} for side in "ab")
    first = open_files(a, dict(plain_a), use_cache, progress)
    second = open_files(b, {**plain_b, "shape": plain["shape"] or list(first.shape)}, use_cache, progress)
    channels = max(first.shape[0], _most_common_channels(b))
    if options["shape"] is None and channels != first.shape[0]:
        shape = {"shape": [channels, *first.shape[1:]]}
        first = open_files(a, {**plain_a, **shape}, use_cache, progress)
        second = open_files(b, {**plain_b, **shape}, use_cache, progress)
    used = by_side(*(data.source.get("scales_used") or {} for data in (first, second)))
    if used:
        options["scales_used"] = used
    notes = list(dict.fromkeys([*first.notes, *second.notes]))  # both folders may say the same
    return Read(first.rows, second.rows, first.bad_files + second.bad_files, notes)


def _most_common_channels(folder: str) -> int:
    """The number of channels of most of the examined images in a folder; 3 if none can be read."""
    listing, counts = list_folder(folder, False), Counter[int]()
    for i in examined_indices(listing):
        try:
            counts[listing.header(i).channels] += 1
        except BadImage:
            continue
    return max(counts, key=lambda c: (counts[c], c), default=3)
