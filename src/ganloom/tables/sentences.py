"""Make free texts of the words that many rows share, in an order that many rows share.

A text is a row of words with gaps between them. What at least ``SHARED`` rows have in common is kept: words, two words that
follow each other, and gaps. A new text is a walk along such pairs. Where a pair is not shared, the next word is drawn without
regard to the last one. So no sentence of a row can be read back, only pieces that several rows have. Other words are replaced
by random letters with the pattern of one.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

SHARED = 5
"""What at least this many rows have is no secret of one row."""
MOST_WORDS = 2000
MOST_PAIRS = 10_000
OTHER, START = -1, -2
"""Instead of the number of a word: a word that is not shared; the start of a text."""
SPACE = " "


@dataclass(frozen=True)
class Sentences:
    """What is kept of a column of free texts."""

    words: tuple[tuple[str, int], ...] = ()
    """(word, rows that have it)."""
    gaps: tuple[str, ...] = (SPACE,)
    """What stands before, between and after words."""
    other: int = 0
    """How many words are not shared."""
    pairs: tuple[tuple[int, int, int, int], ...] = ()
    """(word, gap, next word, rows that have them), as numbers in ``words`` and ``gaps``."""
    followed: tuple[tuple[int, int], ...] = ()
    """(word, how often a word follows it), shared pairs or not."""
    lengths: tuple[tuple[int, int], ...] = ()
    """(number of words, rows)."""
    ends: tuple[tuple[int, int], ...] = ()
    """(gap after the last word, rows)."""

    def maker(self, other: Callable[[], str], rng: np.random.Generator) -> Callable[[bool], str]:
        """Return a function that makes one text.

        Args:
            other: Makes a word that is not shared.
            rng: Source of random numbers.

        Returns:
            A function of ``loose``: True draws all words without regard to the last one.
        """
        after: dict[int, list[tuple[int, int, int]]] = {}
        for word, gap, following, rows in self.pairs:
            after.setdefault(word, []).append((gap, following, rows))
        followed = dict(self.followed)
        alone = [(number, rows) for number, (_, rows) in enumerate(self.words)]
        alone.append((OTHER, self.other if alone else max(self.other, 1)))
        draw = {word: drawer(found, rng) for word, found in after.items()}
        share = {word: sum(rows for *_, rows in found) / max(followed.get(word, 0), 1) for word, found in after.items()}
        any_word, length, end = (
            drawer(found, rng) for found in (alone, self.lengths or ((1, 1),), self.ends or ((-1, 1),))
        )

        def make(loose: bool) -> str:
            out, last = [], START
            for place in range(max(length()[0], 1)):
                if not loose and rng.random() < share.get(last, 0.0):
                    gap, last = draw[last]()
                    before = self.gaps[gap]
                else:
                    (last,) = any_word()
                    before = SPACE if place else ""
                out += [before, other() if last == OTHER else self.words[last][0]]
            (gap,) = end()
            return "".join(out) + (self.gaps[gap] if gap >= 0 else "")

        return make


def drawer(found: Iterable[tuple[Any, ...]], rng: np.random.Generator) -> Callable[[], tuple[Any, ...]]:
    """Return a function that draws one of the tuples, by the weight at its end, and returns it without the weight."""
    listed = list(found)
    sums = np.cumsum([weight for *_, weight in listed])
    values = [tuple(value) for *value, _ in listed]
    return lambda: values[int(np.searchsorted(sums, rng.random() * sums[-1], side="right"))]


def learn(cells: Sequence[str]) -> tuple[Sentences, Counter[str]]:
    """Learn from texts.

    Args:
        cells: The texts of all rows.

    Returns:
        What is kept, and all words that are not shared, with their numbers.
    """
    split = [re.split(r"(\w+)", cell) for cell in cells]  # gap, word, gap, word, ..., gap
    # dict.fromkeys, because the order of a set differs between processes, and with it the order of equal counts.
    rows = Counter(word for parts in split for word in dict.fromkeys(parts[1::2]) if not word.isdigit())
    words = [(word, count) for word, count in rows.most_common(MOST_WORDS) if count >= SHARED]
    number = {word: i for i, (word, _) in enumerate(words)}
    in_rows = Counter(gap for parts in split for gap in dict.fromkeys(parts[0::2]))
    gaps = [gap for gap, count in in_rows.most_common() if count >= SHARED or gap == SPACE]
    gap_number = {gap: i for i, gap in enumerate(gaps)}
    pairs: Counter[tuple[int, int, int]] = Counter()
    followed: Counter[int] = Counter()
    others: Counter[str] = Counter()
    for parts in split:
        known = [START, *(number.get(word, OTHER) for word in parts[1::2])]
        others.update(word for word in parts[1::2] if word not in number)
        followed.update(known[:-1])
        triples = zip(known, parts[0::2], known[1:], strict=False)
        pairs.update(list(dict.fromkeys((a, gap_number[gap], b) for a, gap, b in triples if gap in gap_number)))
    kept = [(*pair, count) for pair, count in pairs.most_common(MOST_PAIRS) if count >= SHARED]
    ends = Counter(gap_number.get(parts[-1], -1) for parts in split)
    lengths = Counter(len(parts) // 2 for parts in split)
    return Sentences(
        tuple(words), tuple(gaps), others.total(), tuple(kept), tuple(followed.items()), tuple(lengths.items()),
        tuple(ends.items()),
    ), others  # fmt: skip
