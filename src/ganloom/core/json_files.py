"""Read the JSON files that ganloom writes. A damaged or foreign file is one line that names it and says what to do.

``read`` parses a file and checks it against a declared type: a TypedDict, whose keys and types are compared with the values.
A file may be truncated, empty, nested too deep, of another type, or not UTF-8: each is a ``BadInput``, never another error.
"""

import collections.abc
import contextlib
import dataclasses
import json
import math
import re
import stat
import types
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, NamedTuple, Union

from ganloom.core.errors import BadInput, GanloomError
from ganloom.core.memory import ran_out

MAX_BYTES = 2**26
"""Largest file, in bytes. Ours have some kilobytes."""
MAX_LINE = 2**24
"""Longest line of a file of JSON lines, in characters."""
MAX_DEPTH = 60
"""Deepest nesting. Ours are less than 10 deep; Python's recursion limit is about 1,000."""
MAX_DIGITS = 30
"""Longest whole number. A longer one cannot be converted to a float, or not to an int."""
FIX = "Restore it from a copy, or train again"


class AnyNumber:
    """A type for ``check``: a number that may be infinite or NaN, as a measurement may be."""


class _Damaged(ValueError):
    """A value that JSON allows and no file of ours has."""


def _whole(digits: str) -> int:
    if len(digits) > MAX_DIGITS:
        raise _Damaged(f"a whole number of {len(digits)} digits")
    return int(digits)


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) < len(pairs):
        names = [name for name, _ in pairs]
        raise _Damaged(f"the key {next(name for name in names if names.count(name) > 1)[:80]!r} occurs twice")
    return values


_DECODER = json.JSONDecoder(parse_int=_whole, object_pairs_hook=_without_duplicates)
_LINE_DECODER = json.JSONDecoder(parse_int=_whole)
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")
"""An escape that may be one half of a character."""
_NO_CHARACTER = re.compile(r"[\ud800-\udc7f\udd00-\udfff]")
"""A half that no text has. Python writes the bytes of a file name that is not UTF-8 as U+DC80 to U+DCFF, so these are allowed."""


def parse(content: bytes | str, decoder: json.JSONDecoder = _DECODER) -> Any:
    """Parse JSON text.

    Args:
        content: The text; bytes are UTF-8, with or without a byte order mark.
        decoder: For the module's own use.

    Returns:
        The value.

    Raises:
        ValueError: If it is not valid JSON, nested deeper than ``MAX_DEPTH``, or has a number or a key that no file of ours has.
            The message is one line that says why.
    """
    text = content.decode("utf-8-sig") if isinstance(content, bytes) else content
    if not text.strip():
        raise _Damaged("it is empty")
    try:
        value = decoder.decode(text)
    except RecursionError:
        raise _Damaged("it is nested too deep") from None
    if text.count("[") + text.count("{") > MAX_DEPTH and _too_deep(value):
        raise _Damaged(f"it is nested more than {MAX_DEPTH} deep")
    if _SURROGATE.search(text) and _NO_CHARACTER.search(json.dumps(value, ensure_ascii=False)):
        raise _Damaged("it has one half of a character, which cannot be a file name nor be printed")
    return value


def _too_deep(value: Any) -> bool:
    level = [value]
    for _ in range(MAX_DEPTH + 1):
        level = [
            item
            for parent in level
            if isinstance(parent, dict | list)
            for item in (parent.values() if isinstance(parent, dict) else parent)
        ]
        if not level:
            return False
    return True


def read(path: Path, kind: Any = dict[str, Any], fix: str = FIX, limit: int = MAX_BYTES) -> dict[str, Any]:
    """Read a file that holds one JSON object.

    Args:
        path: The file.
        kind: What the object must be: a TypedDict, or ``dict[str, Any]`` for any object. See ``check``.
        fix: What to do if the file is damaged, for the error message.
        limit: Largest file, in bytes.

    Returns:
        The object. Keys that ``kind`` does not declare are kept.

    Raises:
        BadInput: If the file is missing, cannot be read, is damaged, or does not hold what ``kind`` declares.
    """
    try:
        content = _content(path, limit)
    except OSError as error:
        raise BadInput(f"{path} cannot be read: {error.strerror or error}{_then(fix)}") from error
    return decode(content, kind, str(path), fix)


