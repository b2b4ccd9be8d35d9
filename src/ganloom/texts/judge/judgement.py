"""Judge generated texts against real ones, with the same figures of real texts, of shuffled texts and of damaged texts."""

import dataclasses
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ganloom.core.errors import BadInput
from ganloom.metrics.statistics.frechet import frechet_distance
from ganloom.report.progress import Report, part_of, stage
from ganloom.texts.judge import diversity
from ganloom.texts.judge.auc import Auc, auc
from ganloom.texts.judge.classifier import Told, tell_apart
from ganloom.texts.judge.corruptions import CORRUPTIONS, TRAINED, WordSource
from ganloom.texts.judge.mauve import mauve
from ganloom.texts.judge.replaced import Detector, train_detector
from ganloom.texts.texts import Texts, normalised, split
from ganloom.texts.vocabulary import join, words

Words = list[str]
Encode = Callable[[Sequence[str], Callable[[int, int], None] | None], Tensor]
"""Texts to their features (N, d), one row for each text. The second argument is called with (texts done, N), or is None."""
COLUMN = 1000
"""Most texts in a column. A quarter of the real texts, but not more than this, is the reference; as many are measured in the same
way as the generated texts; all others train the detector."""
UNSEEN = ("swap", "shuffle", "typo")
"""Kinds of damage that the detector is not trained on."""
RATES = (0.1, 0.2, 0.4)
LEAST = 200
"""Real texts that a judgement needs."""
LEAST_GENERATED = 40
CLUSTERINGS = 5
"""Clusterings whose values of MAUVE are averaged."""


@dataclass(frozen=True)
class Row:
    """The figures of one set of texts.

    Attributes:
        name: What the texts are.
        detector: How well the detector, which was trained on real texts alone, tells them from real ones.
        mauve: MAUVE against real texts, on the features of the detector or of a sentence encoder.
        frechet: Frechet distance to real texts, on the same features.
        told: The classifiers; None where they were not trained.
        distinct: Distinct-1, -2 and -3.
        self_bleu: Self-BLEU-2, -3 and -4.
        bleu: BLEU-4 against real texts.
        copies: Overlap with the real texts that are not in the column of real texts.
    """

    name: str
    detector: Auc
    mauve: float
    frechet: float
    told: Told | None = None
    distinct: tuple[float, float, float] | None = None
    self_bleu: tuple[float, float, float] | None = None
    bleu: float | None = None
    copies: diversity.Copies | None = None


@dataclass(frozen=True)
class Scored:
    """A text with its tokens' probabilities not to be the author's, and its score."""

    tokens: Words
    probabilities: list[float]
    score: float


@dataclass(frozen=True)
class Judgement:
    """What ``judge`` found.

    Attributes:
        real: Name of the real texts.
        generated: Name of the generated texts.
        count: Texts in each row.
        trained_on: Real texts that the detector was trained on.
        trained_kinds: Kinds of damage that it was trained on.
        rows: Real texts, generated texts, and real texts with shuffled words.
        damaged: Real texts with damage of kinds that the detector was not trained on, by kind and share.
        copied: Generated texts that are one of all real texts, but for case and spaces.
        texts: Generated texts, the worst by the detector first, then some at random.
        real_texts: Some real texts, for comparison.
        notes: One line for each thing that the user should know.
    """

    real: str
    generated: str
    count: int
    trained_on: int
    trained_kinds: tuple[str, ...]
    rows: list[Row]
    damaged: list[Row]
    copied: int
    texts: list[Scored]
    real_texts: list[Scored]
    notes: list[str]

    def row(self, name: str) -> Row:
        """The row of this name."""
        return next(row for row in [*self.rows, *self.damaged] if row.name == name)

    def to_dict(self) -> dict[str, Any]:
        """The judgement as JSON values, without the texts."""
        return {key: value for key, value in dataclasses.asdict(self).items() if key not in ("texts", "real_texts")}


