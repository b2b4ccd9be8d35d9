"""Folders of pairs (``A|B`` side by side, ``A/`` and ``B/``) and of two domains (``trainA/ trainB/``, any two folders)."""

import hashlib
import os
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ganloom.core.errors import BadInput
from ganloom.data import cache, store
from ganloom.data.dataset import Facts
from ganloom.data.decode import VERSION, BadImage, decode, header, to_array
from ganloom.data.file_index import Listing, list_folder
from ganloom.data.image_folders import choose, open_files
from ganloom.data.resize import _crop_box, fit_image
from ganloom.data.translation_dataset import Domains, chosen

INPUTS = ("pairs", "domains")
DIRECTIONS = ("AtoB", "BtoA")
LABEL_LIMIT = 64
"""Grey inputs whose values all lie below this are taken for label maps."""
_LOOKED_AT = 16

Part = tuple[Listing, int]
"""A listing and the number of an image in it."""


def open_folders(source: str | tuple[str, str], asked: dict[str, Any], keep: bool, progress: store.Progress) -> Domains:
    """Pairs or two domains of a folder, or of two; ``asked["inputs"]`` says which are wanted. BadInput in one line.

    For pairs: ``A/`` and ``B/`` (or ``trainA/`` and ``trainB/``) whose names are equal but for the ending, else images
    twice as wide, the input on the left. For domains: ``trainA/`` and ``trainB/``, ``A/`` and ``B/``, two sub-folders of
    any names in alphabetical order, or pairs: a recipe that needs none draws them apart.
    """
    asked["source"] = os.path.abspath(source) if isinstance(source, str) else [os.path.abspath(s) for s in source]
    two = _two(asked["source"], "train")
    held = _held(asked, keep)
    name = (
        os.path.basename(str(asked["source"])) if isinstance(source, str) else " + ".join(map(os.path.basename, source))
    )
    facts = Facts(name)
    if asked["inputs"] == "domains" and two is not None and not _partners(*two):
        found = _apart(two[0], two[1], facts, asked, keep, progress, held)
    else:
        folder = _side_by_side(str(asked["source"]))
        rows, channels = (_equal_names(*two, facts, asked, keep, progress) if two else
                          _halves(folder, facts, asked, keep, progress))  # fmt: skip
        found = chosen(rows[..., :channels], rows[..., channels:], facts, asked, paired=True, held=held)
    asked["shape"], asked["in_channels"] = list(found.shape), found.inputs.shape[0]  # what is held back gets the same
    return found


# ------------------------------------------------------------------------------------------------------ which folders


def _two(source: str | list[str], part: str) -> tuple[str, str] | None:
    """The folders of A and of B for ``part`` (train, test), or None for images side by side."""
    if isinstance(source, list):
        for folder in source:
            if not os.path.isdir(folder):
                raise BadInput(f"no folder {folder}: two domains are two folders of images, A,B")
        return (source[0], source[1]) if part == "train" else None
    for a, b in (("trainA", "trainB"), ("A", "B")) if part == "train" else (("testA", "testB"), ("test/A", "test/B")):
        has = [os.path.isdir(os.path.join(source, name)) for name in (a, b)]
        if all(has):
            return os.path.join(source, a), os.path.join(source, b)
        if any(has):
            there, missing = (a, b) if has[0] else (b, a)
            raise BadInput(f"{source} has {there}/ and no {missing}/: two domains, or pairs, are two folders")
    inside = sorted(f for f in os.listdir(source) if os.path.isdir(os.path.join(source, f)) and f[0] != ".")
    if part != "train" or len(inside) != 2 or {"train", "test", "val"} & set(inside):
        return None
    return os.path.join(source, inside[0]), os.path.join(source, inside[1])


def _side_by_side(source: str) -> str:
    """The folder of images A|B: train/ where there is one."""
    inner = os.path.join(source, "train")
    return inner if os.path.isdir(inner) else source


def _held(asked: dict[str, Any], keep: bool) -> Callable[[], Domains | None] | None:
    """What opens testA/ and testB/, test/ or val/, brought to the shape that training has."""
    source = asked["source"]
    if not isinstance(source, str):
        return None

    def opened() -> Domains | None:
        again = {k: v for k, v in asked.items() if k != "source"}
        two = _two(source, "test")
        single = next((f for f in ("test", "val") if two is None and os.path.isdir(os.path.join(source, f))), None)
        if two is None and single is None:
            return None
        inner = two if two is not None else os.path.join(source, str(single))
        return open_folders(inner, {**again, "flip": False}, keep, None)

    return opened


def _stem(name: str) -> str:
    return name.rsplit(".", 1)[0]


def _partners(a: str, b: str) -> bool:
    """Whether each image of A has one of B of its name."""
    first, second = ({_stem(e.name) for e in list_folder(folder).entries} for folder in (a, b))
    return first == second


# ------------------------------------------------------------------------------------------------------- two domains


