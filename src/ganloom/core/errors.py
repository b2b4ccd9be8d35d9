"""Errors that a user can mend: one line that says what, where and how, and the exit code that goes with it."""

import difflib
import importlib
from collections.abc import Iterable
from types import ModuleType


class GanloomError(Exception):
    """A fault of the input or the surroundings. Its message is one line; the command line prints it without traceback."""

    exit_code = 2


class BadInput(GanloomError, ValueError):
    """The user's input cannot be used as it is (exit code 2)."""


class CheckFailed(GanloomError):
    """A check ran and its answer is no (exit code 1)."""

    exit_code = 1


class MissingExtra(GanloomError, ImportError):
    """An optional dependency is not installed; the message names the ``pip install`` that mends it."""


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """`` (did you mean "x"?)`` for the nearest of ``known``, or an empty string."""
    near = difflib.get_close_matches(word, list(known), n=1, cutoff=0.5)
    return f' (did you mean "{near[0]}"?)' if near else ""


def need(module: str, extra: str) -> ModuleType:
    """Import ``module``, or say which extra of ganloom brings it."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        top = module.split(".")[0]
        raise MissingExtra(f'{top} is not installed: pip install "ganloom[{extra}]"') from error
