"""Measure a classifier: clean, under each attack, with and without the speller; also at strengths that no defence trains on."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from ganloom.core.errors import BadInput
from ganloom.report.progress import Report, stage
from ganloom.robust.attacks import characters, hotflip, pgd, share_by_class
from ganloom.robust.classifiers import encode
from ganloom.robust.speller import Speller
from ganloom.robust.training import Classifier
from ganloom.texts.texts import Texts

SIZES = (0.1, 0.2, 0.3)
"""Sizes of PGD."""
ATTACKS = ("clean", "characters", "characters, 2 edits a word", "hotflip", *(f"pgd {size}" for size in SIZES))


@dataclass(frozen=True)
class Accuracy:
    """Accuracies of one way to use a classifier.

    Attributes:
        name: "the model", or "speller + the model".
        shares: Attack -> share of the texts that are right; the names are in ``ATTACKS``. Attacks on embeddings have no speller.
        by_class: Attack -> class -> share.
        queries: Mean queries of the character attack for a text.
        count: Number of texts.
    """

    name: str
    shares: dict[str, float]
    by_class: dict[str, dict[str, float]]
    queries: float
    count: int


def evaluate_classifier(
    classifier: Classifier,
    speller: Speller,
    data: Texts,
    *,
    n: int = 500,
    share: float = 0.2,
    seed: int = 0,
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
        progress: Called with (what, done, total).

    Raises:
        BadInput: There are no labels, or labels that the classifier does not know.
    """
    if data.labels is None:
        raise BadInput(f"{data.name} has no labels; name their column with --label COLUMN")
    texts, labels = list(data.texts[:n]), classifier.numbers(data.labels[:n])
    found = []
    for name, model in (
        ("the model", classifier),
        ("speller + the model", dataclasses.replace(classifier, speller=speller)),
    ):
        stage(progress, f"attacking {name}")
        found.append(_measured(name, model, texts, labels, share, seed))
    return found


def _measured(name: str, model: Classifier, texts: list[str], labels: list[int], share: float, seed: int) -> Accuracy:
    hit = model.predict(texts).argmax(1).tolist()
    kept = {"clean": {i for i, label in enumerate(labels) if hit[i] == label}}
    one = characters(model.predict, texts, labels, share=share, seed=seed)
    two = characters(model.predict, texts, labels, share=share, edits_per_word=2, seed=seed)
    results = {"characters": one, "characters, 2 edits a word": two}
    if model.speller is None:
        results["hotflip"] = hotflip(model.network, model.vocabulary, texts, labels, share=share)
        kept |= {f"pgd {size}": _pgd(model, texts, labels, size) for size in SIZES}
    found = {
        attack: (len(right) / max(1, len(labels)), share_by_class(labels, right)) for attack, right in kept.items()
    }
    found |= {attack: (result.right, result.by_class) for attack, result in results.items()}
    measured = {attack: found[attack] for attack in ATTACKS if attack in found}
    shares = {attack: right for attack, (right, _) in measured.items()}
    by_class = {
        attack: {model.classes[i]: value for i, value in enumerate(values) if i in set(labels)}
        for attack, (_, values) in measured.items()
    }
    return Accuracy(name, shares, by_class, one.queries, len(labels))


def _pgd(model: Classifier, texts: Sequence[str], labels: Sequence[int], size: float) -> set[int]:
    kept: set[int] = set()
    for start in range(0, len(texts), 256):
        tokens = encode(model.vocabulary, texts[start : start + 256])
        with torch.no_grad():
            embedded = model.network.embedded(tokens)
        right = pgd(model.network.head, embedded, torch.tensor(list(labels[start : start + 256])), size=size)
        kept |= {start + i for i in right.nonzero().flatten().tolist()}
    return kept
