"""MNIST, Fashion-MNIST, KMNIST, EMNIST and QMNIST from their IDX files, each with the names of its own classes.

- MNIST: LeCun, Cortes, Burges, "The MNIST database of handwritten digits", 1998.
- KMNIST: Clanuwat et al., "Deep Learning for Classical Japanese Literature", 2018, arXiv:1812.01718.
- EMNIST: Cohen, Afshar, Tapson, van Schaik, "EMNIST: an extension of MNIST to handwritten letters", 2017, arXiv:1702.05373.
- QMNIST: Yadav, Bottou, "Cold Case: the Lost MNIST Digits", 2019, arXiv:1905.10498.
"""

import os
import re
import string
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ganloom.core.errors import BadInput
from ganloom.data.arrays import to_rows
from ganloom.data.dataset import Facts
from ganloom.data.file_kinds import is_to_sniff
from ganloom.data.idx_files import IdxHeader, idx_header, read_idx
from ganloom.data.labels import to_labels
from ganloom.data.pixel_scale import Scales

DIGITS = list(string.digits)
FASHION_CLASSES = [
    "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot",
]  # fmt: skip
_MERGED = DIGITS + list(string.ascii_uppercase) + list("abdefghnqrt")
EMNIST_SPLITS = {
    "balanced": _MERGED,
    "byclass": DIGITS + list(string.ascii_uppercase + string.ascii_lowercase),
    "bymerge": _MERGED,
    "letters": list(string.ascii_uppercase),
    "digits": DIGITS,
    "mnist": DIGITS,
}
"""The splits of EMNIST and the names of their classes; "bymerge" does not tell c from C, and so on."""
CLASSES: dict[str, list[str] | None] = {
    "mnist": DIGITS,
    "qmnist": DIGITS,
    "kmnist": ["o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo"],
    "fashion-mnist": FASHION_CLASSES,
    **{f"emnist-{split}": names for split, names in EMNIST_SPLITS.items()},
    "idx": None,
}
"""Name of a set -> the names of its classes; None: numbers."""
NAMES = frozenset(name + end for name in (*CLASSES, "emnist") for end in ("", "-test"))
"""Names of sets that are read from a folder, as in mnist:DIR; with -test: the part that is not for training."""

_DEPTH = 2
"""Folders below the given one that are searched, such as MNIST/raw."""
_NOT_IN_KEYS = re.compile(r"images?|labels?|idx\d*|ubyte|int\b|gz$|[^a-z0-9]")


class Found(NamedTuple):
    """The images and the labels of one part of a set.

    ``size`` counts the images; ``key`` is what the names of both files have in common, such as "train".
    """

    key: str
    images: Path
    size: int
    labels: Path | None

    @property
    def is_test(self) -> bool:
        """Whether this is not the part for training."""
        return any(word in self.key for word in ("t10k", "test", "val"))


def is_idx_name(source: str) -> bool:
    """Whether a source such as ``mnist:DIR`` or ``emnist-letters-test:DIR`` is one of `NAMES`."""
    return source.split(":", 1)[0] in NAMES


def source_of(path: str) -> str | None:
    """Find the IDX files in a folder, or take a single file, and return the source that opens them.

    Returns:
        Such as "kmnist:DIR", named after the files and the folder; "idx:DIR" if they name no set; None without IDX files.

    Raises:
        BadInput: there are several sets.
    """
    parts = _find(Path(path))
    if not parts:
        return None
    train = [part for part in parts if not part.is_test]
    names = sorted({_name_of(part) for part in train or parts})
    if len(names) > 1 or len({part.images.parent for part in train or parts}) > 1:
        choices = ", ".join(f"{_name_of(part)}:{part.images.parent}" for part in (train or parts)[:6])
        raise BadInput(f"{path} holds several sets of IDX files: give one of {choices}")
    return f"{names[0]}{'' if train else '-test'}:{os.path.abspath(path)}"


