"""Which folders hold domain A, domain B and the hold-out set: A/ and B/, trainA/ and trainB/, train/ and val/ ..."""

import os

from ganloom.core.errors import BadInput
from ganloom.data.own_folders import is_own_path

Folders = str | tuple[str, str]
"""A folder of images A|B side by side, or the folders of domains A and B."""

_TRAIN = (("trainA", "trainB"), ("A", "B"), ("train/A", "train/B"))
_TEST = (("testA", "testB"), ("test/A", "test/B"))


def training_folders(source: str | list[str]) -> Folders:
    """Find the training images.

    Args:
        source: one folder with one of these layouts, or the folders of A and B.

            - ``trainA/`` and ``trainB/``, ``A/`` and ``B/``, or ``train/A/`` and ``train/B/``
            - exactly two sub-folders of other names than train, test and val; A is the first in alphabetical order
            - images side by side in ``train/`` or, without it, in the folder itself

    Raises:
        BadInput: only one of two folders is there.
    """
    if isinstance(source, list):
        for folder in source:
            if not os.path.isdir(folder):
                raise BadInput(f"no folder {folder}: give two folders of images, A,B")
        return source[0], source[1]
    two = _two_folders(source, _TRAIN)
    if two is not None:
        return two
    inside = sorted(f for f in os.listdir(source) if os.path.isdir(os.path.join(source, f)) and f[0] != ".")
    if len(inside) > 2:  # runs beside the two domains
        inside = [f for f in inside if not is_own_path(os.path.join(source, f))]
    if len(inside) == 2 and not {"train", "test", "val"} & set(inside):
        return os.path.join(source, inside[0]), os.path.join(source, inside[1])
    train = os.path.join(source, "train")
    return train if os.path.isdir(train) else source


def held_out_folders(source: str) -> Folders | None:
    """Find the hold-out images: ``testA/`` and ``testB/``, ``test/A/`` and ``test/B/``, ``test/`` or ``val/``.

    Returns:
        The folders, or None if there are none.

    Raises:
        BadInput: only one of two folders is there.
    """
    two = _two_folders(source, _TEST)
    if two is not None:
        return two
    return next((path for name in ("test", "val") if os.path.isdir(path := os.path.join(source, name))), None)


def _two_folders(source: str, names: tuple[tuple[str, str], ...]) -> tuple[str, str] | None:
    """The first two folders of ``names`` that are there, or None."""
    for a, b in names:
        has_a, has_b = (os.path.isdir(os.path.join(source, name)) for name in (a, b))
        if has_a and has_b:
            return os.path.join(source, a), os.path.join(source, b)
        if has_a or has_b:
            present, missing = (a, b) if has_a else (b, a)
            raise BadInput(f"{source} has {present}/ and no {missing}/: pairs, or two domains, need both folders")
    return None