def decode(content: bytes, kind: Any, where: str, fix: str = FIX) -> dict[str, Any]:
    """Parse and check the content of a file; see ``read``.

    Args:
        content: The bytes of the file.
        kind: See ``read``.
        where: The name of the file in error messages.
        fix: See ``read``.

    Raises:
        BadInput: As ``read``.
    """
    try:
        value = parse(content)
    except ValueError as error:
        raise BadInput(f"{where} is damaged: not valid JSON ({error}){_then(fix)}") from error
    if not isinstance(value, dict):
        raise BadInput(f"{where} is damaged: it must hold a JSON object and holds {_shown(value)}{_then(fix)}")
    try:
        check(value, kind, "")
    except BadInput as error:
        raise BadInput(f"{where} is damaged: {error}{_then(fix)}") from error
    return value


def _then(fix: str) -> str:
    return f". {fix}" if fix else ""


def read_list(path: Path, kind: Any = dict[str, Any], fix: str = FIX) -> list[Any]:
    """Read a file that holds a JSON list.

    Args:
        path: The file.
        kind: What each entry must be; see ``check``.
        fix: What to do if the file is damaged, for the error message.

    Returns:
        The entries; none if the file does not exist.

    Raises:
        BadInput: If the file cannot be read or is damaged.
    """
    try:
        value = parse(_content(path, MAX_BYTES))
        check(value, list[kind], "")  # type: ignore[valid-type]
    except FileNotFoundError:
        return []
    except (OSError, ValueError) as error:
        raise BadInput(f"{path} cannot be read as a JSON list ({error}){_then(fix)}") from error
    entries: list[Any] = value
    return entries


def _content(path: Path, limit: int) -> bytes:
    with contextlib.suppress(ValueError):  # a NUL byte in the path
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):  # reading a pipe would block for ever
            raise OSError("it is not a regular file")
        if status.st_size > limit:
            raise OSError(f"it has {status.st_size / 2**20:.0f} MiB, more than {limit // 2**20}")
        return path.read_bytes()
    raise OSError("its name cannot be used")


class Line(NamedTuple):
    """A line of a file of JSON lines: its text without the line break, and its object; None if it is damaged."""

    text: str
    value: dict[str, Any] | None


def read_lines(path: Path) -> list[Line]:
    """Read a file of JSON lines, each of which is an object.

    Args:
        path: The file.

    Returns:
        The lines that are not blank; none if the file does not exist. A process that was killed leaves an incomplete last line.

    Raises:
        BadInput: If the file exists but cannot be read.
    """
    try:
        text = _content(path, 2**40).decode("utf-8", errors="replace").removeprefix("\ufeff")
    except FileNotFoundError:
        return []
    except OSError as error:
        raise BadInput(f"{path} cannot be read: {error.strerror or error}. Move it away") from error
    return [Line(line, _object(line)) for line in text.split("\n") if line.strip()]


def _object(line: str) -> dict[str, Any] | None:
    try:
        value = parse(line, _LINE_DECODER) if len(line) <= MAX_LINE else None
    except ValueError:
        return None
    return value if isinstance(value, dict) else None


# -------------------------------------------------------------------------------------------------------------- types


