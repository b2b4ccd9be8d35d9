"""Judges the averaged generator at each checkpoint, cheaply, so that the best one is kept and the last not trusted blindly.

Published GAN figures are best-checkpoint figures and late collapse is common; a run keeps both. The judge never touches
the training: samples come from ``ema.generate``, which is pure.
"""

import time
from typing import Any

import torch
from torch import Tensor

from ganloom import metrics
from ganloom.training.callbacks import Callback

SECONDS = 20.0
"""About how long one judgement may take; fewer samples are drawn from a slow generator."""
FEWEST = 100


class Judge(Callback):
    """Adds Frechet distance, kernel distance, precision and coverage to a checkpoint's row.

    The features are the bundled Fashion-MNIST classifier's for Fashion-MNIST, the coordinates for points, and otherwise
    those of a net of random weights: good enough to rank one run's checkpoints, and named so in the metric.
    """

    def __init__(self, n: int = 1000, seed: int = 0) -> None:
        self.n, self.seed = n, seed
        self._extractor: Any = None
        self._real: Tensor | None = None
        self._found: tuple[str, float] | None = None

    def on_tick(self, trainer: Any, row: dict[str, Any]) -> None:
        if not trainer.checkpoint_due or not self.n:
            return
        self._prepare(trainer)
        if self._real is None or len(self._real) < FEWEST:
            return
        n = len(self._real)
        c = trainer.ema.inputs(trainer.data, self._picks[:n])
        fake = self._features(trainer.ema.generate(n, seed=self.seed + 1, c=c))
        name = self._extractor.name if self._extractor else "points"
        found = metrics.quick(self._real, fake, seed=self.seed)
        named = {metrics.metric_name(metric, name, n): value for metric, value in found.items()}
        row |= named
        self._found = next(iter(named.items()))

    def take(self) -> tuple[str, float] | None:
        """The last judgement, (name of the distance, value), once; None when there is none."""
        found, self._found = self._found, None
        return found

    def _prepare(self, trainer: Any) -> None:
        """Once: the features of the real data, as many as the generator can match in the time allowed."""
        if self._real is not None:
            return
        data = trainer.data
        start = time.perf_counter()
        few = torch.arange(16) % len(data)
        trainer.ema.generate(16, seed=self.seed, c=trainer.ema.inputs(data, few))
        a_second = 16 / (time.perf_counter() - start)
        n = min(self.n, len(data), int(a_second * SECONDS))
        if data.kind == "images":
            fashion = data.name.startswith("fashion") and data.shape[0] == 1
            self._extractor = metrics.get("fashion" if fashion else "random")
        picks = torch.randperm(len(data), generator=torch.Generator().manual_seed(self.seed))[:n]
        self._picks = picks
        self._real = self._features(data.get(picks))

    def _features(self, x: Tensor) -> Tensor:
        x = x.cpu()
        features: Tensor = self._extractor(x) if self._extractor else x
        return features
