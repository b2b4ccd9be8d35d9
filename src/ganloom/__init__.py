"""ganloom: generative adversarial networks that you can train, watch, measure and use.

```python
import ganloom

run = ganloom.train("dcgan", data="photos/", out="runs/a", total_kimg=50, seed=0)
gan = ganloom.load("runs/a")
x = gan.generate(16, seed=0)  # (16, C, H, W) float32 in [-1, 1]
```
"""

import importlib
from typing import TYPE_CHECKING, Any

from ganloom.core import old_import_paths

__version__ = "0.1.0"

old_import_paths.install()

if TYPE_CHECKING:
    from ganloom import data as data
    from ganloom import losses, metrics, penalties, testing, weights
    from ganloom.anomaly.estimator import Anomaly
    from ganloom.api import Run, load, resume, train
    from ganloom.apps.augment_data import augment_data
    from ganloom.apps.augment_report import augmentation_report
    from ganloom.apps.inpaint import inpaint
    from ganloom.apps.upscale import upscale
    from ganloom.evaluation.evaluate import evaluate
    from ganloom.gan import GAN, Batch, Phase
    from ganloom.recipes import RECIPES
    from ganloom.tables.table import Table

_HOME = {
    "train": "api",
    "resume": "api",
    "load": "api",
    "Run": "api",
    "evaluate": "evaluation.evaluate",
    "augment_data": "apps.augment_data",
    "augmentation_report": "apps.augment_report",
    "upscale": "apps.upscale",
    "inpaint": "apps.inpaint",
    "Anomaly": "anomaly.estimator",
    "Table": "tables.table",
    "RECIPES": "recipes",
    "GAN": "gan",
    "Phase": "gan",
    "Batch": "gan",
}
_MODULES = ("data", "losses", "metrics", "penalties", "testing", "weights")

__all__ = [
    "GAN",
    "RECIPES",
    "Anomaly",
    "Batch",
    "Phase",
    "Run",
    "Table",
    "augment_data",
    "augmentation_report",
    "data",
    "evaluate",
    "inpaint",
    "load",
    "losses",
    "metrics",
    "penalties",
    "resume",
    "testing",
    "train",
    "upscale",
    "weights",
]


def __getattr__(name: str) -> Any:
    """Import a public name at its first use, so that ``import ganloom`` does not import torch."""
    if name in _MODULES:
        return importlib.import_module(f"{__name__}.{name}")
    if name not in _HOME:
        raise AttributeError(f"module {__name__} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
