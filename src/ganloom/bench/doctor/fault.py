"""What a fault is, and in which half of the benchmark: thresholds are set on the tuning half only.

A fault changes the settings of the recipe, its data, or its class for the time of a run. So a model that is built again
(when a run heals) has the fault too. The doctor has no information about the fault.
"""

import contextlib
import dataclasses
import hashlib
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

from ganloom.gan import GAN

Kind = type[GAN]
FAMILIES = ("data", "labels", "networks", "losses", "optimisers", "procedure")
Patch = Callable[[Kind, int], dict[str, Any]]
"""(class of the recipe, seed) -> methods and attributes that replace those of the class."""


@dataclasses.dataclass(frozen=True)
class Fault:
    """One fault."""

    name: str
    what: str
    """What it changes."""
    named: tuple[str, ...]
    """The findings that are right."""
    settings: Callable[[Any], dict[str, Any]] = lambda cfg: {}
    """From a config to the settings that are changed."""
    patch: Patch = lambda kind, seed: {}
    data: Callable[[Any, int], Any] = lambda data, seed: data
    heals: bool = False
    """Whether a setting can fix it. Faults in the data or the code cannot be fixed by a setting."""
    fits: Callable[[Any], bool] = lambda cfg: True
    family: str = ""
    """One of ``FAMILIES``; empty for the twelve faults with which the first thresholds were set."""
    needs_labels: bool = False
    """Whether the fault concerns labels, so that it is put into recipes with labels only."""

    @property
    def half(self) -> str:
        """ "tuning" or "blind", by the SHA-256 of the name. A fault without a family is always in the tuning half."""
        return "blind" if self.family and hashlib.sha256(self.name.encode()).digest()[0] % 2 else "tuning"

    @contextlib.contextmanager
    def inside(self, module: ModuleType, seed: int) -> Iterator[None]:
        """Change the class of the recipe inside the ``with`` block.

        Args:
            module: The recipe.
            seed: The seed of the run.
        """
        kind = module.MODEL
        changes = self.patch(kind, seed)
        own = {name: kind.__dict__[name] for name in changes if name in kind.__dict__}
        for name, value in changes.items():
            setattr(kind, name, value)
        try:
            yield
        finally:
            for name in changes:
                if name in own:
                    setattr(kind, name, own[name])
                else:
                    delattr(kind, name)
