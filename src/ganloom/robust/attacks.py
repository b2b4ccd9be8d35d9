"""Attacks on text classifiers, offline and with a budget: character edits, HotFlip, and PGD on the embeddings.

Character edits: the words are ranked by the scoring of DeepWordBug (Gao et al. 2018, arXiv:1801.04354, replace-1 score: the fall
of the right class's probability when the word becomes unknown), and each gets the edit that hurts most. HotFlip: Ebrahimi et al.
2018 (arXiv:1712.06751), whole words by the gradient. PGD: Madry et al. 2018 (arXiv:1706.06083), in a ball around the embeddings.
"""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from ganloom.robust.adversaries import inside_of, norms, project, radius_of
from ganloom.robust.classifiers import TextClassifier, encode
from ganloom.texts.vocabulary import SPECIAL, Vocabulary, words

LETTERS = "abcdefghijklmnopqrstuvwxyz"
UNKNOWN = "\ufffc"
"""A word that is in no vocabulary."""
_KEYS = dict(
    zip(
        "qwertyuiopasdfghjklzxcvbnm",
        "wa qes wrd etf ryg tuh yij uok ipl ol qsz awdx sefc drgv fthb gyjn hukm jil kop "
        "xas zcsd xvdf cbfg vngh bmhj njk".split(),
        strict=True,
    )
)
Predict = Callable[[Sequence[str]], Tensor]
"""Texts to class probabilities (N, classes)."""


@dataclass(frozen=True)
class Attacked:
    """The result of an attack.

    Attributes:
        texts: The attacked texts.
        right: Share of the texts that are still classified correctly.
        queries: Mean number of texts that the classifier was asked about for each text.
        by_class: The share by class, in the order of the class numbers.
    """

    texts: list[str]
    right: float
    queries: float
    by_class: list[float]


def edits(word: str, rng: random.Random, most: int | None = None) -> list[str]:
    """All words at one edit of the inner letters: swap, delete, insert, neighbour key. Words of three letters have none."""
    size = len(word)
    if size < 4:
        return []
    found = [word[:i] + word[i + 1] + word[i] + word[i + 2 :] for i in range(1, size - 2)]
    found += [word[:i] + word[i + 1 :] for i in range(1, size - 1)]
    found += [word[:i] + rng.choice(LETTERS) + word[i:] for i in range(1, size)]
    found += [word[:i] + rng.choice(_KEYS.get(word[i], LETTERS)) + word[i + 1 :] for i in range(1, size - 1)]
    found = [other for other in dict.fromkeys(found) if other != word]
    return found if most is None or len(found) <= most else rng.sample(found, most)


def random_typos(text: str, share: float, rng: random.Random) -> str:
    """A text with one random edit in a share of its words, at least one."""
    tokens = words(text.lower())
    places = [i for i, token in enumerate(tokens) if len(token) >= 4]
    rng.shuffle(places)
    for i in places[: max(1, round(share * len(tokens)))]:
        tokens[i] = (edits(tokens[i], rng, 1) or [tokens[i]])[0]
    return " ".join(tokens)


def characters(
    predict: Predict,
    texts: Sequence[str],
    labels: Sequence[int],
    *,
    share: float = 0.2,
    candidates: int = 30,
    edits_per_word: int = 1,
    seed: int = 0,
) -> Attacked:
    """Attack by character edits, greedily: the most important words first, each with its worst edit.

    Args:
        predict: The classifier.
        texts: N texts.
        labels: N class numbers.
        share: Share of a text's words that may be edited, at least one word.
        candidates: Most edits that are tried for a word.
        edits_per_word: Edits on top of each other in one word.
        seed: Seed of the edits.
    """
    rng = random.Random(seed)
    rows = [words(text.lower()) for text in texts]
    now = predict([" ".join(row) for row in rows])
    alive = [i for i, label in enumerate(labels) if int(now[i].argmax()) == label]
    worth = {i: float(now[i][labels[i]]) for i in alive}
    order, queries = _importance(predict, rows, labels, alive)
    budget = {i: max(1, round(share * len(rows[i]))) for i in alive}
    for place in range(max(budget.values(), default=0)):
        for _ in range(edits_per_word):
            asked = [
                (i, order[i][place], other)
                for i in alive
                if place < min(budget[i], len(order[i]))
                for other in edits(rows[i][order[i][place]], rng, candidates)
            ]
            if not asked:
                continue
            found = predict([" ".join([*rows[i][:j], other, *rows[i][j + 1 :]]) for i, j, other in asked])
            queries += len(asked)
            best: dict[int, tuple[float, int, str]] = {}
            for (i, j, other), probabilities in zip(asked, found, strict=True):
                fooled = int(probabilities.argmax()) != labels[i]
                value = float(probabilities[labels[i]]) - 2.0 * fooled
                if value < best.get(i, (worth[i], 0, ""))[0]:
                    best[i] = (value, j, other)
            for i, (value, j, other) in best.items():
                worth[i], rows[i][j] = value, other
            alive = [i for i in alive if worth[i] >= 0]
    return _attacked([" ".join(row) for row in rows], labels, set(alive), queries)


