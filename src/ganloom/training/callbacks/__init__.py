"""Callbacks, which show, write or measure something while a model trains.

A callback may read all attributes of the Trainer (``nimg``, ``total_nimg``, ``ema``, ``data``, ``run_dir``, ``event`` ...).
It must not change them, and does not know recipes by name. A function that takes a ``Tick`` is a callback too.
"""

from ganloom.training.callbacks.base import Callback, Row
from ganloom.training.callbacks.console import Console
from ganloom.training.callbacks.function import Function, Tick, as_callbacks
from ganloom.training.callbacks.grids import Grids
from ganloom.training.callbacks.guarded import Guarded
from ganloom.training.callbacks.jsonl import Jsonl
from ganloom.training.callbacks.report import Report
from ganloom.training.callbacks.texts import SampleTexts
from ganloom.training.callbacks.trackers import TensorBoard, Wandb

__all__ = [
    "Callback", "Console", "Function", "Grids", "Guarded", "Jsonl", "Report", "Row", "SampleTexts", "TensorBoard", "Tick",
    "Wandb", "as_callbacks",
]  # fmt: skip
