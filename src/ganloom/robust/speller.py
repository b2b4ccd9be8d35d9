"""A speller that needs no training: an unknown word becomes the most frequent training word at one edit.

Pruthi et al. 2019, "Combating Adversarial Misspellings with Robust Word Recognition" (arXiv:1905.11268), use a trained network
for this. This table of deletions beats every adversarial training under character edits, so it is always measured too.
"""

from collections import Counter, defaultdict
from collections.abc import Sequence

from ganloom.texts.vocabulary import words


class Speller:
    """Corrects words.

    Args:
        texts: The training texts.
    """

    def __init__(self, texts: Sequence[str]) -> None:
        self._counts = Counter(word for text in texts for word in words(text.lower()))
        self._near: dict[str, list[str]] = defaultdict(list)
        for word in self._counts:
            for part in _shorter(word):
                self._near[part].append(word)
        self._known: dict[str, str] = {}

    def word(self, word: str) -> str:
        """The word, or a training word at one edit with the same first letter."""
        if word in self._counts or len(word) < 4:
            return word
        if word not in self._known:
            found = {near for part in _shorter(word) for near in self._near.get(part, ()) if near[0] == word[0]}
            close = [near for near in found if _one_edit(word, near)]
            self._known[word] = max(close, key=lambda near: (self._counts[near], near)) if close else word
        return self._known[word]

    def __call__(self, text: str) -> str:
        """The text in lower case, with its unknown words corrected."""
        return " ".join(map(self.word, words(text.lower())))


def _shorter(word: str) -> set[str]:
    """The word, and the word without one letter."""
    return {word, *(word[:i] + word[i + 1 :] for i in range(len(word)))}


def _one_edit(a: str, b: str) -> bool:
    """Whether one insertion, deletion, replacement or swap of neighbours turns a into b."""
    if abs(len(a) - len(b)) > 1:
        return False
    if len(a) != len(b):
        short, long = sorted((a, b), key=len)
        return any(long[:i] + long[i + 1 :] == short for i in range(len(long)))
    different = [i for i in range(len(a)) if a[i] != b[i]]
    if len(different) == 2:
        i, j = different
        return j == i + 1 and a[i] == b[j] and a[j] == b[i]
    return len(different) <= 1
