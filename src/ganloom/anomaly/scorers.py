"""All scores of one detector: those of its model, those from D's features, and the controls."""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ganloom.anomaly import controls, neighbours
from ganloom.anomaly.methods import BOTH, FEATURES, MINUS_D
from ganloom.recipes.base.one_class import OneClass
from ganloom.report.progress import Report, part_of

Array = NDArray[np.float64]


class Scorers:
    """Compute the scores of samples by their names.

    Args:
        train: Normal samples (M, *shape), which neighbours are searched in and which the controls learn from.
        model: The trained model, or None.
        seed: Seed of the controls.
        notes: Lines about scores that are left out are added here.
    """

    def __init__(self, train: Tensor, model: OneClass | None, seed: int, notes: list[str] | None = None) -> None:
        self.train, self.model, self.seed = train, model, seed
        self.scales: dict[str, tuple[float, float]] = {}
        """Mean and standard deviation of a score on the hold-out, for sums of scores."""
        self.notes = [] if notes is None else notes
        self._controls: dict[str, controls.Score] = {}
        self._missing: set[str] = set()
        self._bank: Tensor | None = None

    @property
    def of_model(self) -> list[str]:
        """Names of the scores that need the model."""
        if self.model is None:
            return []
        own = list(self.model.score_names)
        return [*own, FEATURES, *([BOTH] if "rotations" in own else []), MINUS_D]

    @property
    def names(self) -> list[str]:
        """Names of all scores of these samples."""
        is_table = self.train.dim() != 4
        return self.of_model + [n for n in controls.TITLES if not (is_table and n == "knn-pooled")]

    def scores(self, x: Tensor, names: Iterable[str] | None = None, progress: Report = None) -> dict[str, Array]:
        """Score samples.

        Args:
            x: Samples (N, *shape).
            names: Names of the scores; None: all that can be computed.
            progress: Called with (what, done, total).

        Returns:
            Name -> (N,), without controls that need a package that is not installed.
        """
        wanted = list(self.names if names is None else names)
        found: dict[str, Tensor] = {}
        needed = {"rotations", FEATURES} if BOTH in wanted else set()
        if self.model is not None:
            if {*wanted, *needed} & set(self.model.score_names):
                found |= self.model.anomaly_scores(x, part_of(progress, "scoring"))
            if {*wanted, *needed} & {FEATURES}:
                found[FEATURES] = neighbours.distances(self._features(), controls.features_of(self.model, x))
            if MINUS_D in wanted:
                found[MINUS_D] = -torch.cat(self.model.in_batches(x, self._logits))
            if BOTH in wanted:
                parts = [
                    (found[name] - self.scales[name][0]) / self.scales[name][1] for name in ("rotations", FEATURES)
                ]
                found[BOTH] = parts[0] + parts[1]
        for number, name in enumerate(n for n in wanted if n in controls.TITLES):
            if progress is not None:
                progress(f"scoring with {name}", number, 0)
            score = self._control(name)
            if score is not None:
                found[name] = score(x)
        return {name: found[name].double().numpy() for name in wanted if name in found}

    def set_scales(self, hold_out: Tensor) -> None:
        """Compute the means and standard deviations that sums of scores need."""
        if self.model is not None and BOTH in self.of_model:
            values = self.scores(hold_out, ("rotations", FEATURES))
            self.scales = {name: (float(v.mean()), float(v.std()) or 1.0) for name, v in values.items()}

    def load_scales(self, scales: Mapping[str, Any]) -> None:
        """Take the numbers that ``set_scales`` computed before."""
        self.scales = {name: (float(mean), float(sd)) for name, (mean, sd) in scales.items()}

    def _logits(self, x: Tensor) -> Tensor:
        assert self.model is not None
        return self.model.logits_of(self.model.D(x)).float()

    def _features(self) -> Tensor:
        assert self.model is not None
        if self._bank is None:
            self._bank = controls.features_of(self.model, self.train)
        return self._bank

    def _control(self, name: str) -> controls.Score | None:
        if name not in self._controls and name not in self._missing:
            made, notes = controls.build(self.train, self.seed, (name,))
            self._controls |= made
            self._missing |= set() if made else {name}
            self.notes += notes
        return self._controls.get(name)
