"""Read pairs of images: two files of equal names in two folders, or one image A|B of two halves side by side."""

import hashlib
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ganloom.core.errors import BadInput
from ganloom.data import cache, store
from ganloom.data.class_folders import stem
from ganloom.data.decode import VERSION, BadImage, Header
from ganloom.data.default_shape import choose_shape, crop_note
from ganloom.data.file_index import Listing, list_folder
from ganloom.data.file_scales import FileScales
from ganloom.data.folder_layouts import Folders
from ganloom.data.label_maps import check_label_maps, label_map
from ganloom.data.open_options import Options, image_shape
from ganloom.data.pixel_scale import by_side, known_of_side
from ganloom.data.resize import Shape, fit_image

Rows = NDArray[np.uint8]


class _Pairs(NamedTuple):
    """N pairs that are not decoded yet.

    ``read(i)`` gives both images of a pair; ``channels_a``, ``channels_b`` and ``sizes`` count the readable pairs.
    ``notes`` are lines for the user.
    """

    listings: Sequence[Listing]
    read: Callable[[int], tuple[Image.Image, Image.Image]]
    channels_a: Counter[int]
    channels_b: Counter[int]
    sizes: Counter[tuple[int, int]]
    notes: Sequence[str] = ()


class Read(NamedTuple):
    """Both domains: A uint8 (M, H, W, C), B uint8 (N, H, W, C'), (path, reason) of files left out, notes for the user."""

    a: Rows
    b: Rows
    bad_files: list[tuple[str, str]]
    notes: list[str]


def read_pairs(folders: Folders, options: Options, use_cache: bool, progress: store.Progress) -> Read:
    """Decode pairs of images and bring them to the requested shapes.

    Args:
        folders: the folder of images A|B side by side, or the folders A and B with files of equal names.
        options: the options of ``open``; "scales_used" is set to the scales of numbers of more than 8 bits.
        use_cache: keep decoded images in the cache.
        progress: called with (done, total) while pairs are decoded.

    Returns:
        The domains, of equal length. A pair is left out if one of its images cannot be read.

    Raises:
        BadInput: a partner is missing, the images of a pair differ in size, an image A|B has an odd width, the images of A
            are label maps but the option is not set, or no pair can be read.
    """
    pairs = _side_by_side(folders, options) if isinstance(folders, str) else _equal_names(*folders, options)
    shape_a, shape_b = _shapes(pairs, options)
    stored = _load_or_decode(pairs, shape_a, shape_b, options, use_cache, progress)
    scales = by_side(*stored.notes["scales"] * (3 - len(pairs.listings)))
    if scales:
        options["scales_used"] = scales
    bad_files = [(pairs.listings[0].path(name), reason) for name, reason in stored.notes["bad"]]
    bad_files += [(listing.path(name), reason) for listing in pairs.listings for name, reason in listing.bad]
    notes = [*(note for listing in pairs.listings for note in listing.notes), *pairs.notes, *stored.notes["lines"]]
    notes = list(dict.fromkeys(notes))  # both folders may say the same
    return Read(stored.rows[..., : shape_a[0]], stored.rows[..., shape_a[0] :], bad_files, notes)


def equal_names_and_sizes(a: str, b: str) -> bool:
    """Whether two folders hold images of the same names, endings apart, and those of each name have the same size."""
    first, second = (list_folder(folder, False) for folder in (a, b))
    position = {stem(entry.name): i for i, entry in enumerate(second.entries)}
    names = [stem(entry.name) for entry in first.entries]
    if set(names) != position.keys() or not len(names) == len(position) == len(second.entries):
        return False
    headers = [(_header(first, i), _header(second, position[name])) for i, name in enumerate(names)]
    return all(one is None or other is None or one.size == other.size for one, other in headers)


def _equal_names(a: str, b: str, options: Options) -> _Pairs:
    """The pairs of two folders whose files have equal names."""
    first, second = list_folder(a, False), list_folder(b, False)
    first.scales, second.scales = (FileScales(known_of_side(options.get("scales"), side)) for side in "ab")
    first.scales.label_maps = bool(options["label_maps"])
    _match_names(first, second)
    headers = [(_header(first, i), _header(second, i)) for i in range(len(first.entries))]
    readable = [(one, other) for one, other in headers if one is not None and other is not None]
    for (one, other), entry in zip(headers, first.entries, strict=True):
        if one is not None and other is not None and one.size != other.size:
            sizes = f"{one.size[0]} x {one.size[1]} in {a} and {other.size[0]} x {other.size[1]} in {b}"
            raise BadInput(f"the pair {stem(entry.name)} is {sizes}: give both images the same size")
    check_label_maps(first, options)

    def read(index: int) -> tuple[Image.Image, Image.Image]:
        return first.decode(index), second.decode(index)

    return _Pairs(
        (first, second),
        read,
        Counter(one.channels for one, _ in readable),
        Counter(other.channels for _, other in readable),
        Counter(one.size for one, _ in readable),
    )


