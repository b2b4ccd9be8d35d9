"""WordPiece: words as the longest known pieces (Schuster & Nakajima 2012; Devlin et al. 2018, arXiv:1810.04805). Plain Python.

A piece that continues a word begins with ``##``. Pieces are learned by merging the pair of neighbouring pieces that occurs most
often, again and again, as the library ``tokenizers`` does. Some descriptions divide the count of a pair by the counts of its two
pieces. That score prefers pairs of rare pieces: of 10,000 package descriptions it learned pieces of which other descriptions
need 3.1 a word; by counts, they need 1.3 (5,000 pieces).
"""

import heapq
from collections import Counter, defaultdict
from collections.abc import Container, Mapping

INSIDE = "##"
"""What a piece begins with that continues a word."""
LONGEST_LEARNED = 100
"""Of longer words, only the characters are learned."""
Pair = tuple[str, str]


def pieces(word: str, known: Container[str], longest: int) -> list[str] | None:
    """Split a word into the longest known pieces from the left.

    Args:
        word: The word.
        known: The pieces.
        longest: Length of the longest piece, without ``INSIDE``.

    Returns:
        The pieces; None if the rest of the word begins with no known piece.
    """
    found: list[str] = []
    start = 0
    while start < len(word):
        prefix = INSIDE if start else ""
        last = min(len(word), start + longest)
        end = next((e for e in range(last, start, -1) if prefix + word[start:e] in known), start)
        if end == start:
            return None
        found.append(prefix + word[start:end])
        start = end
    return found


def joined(tokens: list[str]) -> list[str]:
    """Words from pieces. A piece that continues a word and follows none begins one."""
    found: list[str] = []
    for token in tokens:
        inside = len(token) > len(INSIDE) and token.startswith(INSIDE)
        if inside and found:
            found[-1] += token[len(INSIDE) :]
        else:
            found.append(token[len(INSIDE) :] if inside else token)
    return found


def learn(words: Mapping[str, int], size: int | None = None, least: int = 2) -> list[str]:
    """Learn pieces: all characters that occur, and then merged pairs, the most frequent first.

    Args:
        words: Word -> how often it occurs.
        size: Largest number of pieces. None: no limit. If there are more characters, the most frequent ones are kept.
        least: A pair that occurs less often is not merged.

    Returns:
        The pieces, without repetitions, in the order in which they were learned.
    """
    merges = _Merges(words)
    found = _characters(merges.symbols, size)
    if size is None or len(found) < size:
        known = set(found)
        while (size is None or len(found) < size) and (pair := merges.best(max(2, least))) is not None:
            merged = merges.merge(pair)
            if merged not in known:
                known.add(merged)
                found.append(merged)
    return found


def _characters(symbols: Mapping[str, int], size: int | None) -> list[str]:
    """The characters at the beginning and inside of words, by their counts; and at the other place too, if there is room."""
    ranked = [symbol for _, symbol in sorted((-count, symbol) for symbol, count in symbols.items())]
    others = [symbol[len(INSIDE) :] if _is_inside(symbol) else INSIDE + symbol for symbol in ranked]
    others = [symbol for symbol in others if symbol not in symbols and symbol.removeprefix(INSIDE).isalnum()]
    if size is not None and len(ranked) + len(others) > size // 2:
        return ranked[:size]
    return [*ranked, *others]


def _is_inside(symbol: str) -> bool:
    return len(symbol) > len(INSIDE) and symbol.startswith(INSIDE)


class _Merges:
    """Words as rows of pieces, with the counts of all pairs of neighbours.

    Args:
        words: Word -> how often it occurs.
    """

    def __init__(self, words: Mapping[str, int]) -> None:
        ranked = sorted(words)  # the result does not depend on the order of the words
        self.rows = [[word[0], *(INSIDE + c for c in word[1:])] for word in ranked if word]
        self.counts = [words[word] for word in ranked if word]
        self.symbols: Counter[str] = Counter()
        self._pairs: Counter[Pair] = Counter()
        self._where: dict[Pair, set[int]] = defaultdict(set)
        for i, (row, count) in enumerate(zip(self.rows, self.counts, strict=True)):
            for symbol in row:
                self.symbols[symbol] += count
            if len(row) <= LONGEST_LEARNED:
                self._add(i, 1)
        self._heap = [(-count, pair) for pair, count in self._pairs.items()]
        heapq.heapify(self._heap)

    def best(self, least: int) -> Pair | None:
        """The most frequent pair, the first in alphabetical order of equal ones; None if none occurs ``least`` times.

        Counts in the heap may be too high, because counts fall: then the pair is put back with its count of now.
        """
        while self._heap:
            negative, pair = heapq.heappop(self._heap)
            count = self._pairs.get(pair, 0)
            if count == -negative:
                return pair if count >= least else None
            if count >= least:
                heapq.heappush(self._heap, (-count, pair))
        return None

    def merge(self, pair: Pair) -> str:
        """Merge a pair in all words. Returns the new piece."""
        merged = pair[0] + pair[1][len(INSIDE) :]
        grown: set[Pair] = set()
        for i in self._where.pop(pair):
            self._add(i, -1)
            row, new = self.rows[i], list[str]()
            for symbol in row:
                if new and symbol == pair[1] and new[-1] == pair[0]:
                    new[-1] = merged
                else:
                    new.append(symbol)
            self.rows[i] = new
            grown |= self._add(i, 1)
        for found in grown:
            heapq.heappush(self._heap, (-self._pairs[found], found))
        return merged

    def _add(self, i: int, sign: int) -> set[Pair]:
        """Count the pairs of a word, or take their counts back. Returns the pairs."""
        row, count = self.rows[i], sign * self.counts[i]
        found = set()
        for pair in zip(row, row[1:], strict=False):
            self._pairs[pair] += count
            if sign > 0:
                self._where[pair].add(i)
                found.add(pair)
            else:
                self._where[pair].discard(i)
                if not self._pairs[pair]:
                    del self._pairs[pair]
        return found
