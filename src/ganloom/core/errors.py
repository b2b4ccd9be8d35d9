"""Errors that a user can fix: a one-line message (what is wrong, where, how to fix it) and an exit code."""

import difflib
import importlib
from collections.abc import Iterable
from types import ModuleType


class GanloomError(Exception):
    """An error in the input or the environment. Its message is one line; the command line prints it without a traceback."""

    exit_code = 2


class BadInput(GanloomError, ValueError):
    """The user's input cannot be used (exit code 2)."""


class CheckFailed(GanloomError):
    """A check ran and failed (exit code 1)."""

    exit_code = 1


class Interrupted(KeyboardInterrupt):
    """Ctrl-C ended a training; the message says what was saved and how to continue (exit code 130)."""


class Terminated(SystemExit):
    """A signal other than Ctrl-C ended a training.

    Args:
        code: The exit code, 128 plus the number of the signal.
        text: One line: what was saved and how to continue.
    """

    def __init__(self, code: int, text: str) -> None:
        super().__init__(code)
        self.number, self.text = code, text

    def __str__(self) -> str:
        return self.text


class MissingExtra(GanloomError, ImportError):
    """An optional dependency is not installed; the message names the ``pip install`` command (exit code 2)."""


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return `` (did you mean "x"?)`` for the name most similar to ``word``.

    Args:
        word: What the user wrote.
        known: Valid names.

    Returns:
        The hint, with a leading space; an empty string if no name is similar.
    """
    near = difflib.get_close_matches(word, list(known), n=1, cutoff=0.5)
    return f' (did you mean "{near[0]}"?)' if near else ""


def need(module: str, extra: str) -> ModuleType:
    """Import an optional dependency.

    Args:
        module: Dotted name of the module.
        extra: Extra of ganloom that installs it.

    Returns:
        The module.

    Raises:
        MissingExtra: If the module is not installed.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        top = module.split(".")[0]
        raise MissingExtra(f'{top} is not installed: pip install "ganloom[{extra}]"') from error
