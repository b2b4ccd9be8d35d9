"""Import paths of earlier versions: each documented old path leads to the new one, with a DeprecationWarning.

``MOVED`` and ``RENAMED`` are the whole of it. ``install`` adds a finder to ``sys.meta_path`` that is asked only for modules
that do not exist, and that answers for the modules named in ``MOVED``.
"""

import importlib
import importlib.abc
import importlib.machinery
import sys
import warnings
from collections.abc import Sequence
from types import ModuleType
from typing import Any

MOVED: dict[str, tuple[str, ...]] = {}
"""Old module -> the modules in which its names are now, without "ganloom."."""
RENAMED: dict[str, str] = {}
"""Old "module:name" -> new "module:name", without "ganloom."."""


class MovedModule(ModuleType):
    """A module of an earlier version, whose names are looked up in the new modules.

    It can be called if it has a function of its own last name, such as ``ganloom.data.check``: importing the old module
    puts it in the place of that function.
    """

    def __getattr__(self, name: str) -> Any:
        old = self.__name__.removeprefix("ganloom.")
        if renamed := RENAMED.get(f"{old}:{name}"):
            module, _, name = renamed.partition(":")
            return getattr(importlib.import_module(f"ganloom.{module}"), name)
        if not name.startswith("__"):
            for module in MOVED[old]:
                candidate = importlib.import_module(f"ganloom.{module}")
                if hasattr(candidate, name):
                    return getattr(candidate, name)
        raise AttributeError(f"module {self.__name__} has no attribute {name!r}")

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return getattr(self, self.__name__.rpartition(".")[2])(*args, **kwargs)


class MovedFinder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Finds the modules named in ``MOVED``."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """Return a spec for a moved module, None for any other."""
        known = fullname.startswith("ganloom.") and fullname.removeprefix("ganloom.") in MOVED
        return importlib.machinery.ModuleSpec(fullname, self) if known else None

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType:
        """Return the stand-in, and say where its names are now."""
        new = " and ".join(f"ganloom.{name}" for name in MOVED[spec.name.removeprefix("ganloom.")])
        warnings.warn(f"{spec.name} has moved to {new}", DeprecationWarning, stacklevel=2)
        return MovedModule(spec.name, f"Moved to {new}.")

    def exec_module(self, module: ModuleType) -> None:
        """Do nothing: names are looked up when they are used."""


def install() -> None:
    """Make the old import paths work; called once by ``ganloom/__init__.py``."""
    if not any(isinstance(finder, MovedFinder) for finder in sys.meta_path):
        sys.meta_path.append(MovedFinder())
