"""Flags that several commands share: the dataclass of a command inherits them."""

import dataclasses
from typing import Annotated

from ganloom.cli.flags import Positional


@dataclasses.dataclass(frozen=True)
class ModelFlags:
    """Which model to use, and where to write."""

    run: Annotated[str, Positional("RUN")]
    """A run folder, or a model/ folder."""
    out: str | None = dataclasses.field(default=None, kw_only=True)
    """The new file or folder. None: in RUN."""
    checkpoint: str = dataclasses.field(default="latest", kw_only=True)
    """latest, best, or the name of a checkpoint."""
    overwrite: bool = dataclasses.field(default=False, kw_only=True)
    """Replace existing files."""
    json: bool = dataclasses.field(default=False, kw_only=True)
    """Print one JSON object on stdout."""


@dataclasses.dataclass(frozen=True)
class ImageFlags(ModelFlags):
    """How to generate images."""

    truncation: float = dataclasses.field(default=1.0, kw_only=True)
    """Below 1: samples are more typical and less diverse."""


@dataclasses.dataclass(frozen=True)
class FeatureBenchFlags:
    """How to compare models with the true images, with a distance of features."""

    features: str = dataclasses.field(default="auto", kw_only=True)
    """Feature network of the distance: mobilenet, effnet, fashion, random, a file; auto: one that no training of the models
    used."""
    seed: int = dataclasses.field(default=0, kw_only=True)
    """Seed of what is drawn at random."""
    device: str = dataclasses.field(default="auto", kw_only=True)
    """auto, cpu, cuda or mps."""
    json: bool = dataclasses.field(default=False, kw_only=True)
    """Print one JSON object on stdout."""
