"""Metrics that need more than two sets of features: the classes, the images or the model itself."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ganloom import data as datasets
from ganloom import metrics
from ganloom.core.errors import BadInput
from ganloom.core.randomness import measurement_seed
from ganloom.evaluation.class_labels import labels_of, match_classes
from ganloom.evaluation.options import Options
from ganloom.gan import GAN
from ganloom.metrics.evaluate import PART
from ganloom.metrics.extractors.lpips import lpips
from ganloom.metrics.extractors.spatial import spatial
from ganloom.metrics.figures import row_values
from ganloom.metrics.measurement import FEWEST_OF_CLASS, FLOOR, GENERATED, ClassFigures
from ganloom.metrics.statistics.intra_class import mean_intra_class_distance

MODEL_METRICS = ("intra", "msssim", "ppl", "prd", "cas", "sfd", "lpips", "classes")
"""The distance within each class (kd); MS-SSIM between pairs of samples (of one class, if the model takes labels; then it is
named msssim_class); the perceptual path length; the precision-recall curve; the classification accuracy score; the spatial
Frechet distance; LPIPS between pairs of samples; and distance and recall of each class."""
PATHS = 500
"""Number of paths for the perceptual path length."""
PAIRS = 500
"""Number of pairs of samples for LPIPS."""
CAS_SAMPLES = 20_000
"""Images, with repetition, that a classifier is trained on for the classification accuracy score."""
_IMAGE_METRICS = ("msssim", "cas", "lpips")  # they need no feature net, and come with the first one


@dataclass
class Special:
    """The rows of one measurement, and the values of `MODEL_METRICS` that were computed from them.

    Attributes:
        model: The model.
        data: The real data.
        picks: Rows of the data, 2 n: as many as the reference and the other half have.
        c: Conditions of the samples, or None.
        o: How to measure.
        values: Row -> full name -> value.
        curves: Row -> name -> points (precision, recall).
        classes: Figures of each class.
    """

    model: GAN
    data: datasets.Data
    picks: Any
    c: Tensor | None
    o: Options
    values: dict[str, dict[str, metrics.Value]] = field(default_factory=lambda: {GENERATED: {}, FLOOR: {}})
    curves: dict[str, dict[str, list[tuple[float, float]]]] = field(default_factory=dict)
    classes: tuple[ClassFigures, ...] = ()

    @property
    def n(self) -> int:
        """Number of samples."""
        return len(self.picks) // 2

    @cached_property
    def halves(self) -> tuple[Any, Any]:
        """Rows of the data: the reference, and the other half."""
        order = torch.randperm(2 * self.n, generator=torch.Generator().manual_seed(self.o.seed)).numpy()
        return self.picks[order[: self.n]], self.picks[order[self.n :]]

    @cached_property
    def images(self) -> Tensor:
        """The samples."""
        first, parts = measurement_seed(self.o.seed), []
        for start in range(0, self.n, PART):
            count = min(PART, self.n - start)
            labels = None if self.c is None else self.c[start : start + count]
            parts.append(self.model.generate(count, seed=first + start, c=labels, truncation=self.o.truncation).cpu())
        return torch.cat(parts)

    def measure(self, names: tuple[str, ...], extractor: metrics.Extractor, *, first: bool) -> None:
        """Compute the metrics with one feature net; with the first one also those that need no net."""
        compute: dict[str, Callable[[metrics.Extractor], None]] = {
            "intra": self._intra, "msssim": self._msssim, "ppl": self._path_length, "prd": self._curve, "cas": self._cas,
            "sfd": self._spatial, "lpips": self._lpips, "classes": self._classes,
        }  # fmt: skip
        self._sets.clear()
        for name in names:
            if first or name not in _IMAGE_METRICS:
                compute[name](extractor)

    _sets: dict[str, tuple[Tensor, Tensor | None]] = field(default_factory=dict, init=False)

    def _features(self, extractor: metrics.Extractor, row: str) -> tuple[Tensor, Tensor | None]:
        """Features and logits of "reference", or of a row."""
        if row not in self._sets:
            rows = self.halves[0 if row == "reference" else 1]
            images = self.images if row == GENERATED else self.data.get(rows).cpu()
            self._sets[row] = extractor.stream(images.split(PART), total=self.n, what=row, progress=self.o.progress)
        return self._sets[row]

    def _put(self, row: str, name: str, value: metrics.Value, backbone: str, count: int | None = None) -> None:
        self.values[row][metrics.metric_name(name, backbone, count or self.n)] = value

    def _labels(self, name: str) -> tuple[Tensor, Tensor, Tensor]:
        """Labels of the samples, the reference and the other half, in the numbers of the model's classes."""
        if self.c is None or self.c.ndim != 1:
            matched = match_classes(self.model, self.data)
            why = f" ({matched.text})" if matched is not None and matched.text else ""
            raise BadInput(
                f"metrics: {name} needs a class-conditional model and data with the same classes{why}; leave it out"
            )
        reference, half = (labels_of(self.model, self.data, rows) for rows in self.halves)
        assert reference is not None and half is not None
        return self.c, reference, half

    def _intra(self, extractor: metrics.Extractor) -> None:
        c, of_real, of_half = self._labels("intra")
        real, fake, other = (self._features(extractor, row)[0] for row in ("reference", GENERATED, FLOOR))
        known, in_both = of_real >= 0, of_half >= 0
        for row, features, classes in ((GENERATED, fake, c), (FLOOR, other[in_both], of_half[in_both])):
            mean = mean_intra_class_distance(real[known], of_real[known], features, classes, seed=self.o.seed)
            self._put(row, "intra_kd", mean, extractor.name)

    def _msssim(self, extractor: metrics.Extractor) -> None:
        few, c = min(self.n, 1000), self.c
        own = None if c is None else torch.from_numpy(np.asarray(self.data.labels)[self.picks])
        for row, x, given in ((GENERATED, self.images[:few], c), (FLOOR, self.data.get(self.picks[:few]).cpu(), own)):
            value = metrics.ms_ssim_diversity(x, None if given is None else given[:few], seed=self.o.seed)
            self._put(row, "msssim" if c is None else "msssim_class", value, "pixels", few)

    def _path_length(self, extractor: metrics.Extractor) -> None:
        """Perceptual path length in z, along great circles, with one label for each path."""
        if extractor.standard:
            return
        model, c, first_seed = self.model, self.c, measurement_seed(self.o.seed, "path length")
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(first_seed)
            start, end = model.z(PATHS).cpu(), model.z(PATHS).cpu()
        labels = None if c is None else c[torch.arange(PATHS) % len(c)]

        def generate(z: Tensor, first: int) -> Tensor:
            rows = None if labels is None else labels[first : first + len(z)]
            return model.generate(z=z, c=rows, seed=first_seed + first).cpu()

        length = metrics.path_length(generate, start, end, extractor, seed=self.o.seed)
        self._put(GENERATED, "ppl", metrics.Value(length.value, length.low, length.high), extractor.name, PATHS)

    def _curve(self, extractor: metrics.Extractor) -> None:
        """The precision-recall curve of Sajjadi et al., and its two F scores."""
        real = self._features(extractor, "reference")[0]
        for row in (GENERATED, FLOOR):
            curve = metrics.precision_recall_curve(real, self._features(extractor, row)[0], seed=self.o.seed)
            self._put(row, "prd_precision", metrics.Value(curve.f1_8), extractor.name)
            self._put(row, "prd_recall", metrics.Value(curve.f8), extractor.name)
            points = zip(curve.precision[::10].tolist(), curve.recall[::10].tolist(), strict=True)
            name = metrics.metric_name("prd", extractor.name, self.n)
            self.curves.setdefault(row, {})[name] = [(round(p, 5), round(r, 5)) for p, r in points]

    def _cas(self, extractor: metrics.Extractor) -> None:
        """Accuracy on the reference of a classifier that was trained on samples, and of one trained on the other half."""
        c, of_real, of_half = self._labels("cas")
        known, in_both = of_real >= 0, of_half >= 0
        reference, half = (self.data.get(rows).cpu() for rows in self.halves)
        for row, x, labels in ((GENERATED, self.images, c), (FLOOR, half[in_both], of_half[in_both])):
            if self.o.progress is not None:
                self.o.progress(f"classification accuracy: training on {row} images", 0, 0)
            x, labels = _without_rare(x, labels)
            score, _ = metrics.classification_accuracy_score(
                x, labels, reference[known], of_real[known], samples=CAS_SAMPLES, seed=self.o.seed
            )
            self._put(row, "cas", score, "classifier")

    def _spatial(self, extractor: metrics.Extractor) -> None:
        net = spatial(extractor)
        reference, half = self.halves
        sets = [
            net.stream(x.split(PART))[0]
            for x in (self.data.get(reference).cpu(), self.images, self.data.get(half).cpu())
        ]
        for row, features in ((GENERATED, sets[1]), (FLOOR, sets[2])):
            found = row_values(sets[0], features, names=("fd",), seed=self.o.seed, intervals=self.o.intervals)
            self._put(row, "sfd", found["fd"], extractor.name)

    def _lpips(self, extractor: metrics.Extractor) -> None:
        """Mean LPIPS of pairs of different samples: how varied they are."""
        net = self.o.lpips
        if net is None:
            raise BadInput("metrics: lpips needs the weights: give --lpips-weights BACKBONE,HEADS")
        count = min(PAIRS, self.n // 2)
        for row, x in ((GENERATED, self.images), (FLOOR, self.data.get(self.halves[1][: 2 * count]).cpu())):
            values = lpips(x[:count], x[count : 2 * count], net)  # disjoint pairs are independent
            self._put(row, "lpips_pairs", metrics.Value.mean_of(values), net.name, 2 * count)

    def _classes(self, extractor: metrics.Extractor) -> None:
        """Distance and recall of each class. Samples of a model without labels have the class that the net predicts."""
        real, (fake, logits) = self._features(extractor, "reference")[0], self._features(extractor, GENERATED)
        if self.c is not None and self.c.ndim == 1 and match_classes(self.model, self.data) is not None:
            of_fake, of_real, predicted = *self._labels("classes")[:2], False
            names = [str(name) for name in self.model.class_names] or [str(i) for i in range(int(of_real.max()) + 1)]
        elif self.data.labels is not None and logits is not None and logits.shape[1] == len(self.data.class_names):
            of_fake, predicted = logits.argmax(1), True
            of_real, names = (
                torch.from_numpy(np.asarray(self.data.labels)[self.halves[0]]).long(),
                self.data.class_names,
            )
        elif self.classes:
            return  # the first net could tell the classes
        else:
            raise BadInput(
                f"metrics: classes needs labelled data, and a class-conditional model or a feature net that tells the"
                f" classes (--features task); {extractor.name} does not. Leave it out"
            )
        rows = []
        for label in of_real[of_real >= 0].unique().tolist():
            a, b = real[of_real == label], fake[of_fake == label]
            name = names[label] if label < len(names) else str(label)
            enough = min(len(a), len(b)) >= max(FEWEST_OF_CLASS, 2 * self.o.k + 2)
            found = (
                row_values(a, b, names=("kd", "recall"), k=self.o.k, seed=self.o.seed, intervals=self.o.intervals)
                if enough
                else {}
            )
            rows.append(
                ClassFigures(name, extractor.name, len(a), len(b), found.get("kd"), found.get("recall"), predicted)
            )
        self.classes = (*self.classes, *rows)


def _without_rare(x: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Images whose class has two or more of them."""
    counts = labels.bincount(minlength=int(labels.max()) + 1)
    keep = counts[labels] >= 2
    return x[keep], labels[keep]
