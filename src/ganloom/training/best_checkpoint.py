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
        self._score = next(iter(figures.items()))

    def take(self) -> tuple[str, float] | None:
        """Return the last measurement as (name of the distance, value) and forget it; None if there is none."""
        score, self._score = self._score, None
        return score

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
        rows = torch.randperm(len(data), generator=torch.Generator().manual_seed(self.seed))[:n]
        self._rows = rows
        self._real = self._features(data.get(rows))

    def _features(self, x: Tensor) -> Tensor:
        x = x.cpu()
        features: Tensor = self._extractor(x) if self._extractor else x
        return features
