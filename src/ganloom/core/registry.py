"""Modules by name, imported on first use, so that listing the names does not import torch."""

import importlib
from collections.abc import Iterator, Mapping
from types import ModuleType


class Listing(Mapping[str, ModuleType]):
    """Read-only mapping from names to modules; ``listing[name]`` imports the module.

    Args:
        paths: Name -> dotted path of the module.
    """

    def __init__(self, paths: Mapping[str, str]) -> None:
        self.paths = dict(paths)

    def __getitem__(self, name: str) -> ModuleType:
        return importlib.import_module(self.paths[name])

    def __iter__(self) -> Iterator[str]:
        return iter(self.paths)

    def __len__(self) -> int:
        return len(self.paths)