def judge(
    real: Texts,
    generated: Texts,
    *,
    n: int = 8000,
    steps: int = 1500,
    width: int = 64,
    kinds: Sequence[str] = TRAINED,
    seed: int = 0,
    device: torch.device | None = None,
    encode: Encode | None = None,
    progress: Report = None,
) -> Judgement:
    """Judge generated texts.

    Args:
        real: Real texts, such as the training texts of the generator.
        generated: Generated texts.
        n: Most real texts to use, drawn at random. A column has a quarter as many texts, at most ``COLUMN``.
        steps: Training steps of the detector.
        width: Width of its network.
        kinds: Kinds of damage that the detector is trained on.
        seed: Seed of all draws and trainings.
        device: Where to compute. None: the CPU.
        encode: A sentence encoder, which gives the features for MAUVE and the Frechet distance. None: those of the detector.
        progress: Called with (what, done, total).

    Raises:
        BadInput: There are too few texts.
    """
    real.need(LEAST, "a judgement (REAL)")
    generated.need(LEAST_GENERATED, "a judgement (GENERATED)")
    rng = random.Random(f"judge {seed}")
    drawn = _drawn(real, n, rng)
    column = min(0.25, COLUMN / len(drawn))
    parts = split(drawn, (1 - 2 * column, column, column), seed)
    train, reference, stand_in = ([words(text.lower()) for text in part.texts] for part in parts)
    if min(len(train), len(reference), len(stand_in)) < LEAST_GENERATED:
        raise BadInput(f"{real.name} repeats itself: its {len(real)} texts are too few different ones to be split")
    fake = [words(text.lower()) for text in generated.texts]
    count = min(len(reference), len(stand_in), len(fake), COLUMN)
    fake, reference, stand_in = (_sample(rows, count, rng) for rows in (fake, reference, stand_in))
    detector = train_detector(
        train, steps=steps, corruptions=kinds, width=width, seed=seed, device=device,
        progress=part_of(progress, "training the detector"),
    )  # fmt: skip
    ruler = _Ruler(detector, reference, train, encode, seed, progress)
    shuffled = [_shuffled(tokens, rng) for tokens in stand_in]
    rows = [
        ruler.full("real", stand_in),
        ruler.full("generated", fake),
        ruler.full("real, words shuffled", shuffled),
    ]
    stage(progress, "damaging texts")
    source = WordSource(train)
    damaged = [
        ruler.short(f"{kind} {rate:.0%}", [CORRUPTIONS[kind](tokens, rate, rng, source)[0] for tokens in stand_in])
        for kind in UNSEEN
        if kind not in kinds
        for rate in RATES
    ]
    known = set(map(normalised, real.texts))
    copied = sum(normalised(text) in known for text in generated.texts)
    return Judgement(
        real.name, generated.name, count, len(train), tuple(kinds), rows, damaged, copied,
        _shown(detector, fake, rng), _shown(detector, stand_in, rng)[-5:], _notes(real, generated, rows[1], count, copied),
    )  # fmt: skip


class _Ruler:
    """Measures sets of texts against the reference, all in the same way."""

    def __init__(
        self,
        detector: Detector,
        reference: list[Words],
        train: list[Words],
        encode: Encode | None,
        seed: int,
        progress: Report,
    ) -> None:
        self._detector, self._reference, self._encode = detector, reference, encode
        self._seed, self._progress = seed, progress
        self._known = [*train, *reference]
        self._scores, self._features = detector.scores(reference), self._features_of("real", reference)

    def _features_of(self, name: str, texts: list[Words]) -> Tensor:
        if self._encode is None:
            return self._detector.features(texts)
        return self._encode([join(tokens) for tokens in texts], part_of(self._progress, f"encoding texts: {name}"))

    def short(self, name: str, texts: list[Words]) -> Row:
        """The figures that need no training."""
        features = self._features_of(name, texts)
        return Row(
            name,
            auc(self._scores, self._detector.scores(texts)),
            mauve(self._features, features, seed=self._seed, repeats=CLUSTERINGS),
            frechet_distance(self._features, features),
        )

    def full(self, name: str, texts: list[Words]) -> Row:
        """All figures."""
        told = tell_apart(
            self._reference, texts, self._detector, seed=self._seed,
            progress=part_of(self._progress, f"training a classifier: {name}"),
        )  # fmt: skip
        stage(self._progress, f"counting n-grams: {name}")
        one, two, three = (diversity.distinct(texts, order) for order in (1, 2, 3))
        low, middle, high = (diversity.self_bleu(texts, order, seed=self._seed) for order in (2, 3, 4))
        return dataclasses.replace(
            self.short(name, texts),
            told=told,
            distinct=(one, two, three),
            self_bleu=(low, middle, high),
            bleu=diversity.bleu(texts, self._reference, seed=self._seed),
            copies=diversity.copies(texts, self._known),
        )


def _drawn(texts: Texts, n: int, rng: random.Random) -> Texts:
    """At most n texts, in random order; sets of equal size from the whole of the file."""
    rows = list(range(len(texts)))
    rng.shuffle(rows)
    return texts.pick(rows[:n])


def _sample(rows: list[Words], count: int, rng: random.Random) -> list[Words]:
    return rows if len(rows) == count else rng.sample(rows, count)


def _shuffled(tokens: Words, rng: random.Random) -> Words:
    return rng.sample(tokens, len(tokens))


def _shown(
    detector: Detector, texts: list[Words], rng: random.Random, worst: int = 20, others: int = 10
) -> list[Scored]:
    scores = detector.scores(texts).tolist()
    ranked = sorted(range(len(texts)), key=lambda i: -scores[i])
    rest = ranked[worst:]
    rows = ranked[:worst] + rng.sample(rest, min(others, len(rest)))
    picked = [texts[i] for i in rows]
    return [
        Scored(tokens, probabilities, scores[i])
        for i, tokens, probabilities in zip(rows, picked, detector.token_scores(picked), strict=True)
    ]


def _notes(real: Texts, generated: Texts, row: Row, count: int, copied: int) -> list[str]:
    notes = [f"{texts.name}: {note}" for texts in (real, generated) for note in texts.notes]
    if len(generated) > count:
        notes.append(f"{count} of the {len(generated)} generated texts were drawn at random")
    if row.told is not None and row.told.matched < 0.5:
        notes.append(
            f"only {row.told.matched:.0%} of the texts could be paired by length: the lengths differ much, see the row length"
        )
    if copied:
        notes.append(
            f"{copied} of the {len(generated)} generated texts are one of the real texts, but for case and spaces"
        )
    repeated = len(generated) - len(set(map(normalised, generated.texts)))
    if repeated > len(generated) / 20:
        notes.append(f"{repeated} of {len(generated)} generated texts repeat another one")
    return notes
