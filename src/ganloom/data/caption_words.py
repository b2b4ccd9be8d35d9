"""Split captions into words: one rule for the vocabulary, the encoder that is trained along, and the search for near captions."""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable

LONGEST = 200
"""Words of a caption that are kept."""

_WORD = re.compile(r"\w+(?:['’]\w+)*")


def words_of(caption: str) -> list[str]:
    """Return the words of a caption in lower case, without accents and punctuation: "Ünder a Tree!" has under, a, tree.

    Characters of scripts without spaces (Chinese, Japanese kana) are words of their own.
    """
    plain = "".join(c for c in unicodedata.normalize("NFKD", caption.lower()) if unicodedata.category(c) != "Mn")
    return _WORD.findall("".join(f" {c} " if _stands_alone(c) else c for c in plain))


def _stands_alone(character: str) -> bool:
    return character > "\u2e7f" and ("\u3040" <= character <= "\u30ff" or "\u3400" <= character <= "\u9fff")


def tidy(caption: str) -> str:
    """Return a caption in one line, without characters that cannot be printed, and without spaces at its ends."""
    spaced = "".join(c if c.isprintable() else " " for c in caption)
    return " ".join(spaced.split())


def cut(caption: str) -> str:
    """Return the first ``LONGEST`` words, separated by spaces, of a tidy caption."""
    return " ".join(caption.split(" ", LONGEST)[:LONGEST])


def vocabulary(captions: Iterable[str]) -> list[str]:
    """Return the words of all captions, the most common first, equally common ones in alphabetical order."""
    counts = Counter(word for caption in captions for word in words_of(caption))
    return sorted(counts, key=lambda word: (-counts[word], word))
