"""The training sets of the classifiers that show whether synthetic texts help, one for each method, and their classifiers."""

import random
from functools import cached_property

import torch
from torch import Tensor

from ganloom.apps.text_augment import augmented
from ganloom.baselines.mle import LanguageModel
from ganloom.robust.classifiers import Classifier
from ganloom.robust.training import BATCH, train_classifier
from ganloom.texts.ngrams import NGrams
from ganloom.texts.texts import Texts
from ganloom.texts.vocabulary import join, words

REAL, EDITS, PSEUDO, NGRAM, ONLY, BOTH = (
    "real", "real + word dropping", "real + pseudo-labels", "real + n-grams", "synthetic only", "real + synthetic",
)  # fmt: skip
METHODS = (REAL, EDITS, PSEUDO, NGRAM, ONLY, BOTH)
STEPS = 300
"""Least number of steps of a classifier; all classifiers of a row have about as many."""
DROPPED = 0.15
"""Share of the words that word dropping leaves out."""
SURE = 0.8
"""Least probability of a pseudo-label."""


class Task:
    """The training sets of one number of labels and one seed."""

    def __init__(
        self, train: Texts, test: Texts, model: LanguageModel, size: int, per_class: int, temperature: float, seed: int
    ) -> None:
        self.train, self.test, self.model, self.per_class = train, test, model, per_class
        self.temperature, self.seed = temperature, seed
        order = list(range(len(train)))
        random.Random(f"labels {seed}").shuffle(order)
        taken: dict[str, list[int]] = {name: [] for name in train.classes}
        assert train.labels is not None
        for i in order:
            if len(taken[train.labels[i]]) < size:
                taken[train.labels[i]].append(i)
        chosen = [i for rows in taken.values() for i in rows]
        self.real = train.pick(chosen)
        self.rest = train.pick(sorted(set(order) - set(chosen)))
        self.classes = train.classes

    @cached_property
    def plain(self) -> Classifier:
        """The classifier of the real texts alone."""
        return self._classifier(self.real)

    @cached_property
    def synthetic(self) -> Texts:
        """The synthetic texts."""
        first = self.seed * 10_000_000
        return augmented(self.real, self.model, self.per_class, temperature=self.temperature, seed=first)

    def right(self, method: str) -> Tensor:
        """Whether each test text is classified correctly (N,), by a classifier of this method."""
        classifier = self.plain if method == REAL else self._classifier(self.texts(method))
        answers = classifier.predict(self.test.texts).argmax(1).tolist()
        assert self.test.labels is not None
        found = zip(answers, self.test.labels, strict=True)
        return torch.tensor([classifier.classes[answer] == label for answer, label in found])

    def _classifier(self, texts: Texts) -> Classifier:
        return train_classifier(texts, epochs=max(1, -(-STEPS * BATCH // len(texts))), seed=self.seed)

    def texts(self, method: str) -> Texts:
        """The training set of a method."""
        if method == REAL:
            return self.real
        if method in (ONLY, BOTH):
            return self.synthetic if method == ONLY else _joined(self.real, self.synthetic)
        made = {EDITS: self._edits, PSEUDO: self._pseudo, NGRAM: self._ngrams}[method]()
        return _joined(self.real, made) if len(made) else self.real

    def _edits(self) -> Texts:
        rng = random.Random(f"edits {self.seed}")
        made, labels = [], []
        for name, rows in self._by_class().items():
            for _ in range(self.per_class):
                split = words(rng.choice(rows))
                kept = [word for word in split if rng.random() >= DROPPED] or split
                made.append(join(kept) or rows[0])
                labels.append(name)
        return Texts(made, labels)

    def _ngrams(self) -> Texts:
        rng = random.Random(f"n-grams {self.seed}")
        made, labels = [], []
        for name, rows in self._by_class().items():
            model = NGrams([words(text.lower()) or [text] for text in rows])
            made += [join(model.draw(rng)) for _ in range(self.per_class)]
            labels += [name] * self.per_class
        return Texts(made, labels)

    def _pseudo(self) -> Texts:
        """Texts without labels, with the labels of a classifier that is sure of them; at most ``per_class`` of a class."""
        if not len(self.rest):
            return Texts([], [])
        first = self.plain
        probability, label = first.predict(self.rest.texts).max(1)
        made: list[str] = []
        labels: list[str] = []
        for number, name in enumerate(first.classes):
            rows = [i for i in probability.argsort(descending=True).tolist() if label[i] == number]
            sure = [i for i in rows if probability[i] >= SURE][: self.per_class]
            made += [self.rest.texts[i] for i in sure]
            labels += [name] * len(sure)
        return Texts(made, labels)

    def _by_class(self) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {name: [] for name in self.classes}
        assert self.real.labels is not None
        for text, label in zip(self.real.texts, self.real.labels, strict=True):
            found[label].append(text)
        return found


def _joined(a: Texts, b: Texts) -> Texts:
    return Texts([*a.texts, *b.texts], [*(a.labels or ()), *(b.labels or ())], name=a.name)
