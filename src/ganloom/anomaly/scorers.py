"""All scores of one detector: those of its model, those from D's features, and the controls."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ganloom.anomaly import controls, neighbours
from ganloom.anomaly.methods import FEATURES, MINUS_D, SUMS
from ganloom.recipes.base.one_class import OneClass
from ganloom.report.progress import Report, part_of, stage

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
        self.maps: dict[str, Callable[[Tensor], Tensor]] = {}
        """The heat maps that were drawn, by name, so that each is built once; see ``heat_maps.draw``."""
        self.notes = [] if notes is None else notes
        self._controls: dict[str, controls.Score] = {}
        self._missing: set[str] = set()
        self._bank: Tensor | None = None

    @property
    def of_model(self) -> list[str]:
        """Names of the scores that need the model."""
        if self.model is None:
            return []
        return [*self.model.score_names, FEATURES, *self._sums, MINUS_D]

    @property
    def _sums(self) -> dict[str, tuple[str, str]]:
        """The sums of scores that these samples have: name -> parts."""
        if self.model is None or "rotations" not in self.model.score_names:
            return {}
        other = "knn-pixels" if self.train.dim() == 4 else "knn-pooled"
        return {name: parts for name, parts in SUMS.items() if other not in parts}

    @property
    def names(self) -> list[str]:
        """Names of all scores of these samples."""
        is_table = self.train.dim() != 4
        return self.of_model + [n for n in controls.TITLES if not (is_table and n in controls.OF_IMAGES)]

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
        sums = {name: parts for name, parts in self._sums.items() if name in wanted}
        needed = dict.fromkeys([*wanted, *(part for parts in sums.values() for part in parts)])
        found: dict[str, Tensor] = {}
        if self.model is not None:
            if needed.keys() & {*self.model.score_names}:
                found |= self.model.anomaly_scores(x, part_of(progress, "scoring"))
            if FEATURES in needed:
                found[FEATURES] = neighbours.distances(self._features(), controls.features_of(self.model, x))
            if MINUS_D in needed:
                found[MINUS_D] = -torch.cat(self.model.in_batches(x, self._logits))
        for name in needed:
            if name in controls.TITLES and (score := self._control(name)) is not None:
                stage(progress, f"scoring with {name}")
                found[name] = score(x)
        for name, (first, second) in sums.items():
            found[name] = self._standard(first, found[first]) + self._standard(second, found[second])
        return {name: found[name].double().numpy() for name in wanted if name in found}

    def set_scales(self, hold_out: Tensor) -> None:
        """Compute the means and standard deviations that sums of scores need."""
        parts = {part for parts in self._sums.values() for part in parts}
        if parts:
            values = self.scores(hold_out, parts)
            self.scales = {name: (float(v.mean()), float(v.std()) or 1.0) for name, v in values.items()}

    def _standard(self, name: str, values: Tensor) -> Tensor:
        mean, sd = self.scales[name]
        return (values - mean) / sd

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
