"""Measure whether the images of a text-to-image model show what their captions say; real images and copies are measured too."""

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from ganloom.core.errors import BadInput
from ganloom.core.randomness import measurement_seed
from ganloom.data.captioned import Captioned
from ganloom.evaluation.caption_sets import CaptionSet, nearest_captions, sets_of
from ganloom.gan import GAN
from ganloom.metrics import matcher
from ganloom.metrics.matcher import Judge
from ganloom.metrics.shape_attributes import COUNTS, ShapeReader, centres, right
from ganloom.metrics.statistics.intervals import wilson
from ganloom.recipes.base.text_conditional import TextConditional
from ganloom.report.progress import Report, part_of, stage

GENERATED, REAL, NEAREST, CHANCE = "generated", "real", "nearest training image", "chance"
TOP = 5
"""Ranks that count for retrieval."""
OTHERS = 9
"""Other captions, or images, that the own one is compared with."""
VARIED, REPEATS = 64, 8
"""Captions, and images of each, whose variety is measured."""
COPIED = 20_000
"""Training images that the control copies from, at most."""
FIRST = 100_000
"""The first of these samples has this number; the samples of the other metrics have smaller ones."""
LEAST = 20
"""With fewer captions nothing is measured."""
SHARES = ("joint", "colour", "shape", "size", "place", "r_precision", "top5", "pixels")
COLUMNS = (*SHARES, "spread", "centre")

Figures = dict[str, float]


@dataclass(frozen=True)
class CaptionFigures:
    """What was measured.

    Attributes:
        rows: Set of captions -> images -> figure -> value. The figures are those of ``COLUMNS`` that can be measured.
        counts: Set -> number of captions.
        notes: Lines on what was measured.
    """

    rows: dict[str, dict[str, Figures]]
    counts: dict[str, int]
    notes: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """The figures as plain data; shares with their 95 % intervals (Wilson)."""
        return {
            "rows": {
                name: {
                    images: {figure: self._value(figure, value, self.counts[name], images) for figure, value in own.items()}
                    for images, own in by_images.items()
                }
                for name, by_images in self.rows.items()
            },
            "captions": self.counts, "notes": list(self.notes),
        }  # fmt: skip

    @staticmethod
    def _value(figure: str, value: float, n: int, images: str) -> dict[str, float]:
        if figure not in SHARES or images == CHANCE:
            return {"value": value}
        low, high = wilson(value, n)
        return {"value": value, "low": low, "high": high}

    def lines(self) -> list[str]:
        """The table as text."""
        columns = [c for c in COLUMNS if any(c in own for by in self.rows.values() for own in by.values())]
        titles = {"r_precision": "R-precision", "top5": f"top {TOP}"}
        table = [["captions", "images", *(titles.get(c, c) for c in columns)]]
        for name, by_images in self.rows.items():
            for i, (images, own) in enumerate(by_images.items()):
                label = "" if i else f"{name} ({self.counts[name]:,})"
                table.append([label, images, *(f"{own[c]:.3f}" if c in own else "" for c in columns)])
        widths = [max(len(row[i]) for row in table) for i in range(len(table[0]))]
        return [
            "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in table
        ] + list(self.notes)