def _match_names(first: Listing, second: Listing) -> None:
    """Sort the second listing like the first, by names without endings. BadInput names an image without a partner."""
    names = [[stem(entry.name) for entry in listing.entries] for listing in (first, second)]
    for own, other, listing, partners in ((names[0], names[1], first, second), (names[1], names[0], second, first)):
        missing = sorted(set(own) - set(other))
        if missing:
            count = f"{len(missing)} of {len(own)} images in {listing.root} have" if len(missing) > 1 else (
                f"an image in {listing.root} has")  # fmt: skip
            reason = next((f" ({name}: {why})" for name, why in partners.bad if stem(name) == missing[0]), "")
            raise BadInput(
                f"{count} no partner in {partners.root}, such as {missing[0]}{reason}: the images of a pair need equal names"
            )
        repeated = [name for name, count in Counter(own).items() if count > 1]
        if repeated:
            raise BadInput(
                f"{listing.root} holds several images named {repeated[0]} with different endings; keep one of them"
            )
    position = {name: i for i, name in enumerate(names[1])}
    second.entries = [second.entries[position[name]] for name in names[0]]


def _side_by_side(folder: str, options: Options) -> _Pairs:
    """The pairs of a folder of images A|B."""
    listing = list_folder(folder, False)
    listing.scales = FileScales(known_of_side(options.get("scales"), "a"))
    channels, sizes = Counter[int](), Counter[tuple[int, int]]()
    for i, entry in enumerate(listing.entries):
        header = _header(listing, i)
        if header is None:
            continue
        width, height = header.size
        if width % 2:
            raise BadInput(
                f"{listing.path(entry.name)} is {width} x {height}, an odd width: a pair is one image A|B of two equal halves "
                "side by side, or two images of equal names in A/ and B/"
            )
        channels[header.channels] += 1
        sizes[width // 2, height] += 1

    def read(index: int) -> tuple[Image.Image, Image.Image]:
        whole = listing.decode(index)
        half = whole.width // 2
        return whole.crop((0, 0, half, whole.height)), whole.crop((half, 0, whole.width, whole.height))

    (width, height), _ = sizes.most_common(1)[0] if sizes else ((0, 0), 0)
    note = f"each image is a pair side by side: A is the left half, B the right half, mostly {width} x {height} each"
    return _Pairs((listing,), read, channels, channels, sizes, [note])


def _header(listing: Listing, index: int) -> Header | None:
    """The header of an image, None if it cannot be read."""
    try:
        return listing.header(index)
    except BadImage:
        return None


def _shapes(pairs: _Pairs, options: Options) -> tuple[Shape, Shape]:
    """The shapes (C, H, W) of A and of B: the target has the requested shape, the input its height and width."""
    own_a = choose_shape(pairs.channels_a, pairs.sizes, options["default_size"])
    own_b = choose_shape(pairs.channels_b, pairs.sizes, options["default_size"])
    requested, label_maps = image_shape(options), options["label_maps"]
    if options["direction"] == "BtoA":
        target = requested or ((3, *own_a[1:]) if label_maps else own_a)
        return target, (_input_channels(own_b, options), *target[1:])
    target = requested or own_b
    return (_input_channels(own_a, options), *target[1:]), target


def _input_channels(own: Shape, options: Options) -> int:
    """Channels of the inputs: the requested number, 3 for label maps, or the images' own."""
    return int(options.get("in_channels") or (3 if options["label_maps"] else own[0]))


def _load_or_decode(
    pairs: _Pairs, shape_a: Shape, shape_b: Shape, options: Options, use_cache: bool, progress: store.Progress
) -> cache.Store:
    """Both images of each pair in one row, A's channels first, so that a bad image also removes its partner."""
    label_maps, fit = options["label_maps"], options["fit"]
    parts = (
        [listing.key() for listing in pairs.listings], [shape_a, shape_b], fit, label_maps, options.get("scales"), "pairs",
        VERSION,
    )  # fmt: skip
    key = hashlib.sha256(repr(parts).encode()).hexdigest()[:40] if use_cache else None
    stored = cache.load(key) if key is not None else None
    if stored is not None:
        return stored
    names = [entry.name for entry in pairs.listings[0].entries]

    def decode_row(index: int) -> Rows:
        a, b = pairs.read(index)
        resized = label_map(a, shape_a, fit) if label_maps else fit_image(a, shape_a, fit)
        return np.concatenate([resized, fit_image(b, shape_b, fit)], axis=2)

    def notes(good: list[int], bad: list[tuple[int, str]]) -> dict[str, Any]:
        cropped = crop_note(pairs.sizes.elements(), shape_b, fit)
        lines = [line for listing in pairs.listings for line in listing.decoding_notes()] + (
            [cropped] if cropped else []
        )
        scales = [listing.scales.scales.used for listing in pairs.listings]
        return {"bad": [(names[i], reason) for i, reason in bad], "lines": lines, "scales": scales}

    channels = shape_a[0] + shape_b[0]
    filled = store.fill(decode_row, len(names), (channels, *shape_a[1:]), key, notes, progress)
    if not filled.good:
        raise BadInput(f"none of the {len(names)} pairs in {pairs.listings[0].root} can be read: {filled.bad[0][1]}")
    return filled.store
