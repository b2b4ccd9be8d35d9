"""How to measure a model."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ganloom import metrics
from ganloom.metrics.extractors.extractor import Progress
from ganloom.metrics.extractors.lpips import LPIPS

Features = str | metrics.Extractor | torch.nn.Module | Callable[[Tensor], Any]
"""A feature net: its name, an extractor, a network or a function."""


@dataclass(frozen=True)
class Options:
    """How to measure; see ``ganloom.evaluate``."""

    n: int = 2000
    features: Features | Sequence[Features] = "auto"
    seed: int = 0
    k: int = 5
    intervals: bool = True
    split: str = ""
    metrics: tuple[str, ...] = metrics.METRICS
    truncation: float = 1.0
    weights: str | Path | None = None
    resizer: str = "legacy"
    which: str = "EMA"
    progress: Progress = None
    lpips: LPIPS | None = None
