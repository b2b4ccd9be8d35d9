"""Names from a user's files as text on a screen, and as names of new files."""

import hashlib
import os
import shlex
import unicodedata
from collections.abc import Iterable, Sequence
from pathlib import Path

SHOWN = 40
"""Longest name in a table, in characters."""
FILE_BYTES = 80
"""Longest name of a new file or folder, in bytes of UTF-8; most file systems allow 255 for name and ending."""
RESERVED = frozenset({"con", "prn", "aux", "nul", *(f"{port}{i}" for port in ("com", "lpt") for i in range(10))})
"""Names that Windows gives to devices."""


def printable(text: object) -> str:
    """Return text on one line, with escapes for characters that a terminal cannot print or that would change its state.

    Line breaks, control characters, marks that turn the direction of writing, and bytes that are not UTF-8 become escapes.
    """
    return "".join(c if _prints(c) else c.encode("unicode_escape").decode() for c in str(text))


def _prints(character: str) -> bool:
    return (
        character.isprintable() or unicodedata.category(character) == "Zs"
    )  # str.isprintable() has no wide and thin spaces


def command_line(words: Iterable[object]) -> str:
    """Return words as a command for a POSIX shell, on one line that can be copied.

    Words with characters that cannot be printed are written as ``$'...'``, with the bytes of these characters.
    """
    return " ".join(map(_quoted, map(str, words)))


def resume_command(run: str | os.PathLike[str]) -> str:
    """Return the command that continues a run."""
    return command_line(["ganloom", "resume", word_of(run)])


def word_of(path: str | os.PathLike[str]) -> str:
    """Return a path as a word of a command line; a name that begins with a dash would be read as a flag."""
    text = os.fspath(path)
    return f"./{text}" if text.startswith("-") else text


def _quoted(word: str) -> str:
    if printable(word) == word:
        return shlex.quote(word)
    return "$'" + "".join(_escaped(c) for c in word) + "'"


def _escaped(character: str) -> str:
    if character in "\\'":
        return f"\\{character}"
    if _prints(character):
        return character
    errors = "surrogateescape" if "\udc80" <= character <= "\udcff" else "surrogatepass"
    return "".join(f"\\x{byte:02x}" for byte in character.encode("utf-8", errors))


def shown(name: object, limit: int = SHOWN) -> str:
    """Return a name for a table or a picture: printable, and cut with "..." after ``limit`` characters."""
    text = printable(name)
    return text if len(text) <= limit else f"{text[: limit - 3]}..."


def file_name(name: str, default: str = "unnamed") -> str:
    """Return a name that every file system accepts.

    Letters and digits of any language, "-", "_" and "." are kept; other characters become "-". The name does not begin with
    "-" or ".", is no device of Windows, and has at most ``FILE_BYTES`` bytes.

    Args:
        name: Any text.
        default: What to return if nothing of it is left.
    """
    plain = "".join(c if c.isalnum() or c in "-_." else "-" for c in unicodedata.normalize("NFC", name))
    plain = _cut(plain.lstrip("-."), FILE_BYTES - 1).rstrip(".")
    if not plain.strip("-_."):
        return default
    return f"{plain}-" if plain.split(".")[0].lower() in RESERVED else plain


def own_file_name(name: str) -> str:
    """Return a file name like ``file_name``; if it differs from ``name``, with a digest that tells it from other names."""
    plain = file_name(name)
    if plain == name:
        return name
    return f"{_cut(plain, FILE_BYTES - 9)}-{hashlib.sha256(name.encode('utf-8', 'surrogatepass')).hexdigest()[:8]}"


def file_names(names: Sequence[str]) -> list[str]:
    """Return a different file name for each name, see ``file_name``.

    Names that would become equal, also on a file system that does not tell capitals from small letters, get their place in the
    list as an ending.

    Args:
        names: Any texts, such as the names of the classes.
    """
    plain = [file_name(name, f"class-{i}").replace(".", "-") for i, name in enumerate(names)]
    taken = _counts(plain)
    result: list[str] = []
    used = set(taken)
    for i, name in enumerate(plain):
        if taken[name.casefold()] > 1:
            name = f"{_cut(name, FILE_BYTES - 12)}-{i}"
            while name.casefold() in used:
                name += "-"
            used.add(name.casefold())
        result.append(name)
    return result


def _counts(names: Iterable[str]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for name in names:
        counts[name.casefold()] = counts.get(name.casefold(), 0) + 1
    return counts


def _cut(text: str, size: int) -> str:
    """The start of a text, at most ``size`` bytes of UTF-8 and no part of a character."""
    return text.encode("utf-8", "replace")[:size].decode("utf-8", "ignore")


def as_path(path: str | os.PathLike[str]) -> Path:
    """Return a path that a user gave, with the home folder in the place of a leading ``~``."""
    return Path(os.path.expanduser(os.fspath(path)))
