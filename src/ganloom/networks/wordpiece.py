"""BERT's uncased WordPiece tokenizer (Devlin et al. 2018, arXiv:1810.04805), for the sentence encoders of `bert`.

It gives the numbers that the library ``tokenizers`` gives for the same vocabulary.
"""

import re
import unicodedata
from collections.abc import Sequence

from ganloom.texts import wordpiece

SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
LONGEST_WORD = 100
"""A longer word is unknown."""

_CJK = (
    (0x4E00, 0x9FFF), (0x3400, 0x4DBF), (0x20000, 0x2A6DF), (0x2A700, 0x2B73F), (0x2B740, 0x2B81F), (0x2B920, 0x2CEAF),
    (0xF900, 0xFAFF), (0x2F800, 0x2FA1F),
)  # fmt: skip
_SPECIAL = re.compile("(" + "|".join(re.escape(token) for token in SPECIAL) + ")")


class WordPiece:
    """Text to token numbers.

    Args:
        vocabulary: The tokens in the order of their numbers, as in vocab.txt.
    """

    def __init__(self, vocabulary: Sequence[str]) -> None:
        self.number = {token: i for i, token in enumerate(vocabulary)}
        self._longest = max(map(len, vocabulary))
        self.pad, self.unknown, self.start, self.end, _ = (self.number[token] for token in SPECIAL)

    def tokens(self, text: str, longest: int = 10**9) -> list[int]:
        """Return the numbers of a text's tokens, between those of [CLS] and [SEP].

        Args:
            text: Any text.
            longest: Largest number of tokens; the rest of the text is cut.
        """
        numbers: list[int] = []
        for part in _SPECIAL.split(text):
            if part in SPECIAL:
                numbers.append(self.number[part])
            else:
                numbers += [piece for word in words(part) for piece in self._pieces(word)]
        return [self.start, *numbers[: longest - 2], self.end]

    def _pieces(self, word: str) -> list[int]:
        """The longest known pieces from the left; one [UNK] if the rest of a word begins with no known piece."""
        if len(word) > LONGEST_WORD:
            return [self.unknown]
        found = wordpiece.pieces(word, self.number, self._longest)
        return [self.unknown] if found is None else [self.number[piece] for piece in found]


def words(text: str) -> list[str]:
    """Split a text into lower-case words without accents; punctuation and Chinese characters stand alone."""
    cleaned = "".join(_cleaned(c) for c in text)
    plain = "".join(c for c in unicodedata.normalize("NFD", cleaned) if unicodedata.category(c) != "Mn").lower()
    found: list[str] = []
    for run in plain.split():
        word = ""
        for c in run:
            if _is_punctuation(c):
                found += [word, c] if word else [c]
                word = ""
            else:
                word += c
        found += [word] if word else []
    return found


def _cleaned(c: str) -> str:
    """A character as it is, a space for white space, nothing for control characters, spaces around a Chinese character."""
    code = ord(c)
    if c in "\t\n\r":
        return " "
    if code == 0xFFFD or unicodedata.category(c) in ("Cc", "Cf", "Co", "Cs"):
        return ""
    if c.isspace():
        return " "
    return f" {c} " if any(low <= code <= high for low, high in _CJK) else c


def _is_punctuation(c: str) -> bool:
    code = ord(c)
    if code < 128:
        return 33 <= code <= 47 or 58 <= code <= 64 or 91 <= code <= 96 or 123 <= code <= 126
    return unicodedata.category(c)[0] == "P"