def check(value: Any, kind: Any, where: str) -> None:
    """Check a parsed JSON value against a declared type.

    Args:
        value: The value.
        kind: ``Any``, None, bool, int, float (finite; whole numbers too), ``AnyNumber``, str, a Literal, a union, ``list[X]``,
            ``tuple[X, Y]`` (a list of that length), ``dict[str, X]`` or a Mapping, a TypedDict, or a dataclass (all of whose
            fields are optional). Keys that a TypedDict or a dataclass does not declare are allowed.
        where: The place of the value, for the error message, such as "train.seed"; "" for the whole file.

    Raises:
        BadInput: If the value has another type; the message names the place.
    """
    origin, args = typing.get_origin(kind), typing.get_args(kind)
    if kind is Any:
        return
    if origin in (Union, types.UnionType):
        _check_union(value, args, where)
    elif typing.is_typeddict(kind) or dataclasses.is_dataclass(kind):
        _check_table(value, kind, where)
    elif origin in (dict, collections.abc.Mapping):
        _check_type(value, dict, "an object", where)
        for name, item in value.items():
            check(item, args[1], _place(where, name))
    elif origin is list or (origin is tuple and args[-1] is Ellipsis):
        _check_type(value, list, "a list", where)
        for place, item in enumerate(value):
            check(item, args[0], f"{where}[{place}]")
    elif origin is tuple:
        _check_type(value, list, "a list", where)
        if len(value) != len(args):
            raise BadInput(f"{where} must have {len(args)} entries and has {len(value)}")
        for place, (item, each) in enumerate(zip(value, args, strict=True)):
            check(item, each, f"{where}[{place}]")
    else:
        _check_scalar(value, kind, args, where)


def _check_scalar(value: Any, kind: Any, args: tuple[Any, ...], where: str) -> None:
    if kind is AnyNumber:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise BadInput(f"{where} must be a number and is {_shown(value)}")
    elif typing.get_origin(kind) is Literal:
        if not isinstance(value, str) or value not in args:
            raise BadInput(f"{where} must be one of {', '.join(map(str, args))} and is {_shown(value)}")
    elif kind in (None, type(None)):
        _check_type(value, type(None), "null", where)
    elif kind is float:
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            raise BadInput(f"{where} must be a number and is {_shown(value)}")
    elif kind is int and isinstance(value, bool):
        raise BadInput(f"{where} must be a whole number and is {_shown(value)}")
    else:
        words = {int: "a whole number", str: "a text", bool: "true or false", dict: "an object", list: "a list"}
        _check_type(value, kind, words[kind], where)


def _check_type(value: Any, kind: type, words: str, where: str) -> None:
    if not isinstance(value, kind):
        raise BadInput(f"{where or 'it'} must be {words} and is {_shown(value)}")


def _check_union(value: Any, kinds: tuple[Any, ...], where: str) -> None:
    for kind in kinds:
        with contextlib.suppress(BadInput):
            check(value, kind, where)
            return
    main = [kind for kind in kinds if kind is not type(None)]
    check(value, main[0], where)  # with the message of the first one


def _check_table(value: Any, kind: Any, where: str) -> None:
    _check_type(value, dict, "an object", where)
    for name in sorted(getattr(kind, "__required_keys__", ())):
        if name not in value:
            raise BadInput(f"{_place(where, name)} is missing")
    for name, hint in typing.get_type_hints(kind).items():
        if name in value:
            check(value[name], hint, _place(where, name))


def _place(where: str, name: str) -> str:
    return f"{where}.{name}" if where else name


def _shown(value: Any) -> str:
    """A value in a few words."""
    if isinstance(value, dict | list):
        return f"{'an object' if isinstance(value, dict) else 'a list'} of {len(value)}"
    text = json.dumps(value)
    return text if len(text) <= 60 else f"{text[:60]} ..."


@contextlib.contextmanager
def blaming(path: Path, what: str, fix: str = FIX) -> Iterator[None]:
    """Name a file in each error that its values cause.

    For code that builds something from a checked file, where whatever fails does so because of the file: sizes that no
    network can have, settings that do not fit together.

    Args:
        path: The file.
        what: What the file describes, for example "a model that cannot be built".
        fix: What to do.

    Raises:
        BadInput: Instead of any error, with the name of the file. Other one-line errors of ganloom pass unchanged, and so does
            the lack of memory.
    """
    try:
        yield
    except BadInput as error:
        if str(path) in str(error):
            raise
        raise BadInput(f"{path}: {error}") from error
    except GanloomError:
        raise
    except Exception as error:
        if ran_out(error):
            raise
        reason = " ".join(str(error).split())[:200] or "no reason given"
        raise BadInput(f"{path} describes {what} ({type(error).__name__}: {reason}){_then(fix)}") from error
