"""What the folders of image files mean: common top folders, splits (train, val, test), sides of pairs, chunks, classes."""

import os
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ganloom.core.names import command_line, word_of

STRAY_SHARE = 0.1
"""Folders keep their meaning although images are beside them, if those are at most this share of all images."""

_TRAIN = ("train", "training")
_OTHER = "val valid validation dev test testing eval evaluation holdout hold-out heldout held-out pred".split()
_EXTRA = ("unlabeled", "unlabelled", "extra")
_ALONE = ("val", "validation", "test")
"""Splits also without a folder train/. Other words, such as valid (beside invalid), may be classes then."""
_SPLIT = re.compile(
    rf"(?P<before>(?:[^-_ ]+[-_ ])*)(?P<word>{'|'.join((*_TRAIN, *_OTHER, *_EXTRA))})"
    r"(?:[-_ ]?(?:set|images?|imgs?|data|split|[0-9]+))*",
    re.IGNORECASE,
)
_SIDE = re.compile(r"(?P<split>train|test|val|valid|validation)[-_ ]?(?P<side>[ab])", re.IGNORECASE)
_NAMED_SIDES = (
    (("input", "inputs"), ("output", "outputs", "target", "targets")),
    (("source", "src"), ("target", "tgt")),
    (("image", "images", "img", "imgs"), ("label", "labels", "mask", "masks", "target", "targets")),
)
"""Names of the two sides of pairs, if the files on both sides have equal names."""


@dataclass
class Arrangement:
    """Files arranged by their folders.

    Attributes:
        keep: Indices of the files that are data.
        paths: The parts of their names, without common top folders and splits.
        tops: Folders that hold all the data, outermost first; "" is the source itself. Label files are looked for there.
        base: The folder to give to a translation recipe, one of ``tops``.
        sides: The folders of the two sides of image-to-image data, or None.
        paired: Whether the files of both sides have equal names, endings apart.
        notes: One line for each thing that the user should know.
    """

    keep: list[int]
    paths: list[list[str]]
    tops: list[str] = field(default_factory=lambda: [""])
    base: str = ""
    sides: tuple[str, str] | None = None
    paired: bool = False
    notes: list[str] = field(default_factory=list)

    def select(self, chosen: Sequence[int], drop: int | None = None) -> None:
        """Keep some of the files, and drop one level of their folders."""
        self.keep = [self.keep[i] for i in chosen]
        self.paths = [self.paths[i] for i in chosen]
        if drop is not None:
            self.paths = [path[:drop] + path[drop + 1 :] for path in self.paths]


def arrange(names: Sequence[str], source: str) -> Arrangement:
    """Find out which files are data and what their folders mean.

    Args:
        names: Names of the N files under the source, with "/".
        source: The folder or archive, for the notes.
    """
    found = Arrangement(list(range(len(names))), [name.split("/") for name in names])
    while True:
        _strip_tops(found)
        _find_sides(found)
        if found.sides is not None or not _apply_splits(found, source):
            break
    if found.sides is None and found.paths and all(len(path) > 2 for path in found.paths):
        _splits_inside_classes(found)
    return found


def classes_of(found: Arrangement) -> tuple[NDArray[np.int64] | None, list[str] | None]:
    """The labels and the classes of files in class folders: the first folder of each, in alphabetical order.

    The notes of ``found`` say why folders are not classes: they hold chunks of one sequence of files, or too many images
    are beside them. A few images beside them are left out.

    Returns:
        (int64 (N,), names of the classes), or (None, None).
    """
    folders = sorted({path[0] for path in found.paths if len(path) > 1})
    if len(folders) == 1 and len({path[1] for path in found.paths if len(path) > 2}) > 1:
        found.notes.append(
            f"{_images(sum(len(path) == 1 for path in found.paths))} beside the folder {folders[0]}: so the folders in it are "
            "not used as classes"
        )
    if len(folders) < 2 or found.sides is not None:
        return None, None
    if _are_chunks(found.paths, folders):
        found.notes.append(
            f"the folders {folders[0]} ... {folders[-1]} hold consecutive parts of one sequence of files: they are not "
            "used as classes (rename them if they are)"
        )
        return None, None
    if not _leave_out_stray(found, f"the class folders {_listed(folders)}"):
        found.notes.append(
            f"{_images(sum(len(path) == 1 for path in found.paths))} beside the class folders {_listed(folders)}: so the "
            "folders are not used as classes. Move each image into a folder of its class"
        )
        return None, None
    number = {folder: i for i, folder in enumerate(folders)}
    return np.array([number[path[0]] for path in found.paths], np.int64), folders


