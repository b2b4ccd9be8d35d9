"""Modules by name, imported when they are asked for: a list of names costs no import of torch."""

import importlib
from collections.abc import Iterator, Mapping
from types import ModuleType


class Listing(Mapping[str, ModuleType]):
    """``paths``: name -> the module's full dotted path."""

    def __init__(self, paths: Mapping[str, str]) -> None:
        self.paths = dict(paths)

    def __getitem__(self, name: str) -> ModuleType:
        return importlib.import_module(self.paths[name])

    def __iter__(self) -> Iterator[str]:
        return iter(self.paths)

    def __len__(self) -> int:
        return len(self.paths)
