"""From a typed dataclass to flags, with faults as one line."""

import contextlib
import dataclasses
import inspect
import io
import re
import sys
from collections.abc import Iterable, Sequence
from typing import Any, TypeVar

import tyro

from ganloom.core.errors import BadInput, did_you_mean

T = TypeVar("T")


def parse(kind: type[T], argv: Sequence[str], prog: str) -> T:
    """Fill ``kind``, a dataclass whose docstrings are the help, from ``argv``; --help prints and exits 0."""
    heard = io.StringIO()
    try:
        with contextlib.redirect_stderr(heard):
            return tyro.cli(
                kind, args=list(argv), prog=f"ganloom {prog}", description=inspect.cleandoc(kind.__doc__ or "")
            )
    except SystemExit as stopped:
        if not stopped.code:
            sys.stderr.write(heard.getvalue())
            raise
        raise BadInput(f"{_first_fault(heard.getvalue())}: see `ganloom {prog} --help`") from None


def _first_fault(box: str) -> str:
    """The message in tyro's box, on one line, with its nearest suggestion."""
    # Rules and titles part the box; which characters draw it depends on the terminal.
    lines = ["" if re.search(r"[─-]{5}", line) else line.strip(" │|\t") for line in box.splitlines()]
    parts = [part for part in "\n".join(lines).split("\n\n") if part.strip()]
    if len(parts) > 1 and re.fullmatch(r"\s*[A-Z][a-z]+ [a-z]+\s*", parts[0]):  # a title on a line of its own
        del parts[0]
    said = " ".join((parts[0] if parts else "the arguments cannot be read").split()).rstrip(".")
    said = re.sub(
        r"^Error parsing (--\S+): no type matching \S+ could be instantiated from \['(.*)'\]$", _mistyped, said
    )
    near = re.search(r"Perhaps you meant:?\s+(--[\w.-]+)", " ".join("\n".join(parts[1:]).split()))
    return said + (f" (did you mean {near.group(1)}?)" if near else "")


def _mistyped(found: re.Match[str]) -> str:
    return f'{found.group(1)} cannot be "{found.group(2)}"'


def subcommand(group: str, words: Iterable[str], argv: Sequence[str], first: Any, use: str) -> str | None:
    """The word that stands behind ``group``; None where none does, and then the help of the first word, ``first``, was shown."""
    known = list(words)
    if not argv or argv[0].startswith("-"):
        parse(first, argv if argv else ["--help"], f"{group} {known[0]}")
        return None
    if argv[0] not in known:
        raise BadInput(f'unknown command "{group} {argv[0]}"{did_you_mean(argv[0], known)}: use {use}')
    return argv[0]


def given_fields(kind: Any, argv: Sequence[str]) -> set[str]:
    """The fields of a dataclass that ``argv`` names, also where the value given is the default."""
    flags = {arg[2:].split("=")[0].split(".")[0].replace("-", "_") for arg in argv if arg.startswith("--")}
    flags |= {flag.removeprefix("no_") for flag in flags}
    return {field.name for field in dataclasses.fields(kind)} & flags
