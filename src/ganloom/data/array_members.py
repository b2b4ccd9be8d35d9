"""Which arrays of an .npz file or a dictionary are images, and which are labels."""

import re
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from ganloom.core.errors import BadInput

IMAGE_KEYS = ("images", "x", "arr_0", "data", "x_train")
"""Names of the array of images, in order of priority; others are recognised by `_IMAGES`."""
LABEL_KEYS = ("labels", "y", "y_train")
"""Names of the array of labels, in order of priority; others are recognised by `_LABELS`."""
_IMAGES = re.compile(r"(?:train[-_]?)?(?:images?|imgs?|pictures?|photos?|pixels|samples?|data|x)(?:[-_]?train)?", re.I)
_LABELS = re.compile(
    r"(?:train[-_]?)?(?:labels?|targets?|class(?:es)?|class[-_]?(?:ids?|labels?)|cls|categor(?:y|ies)|y)(?:[-_]?train)?",
    re.I,
)


class Member(NamedTuple):
    """Shape and dtype of an array, as its header says."""

    shape: tuple[int, ...]
    dtype: np.dtype[np.generic]

    def __str__(self) -> str:
        return f"{' x '.join(map(str, self.shape)) or 'one value'}, {self.dtype}"


class Roles(NamedTuple):
    """The name of the images and of the labels, None without labels; whether the labels were found by position alone."""

    images: str
    labels: str | None
    by_position: bool = False


def find_roles(members: Mapping[str, Member], where: str) -> Roles:
    """Find the images and their labels by names, or by position in files of ``numpy.savez(x, y)``.

    Args:
        members: name -> shape and dtype.
        where: the file, for the error message.

    Raises:
        BadInput: no array is named like images.
    """
    images = _images(members)
    if images is None:
        names = ", ".join(sorted(members)[:8]) or "nothing"
        raise BadInput(f"{where} holds {names}; name the array of images x or images, and their labels y or labels")
    count = members[images].shape[0] if members[images].shape else 0
    labels = next((key for key in LABEL_KEYS if key in members and key != images), None)
    if labels is None:
        # "classes" with fewer entries than images holds the names of the classes.
        named = (key for key in members if _LABELS.fullmatch(key) and key != images)
        labels = next((key for key in named if may_be_labels(members[key], count)), None)
    if labels is not None or not images.startswith("arr_"):
        return Roles(images, labels)
    positional = (key for key, member in members.items() if key.startswith("arr_") and key != images)
    return Roles(images, next((key for key in positional if may_be_labels(members[key], count)), None), True)


def may_be_labels(member: Member, count: int) -> bool:
    """Whether an array has one number or one text, or one row of K numbers, for each of ``count`` images."""
    return member.shape[:1] == (count,) and len(member.shape) <= 2 and member.dtype.kind in "biufUS"


def unread_note(members: Mapping[str, Member], used: set[str], images: str, has_labels: bool) -> str | None:
    """One line about the arrays that are not read; None if there are none.

    Args:
        members: name -> shape and dtype.
        used: names of the arrays that are read.
        images: name of the array of images.
        has_labels: whether labels were found.
    """
    unread = [name for name in members if name not in used]
    if not unread:
        return None
    listed = ", ".join(f"{name} ({members[name]})" for name in unread[:4]) + (" ..." if len(unread) > 4 else "")
    count = members[images].shape[0]
    labels = [name for name in unread if len(members[name].shape) == 1 and may_be_labels(members[name], count)]
    if labels and not has_labels:
        return f"not read: {listed}; if {labels[0]} holds the labels, name it labels"
    return f"not read: {listed}"


def _images(members: Mapping[str, Member]) -> str | None:
    for key in IMAGE_KEYS:
        if key in members and (key != "arr_0" or len(members[key].shape) > 2):
            return key
    named = [key for key in members if _IMAGES.fullmatch(key)] or [
        key for key, member in members.items() if key.startswith("arr_") and len(member.shape) > 2
    ]
    if named:
        return named[0]
    if "arr_0" in members:
        return "arr_0"
    return next(iter(members)) if len(members) == 1 else None
