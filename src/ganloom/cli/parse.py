"""Parse the command line: the values, and which flags were given. An error is reported in one line."""

import inspect
import textwrap
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from ganloom.cli import config_file, guesses, help_page
from ganloom.cli.flags import REQUIRED, FieldPath, Flag, Section
from ganloom.cli.spellings import SPELLINGS
from ganloom.core.errors import BadInput, did_you_mean
from ganloom.report.progress import Progress

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
    answers: dict[str, str] = field(default_factory=dict)
    """What to do instead of the unknown flags, where it is known."""


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
    section = Section("options", kind, spellings=SPELLINGS)
    words = split(argv, section.flags)
    if words.help:
        show(help_page.full(f"ganloom {prog}", inspect.cleandoc(kind.__doc__ or ""), [section]))
    file = words.flags.get(("config",), [])
    defaults = (
        config_file.read(file[0], section.flags) if file and any(f.path == ("config",) for f in section.flags) else {}
    )
    given = values(words, section.flags, f"ganloom {prog} --help", defaults)
    return section.build(given), frozenset(path[0] for path in given)


def show(page: str) -> None:
    """Print a page of help and exit with code 0."""
    print(page)
    raise SystemExit(0)


def split(argv: Sequence[str], flags: Iterable[Flag]) -> Words:
    """Sort the words of a command line by the flags that they belong to.

    A flag takes as many words as its type needs, and never a word that begins with "--" ("--flag=--word" does).
    Common names of other projects are replaced by the command's own (see ``guesses``). The words after an unknown flag, up
    to the next flag, are ignored, because it is not known how many of them belong to it.

    Args:
        argv: The words.
        flags: What the command accepts.
    """
    flags = list(flags)
    known = {flag.name: flag for flag in flags if not flag.positional}
    positionals = {flag.positional: flag for flag in flags if flag.positional}
    off = {flag.off: flag for flag in known.values() if flag.is_switch}
    words, rest = Words({}, [], []), list(argv)
    while rest:
        word = rest.pop(0)
        if word == "--":
            words.positionals.extend(rest)
            break
        if word in HELP or word == HELP_ALL:
            return Words(words.flags, words.positionals, [], HELP_ALL if word == HELP_ALL else "--help")
        if not _is_flag(word):
            words.positionals.append(word)
            continue
        name, equals, attached = word.partition("=")
        name = guesses.plain(name)
        following = _until_flag(rest)
        flag = known.get(name) or off.get(name)
        if flag is None:
            _replace(name, [attached] if equals else following, bool(equals), words, rest, known, positionals)
        elif equals:
            words.flags[flag.path] = [attached]
        elif flag.is_switch:
            words.flags[flag.path] = [str(name in known)]
        else:
            count = flag.count(following)
            words.flags[flag.path] = following[:count]
            del rest[:count]
    return words


def _replace(
    name: str,
    following: list[str],
    attached: bool,
    words: Words,
    rest: list[str],
    known: dict[str, Flag],
    positionals: dict[str, Flag],
) -> None:
    """Replace a flag that the command does not have by what it means, or note it as unknown."""
    meant = guesses.meaning(name, following, known, positionals)
    if meant is None or meant.answer:
        words.unknown.append(name)
        if meant is not None:
            words.answers[name] = meant.answer
        del rest[: 0 if attached else len(following)]
        return
    del rest[: 0 if attached else meant.used]
    if meant.positional:
        words.flags[positionals[meant.positional].path] = list(meant.words)
    elif attached and not meant.used:  # --kimg=3
        rest[:0] = [f"{meant.words[0]}={following[0]}"] if len(meant.words) == 1 else meant.words
    else:
        rest[:0] = meant.words


def _is_flag(word: str) -> bool:
    return word.startswith("--") or (word[:1] == "-" and word[1:2].isalpha())