def _apart(
    a: str, b: str, facts: Facts, asked: dict[str, Any], keep: bool, progress: store.Progress, held: Any
) -> Domains:
    """Two folders, each decoded by itself, both brought to one shape."""
    if asked["label_maps"]:
        raise BadInput(
            "--label-maps is for pairs: in domains drawn apart labels and colours cannot be told from each other"
        )
    _no_label_maps(list_folder(a), asked)
    told = {**asked, "labels": False, "flip": False}
    first = open_files(a, dict(told), keep, progress)
    second = open_files(b, {**told, "shape": told["shape"] or list(first.shape)}, keep, progress)
    channels = max(first.shape[0], _channels_of(b))
    if asked["shape"] is None and channels != first.shape[0]:
        told["shape"] = [channels, *first.shape[1:]]
        first, second = (open_files(folder, dict(told), keep, progress) for folder in (a, b))
    facts.bad_files = first.bad_files + second.bad_files
    return chosen(first.rows, second.rows, facts, asked, paired=False, held=held)


def _channels_of(folder: str) -> int:
    """How many channels most images of a folder have."""
    listing, kinds = list_folder(folder), Counter[int]()
    for i in range(0, len(listing.entries), max(1, len(listing.entries) // _LOOKED_AT)):
        try:
            with listing.open(i) as file:
                kinds[header(file, listing.entries[i].name).channels] += 1
        except BadImage:
            continue
    return max(kinds, key=lambda c: (kinds[c], c), default=3)


# -------------------------------------------------------------------------------------------------------------- pairs


def _equal_names(
    a: str, b: str, facts: Facts, asked: dict[str, Any], keep: bool, progress: store.Progress
) -> tuple[NDArray[np.uint8], int]:
    """Rows with the channels of A and then of B, and how many A has."""
    first, second = list_folder(a), list_folder(b)
    _match(first, second)
    sizes = [_sizes((first, i), (second, i)) for i in range(len(first.entries))]
    for (one, other), entry in zip(sizes, first.entries, strict=True):
        if one is not None and other is not None and one[1] != other[1]:
            said = f"{one[1][0]} x {one[1][1]} in {a} and {other[1][0]} x {other[1][1]} in {b}"
            raise BadInput(f"the pair {_stem(entry.name)} is {said}: the two images of a pair need one size")
    _no_label_maps(first, asked)
    shapes = [(one[0], other[0], one[1]) for one, other in sizes if one is not None and other is not None]

    def cut(index: int) -> tuple[Image.Image, Image.Image]:
        return _read(first, index), _read(second, index)

    return _filled(cut, (first, second), shapes, facts, asked, keep, progress)


def _match(first: Listing, second: Listing) -> None:
    """Images of equal names, in the same places; a missing partner is an error that names one."""
    names = [[_stem(entry.name) for entry in listing.entries] for listing in (first, second)]
    for own, other, listing, there in ((names[0], names[1], first, second), (names[1], names[0], second, first)):
        missing = sorted(set(own) - set(other))
        if missing:
            count = f"{len(missing)} of {len(own)} images in {listing.root} have" if len(missing) > 1 else (
                f"an image in {listing.root} has")  # fmt: skip
            raise BadInput(f"{count} no partner in {there.root}, such as {missing[0]}: pairs have equal names")
        twice = [name for name, count in Counter(own).items() if count > 1]
        if twice:
            raise BadInput(f"{listing.root} holds {twice[0]} twice with other endings: a pair is one image of each")
    order = {name: i for i, name in enumerate(names[1])}
    second.entries = [second.entries[order[name]] for name in names[0]]


def _halves(
    root: str, facts: Facts, asked: dict[str, Any], keep: bool, progress: store.Progress
) -> tuple[NDArray[np.uint8], int]:
    """Rows of images A|B side by side, and how many channels a half has."""
    listing = list_folder(root)
    shapes = []
    for i, entry in enumerate(listing.entries):
        found = _header((listing, i))
        if found is None:
            continue
        (width, height), channels = found[1], found[0]
        if width % 2 or width <= height:
            raise BadInput(
                f"{listing.path(entry.name)} is {width} x {height}: a pair is one image A|B of two equal halves side by "
                "side, or two of equal names in A/ and B/"
            )
        shapes.append((channels, channels, (width // 2, height)))

    def cut(index: int) -> tuple[Image.Image, Image.Image]:
        whole = _read(listing, index)
        half = whole.width // 2
        return whole.crop((0, 0, half, whole.height)), whole.crop((half, 0, whole.width, whole.height))

    return _filled(cut, (listing,), shapes, facts, asked, keep, progress)


def _filled(
    cut: Callable[[int], tuple[Image.Image, Image.Image]],
    listings: tuple[Listing, ...],
    shapes: list[tuple[int, int, tuple[int, int]]],
    facts: Facts,
    asked: dict[str, Any],
    keep: bool,
    progress: store.Progress,
) -> tuple[NDArray[np.uint8], int]:
    """Both images of each pair in one row of a store, so that a bad one takes its partner along."""
    kinds = [Counter(a for a, _, _ in shapes), Counter(b for _, b, _ in shapes)]
    sizes = Counter(size for _, _, size in shapes)
    own = [choose(kind, sizes, asked["default_size"]) for kind in kinds]
    swapped = asked["direction"] == "BtoA"
    target, other = (0, 1) if swapped else (1, 0)
    if asked["shape"] is not None:
        own[target] = tuple(asked["shape"])
    channels = asked.get("in_channels") or (3 if asked["label_maps"] else own[other][0])
    own[other] = (channels, *own[target][1:])
    if swapped and asked["label_maps"]:
        own[0] = (own[0][0] if asked["shape"] is not None else 3, *own[0][1:])

    def work(index: int) -> NDArray[np.uint8]:
        a, b = cut(index)
        first = label_map(a, own[0], asked["fit"]) if asked["label_maps"] else fit_image(a, own[0], asked["fit"])
        return np.concatenate([first, fit_image(b, own[1], asked["fit"])], axis=2)

    parts = [listing.key() for listing in listings], own, asked["fit"], asked["label_maps"], "pairs", VERSION
    key = hashlib.sha256(repr(parts).encode()).hexdigest()[:40] if keep else None
    names = [entry.name for entry in listings[0].entries]
    found = cache.load(key) if key is not None else None
    if found is None:
        notes = lambda good, bad: {"bad": [(names[i], reason) for i, reason in bad]}  # noqa: E731
        filled = store.fill(work, len(names), (own[0][0] + own[1][0], *own[0][1:]), key, notes, progress)
        if not filled.good:
            raise BadInput(f"none of the {len(names)} pairs in {listings[0].root} can be read: {filled.bad[0][1]}")
        found = filled.store
    facts.bad_files = [(listings[0].path(name), reason) for name, reason in found.notes["bad"]]
    return found.rows, own[0][0]


def _header(part: Part) -> tuple[int, tuple[int, int]] | None:
    """(channels, (width, height)) of an image as shown, None where it cannot be read."""
    listing, index = part
    try:
        with listing.open(index) as file:
            found = header(file, listing.entries[index].name)
        return found.channels, found.size
    except BadImage:
        return None


def _sizes(a: Part, b: Part) -> tuple[tuple[int, tuple[int, int]] | None, tuple[int, tuple[int, int]] | None]:
    return _header(a), _header(b)


def _read(listing: Listing, index: int) -> Image.Image:
    with listing.open(index) as file:
        return decode(file, listing.entries[index].name)


# --------------------------------------------------------------------------------------------------------- label maps


def label_map(image: Image.Image, shape: tuple[int, int, int], fit: str) -> NDArray[np.uint8]:
    """A map of labels as colours, uint8 (H, W, C): no label is mixed with its neighbour when the size changes.

    A grey image's values are labels, each with its own colour (see ``colours``); a coloured one's colours stay.
    """
    if image.mode == "L":
        image = Image.fromarray(colours()[np.asarray(image)])
    channels, height, width = shape
    image = image.convert({1: "L", 3: "RGB", 4: "RGBA"}.get(channels, "RGB"))
    box = _crop_box(image.size, width, height) if fit == "crop" else None
    return to_array(image.resize((width, height), Image.Resampling.NEAREST, box=box))


def colours() -> NDArray[np.uint8]:
    """A colour for each of 256 labels, uint8 (256, 3): label 0 is black, and low labels differ most.

    Bit 0, 3 and 6 of a label are the highest bits of red, bit 1, 4 and 7 of green, bit 2 and 5 of blue.
    """
    labels = np.arange(256)
    table = np.zeros((256, 3), np.uint8)
    for bit in range(8):
        table[:, bit % 3] |= ((labels >> bit & 1) << (7 - bit // 3)).astype(np.uint8)
    return table


def _no_label_maps(listing: Listing, asked: dict[str, Any]) -> None:
    """Grey images of few low values are labels, and as brightnesses they would all be black."""
    if asked["label_maps"]:
        if asked["fit"] == "pad":
            raise BadInput("--label-maps goes with --fit crop or squash: a border has no label")
        return
    seen: set[int] = set()
    for i in range(0, len(listing.entries), max(1, len(listing.entries) // _LOOKED_AT)):
        try:
            image = _read(listing, i)
        except BadImage:
            continue
        if image.mode != "L":
            return
        seen |= set(np.unique(np.asarray(image)).tolist())
    if 2 <= len(seen) and max(seen) < LABEL_LIMIT:
        raise BadInput(
            f"the images in {Path(listing.root)} hold {len(seen)} grey values from {min(seen)} to {max(seen)}, so they are "
            "maps of labels: say --label-maps, and each label gets a colour of its own"
        )