def read_set(source: str) -> tuple[NDArray[np.uint8], Facts]:
    """Read ``mnist:DIR`` or another set of `NAMES`.

    Returns:
        uint8 (N, H, W, 1), and facts with labels, class names, and notes on what is not used.

    Raises:
        BadInput: files are missing or damaged, or DIR holds several sets.
    """
    full_name, _, argument = source.partition(":")
    if not argument:
        raise BadInput(
            f"{full_name} needs the folder of its IDX files: give {full_name}:DIR, DIR with ...-images-idx3-ubyte.gz"
        )
    name, folder = full_name.removesuffix("-test"), Path(argument).expanduser()
    parts = _parts_of(name, folder, full_name)
    wanted = [part for part in parts if part.is_test == full_name.endswith("-test")]
    if not wanted:
        there = ", ".join(part.images.name for part in parts)
        other = name if full_name.endswith("-test") else f"{name}-test"
        raise BadInput(f"{full_name}: {folder} holds only {there}; give {other}:{argument}")
    if len(wanted) > 1:
        raise BadInput(
            f"{full_name}: {folder} holds {', '.join(part.images.name for part in wanted)}; give one folder for each"
        )
    facts = Facts(full_name)
    images = _images(wanted[0], name, facts)
    _add_labels(facts, wanted[0], name, len(images))
    for part in parts:
        if part is not wanted[0]:
            more = f"{name}-test:{argument}" if part.is_test else f"{name}:{argument}"
            facts.notes.append(f"{part.size:,} images of {part.images.name} are not used; {more} opens them")
    return images, facts


def _parts_of(name: str, folder: Path, full_name: str) -> list[Found]:
    """The parts of one set in a folder."""
    if not folder.exists():
        raise BadInput(f"{full_name}: there is no folder {folder}")
    parts = _find(folder)
    if not parts:
        raise BadInput(
            f"{full_name}: no IDX files in {folder}; it should hold files such as train-images-idx3-ubyte.gz"
        )
    if name == "idx":
        return parts
    exact = [
        part for part in parts if _name_of(part) == name or (name == "emnist" and _name_of(part).startswith("emnist"))
    ]
    if name == "emnist" and len({_name_of(part) for part in exact}) > 1:
        names = " or ".join(f"{n}:{folder}" for n in sorted({_name_of(part) for part in exact}))
        raise BadInput(f"{full_name}: {folder} holds several splits; give {names}")
    chosen = exact or parts  # files of other names: the user says what they are
    if len({part.images.parent for part in chosen}) > 1:
        folders = ", ".join(sorted({str(part.images.parent) for part in chosen}))
        raise BadInput(f"{full_name}: IDX files in several folders: give one of {folders}")
    return chosen


def _find(path: Path) -> list[Found]:
    """The parts in a folder or below it, or the part of a single file, by the keys of their names."""
    if path.is_file():
        header = _header_of(path)
        if header is None:
            return []
        key = _key(path)
        return [part for part in _find_in(path.parent) if part.key == key]
    found: list[Found] = []
    for folder in _folders(path, _DEPTH):
        found += _find_in(folder)
    return found


def _folders(path: Path, depth: int) -> Iterator[Path]:
    """A folder and the folders in it, sorted."""
    yield path
    if depth:
        for inside in (p for p in _inside(path) if p.is_dir() and not p.name.startswith(".")):
            yield from _folders(inside, depth - 1)


def _inside(folder: Path) -> list[Path]:
    """What a folder holds, sorted; nothing if it cannot be read."""
    try:
        return sorted(folder.iterdir())
    except OSError:
        return []


def _find_in(folder: Path) -> list[Found]:
    images: dict[str, tuple[Path, int]] = {}
    labels: dict[str, Path] = {}
    for path in filter(Path.is_file, _inside(folder)):  # an unpacked file stands before its .gz
        header = _header_of(path)
        if header is None:
            continue
        if len(header.sizes) >= 3:
            images.setdefault(_key(path), (path, header.sizes[0]))
        else:
            labels.setdefault(_key(path), path)
    return [Found(key, path, size, labels.get(key)) for key, (path, size) in images.items()]