def stem(name: str) -> str:
    """A file's name without its ending."""
    return name.rsplit(".", 1)[0]


def _strip_tops(found: Arrangement) -> None:
    """Remove top folders that hold all the files, or all but a few if there are folders in it."""
    while True:
        inside = [path for path in found.paths if len(path) > 1]
        if inside and all(len(path) > 2 and path[0] == inside[0][0] for path in inside):
            _leave_out_stray(found, f"the folder {inside[0][0]}")
        paths = found.paths
        if not paths or not all(len(path) > 1 and path[0] == paths[0][0] for path in paths):
            return
        found.tops.append("/".join(filter(None, (found.tops[-1], paths[0][0]))))
        is_train = paths[0][0] == "train"  # a translation recipe finds its hold-out set beside train/
        found.base = found.base if is_train else found.tops[-1]
        found.paths = [path[1:] for path in paths]


def _leave_out_stray(found: Arrangement, beside: str) -> bool:
    """Leave out a few images that are in no folder, with a note. Returns False if there are too many."""
    stray = [i for i, path in enumerate(found.paths) if len(path) == 1]
    if len(stray) > STRAY_SHARE * len(found.paths):
        return False
    if stray:
        found.notes.append(
            f"{_images(len(stray))} beside {beside}, such as {found.paths[stray[0]][0]}, {'is' if len(stray) == 1 else 'are'} "
            "left out; move them into one of the folders to use them"
        )
        found.select([i for i, path in enumerate(found.paths) if len(path) > 1])
    return True


def _find_sides(found: Arrangement) -> None:
    """Find the two folders of image pairs or domains."""
    folders = {path[0] for path in found.paths if len(path) > 1}
    sides = _side_names(folders)
    if sides is None:
        return
    a, b, fixed = sides
    if not _leave_out_stray(found, f"the folders {a}, {b}"):
        return
    names: dict[str, set[str]] = {folder: set() for folder in folders}
    for path in found.paths:
        names[path[0]].add(stem("/".join(path[1:])))
    if not fixed and names[a] != names[b]:
        return
    if len(folders) > 2:
        held = sorted(folders - {a, b})
        found.notes.append(f"{', '.join(held)} {'are' if len(held) > 1 else 'is'} held out: not used in training")
        found.select([i for i, path in enumerate(found.paths) if path[0] in (a, b)])
    found.sides, found.paired = (a, b), names[a] == names[b]


def _side_names(folders: set[str]) -> tuple[str, str, bool] | None:
    """The two sides by the names of their folders, and whether these names are used for nothing else."""
    parts = {folder: match for folder in folders if (match := _SIDE.fullmatch(folder)) is not None}
    train = sorted(folder for folder, match in parts.items() if match["split"].lower() == "train")
    if len(train) == 2 and len(parts) == len(folders) and {parts[f]["side"].lower() for f in train} == {"a", "b"}:
        return train[0], train[1], True
    if folders == {"A", "B"}:
        return "A", "B", True
    if len(folders) == 2:
        a, b = sorted(folders)
        if any(a.lower() in first and b.lower() in second for first, second in _NAMED_SIDES):
            return a, b, False
    return None


