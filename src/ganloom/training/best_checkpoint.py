"""Measure the EMA of G at each checkpoint with a few samples, to keep the best checkpoint as well as the last.

Published GAN figures are those of the best checkpoint, and late collapse is common. The measurement does not change the training:
``ema.generate`` has no side effects.
"""

import time
from typing import Any

import torch
from torch import Tensor

from ganloom import metrics
from ganloom.core.randomness import measurement_seed
from ganloom.report.number_format import short
from ganloom.training.callbacks import Callback

SECONDS = 20.0
"""Approximate time limit of one measurement; a slow generator makes fewer samples."""
FEWEST = 100
"""No measurement with fewer samples."""


class Judge(Callback):
    """Adds Frechet distance, kernel distance, precision and coverage to the row of each checkpoint.

    Features come from the bundled classifier for Fashion-MNIST, from a network with random weights for other images; points are
    their own features. This is good enough to rank the checkpoints of one run, and the names of the metrics say so.

    Args:
        n: Number of samples, 0 for no measurement.
        seed: Seed of the samples.
    """

    def __init__(self, n: int = 1000, seed: int = 0) -> None:
        self.n, self.seed = n, seed
        self._extractor: Any = None
        self._real: Tensor | None = None
        self._score: tuple[str, float] | None = None
        self._last: tuple[str, float] | None = None
        self._floor: float | None = None

    def on_tick(self, trainer: Any, row: dict[str, Any]) -> None:
        if not trainer.checkpoint_due or not self.n:
            return
        self._prepare(trainer)
        if self._real is None or len(self._real) < FEWEST:
            return
        n = len(self._real)
        c = trainer.ema.inputs(trainer.data, self._rows[:n])
        fake = self._features(trainer.ema.generate(n, seed=measurement_seed(self.seed, "best checkpoint"), c=c))
        name = self._extractor.name if self._extractor else "points"
        values = metrics.quick(self._real, fake, seed=self.seed)
        figures = {metrics.metric_name(metric, name, n): value for metric, value in values.items()}
        row |= figures
        first, self._score = self._last is None, next(iter(figures.items()))
        self._last = self._score
        if first:
            trainer.event("legend", self.describe().removeprefix("legend: "))

    def take(self) -> tuple[str, float] | None:
        """Return the last measurement as (name of the distance, value) and forget it; None if there is none."""
        score, self._score = self._score, None
        return score

    def describe(self) -> str:
        """Return a sentence that says what the distance is, with its value for real images; empty before the first one."""
        if self._last is None or self._real is None:
            return ""
        name, value = self._last
        net = f"{self._extractor.name} features" if self._extractor else "coordinates"
        n = len(self._real)
        floor = "" if self._floor is None else f"; real against real {short(self._floor)}"
        return (
            f"legend: {name} is the distance of {n:,} samples from {n:,} real ones: {short(value)} ({net}{floor}); lower is "
            "better, and it compares checkpoints of this run only"
        )

    def _prepare(self, trainer: Any) -> None:
        """Compute features of real samples once, as many as the generator can make within ``SECONDS``."""
        if self._real is not None:
            return
        data = trainer.data
        start = time.perf_counter()
        first = torch.arange(16) % len(data)
        trainer.ema.generate(16, seed=self.seed, c=trainer.ema.inputs(data, first))
        per_second = 16 / (time.perf_counter() - start)
        n = min(self.n, len(data), int(per_second * SECONDS))
        if data.kind == "images":
            fashion = data.name.startswith("fashion") and data.shape[0] == 1
            self._extractor = metrics.get("fashion" if fashion else "random")
        order = torch.randperm(len(data), generator=torch.Generator().manual_seed(self.seed))
        rows, others = order[:n], order[n : 2 * n]
        self._rows = rows
        self._real = self._features(data.get(rows))
        if len(rows) >= FEWEST and len(others) == n:  # with fewer samples the distance would be larger
            values = metrics.quick(self._real, self._features(data.get(others)), seed=self.seed)
            self._floor = next(iter(values.values()))

    def _features(self, x: Tensor) -> Tensor:
        x = x.cpu()
        features: Tensor = self._extractor(x) if self._extractor else x
        return features
