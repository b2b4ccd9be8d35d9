"""Measure a classifier: clean, under each attack, with and without the speller; also at strengths that no defence trains on."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from ganloom.core.errors import BadInput
from ganloom.report.progress import Report
from ganloom.robust.attacks import characters, hotflip, pgd, share_by_class
from ganloom.robust.classifiers import Classifier
from ganloom.robust.speller import Speller
from ganloom.robust.wordnet import WordNet, synonyms
from ganloom.texts.texts import Texts

SIZES = (0.1, 0.2, 0.3)
"""Sizes of PGD."""
CHARACTERS, TWO_EDITS, SYNONYMS = "characters", "characters, 2 edits a word", "synonyms"
ON_EMBEDDINGS = ("hotflip", *(f"pgd {size}" for size in SIZES))
"""Attacks by the gradient of the embeddings. A speller in front has no influence on them."""
ATTACKS = ("clean", CHARACTERS, TWO_EDITS, SYNONYMS, *ON_EMBEDDINGS)
MODEL, WITH_SPELLER = "the model", "speller + the model"


@dataclass(frozen=True)
class Accuracy:
    """Accuracies of one way to use a classifier.

    Attributes:
        name: "the model", or "speller + the model".
        shares: Attack -> share of the texts that are right; the names are in ``ATTACKS``. Attacks on embeddings have no speller,
            and synonyms are there if WordNet is installed.
        by_class: Attack -> class -> share.
        queries: Mean queries of the character attack for a text.
        count: Number of texts.
        hits: Attack -> for each text, whether it is right.
    """

    name: str
    shares: dict[str, float]
    by_class: dict[str, dict[str, float]]
    queries: float
    count: int
    hits: dict[str, list[bool]]

    def to_dict(self) -> dict[str, Any]:
        """The figures for JSON, without those of single texts."""
        return {name: value for name, value in dataclasses.asdict(self).items() if name != "hits"}


def evaluate_classifier(
    classifier: Classifier,
    speller: Speller,
    data: Texts,
    *,
    n: int = 500,
    share: float = 0.2,
    seed: int = 0,
    wordnet: WordNet | None = None,
    progress: Report = None,
) -> list[Accuracy]:
    """Measure a classifier and the same with the speller in front.

    Args:
        classifier: The classifier, without a speller.
        speller: That of its training texts.
        data: Test texts with labels.
        n: Most texts to use: the first ones.
        share: Share of the words of a text that may be attacked.
        seed: Seed of the character edits.
        wordnet: For the attack by synonyms. None: leave it out.
        progress: Called with (what, done, total).

    Raises:
        BadInput: There are no labels, or labels that the classifier does not know.
    """
    if data.labels is None:
        raise BadInput(f"{data.name} has no labels; name their column with --label COLUMN")
    texts, labels = list(data.texts[:n]), classifier.numbers(data.labels[:n])
    found = []
    for name, model in ((MODEL, classifier), (WITH_SPELLER, dataclasses.replace(classifier, speller=speller))):
        found.append(_Measurement(name, model, texts, labels, share, seed, wordnet).accuracy(progress))
    return found


@dataclass(frozen=True)
class _Measurement:
    name: str
    model: Classifier
    texts: list[str]
    labels: list[int]
    share: float
    seed: int
    wordnet: WordNet | None

    def accuracy(self, progress: Report) -> Accuracy:
        names = [name for name in ATTACKS if self._possible(name)]
        hits: dict[str, list[bool]] = {}
        queries = 0.0
        for number, attack in enumerate(names):
            if progress is not None:
                progress(f"attacking {self.name}", number, len(names))
            hits[attack], asked = self._hits(attack)
            queries = asked if attack == CHARACTERS else queries
        by_class = {
            attack: {
                self.model.classes[i]: value
                for i, value in enumerate(share_by_class(self.labels, hit))
                if i in set(self.labels)
            }
            for attack, hit in hits.items()
        }
        count = max(1, len(self.labels))
        shares = {attack: sum(hit) / count for attack, hit in hits.items()}
        return Accuracy(self.name, shares, by_class, queries, len(self.labels), hits)

    def _possible(self, attack: str) -> bool:
        if attack == SYNONYMS:
            return self.wordnet is not None
        if attack == "hotflip" and self.model.encoder is not None:
            return False
        return self.model.speller is None or attack not in ON_EMBEDDINGS

    def _hits(self, attack: str) -> tuple[list[bool], float]:
        model, texts, labels = self.model, self.texts, self.labels
        if attack == "clean":
            return [a == b for a, b in zip(model.predict(texts).argmax(1).tolist(), labels, strict=True)], 0.0
        if attack == "hotflip":
            return hotflip(model.network, model.vocabulary, texts, labels, share=self.share).hit, 0.0
        if attack in ON_EMBEDDINGS:
            return _pgd(model, texts, labels, float(attack.split(" ")[1])), 0.0
        if attack == SYNONYMS:
            assert self.wordnet is not None
            result = synonyms(model.predict, texts, labels, self.wordnet, share=self.share)
        else:
            rounds = 2 if attack == TWO_EDITS else 1
            result = characters(model.predict, texts, labels, share=self.share, edits_per_word=rounds, seed=self.seed)
        return result.hit, result.queries


def _pgd(model: Classifier, texts: Sequence[str], labels: Sequence[int], size: float) -> list[bool]:
    hit: list[bool] = []
    for start in range(0, len(texts), 256):
        with torch.no_grad():
            embedded = model.network.embedded(model.encode(texts[start : start + 256]))
        hit += pgd(model.network.head, embedded, torch.tensor(list(labels[start : start + 256])), size=size).tolist()
    return hit