def _importance(
    predict: Predict, rows: list[list[str]], labels: Sequence[int], alive: Sequence[int]
) -> tuple[dict[int, list[int]], int]:
    """(the places of each text's words that can be edited, most important first; number of queries)."""
    asked = [(i, j) for i in alive for j, token in enumerate(rows[i]) if len(token) >= 4]
    order: dict[int, list[int]] = {i: [] for i in alive}
    if asked:
        found = predict([" ".join([*rows[i][:j], UNKNOWN, *rows[i][j + 1 :]]) for i, j in asked])
        left = {pair: float(row[labels[pair[0]]]) for pair, row in zip(asked, found, strict=True)}
        for i, j in sorted(asked, key=left.__getitem__):
            order[i].append(j)
    return order, len(asked)


def hotflip(
    model: TextClassifier, vocabulary: Vocabulary, texts: Sequence[str], labels: Sequence[int], *, share: float = 0.2
) -> Attacked:
    """Attack by whole words: each flip is the one that raises the loss most by its gradient.

    Args:
        model: The classifier, in eval mode.
        vocabulary: Its vocabulary.
        texts: N texts.
        labels: N class numbers.
        share: Share of a text's words that may be replaced, at least one.
    """
    tokens, target = encode(vocabulary, texts), torch.tensor(list(labels))
    budget = ((tokens != 0).sum(1) * share).round().clamp(min=1)
    flipped = torch.zeros_like(tokens, dtype=torch.bool)
    weights = model.embedding.weight.detach()
    with torch.no_grad():
        right = model(tokens).argmax(1) == target
    for step in range(int(budget.max()) if len(texts) else 0):
        active = right & (step < budget)
        if not bool(active.any()):
            break
        embedded = model.embedded(tokens).detach().requires_grad_()
        (gradient,) = torch.autograd.grad(F.cross_entropy(model.head(embedded), target, reduction="sum"), embedded)
        for i in active.nonzero().flatten().tolist():
            gain = gradient[i] @ weights.T - (gradient[i] * embedded[i].detach()).sum(1, keepdim=True)
            gain[:, : len(SPECIAL)] = -torch.inf
            gain[(tokens[i] == 0) | flipped[i]] = -torch.inf
            place, word = divmod(int(gain.argmax()), gain.shape[1])
            if gain[place, word] > -torch.inf:
                tokens[i, place], flipped[i, place] = word, True
        with torch.no_grad():
            right &= model(tokens).argmax(1) == target
    changed = [
        " ".join(
            vocabulary.tokens[word] if flip else token
            for token, word, flip in zip(vocabulary.split(text), row, flips, strict=False)
        )
        for text, row, flips in zip(texts, tokens.tolist(), flipped.tolist(), strict=True)
    ]
    return _attacked(changed, labels, set(right.nonzero().flatten().tolist()), 0)


def pgd(
    model: Callable[[Tensor], Tensor], embedded: Tensor, target: Tensor, *, size: float = 0.2, steps: int = 10
) -> Tensor:
    """Attack the embeddings by projected gradient ascent.

    Args:
        model: Embeddings to logits; in eval mode.
        embedded: (N, L, d) embeddings; zeros at padding.
        target: (N,) class numbers.
        size: Radius of the ball over the norm of each text's embeddings.
        steps: Steps of 2.5 / steps of the radius.

    Returns:
        (N,) bool: still right at every step.
    """
    embedded = embedded.detach()
    inside, radius = inside_of(embedded), radius_of(embedded, size)
    shift = torch.zeros_like(embedded)
    with torch.no_grad():
        right = model(embedded).argmax(1) == target
    for _ in range(steps):
        moved = (embedded + shift).requires_grad_()
        (gradient,) = torch.autograd.grad(F.cross_entropy(model(moved), target, reduction="sum"), moved)
        gradient = gradient * inside
        step = radius if steps == 1 else 2.5 * radius / steps
        shift = project(shift + step * gradient / (norms(gradient) + 1e-12), radius)
        with torch.no_grad():
            right &= model(embedded + shift).argmax(1) == target
    return right


def _attacked(texts: list[str], labels: Sequence[int], right: set[int], queries: int) -> Attacked:
    return Attacked(
        texts, len(right) / max(1, len(labels)), queries / max(1, len(labels)), share_by_class(labels, right)
    )


def share_by_class(labels: Sequence[int], right: set[int]) -> list[float]:
    """The share of each class's texts whose numbers are in ``right``."""
    counts = [0] * (max(labels, default=-1) + 1)
    hits = counts[:]
    for i, label in enumerate(labels):
        counts[label] += 1
        hits[label] += i in right
    return [hit / max(1, count) for hit, count in zip(hits, counts, strict=True)]
