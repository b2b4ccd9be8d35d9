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
from ganloom.robust.classifiers import LONGEST, TextClassifier, encode
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
        hit: For each text, whether it is still classified correctly.
    """

    texts: list[str]
    right: float
    queries: float
    by_class: list[float]
    hit: list[bool]


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


def one_edit(word: str, rng: random.Random) -> str:
    """One edit of `edits`, chosen at random without making the others. It may change nothing, as the swap of equal letters."""
    size = len(word)
    if size < 4:
        return word
    place = rng.randrange(4 * size - 8)  # swaps, deletions, insertions, neighbour keys, in the order of ``edits``
    if place < size - 3:
        i = place + 1
        return word[:i] + word[i + 1] + word[i] + word[i + 2 :]
    place -= size - 3
    if place < size - 2:
        return word[: place + 1] + word[place + 2 :]
    place -= size - 2
    if place < size - 1:
        return word[: place + 1] + rng.choice(LETTERS) + word[place + 1 :]
    i = place - (size - 1) + 1
    return word[:i] + rng.choice(_KEYS.get(word[i], LETTERS)) + word[i + 1 :]


def typos(tokens: Sequence[str], share: float, rng: random.Random) -> list[str]:
    """Words in lower case with one random edit in a share of them, at least one."""
    out = list(tokens)
    places = [i for i, token in enumerate(out) if len(token) >= 4]
    for i in rng.sample(places, min(len(places), max(1, round(share * len(out))))):
        out[i] = one_edit(out[i], rng)
    return out


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
    return greedy(predict, texts, labels, lambda word: edits(word, rng, candidates), share=share, rounds=edits_per_word)


def greedy(
    predict: Predict,
    texts: Sequence[str],
    labels: Sequence[int],
    changes: Callable[[str], list[str]],
    *,
    share: float = 0.2,
    rounds: int = 1,
    shortest: int = 4,
) -> Attacked:
    """Replace the most important words first, each by the change that hurts most.

    Args:
        predict: The classifier.
        texts: N texts.
        labels: N class numbers.
        changes: Returns the words by which a given word may be replaced.
        share: Share of a text's words that may be changed, at least one word.
        rounds: Changes on top of each other in one word.
        shortest: Length of the shortest words that are changed.
    """
    rows = [words(text.lower()) for text in texts]
    now = predict([" ".join(row) for row in rows])
    alive = [i for i, label in enumerate(labels) if int(now[i].argmax()) == label]
    worth = {i: float(now[i][labels[i]]) for i in alive}
    order, queries = _importance(predict, rows, labels, alive, shortest)
    budget = {i: max(1, round(share * len(rows[i]))) for i in alive}
    for place in range(max(budget.values(), default=0)):
        for _ in range(rounds):
            asked = [
                (i, order[i][place], other)
                for i in alive
                if place < min(budget[i], len(order[i]))
                for other in changes(rows[i][order[i][place]])
            ]
            if not asked:
                continue
            found = predict([" ".join([*rows[i][:j], other, *rows[i][j + 1 :]]) for i, j, other in asked])
            queries += len(asked)
            best: dict[int, tuple[float, int, str]] = {}
            fooled = (found.argmax(1) != torch.tensor([labels[i] for i, _, _ in asked])).tolist()
            left = found.gather(1, torch.tensor([[labels[i]] for i, _, _ in asked])).squeeze(1).tolist()
            for (i, j, other), wrong, probability in zip(asked, fooled, left, strict=True):
                value = probability - 2.0 * wrong
                if value < best.get(i, (worth[i], 0, ""))[0]:
                    best[i] = (value, j, other)
            for i, (value, j, other) in best.items():
                worth[i], rows[i][j] = value, other
            alive = [i for i in alive if worth[i] >= 0]
    return _attacked([" ".join(row) for row in rows], labels, set(alive), queries)


def _importance(
    predict: Predict, rows: list[list[str]], labels: Sequence[int], alive: Sequence[int], shortest: int
) -> tuple[dict[int, list[int]], int]:
    """(the places of each text's words that can be edited, most important first; number of queries)."""
    asked = [(i, j) for i in alive for j, token in enumerate(rows[i]) if len(token) >= shortest]
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
    """Attack by whole tokens: each flip is the one that raises the loss most by its gradient.

    A token is a word, or a character for a classifier on characters; the number of flips is the same for both.

    Args:
        model: The classifier, in eval mode.
        vocabulary: Its vocabulary.
        texts: N texts.
        labels: N class numbers.
        share: Number of tokens that may be replaced as a share of the text's words, at least one.
    """
    tokens, target = encode(vocabulary, texts), torch.tensor(list(labels))
    budget = torch.tensor([max(1, round(share * min(len(words(text)), LONGEST))) for text in texts])
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
        _flipped_text(vocabulary, text, row, flips)
        for text, row, flips in zip(texts, tokens.tolist(), flipped.tolist(), strict=True)
    ]
    return _attacked(changed, labels, set(right.nonzero().flatten().tolist()), 0)


def _flipped_text(vocabulary: Vocabulary, text: str, row: list[int], flips: list[bool]) -> str:
    """A text with some of its tokens replaced; what is beyond the tokens that are read stays."""
    split = vocabulary.split(text)
    read = zip(split, row, flips, strict=False)
    changed = [vocabulary.tokens[number] if flip else token for token, number, flip in read]
    return (" " if vocabulary.kind == "word" else "").join([*changed, *split[len(row) :]])


def pgd(
    model: Callable[[Tensor], Tensor],
    embedded: Tensor,
    target: Tensor,
    mask: Tensor | None = None,
    *,
    size: float = 0.2,
    steps: int = 10,
) -> Tensor:
    """Attack the embeddings by projected gradient ascent.

    Args:
        model: Embeddings to logits; in eval mode.
        embedded: (N, L, d) embeddings.
        target: (N,) class numbers.
        mask: (N, L), 1 for tokens and 0 for padding. None: where the embedding is not zero.
        size: Radius of the ball over the norm of each text's embeddings.
        steps: Steps of 2.5 / steps of the radius.

    Returns:
        (N,) bool: still right at every step.
    """
    embedded = embedded.detach()
    inside = inside_of(embedded, mask)
    radius = radius_of(embedded * inside, size)
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
    count = max(1, len(labels))
    hit = [i in right for i in range(len(labels))]
    return Attacked(texts, len(right) / count, queries / count, share_by_class(labels, hit), hit)


def share_by_class(labels: Sequence[int], hit: Sequence[bool]) -> list[float]:
    """The share of each class's texts that are right."""
    counts = [0] * (max(labels, default=-1) + 1)
    hits = counts[:]
    for label, right in zip(labels, hit, strict=True):
        counts[label] += 1
        hits[label] += right
    return [found / max(1, count) for found, count in zip(hits, counts, strict=True)]
