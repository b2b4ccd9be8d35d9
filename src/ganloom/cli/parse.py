"""Parse the command line: the values, and which flags were given. An error is reported in one line."""

import inspect
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from ganloom.cli import help_page
from ganloom.cli.flags import REQUIRED, FieldPath, Flag, Section
from ganloom.core.errors import BadInput, did_you_mean

T = TypeVar("T")
HELP, HELP_ALL = ("-h", "--help"), "--help-all"


@dataclass(frozen=True)
class Words:
    """The words of a command line, sorted by the flag that they belong to."""

    flags: dict[FieldPath, list[str]]
    """The words of each flag that was given, by the path of its field; the last one counts."""
    positionals: list[str]
    unknown: list[str]
    """Flags that the command does not have."""
    help: str = ""
    """"--help" or "--help-all", if one was given."""


def parse(kind: type[T], argv: Sequence[str], prog: str) -> T:
    """Read a command line; --help prints the help and exits.

    Args:
        kind: A dataclass: its fields are the flags, its docstring is the help text.
        argv: The words after the command.
        prog: The command, without "ganloom".

    Returns:
        An instance of ``kind``.

    Raises:
        BadInput: The words cannot be read.
        SystemExit: Code 0, after --help.
    """
    return parse_given(kind, argv, prog)[0]


def parse_given(kind: type[T], argv: Sequence[str], prog: str) -> tuple[T, frozenset[str]]:
    """Read a command line like ``parse``, and also return the names of the fields that were given."""
    section = Section("options", kind)
    words = split(argv, section.flags)
    if words.help:
        show(help_page.full(f"ganloom {prog}", inspect.cleandoc(kind.__doc__ or ""), [section]))
    given = values(words, section.flags, f"ganloom {prog} --help")
    return section.build(given), frozenset(path[0] for path in given)


def show(page: str) -> None:
    """Print a page of help and exit with code 0."""
    print(page)
    raise SystemExit(0)


def split(argv: Sequence[str], flags: Iterable[Flag]) -> Words:
    """Sort the words of a command line by the flags that they belong to.

    A flag takes as many words as its type needs, and never a word that begins with "--" ("--flag=--word" does).
    The words after an unknown flag, up to the next flag, are ignored: nobody knows how many it takes.

    Args:
        argv: The words.
        flags: What the command accepts.
    """
    known = {flag.name: flag for flag in flags if not flag.positional}
    off = {flag.off: flag for flag in known.values() if flag.is_switch}
    words, rest = Words({}, [], []), list(argv)
    while rest:
        word = rest.pop(0)
        name, equals, attached = word.partition("=")
        name = "--" + name[2:].replace("_", "-")
        if word == "--":
            words.positionals.extend(rest)
            break
        if word in HELP or word == HELP_ALL:
            return Words(words.flags, words.positionals, [], HELP_ALL if word == HELP_ALL else "--help")
        if not word.startswith("--") and not (word[:1] == "-" and word[1:2].isalpha()):
            words.positionals.append(word)
            continue
        following = _until_flag(rest)
        flag = known.get(name) or off.get(name)
        if flag is None:
            words.unknown.append(word.partition("=")[0])
            del rest[: 0 if equals else len(following)]
        elif equals:
            words.flags[flag.path] = [attached]
        elif flag.is_switch:
            words.flags[flag.path] = [str(name in known)]
        else:
            count = flag.count(following)
            words.flags[flag.path] = following[:count]
            del rest[:count]
    return words


def _until_flag(words: list[str]) -> list[str]:
    ends = [i for i, word in enumerate(words) if word.startswith("--")]
    return words[: ends[0]] if ends else words[:]


def values(words: Words, flags: Sequence[Flag], see: str) -> dict[FieldPath, Any]:
    """The values of the flags and positional arguments that were given, by the path of their field.

    Args:
        words: From ``split``.
        flags: What the command accepts.
        see: The command that shows the help, for messages.

    Raises:
        BadInput: A flag is unknown, a value has the wrong type, an argument is missing or there is one too many.
    """
    if words.unknown:
        near = did_you_mean(words.unknown[0], [flag.name for flag in flags if not flag.positional])
        raise BadInput(f"unknown option {words.unknown[0]}{near}: see `{see}`")
    positionals = [flag for flag in flags if flag.positional]
    words = _without_swallowed(words, flags, positionals)
    given = words.flags | _by_position(words.positionals, positionals, see)
    missing = [flag for flag in flags if flag.default is REQUIRED and flag.path not in given]
    if missing:
        raise BadInput(f"{missing[0].name} is missing: see `{see}`")
    return {flag.path: _value(flag, given[flag.path], see) for flag in flags if flag.path in given}


def _without_swallowed(words: Words, flags: Sequence[Flag], positionals: Sequence[Flag]) -> Words:
    """Give the last words of a flag that takes any number of them back, if positional arguments are missing.

    So `--c Bat Bee RUN` is read like `RUN --c Bat Bee`.
    """
    missing = sum(flag.default is REQUIRED for flag in positionals) - len(words.positionals)
    greedy = [
        f for f in flags if not f.positional and f.spec.nargs == "*" and len(words.flags.get(f.path, ())) > missing
    ]
    if missing <= 0 or len(greedy) != 1:
        return words
    taken = words.flags[greedy[0].path]
    kept = words.flags | {greedy[0].path: taken[:-missing]}
    return Words(kept, [*words.positionals, *taken[-missing:]], words.unknown, words.help)


def _by_position(words: list[str], flags: Sequence[Flag], see: str) -> dict[FieldPath, list[str]]:
    """The words of each positional argument; one that takes several takes all that are left."""
    given: dict[FieldPath, list[str]] = {}
    rest = words[:]
    for flag in flags:
        if rest:
            count = len(rest) if flag.spec.nargs == "*" else 1
            given[flag.path], rest = rest[:count], rest[count:]
    if rest:
        raise BadInput(f'unexpected argument "{rest[0]}": see `{see}`')
    return given


def _value(flag: Flag, words: list[str], see: str) -> Any:
    try:
        return flag.value(words)
    except BadInput as error:
        raise BadInput(f"{error}: see `{see}`") from None


def subcommand(group: str, words: Iterable[str], argv: Sequence[str], first: Any, use: str) -> str | None:
    """Return the subcommand that ``argv`` begins with. Without one, show the help of the first subcommand and return None.

    Args:
        group: The command, such as "bench".
        words: Its subcommands.
        argv: The words after the command.
        first: The dataclass of the first subcommand.
        use: The text for messages that says what to use.

    Raises:
        BadInput: The subcommand is unknown.
    """
    known = list(words)
    if not argv or argv[0].startswith("-"):
        parse(first, argv if argv else ["--help"], f"{group} {known[0]}")
        return None
    if argv[0] not in known:
        raise BadInput(f'unknown command "{group} {argv[0]}"{did_you_mean(argv[0], known)}: use {use}')
    return argv[0]
