"""The help of a command as text: a full page with all flags, and a short one with the flags that people use first."""

import shutil
import textwrap
from collections.abc import Mapping, Sequence

from ganloom.cli.flags import REQUIRED, FieldPath, Flag, Section

COLUMN = 24
"""Where the help texts begin."""


def full(usage: str, about: str, sections: Sequence[Section]) -> str:
    """All flags under the titles of their sections, wrapped to the width of the terminal.

    Args:
        usage: The command.
        about: What the command does; blank lines separate paragraphs.
        sections: Its flags.
    """
    width = max(60, shutil.get_terminal_size((100, 24)).columns)
    positionals = [flag for section in sections for flag in section.flags if flag.positional]
    lines = _head(usage, about, positionals, width)
    for title, flags in [("arguments", positionals), *((section.title, section.flags) for section in sections)]:
        shown = [flag for flag in flags if bool(flag.positional) == (title == "arguments")]
        if shown:
            lines += ["", f"{title}:"]
            for flag in shown:
                lines += _entry(flag, width)
    return "\n".join([*lines, "", *_entry_of("-h, --help", "Show this help and exit.", width)])


def short(
    usage: str, about: str, sections: Sequence[Section], first: Mapping[FieldPath, tuple[str, str]], last: str
) -> str:
    """A line for each flag that is used first.

    Args:
        usage: The command.
        about: What the command does.
        sections: All flags of the command.
        first: The flags to show, by path: (placeholder of the value, help of a few words). Others are left out.
        last: The line after the flags.
    """
    width = max(60, shutil.get_terminal_size((100, 24)).columns)
    flags = {flag.path: flag for section in sections for flag in section.flags}
    shown = [(flags[path], *texts) for path, texts in first.items() if path in flags]
    lines = _head(usage, about, [flag for flag, _, _ in shown if flag.positional], width)
    lines.append("")
    for flag, metavar, text in shown:
        name = flag.name if flag.positional or not metavar else f"{flag.name} {metavar}"
        own = flag.is_switch or flag.default in (None, (), REQUIRED) or "(default: " in text
        default = "" if own else f" ({flag.default_text})"
        lines.append(f"  {name:<{COLUMN - 2}}{text}{default}")
    return "\n".join([*lines, "", last])


def _head(usage: str, about: str, positionals: Sequence[Flag], width: int) -> list[str]:
    names = [f"{flag.name} ..." if flag.spec.nargs == "*" else flag.name for flag in positionals]
    names = [n if flag.default is REQUIRED else f"[{n}]" for n, flag in zip(names, positionals, strict=True)]
    lines = [" ".join(["usage:", usage, *names, "[OPTIONS]"])]
    for paragraph in about.split("\n\n"):
        lines += ["", *textwrap.wrap(" ".join(paragraph.replace("``", "`").split()), width, break_on_hyphens=False)]
    return lines


def _entry(flag: Flag, width: int) -> list[str]:
    names = f"{flag.name}, {flag.off}" if flag.is_switch else flag.name
    head = names if flag.positional or not flag.metavar else f"{names} {flag.metavar}"
    obvious = flag.positional and flag.default in (None, REQUIRED)  # the usage line shows it
    default = f" ({flag.default_text})" if flag.default_text and not obvious else ""
    return _entry_of(head, flag.help + default, width)


def _entry_of(head: str, text: str, width: int) -> list[str]:
    """``head`` and, from one column on, the wrapped text; below ``head`` if that is too long."""
    wrapped = textwrap.wrap(text.strip(), width - COLUMN, break_on_hyphens=False) or [""]
    indented = [" " * COLUMN + line for line in wrapped]
    if len(head) + 4 <= COLUMN:
        return [f"  {head:<{COLUMN - 2}}{wrapped[0]}".rstrip(), *indented[1:]]
    return [f"  {head}", *(line for line in indented if line.strip())]
