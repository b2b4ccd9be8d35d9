"""One training of the benchmark: a recipe's ``--small`` plan on a data set with one seed; its command, settings and digest.

The digest changes when the plan changes, or a default of the recipe. Rows keep it, so that no figure is taken for that of
another plan.
"""

import dataclasses
import hashlib
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ganloom.core import config
from ganloom.core.names import file_name
from ganloom.recipes import find
from ganloom.recipes.presets import command, plan, small

FREE = "shape", "n_classes"
"""Settings that the data decide."""


@dataclass(frozen=True)
class Task:
    """One training of the benchmark.

    Attributes:
        recipe: The name of the recipe.
        data: The data set. None: that of the recipe's plan.
        shape: Shape of the images as `--shape` takes it. None: that of the data.
        kimg: Length in thousands of images. None: that of the plan.
        seed: The seed.
    """

    recipe: str
    data: str | None = None
    shape: tuple[int, ...] | None = None
    kimg: float | None = None
    seed: int = 1

    @property
    def source(self) -> str:
        """The data set."""
        return self.data or plan(self.recipe).data

    @property
    def length(self) -> float:
        """The length of the training in thousands of images."""
        return float(plan(self.recipe).options.get("total_kimg", 40.0)) if self.kimg is None else self.kimg

    @property
    def options(self) -> dict[str, Any]:
        """Keywords of ``ganloom.train``."""
        return {
            "small": True,
            **({} if self.shape is None else {"shape": self.shape}),
            **({} if self.kimg is None else {"total_kimg": self.kimg}),
        }

    @property
    def command(self) -> str:
        """The command line of this training."""
        return command(self.recipe, self.options, self.seed, self.source)

    @property
    def digest(self) -> str:
        """The first 16 hex digits of the SHA-256 of everything that decides the training except the seed."""
        content = {"recipe": self.recipe, "data": self.source, "shape": self.shape, "settings": self.settings()}
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]

    def settings(self) -> dict[str, Any]:
        """Return all settings of the recipe in this training, and the options of the plan that are no settings of the recipe."""
        module = find(self.recipe)
        options = small(self.recipe, module, self.kimg)
        names = {field.name for field in dataclasses.fields(module.Config)}
        settings = config.to_dict(module.Config(**{key: value for key, value in options.items() if key in names}))
        others = {key: config.to_dict(Plain(value))["value"] for key, value in options.items() if key not in names}
        return {key: value for key, value in {**settings, **others}.items() if key not in FREE}

    def folder(self, runs: Path) -> Path:
        """Return the run folder of this training; another plan has another folder."""
        sides = "" if self.shape is None else "-" + "x".join(map(str, self.shape))
        data = re.sub(r"[^a-z0-9]+", "-", Path(self.source).name.lower()).strip("-")
        return runs / file_name(f"{self.recipe}-{data}{sides}-seed{self.seed}-{self.digest[:8]}")

    def to_dict(self) -> dict[str, Any]:
        """The values as plain data."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "Task":
        """The task of which ``values`` is the ``to_dict``."""
        return cls(**{**values, "shape": None if values["shape"] is None else tuple(values["shape"])})


@dataclass(frozen=True)
class Plain:
    """A value, for conversion to plain data."""

    value: Any


def changed(saved: dict[str, Any], now: dict[str, Any]) -> list[str]:
    """Compare the settings of a row with those of the present plan.

    Args:
        saved: The settings of the row.
        now: The settings of the present plan. A setting that the recipe got later counts as unchanged, because its default
            must not change what a recipe does.

    Returns:
        One text for each difference, such as "width 8, now 16".
    """
    texts = []
    for key in dict.fromkeys([*saved, *now]):
        if key in saved and saved[key] != now.get(key):
            texts += [_difference(key, saved[key], now.get(key))]
    return texts


def _difference(key: str, before: Any, after: Any) -> str:
    if isinstance(before, dict) and isinstance(after, dict):
        return "; ".join(f"{key}.{text}" for text in changed(before, after)) or f"{key} has other settings"
    return f"{key} {_short(before)}, now {_short(after)}"


def _short(value: Any) -> str:
    text = "none" if value is None else json.dumps(value) if isinstance(value, list | dict) else str(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