def _apply_splits(found: Arrangement, source: str) -> bool:
    """Use only the training split, if the first folders are splits. Returns whether anything changed."""
    counts = Counter(path[0] for path in found.paths if len(path) > 1)
    loose = sum(len(path) == 1 for path in found.paths)
    used, others = _splits(counts)
    if not used and not others:
        return False
    if used and not others:  # val/ and test/ without train/: all of them are data
        found.notes.append(
            f"{_listed(used)} are splits, not classes; there is no folder train, so all of them are used"
        )
    elif used:
        left = [f"{folder} ({counts[folder]:,})" for folder in sorted(counts.keys() - set(used))]
        left += [f"{_images(loose)} beside them"] if loose else []
        found.notes.append(
            f"splits are not classes: {_listed(used)} ({sum(counts[f] for f in used):,} images) is used, "
            f"not {', '.join(left)}{_evaluate(found, others, source)}"
        )
    else:
        left = [f"{folder} ({counts[folder]:,})" for folder in others]
        found.notes.append(f"{', '.join(left)} is a split and is not used{_evaluate(found, others, source)}")
    if not used:
        found.select([i for i, path in enumerate(found.paths) if len(path) == 1 or path[0] not in others])
        return True
    kept = [i for i, path in enumerate(found.paths) if len(path) > 1 and path[0] in used]
    top = found.tops[-1]
    if len(used) == 1:
        found.tops.append("/".join(filter(None, (top, used[0]))))
        found.base = found.base if used[0] == "train" else found.tops[-1]
    found.select(kept, drop=0)
    return True


def _evaluate(found: Arrangement, others: list[str], source: str) -> str:
    """How to measure against a split that training does not use."""
    if not os.path.isdir(source):
        return ""
    first = next((other for other in others if "test" in other.lower()), others[0])
    command = command_line(["ganloom", "evaluate", "RUN", word_of(os.path.join(source, found.tops[-1], first))])
    return f"; `{command}` measures against it"


def _splits(folders: Iterable[str]) -> tuple[list[str], list[str]]:
    """(folders of the training split, folders of the other splits); both empty if the folders are no splits."""
    matches = {folder: match for folder in sorted(folders) if (match := _SPLIT.fullmatch(folder)) is not None}
    kinds = {folder: match["word"].lower() in _TRAIN for folder, match in matches.items()}
    prefixes = {
        is_train: {m["before"] for f, m in matches.items() if kinds[f] is is_train} for is_train in (True, False)
    }
    both = prefixes[True] & prefixes[False]
    if both:
        used = [folder for folder, match in matches.items() if kinds[folder] and match["before"] in both]
        return used, [folder for folder in matches if not kinds[folder] and matches[folder]["before"] in both]
    others = [folder for folder in matches if not kinds[folder] and not matches[folder]["before"]]
    if len(others) > 1 and len(others) == len(set(folders)):
        return others, []
    return [], [folder for folder in others if folder.lower() in _ALONE]


def _splits_inside_classes(found: Arrangement) -> None:
    """Use only the training split, if each class folder holds splits: cat/train, cat/test, dog/train, dog/test."""
    counts = Counter(path[1] for path in found.paths)
    used, others = _splits(counts)
    if not used or not others:
        return
    left = ", ".join(f"{folder} ({counts[folder]:,})" for folder in sorted(counts.keys() - set(used)))
    found.notes.append(
        f"the folders hold splits: {_listed(used)} ({sum(counts[f] for f in used):,} images) is used, not {left}"
    )
    found.select([i for i, path in enumerate(found.paths) if path[1] in used], drop=1)


def _are_chunks(paths: list[list[str]], folders: list[str]) -> bool:
    """Whether numbered folders hold a sequence of files in order, as tools split large sets: 00000/, 01000/, ..."""
    if not all(f.isascii() and f.isdigit() and len(f) == len(folders[0]) >= 3 for f in folders) or int(folders[0]):
        return False
    files: dict[str, list[str]] = {folder: [] for folder in folders}
    for path in paths:
        if len(path) != 2:
            return False
        files[path[0]].append(path[1])
    counts = [len(files[folder]) for folder in folders]
    full = len(set(counts[:-1])) == 1 and counts[-1] <= counts[0]
    ends = [(min(files[folder]), max(files[folder])) for folder in folders]
    return full and all(before[1] < after[0] for before, after in zip(ends, ends[1:], strict=False))


def _images(count: int) -> str:
    return f"{count:,} image{'' if count == 1 else 's'}"


def _listed(folders: list[str]) -> str:
    """A few names."""
    return ", ".join(folders[:3]) + (" ..." if len(folders) > 3 else "")
