"""How varied texts are, and how much of them is copied from training texts: distinct-n, self-BLEU, n-gram overlap.

Distinct-n: Li et al. 2016 (arXiv:1510.03055), different n-grams over all n-grams. BLEU: Papineni et al. 2002, with add-one
smoothing for n > 1 (Lin and Och 2004). Self-BLEU: Zhu et al. 2018 (arXiv:1802.01886), BLEU of each text with the others as
references. Distinct-n falls with the number of texts and self-BLEU rises, so compare only sets of equal size.
"""

import math
import random
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

Tokens = Sequence[str]
COPY = 6
"""Length in tokens of an n-gram that counts as copied."""


def ngrams(tokens: Tokens, n: int) -> list[tuple[str, ...]]:
    """The n-grams of a text, in order."""
    return [tuple(tokens[i : i + n]) for i in range(len(tokens) - n + 1)]


def distinct(texts: Sequence[Tokens], n: int) -> float:
    """Different n-grams over all n-grams of all texts; 0 if there are none."""
    found = [gram for tokens in texts for gram in ngrams(tokens, n)]
    return len(set(found)) / len(found) if found else 0.0


def self_bleu(texts: Sequence[Tokens], n: int = 4, *, sample: int = 200, seed: int = 0) -> float:
    """Mean BLEU-n of texts, each with all the others as references: high means that texts repeat each other.

    Args:
        texts: At least two texts.
        n: Longest n-gram.
        sample: Measure this number of texts, drawn at random. All others remain references.
        seed: Seed of the draw.
    """
    rows = list(range(len(texts)))
    if len(rows) > sample:
        rows = random.Random(seed).sample(rows, sample)
    references = _References(texts, n)
    return sum(references.bleu(texts[i], without=i) for i in rows) / len(rows)


def bleu(
    texts: Sequence[Tokens], references: Sequence[Tokens], n: int = 4, *, sample: int = 200, seed: int = 0
) -> float:
    """Mean BLEU-n of texts against all references.

    Args:
        texts: The texts.
        references: For example real texts that no model was trained on.
        n: Longest n-gram.
        sample: Measure this number of texts, drawn at random.
        seed: Seed of the draw.
    """
    found = list(texts) if len(texts) <= sample else random.Random(seed).sample(list(texts), sample)
    table = _References(references, n)
    return sum(table.bleu(tokens, without=None) for tokens in found) / len(found)


class _References:
    """n-gram -> the two largest counts in a reference, so that one reference can be left out."""

    def __init__(self, texts: Sequence[Tokens], n: int) -> None:
        self.n, self.lengths = n, [len(tokens) for tokens in texts]
        self.top: dict[tuple[str, ...], tuple[int, int, int]] = {}
        for i, tokens in enumerate(texts):
            for order in range(1, n + 1):
                for gram, count in Counter(ngrams(tokens, order)).items():
                    most, second, owner = self.top.get(gram, (0, 0, -1))
                    if count > most:
                        most, second, owner = count, most, i
                    else:
                        second = max(second, count)
                    self.top[gram] = (most, second, owner)
        self.ranked = sorted(set(self.lengths))
        self.many = {length: count > 1 for length, count in Counter(self.lengths).items()}

    def _largest(self, gram: tuple[str, ...], without: int | None) -> int:
        most, second, owner = self.top.get(gram, (0, 0, -1))
        return second if owner == without else most

    def bleu(self, tokens: Tokens, without: int | None) -> float:
        if not tokens:
            return 0.0
        total = 0.0
        orders = min(self.n, len(tokens))
        for order in range(1, orders + 1):
            counts = Counter(ngrams(tokens, order))
            hits = sum(min(count, self._largest(gram, without)) for gram, count in counts.items())
            smooth = int(order > 1)
            if hits + smooth == 0:
                return 0.0
            total += math.log((hits + smooth) / (sum(counts.values()) + smooth))
        return self._brevity(len(tokens), without) * math.exp(total / orders)

    def _brevity(self, length: int, without: int | None) -> float:
        others = [
            l for l in self.ranked if without is None or l != self.lengths[without] or self.many[l]
        ] or self.ranked
        closest = min(others, key=lambda l: (abs(l - length), l))
        return 1.0 if length >= closest else math.exp(1 - closest / length)


@dataclass(frozen=True)
class Copies:
    """How much of a set of texts is in the training texts.

    Attributes:
        whole: Share of texts that are a training text, but for case and spaces.
        long: Share of the texts with at least ``COPY`` tokens that have ``COPY`` tokens in a row from one training text.
        overlap: Share of all 4-grams that are in the training texts.
    """

    whole: float
    long: float
    overlap: float


def copies(texts: Sequence[Tokens], training: Sequence[Tokens]) -> Copies:
    """Measure how much of texts was copied from training texts. Compare with the value of real texts that were not trained on."""
    known = {tuple(tokens) for tokens in training}
    short = {gram for tokens in training for gram in ngrams(tokens, 4)}
    long = {gram for tokens in training for gram in ngrams(tokens, COPY)}
    enough = [tokens for tokens in texts if len(tokens) >= COPY]
    all_short = [gram for tokens in texts for gram in ngrams(tokens, 4)]

    return Copies(
        _share(texts, lambda tokens: tuple(tokens) in known),
        _share(enough, lambda tokens: any(gram in long for gram in ngrams(tokens, COPY))),
        sum(gram in short for gram in all_short) / max(1, len(all_short)),
    )


def _share(texts: Sequence[Tokens], holds: Callable[[Tokens], bool]) -> float:
    return sum(map(holds, texts)) / max(1, len(texts))