def _until_flag(words: list[str]) -> list[str]:
    ends = [i for i, word in enumerate(words) if word.startswith("--")]
    return words[: ends[0]] if ends else words[:]


def values(
    words: Words, flags: Sequence[Flag], see: str, defaults: Mapping[FieldPath, Any] | None = None
) -> dict[FieldPath, Any]:
    """The values of the flags and positional arguments that were given, by the path of their field.

    Args:
        words: From ``split``.
        flags: What the command accepts.
        see: The command that shows the help, for messages.
        defaults: Values from a file of settings. Those of the command line win.

    Raises:
        BadInput: A flag is unknown, a value has the wrong type, an argument is missing or there is one too many.
    """
    if words.unknown:
        name = words.unknown[0]
        if name in words.answers:
            raise BadInput(f"unknown option {name}: {words.answers[name]}")
        near = guesses.suggestion(name, {flag.name: flag for flag in flags if not flag.positional})
        raise BadInput(f"unknown option {name}{near}: see `{see}`")
    defaults = defaults or {}
    positionals = [flag for flag in flags if flag.positional and flag.path not in words.flags]
    words = _without_swallowed(words, flags, [flag for flag in positionals if flag.path not in defaults])
    given = words.flags | _by_position(words.positionals, positionals, see)
    missing = [flag for flag in flags if flag.default is REQUIRED and flag.path not in given.keys() | defaults.keys()]
    if missing:
        raise BadInput(f"{missing[0].name} is missing: see `{see}`")
    return {**defaults, **{flag.path: _value(flag, given[flag.path], see) for flag in flags if flag.path in given}}


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
    return Words(kept, [*words.positionals, *taken[-missing:]], words.unknown, words.help, words.answers)


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


Subcommand = tuple[type[Any], Callable[[Sequence[str]], None]]
"""A subcommand: the dataclass of its flags, and the function that takes the words after it."""


def with_progress(prog: str, kind: type[T], act: Callable[[T, Progress], None], first: str = "") -> Subcommand:
    """Return a subcommand that reads its flags and shows its progress.

    Args:
        prog: The command, without "ganloom".
        kind: The dataclass of its flags.
        act: Called with the flags and the line of the progress.
        first: What the line says at the beginning.
    """

    def call(argv: Sequence[str]) -> None:
        args = parse(kind, argv, prog)
        with Progress() as progress:
            if first:
                progress(first)
            act(args, progress)

    return kind, call


def call_subcommand(group: str, commands: Mapping[str, Subcommand], argv: Sequence[str]) -> None:
    """Call the subcommand that ``argv`` begins with. Without one, or with --help, print a list of all.

    Args:
        group: The command, such as "bench".
        commands: Its subcommands by name.
        argv: The words after the command.

    Raises:
        BadInput: The subcommand is unknown or missing.
    """
    if not argv or argv[0] in (*HELP, HELP_ALL):
        print(_list_of(group, commands))
        return
    if argv[0] not in commands:
        see = f"`ganloom {group} --help` lists the commands"
        if argv[0].startswith("-"):
            raise BadInput(f"ganloom {group} needs a command before {argv[0]}: {see}")
        raise BadInput(f'unknown command "{group} {argv[0]}"{did_you_mean(argv[0], commands)}: {see}')
    commands[argv[0]][1](argv[1:])


def _list_of(group: str, commands: Mapping[str, Subcommand]) -> str:
    """The usage of a command with subcommands: their names, each with the first sentence of its help."""
    width = max(map(len, commands))
    lines = [f"usage: ganloom {group} COMMAND [OPTIONS]", "", "commands:"]
    for name, (kind, _) in commands.items():
        first = " ".join((kind.__doc__ or "").split()).split(". ")[0].rstrip(".")
        lines += textwrap.wrap(first, 100, initial_indent=f"  {name:<{width}}  ", subsequent_indent=" " * (width + 4))
    return "\n".join([*lines, "", f"`ganloom {group} COMMAND --help` shows the options of a command."])
