"""Classes by name: read a class that a user gives, and match two lists of classes.

A class is found by its name first and by its number second. Two lists are matched by name; numbers are used only where one
side has no names, and then the text of the match says so.
"""

import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from numbers import Integral
from typing import Any

from ganloom.core.errors import BadInput, did_you_mean
from ganloom.core.names import shown

LISTED = 6
"""Most names in a message."""


def complete(names: Sequence[str] | None, count: int) -> list[str]:
    """Return one name for each of ``count`` classes: the known names, and the number of each class without one."""
    known = list(names or ())[:count]
    return known + [str(i) for i in range(len(known), count)]


def is_named(given: Any) -> bool:
    """Return whether ``given`` is a class, or a list of classes, that ``numbers`` reads: text or whole numbers."""
    if isinstance(given, list | tuple):
        return bool(given) and all(is_named(one) and not isinstance(one, list | tuple) for one in given)
    return isinstance(given, str | Integral) and not isinstance(given, bool)


def numbers(given: Any, names: Sequence[str], flag: str = "c") -> list[int]:
    """Read classes.

    Each entry is a name (exact, or else unique if upper and lower case are ignored), or else a number from 0. Text that is no
    name may list several classes, separated by commas.

    Args:
        given: A name, a number, or a list of them.
        names: The names of all classes.
        flag: What the user set, for messages.

    Returns:
        The number of each class.

    Raises:
        BadInput: There is no such class, or a name fits several.
    """
    entries = given if isinstance(given, list | tuple) else [given]
    return [number for entry in entries for number in _read(entry, names, flag)]


def _read(entry: Any, names: Sequence[str], flag: str) -> list[int]:
    if isinstance(entry, str) and "," in entry and not _found(entry, names):
        return [_number(part.strip(), names, flag) for part in entry.split(",") if part.strip()]
    return [_number(str(entry), names, flag)]


def _number(word: str, names: Sequence[str], flag: str) -> int:
    found = _found(word, names)
    if len(found) == 1:
        return found[0]
    if len(found) > 1:
        fits = " and ".join(f'{i} ("{shown(names[i])}")' for i in found[:2])
        raise BadInput(
            f'{flag} "{shown(word)}" fits several classes, such as {fits}: give the exact name or the number'
        )
    if word.isascii() and word.isdigit() and int(word) < len(names) and not _numbers_conflict(names):
        return int(word)
    span = f"0..{len(names) - 1}"
    known = span if _numbered(names) else listing(names) + ("" if _numbers_conflict(names) else f", or {span}")
    raise BadInput(f'{flag} "{shown(word)}" is no class of this model{did_you_mean(word, names)}: it has {known}')


def _found(word: str, names: Sequence[str]) -> list[int]:
    """The numbers of the classes with this name; if there are none, ignore case and the Unicode form."""
    exact = [i for i, name in enumerate(names) if name == word]
    return exact or [i for i, name in enumerate(names) if plain(name) == plain(word)]


def _numbers_conflict(names: Sequence[str]) -> bool:
    """Whether a class is named by the number of another one, as if labels start from 1: then a number is only a name."""
    return any(n.isascii() and n.isdigit() and int(n) < len(names) and int(n) != i for i, n in enumerate(names))


def plain(name: str) -> str:
    """Return a name without the differences of case and of Unicode form."""
    return unicodedata.normalize("NFC", name).casefold()


# ------------------------------------------------------------------------------------------------------- two lists


@dataclass(frozen=True)
class Match:
    """Which class of one list is which of another.

    Attributes:
        numbers: For each class of "there", its number in "here"; -1 if "here" does not have it.
        text: One sentence for people; empty if the lists are equal.
    """

    numbers: tuple[int, ...]
    text: str = ""

    @property
    def any(self) -> bool:
        """Whether a class is in both lists."""
        return any(i >= 0 for i in self.numbers)


