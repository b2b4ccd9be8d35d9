"""Damage texts on purpose, and mark each token that is wrong: the replaced-token detector trains on it and is tested on it."""

import random
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from itertools import pairwise

Tokens = list[str]
Marked = tuple[Tokens, list[int]]
"""Tokens, and 1 for each token that is not the author's."""
LETTERS = "abcdefghijklmnopqrstuvwxyz"


class WordSource:
    """Draws words as the training texts have them: by frequency, or after a given word.

    Args:
        texts: Tokens of the training texts.
    """

    def __init__(self, texts: Sequence[Tokens]) -> None:
        counts = Counter(token for tokens in texts for token in tokens)
        self._words = list(counts)
        self._cumulative: list[float] = []
        total = 0.0
        for word in self._words:
            total += counts[word] ** 0.75
            self._cumulative.append(total)
        self._after: dict[str, Tokens] = defaultdict(list)
        for tokens in texts:
            for left, right in pairwise(tokens):
                self._after[left].append(right)

    def any(self, rng: random.Random) -> str:
        """A word by its frequency to the power 0.75."""
        return rng.choices(self._words, cum_weights=self._cumulative)[0]

    def after(self, left: str | None, rng: random.Random) -> str:
        """A word that follows ``left`` somewhere in the training texts."""
        known = self._after.get(left) if left is not None else None
        return rng.choice(known) if known else self.any(rng)


Corruption = Callable[[Tokens, float, random.Random, WordSource], Marked]


def _chosen(count: int, rate: float, rng: random.Random) -> set[int]:
    """Positions; their number is ``rate * count``, rounded up or down at random so that the mean is right."""
    exact = rate * count
    number = int(exact) + (rng.random() < exact - int(exact))
    return set(rng.sample(range(count), min(count, number)))


def replace(tokens: Tokens, rate: float, rng: random.Random, source: WordSource) -> Marked:
    """Replace words by others, drawn by their frequency."""
    at = _chosen(len(tokens), rate, rng)
    new = [source.any(rng) if i in at else token for i, token in enumerate(tokens)]
    return new, [int(a != b) for a, b in zip(new, tokens, strict=True)]


def follow(tokens: Tokens, rate: float, rng: random.Random, source: WordSource) -> Marked:
    """Replace words by others that also follow the word on the left: harder to see."""
    at = _chosen(len(tokens), rate, rng)
    new: Tokens = []
    for i, token in enumerate(tokens):
        new.append(source.after(new[-1] if new else None, rng) if i in at else token)
    return new, [int(a != b) for a, b in zip(new, tokens, strict=True)]


def insert(tokens: Tokens, rate: float, rng: random.Random, source: WordSource) -> Marked:
    """Insert words, drawn by their frequency."""
    at = _chosen(len(tokens), rate, rng)
    new: Tokens = []
    marks: list[int] = []
    for i, token in enumerate(tokens):
        new, marks = ([*new, source.any(rng), token], [*marks, 1, 0]) if i in at else ([*new, token], [*marks, 0])
    return new, marks


def delete(tokens: Tokens, rate: float, rng: random.Random, source: WordSource) -> Marked:
    """Delete words; the word after a gap is marked. One word always stays."""
    at = _chosen(len(tokens), rate, rng)
    kept = [i for i in range(len(tokens)) if i not in at] or [0]
    marks = [int(i > 0 and i - 1 in at) for i in kept]
    if len(tokens) - 1 in at:
        marks[-1] = 1
    return [tokens[i] for i in kept], marks


def repeat(tokens: Tokens, rate: float, rng: random.Random, source: WordSource) -> Marked:
    """Write words twice in a row."""
    at = _chosen(len(tokens), rate, rng)
    pairs = [(token, mark) for i, token in enumerate(tokens) for mark in ((0, 1) if i in at else (0,))]
    return [token for token, _ in pairs], [mark for _, mark in pairs]


def swap(tokens: Tokens, rate: float, rng: random.Random, source: WordSource) -> Marked:
    """Swap words with their right neighbour, so that a share ``rate`` of the words is at another place."""
    places = [i for i in range(len(tokens) - 1) if tokens[i] != tokens[i + 1]]
    rng.shuffle(places)
    new, moved, wanted = list(tokens), set[int](), rate * len(tokens) / 2
    pairs = int(wanted) + (rng.random() < wanted - int(wanted))
    for i in places:
        if len(moved) < 2 * pairs and i not in moved and i + 1 not in moved:
            new[i], new[i + 1] = new[i + 1], new[i]
            moved |= {i, i + 1}
    return new, [int(i in moved) for i in range(len(tokens))]


def shuffle(tokens: Tokens, rate: float, rng: random.Random, source: WordSource) -> Marked:
    """Shuffle a share ``rate`` of the words among their places."""
    at = sorted(_chosen(len(tokens), rate, rng))
    moved = list(at)
    rng.shuffle(moved)
    new = list(tokens)
    for to, start in zip(at, moved, strict=True):
        new[to] = tokens[start]
    return new, [int(a != b) for a, b in zip(new, tokens, strict=True)]


def typo(tokens: Tokens, rate: float, rng: random.Random, source: WordSource) -> Marked:
    """Change one character inside words of at least four letters: swap, delete, insert or replace."""
    at = _chosen(len(tokens), rate, rng)
    new = [_typo(token, rng) if i in at else token for i, token in enumerate(tokens)]
    return new, [int(a != b) for a, b in zip(new, tokens, strict=True)]


def _typo(word: str, rng: random.Random) -> str:
    if len(word) < 4:
        return word
    i = rng.randrange(1, len(word) - 2)
    kind = rng.randrange(4)
    if kind == 0:
        return word[:i] + word[i + 1] + word[i] + word[i + 2 :]
    if kind == 1:
        return word[:i] + word[i + 1 :]
    return word[:i] + rng.choice(LETTERS) + word[i + (kind == 3) :]


CORRUPTIONS: dict[str, Corruption] = {
    "replace": replace, "follow": follow, "insert": insert, "delete": delete, "repeat": repeat, "swap": swap,
    "shuffle": shuffle, "typo": typo,
}  # fmt: skip
TRAINED = ("replace", "follow", "insert", "delete", "repeat")
"""What the detector trains on. The others are for testing it on damage that it has not seen."""
