"""Flags that commands on a trained model share: each command's own dataclass inherits them, with their help."""

import dataclasses
from typing import Annotated

import tyro


@dataclasses.dataclass(frozen=True)
class OfModel:
    """Which model, and where what is made of it goes."""

    run: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="RUN")]
    """A run folder, or a model/ folder."""
    out: str | None = dataclasses.field(default=None, kw_only=True)
    """The new file or folder. None: in RUN, under the command's name."""
    checkpoint: str = dataclasses.field(default="latest", kw_only=True)
    """latest, best, or a checkpoint's name."""
    json: bool = dataclasses.field(default=False, kw_only=True)
    """One JSON object on stdout."""


@dataclasses.dataclass(frozen=True)
class OfImages(OfModel):
    """How images are drawn."""

    truncation: float = dataclasses.field(default=1.0, kw_only=True)
    """Below 1: truer and less varied."""