@dataclass
class _Measure:
    """The parts of one measurement."""

    model: TextConditional
    trained: Captioned
    seed: int
    truncation: float
    progress: Report
    drawn: int = 0

    @cached_property
    def frozen(self) -> bool:
        """Whether the model has a frozen sentence encoder."""
        return self.model.encoder.name != "words"

    @cached_property
    def judge(self) -> Judge:
        """The matcher."""
        stage(self.progress, "training the image-text matcher")
        return Judge(
            self.trained, self._vectors if self.frozen else None, self.model.digest if self.frozen else "",
            report=part_of(self.progress, "training the image-text matcher (steps)"),
        )  # fmt: skip

    @cached_property
    def reader(self) -> ShapeReader:
        """What reads the attributes."""
        return ShapeReader(self.trained.shape)

    def _vectors(self, texts: Any) -> Tensor:
        if texts is self.trained.texts:
            return self.model.codes_of(self.trained).cpu()
        return self.model.caption_codes(list(texts)).cpu()

    def generated(self, texts: tuple[str, ...]) -> Tensor:
        """An image of each caption, (N, C, H, W) on the CPU; each image has a seed of its own."""
        first, parts = measurement_seed(self.seed) + FIRST + self.drawn, list[Tensor]()
        self.drawn += len(texts)
        for start in range(0, len(texts), 250):
            c = self.model.caption_codes(list(texts[start : start + 250]))
            parts.append(self.model.generate(len(c), seed=first + start, c=c, truncation=self.truncation).cpu())
            if self.progress is not None:
                self.progress("generating images of captions", min(start + 250, len(texts)), len(texts))
        return torch.cat(parts)

    def copied(self, own: CaptionSet) -> Tensor:
        """The training image with the nearest caption, for each caption."""
        rows = torch.randperm(len(self.trained), generator=torch.Generator().manual_seed(self.seed))[:COPIED]
        others = tuple(self.trained.captions_of(rows))
        codes = torch.cat([self._vectors(own.texts), self._vectors(others)]) if self.frozen else None
        near = rows[nearest_captions(own.texts, others, codes)]
        return torch.cat([self.trained.get(part).cpu() for part in near.split(500)])

    def of_set(self, own: CaptionSet) -> dict[str, Figures]:
        """Measure one set of captions."""
        images = {GENERATED: self.generated(own.texts), REAL: own.images}
        if not own.trained:
            images[NEAREST] = self.copied(own)
        texts = self.judge.texts(own.texts)
        found = {name: self._figures(x, own, texts, real=name == REAL) for name, x in images.items()}
        found[GENERATED] |= self._variety(own)
        found[REAL] |= self._real_variety(own)
        number = len(own.group.unique())
        found[CHANCE] = {"r_precision": 1 / (OTHERS + 1), "top5": min(TOP, number) / number, "pixels": 1 / (OTHERS + 1)}
        if own.combination is not None:
            names = ("colour", "shape", "size", "place")
            found[CHANCE] |= {"joint": 1 / math.prod(COUNTS)} | {n: 1 / k for n, k in zip(names, COUNTS, strict=True)}
        return found

    def _figures(self, x: Tensor, own: CaptionSet, texts: Tensor, *, real: bool) -> Figures:
        figures: Figures = {}
        if own.combination is not None:
            read, _ = self.reader(x)
            figures |= {name: float(ok.float().mean()) for name, ok in right(read, own.combination).items()}
        vectors = self.judge.images(x)
        figures["r_precision"] = matcher.r_precision(vectors, texts, own.group, others=OTHERS, seed=self.seed)
        figures["top5"] = matcher.top_share(vectors, texts, own.group, TOP)[0]
        if not real:  # real images are equal to themselves
            distance = torch.cdist(x.flatten(1), own.images.flatten(1))
            figures["pixels"] = matcher.ranked_first(-distance, own.group, others=OTHERS, seed=self.seed)
        return {name: value for name, value in figures.items() if math.isfinite(value)}

    def _variety(self, own: CaptionSet) -> Figures:
        """How much images of one caption differ: the standard deviation of pixels, and of the centre for ``shapes``."""
        few = own.texts[:VARIED]
        x = self.generated(tuple(t for t in few for _ in range(REPEATS)))
        return _spread(x, [list(range(i * REPEATS, (i + 1) * REPEATS)) for i in range(len(few))], own)

    @staticmethod
    def _real_variety(own: CaptionSet) -> Figures:
        """The same of real images whose captions have equal meaning; empty if too few have."""
        rows: dict[int, list[int]] = {}
        for i, group in enumerate(own.group.tolist()):
            rows.setdefault(group, []).append(i)
        several = [members for members in rows.values() if len(members) > 1]
        return _spread(own.images, several, own) if len(several) >= 10 else {}


def _spread(x: Tensor, sets: list[list[int]], own: CaptionSet) -> Figures:
    """Standard deviations within sets of rows, unbiased, root mean square over the sets: of the pixels, and of the centres."""

    def within(values: Tensor) -> float:
        squares = [values[members].flatten(1).var(0).mean() for members in sets]
        return float(torch.stack(squares).mean().sqrt())

    return {"spread": within(x)} | ({} if own.combination is None else {"centre": within(centres(x))})


def measure_captions(
    model: GAN,
    trained: Any,
    *,
    held: Any = None,
    other: Any = None,
    n: int = 1000,
    seed: int = 0,
    truncation: float = 1.0,
    progress: Report = None,
) -> CaptionFigures:
    """Measure a text-to-image model.

    Args:
        model: The model.
        trained: Its training data, which train the image-text matcher.
        held: Data that were held out, or None.
        other: Other captioned data that are measured instead, or None.
        n: Captions of each set, at most ``caption_sets.MOST``.
        seed: Seed of the captions and of the samples.
        truncation: Truncation of the samples.
        progress: Called with (what, done, total).

    Raises:
        BadInput: The model takes no captions, or there are too few.
    """
    if not isinstance(model, TextConditional) or not isinstance(trained, Captioned):
        raise BadInput("captions can be measured for models that were trained on captions")
    sets = sets_of(trained, held, other, n, seed)
    few = next((own for own in sets if len(own.texts) < LEAST), None)
    if few is not None:
        raise BadInput(f"{few.name}: {len(few.texts)} captions are too few to measure; {LEAST} are needed")
    task = _Measure(model, trained, seed, truncation, progress)
    rows = {own.name: task.of_set(own) for own in sets}
    return CaptionFigures(rows, {own.name: len(own.texts) for own in sets}, tuple(_notes(task, sets)))


def _notes(task: _Measure, sets: list[CaptionSet]) -> list[str]:
    more = f" and the sentence vectors of {task.model.encoder.name}" if task.frozen else ""
    lines = [
        f"R-precision: nearer to its own caption than to {OTHERS} others; top {TOP}: its own caption is among the {TOP} nearest "
        f"of all; both by a matcher that was trained on the training images, with word vectors of its own{more}. pixels: "
        f"nearer to the real image of its caption than to {OTHERS} others"
    ]
    if any(own.combination is not None for own in sets):
        lines.append(
            "joint: colour, shape, size and place are right; spread, centre: standard deviation of pixels, and of the centre "
            "in pixels, among images of one caption; all images are new"
        )
    else:
        lines.append("spread: standard deviation of pixels among images of one caption")
        if any(own.trained for own in sets):
            lines.append(f"the matcher was trained on the {REAL} images of the {sets[0].name}")
    return lines