def _header_of(path: Path) -> IdxHeader | None:
    """The header of an IDX file; None for other files.

    Raises:
        BadInput: the name says that it is an IDX file, but it is damaged.
    """
    named = re.search(r"idx\d|ubyte", path.name.lower()) is not None
    if not named and not is_to_sniff(path.name) and path.suffix.lower() != ".gz":
        return None
    header = idx_header(path)
    if header is None and named:
        raise BadInput(f"{path} is not a complete IDX file; download it again")
    return header


def _key(path: Path) -> str:
    return _NOT_IN_KEYS.sub("", path.name.lower())


def _name_of(part: Found) -> str:
    """The name of the set: by the names of its files, or else of the folders around them."""
    folders = part.images.resolve().parent
    for text in (part.key, *(folder.name.lower() for folder in (folders, *folders.parents)[:3])):
        for name, words in (
            ("fashion-mnist", ("fashion",)), ("kmnist", ("kmnist", "kuzushiji")), ("qmnist", ("qmnist",)),
            ("emnist", ("emnist",)), ("mnist", ("mnist",)),
        ):  # fmt: skip
            if any(word in text for word in words):
                return f"emnist-{_split_of(part)}" if name == "emnist" else name
    return "idx"


def _split_of(part: Found) -> str:
    """The split of EMNIST that the names of a file and its folder contain; "byclass" if none."""
    text = f"{part.key} {part.images.resolve().parent.name.lower()}".replace("emnist", "")
    return next((split for split in EMNIST_SPLITS if split in text), "byclass")


def _images(part: Found, name: str, facts: Facts) -> NDArray[np.uint8]:
    array = read_idx(part.images)
    if array.ndim == 3:
        array = array[..., None]
    if name.startswith("emnist"):  # published with rows and columns exchanged
        array = array.transpose(0, 2, 1, 3)
    scales = Scales()
    rows = to_rows(array, str(part.images), 1, scales)
    facts.notes += scales.notes
    facts.scales = scales.used
    return rows


def _add_labels(facts: Facts, part: Found, name: str, count: int) -> None:
    """Add the labels, numbered from 0, and the names of the classes."""
    if part.labels is None:
        facts.notes.append(f"no labels: there is no file of labels beside {part.images.name}")
        return
    values = read_idx(part.labels)
    labels: NDArray[Any] = values[:, 0] if values.ndim == 2 else values  # QMNIST adds writers and more to the class
    if labels.shape != (count,):
        raise BadInput(f"{part.labels} holds {len(labels):,} labels for {count:,} images; download both files again")
    name = _name_of(part) if name == "emnist" else name
    table = _mapping(part, name) or _table(name)
    if table is None:
        facts.labels, facts.classes = to_labels(labels, count, str(part.labels))
        return
    unknown = np.setdiff1d(labels, list(table))
    if len(unknown):
        raise BadInput(
            f"{part.labels} holds the label {unknown[0]}, which {name} does not have; idx:DIR reads any labels"
        )
    numbers = np.array(sorted(table))
    facts.labels = np.searchsorted(numbers, labels).astype(np.int64)
    facts.classes = [table[number] for number in numbers.tolist()]


def _table(name: str) -> dict[int, str] | None:
    """Label -> name of the class."""
    names = CLASSES[name]
    first = 1 if name == "emnist-letters" else 0
    return None if names is None else dict(enumerate(names, first))


def _mapping(part: Found, name: str) -> dict[int, str] | None:
    """EMNIST's own table, emnist-SPLIT-mapping.txt: a label and the codes of its characters in each line."""
    if not name.startswith("emnist-"):
        return None
    try:
        lines = (part.images.parent / f"{name}-mapping.txt").read_text("ascii").splitlines()
        return {int(line.split()[0]): chr(int(line.split()[1])) for line in lines if line.strip()}
    except (OSError, ValueError, IndexError, OverflowError):
        return None
