"""Plain functions as callbacks: ``ganloom.train(..., callbacks=[function])``."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ganloom.core.errors import BadInput
from ganloom.training.callbacks.base import Callback, Row


@dataclass(frozen=True)
class Tick:
    """What a function receives at each tick.

    Attributes:
        kimg: Thousands of real images shown so far.
        total_kimg: Length of the training in kimg; infinity without an end.
        metrics: Statistics since the last tick, by name, as in metrics.jsonl.
        model: The averaged model; ``model.generate(16, seed=0)`` draws samples and changes nothing.
        run: The run folder, or None.
    """

    kimg: float
    total_kimg: float
    metrics: dict[str, Any]
    model: Any
    run: Path | None


class Function(Callback):
    """Calls a function at each tick.

    Args:
        function: Takes a ``Tick``. What it returns is ignored.
    """

    def __init__(self, function: Callable[[Tick], object]) -> None:
        self.function = function
        self.name = str(getattr(function, "__name__", type(function).__name__))

    def on_tick(self, trainer: Any, row: Row) -> None:
        total = trainer.total_nimg / 1000 if math.isfinite(trainer.total_nimg) else math.inf
        self.function(Tick(trainer.nimg / 1000, total, dict(row), trainer.ema, trainer.run_dir))


def as_callbacks(given: Any) -> list[Callback]:
    """Return callbacks, with functions made callbacks.

    Args:
        given: A ``Callback``, a function that takes a ``Tick``, or a list of them.

    Raises:
        BadInput: An entry is neither.
    """
    entries: Sequence[Any] = given if isinstance(given, list | tuple) else [given]
    return [_as_callback(entry) for entry in entries]


def _as_callback(entry: Any) -> Callback:
    if isinstance(entry, Callback):
        return entry
    if isinstance(entry, type):
        raise BadInput(f"callbacks: {entry.__name__} is a class; give an instance, {entry.__name__}()")
    if not callable(entry):
        raise BadInput(
            f"callbacks: {type(entry).__name__} is neither a ganloom.training.callbacks.Callback nor a function of a Tick"
        )
    return Function(entry)