def match(here_names: Sequence[str], there_names: Sequence[str], here: str, there: str) -> Match:
    """Match the classes of two lists by name.

    Args:
        here_names: All names of the first list; see ``complete``.
        there_names: All names of the second list.
        here: What has the first list, such as "the model".
        there: What has the second list, such as "the data".

    Returns:
        The match. If one list has only numbers and the other has names, classes are matched by number if there are equally
        many of them, and else not at all; the text says which.
    """
    if list(here_names) == list(there_names):
        return Match(tuple(range(len(there_names))))
    one_sided = _numbered(here_names) != _numbered(there_names)
    if one_sided and not (_all_digits(here_names) and _all_digits(there_names)):
        bare, named, names = (here, there, there_names) if _numbered(here_names) else (there, here, here_names)
        if len(here_names) != len(there_names):
            text = f"{bare} has only class numbers, {named} has names ({listing(names)}), and their counts differ"
            return Match((-1,) * len(there_names), f"{text}: no class is matched")
        pairs = ", ".join(f"{i} = {shown(name)}" for i, name in list(enumerate(names))[:LISTED])
        more = ", ..." if len(names) > LISTED else ""
        text = f"{bare} has only class numbers: they are matched with the names of {named} by number ({pairs}{more})"
        return Match(tuple(range(len(there_names))), text)
    found = _by_name(here_names, there_names)
    return Match(tuple(found), _text(here_names, there_names, found, here, there))


def _by_name(here: Sequence[str], there: Sequence[str]) -> list[int]:
    """For each class of ``there`` its number in ``here``, or -1. Names that a list holds twice are not matched."""
    exact = _unique(here, there)
    found = [exact.get(name, -1) for name in there]
    taken = set(found)
    left = _unique([plain(name) for name in here], [plain(name) for name in there])
    similar = [left.get(plain(name), -1) for name in there]
    return [j if i < 0 and j not in taken else i for i, j in zip(found, similar, strict=True)]


def _unique(here: Sequence[str], there: Sequence[str]) -> dict[str, int]:
    """The number of each name that both lists hold exactly once."""
    counts, others = Counter(here), Counter(there)
    return {name: i for i, name in enumerate(here) if counts[name] == others[name] == 1}


def _text(here_names: Sequence[str], there_names: Sequence[str], found: list[int], here: str, there: str) -> str:
    matched = [there_names[j] for j, i in enumerate(found) if i >= 0]
    only_there = [there_names[j] for j, i in enumerate(found) if i < 0]
    known = set(found)
    only_here = [name for i, name in enumerate(here_names) if i not in known]
    if not only_there and not only_here:
        return f"the classes are matched by name: {there} has them in another order than {here}"
    text = f"{len(matched)} of {len(there_names)} classes of {there} are matched by name"
    text += f" ({listing(matched)})" if matched else ""
    text += f"; only in {there}: {listing(only_there)}" if only_there else ""
    return text + (f"; only in {here}: {listing(only_here)}" if only_here else "")


def _numbered(names: Sequence[str]) -> bool:
    """Whether the names are the numbers of the classes, so that nothing more is known about them."""
    return all(name == str(i) for i, name in enumerate(names))


def _all_digits(names: Iterable[str]) -> bool:
    return all(name.isascii() and name.isdigit() for name in names)


# --------------------------------------------------------------------------------------------------------- as text


def listing(names: Sequence[str]) -> str:
    """Return the first names as text, and the number of the others."""
    first = ", ".join(shown(name) for name in names[:LISTED])
    return f"{first} and {len(names) - LISTED} more" if len(names) > LISTED else first


def empty_text(kept: Sequence[str], empty: Sequence[str]) -> str:
    """Return one line on classes that are left out because they have no images."""
    total = len(kept) + len(empty)
    return (
        f"{len(empty)} of {total} classes are empty (no images) and are left out: {listing(empty)}; "
        f"left {'are' if len(kept) > 1 else 'is'} {listing(kept)}"
    )


# -------------------------------------------------------------------------------------------------------- recorded


def recorded(described: dict[str, Any], count: int) -> tuple[tuple[str, ...], tuple[int, ...] | None]:
    """Read the classes that a config.json records.

    Args:
        described: The content of config.json.
        count: Number of classes of the model.

    Returns:
        (names, empty if they are not known; numbers of the classes that have images, or None for all).

    Raises:
        BadInput: They are not lists of names and of class numbers.
    """
    names, drawn = described.get("classes") or [], described.get("classes_drawn")
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise BadInput("config.json: 'classes' must be a list of names, or null: restore the file")
    if drawn is None or not count:
        return tuple(names), None
    if not isinstance(drawn, list) or not drawn or not all(type(i) is int and 0 <= i < count for i in drawn):
        raise BadInput(f"config.json: 'classes_drawn' must be a list of class numbers below {count}: restore the file")
    return tuple(names), tuple(drawn)
