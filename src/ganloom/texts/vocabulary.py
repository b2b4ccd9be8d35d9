"""Turn texts into numbers and back: a vocabulary of words, word pieces or characters, built from texts. Plain Python."""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any, Literal, get_args

from ganloom.core.errors import BadInput
from ganloom.texts import wordpiece

Kind = Literal["word", "char", "wordpiece"]
KINDS: tuple[Kind, ...] = get_args(Kind)
SPECIAL = ("<pad>", "<unk>", "<bos>", "<eos>")
"""The first tokens of each vocabulary: padding, an unknown token, the beginning and the end of a text."""
PAD, UNK, BOS, EOS = range(len(SPECIAL))

_NO_SPACE_BEFORE = frozenset(".,;:!?)]}%’'")
_NO_SPACE_AFTER = frozenset("([{$")


@cache
def _token(end: int) -> re.Pattern[str]:
    """A word or a punctuation mark. Combining marks (vowel signs of Indic scripts, accents) belong to the character before them.

    ``\\w`` of Python has no combining marks.

    Args:
        end: Marks from this code point on are left out. The pattern is several times faster without those above 0xffff.
    """
    mark = "".join(c for c in map(chr, range(0x300, end)) if unicodedata.category(c)[0] == "M")
    letter = rf"[\w{mark}]"
    symbol = rf"[^\w\s][{mark}\U0001f3fb-\U0001f3ff]*"
    return re.compile(rf"{letter}+(?:['’\-.\u200c\u200d]{letter}+)*|{symbol}(?:\u200d{symbol})*")


def words(text: str) -> list[str]:
    """Split a text into words and punctuation marks. Words keep inner apostrophes, hyphens and dots: "don't", "3.5"."""
    return _token(0x20000 if text and max(text) > "\uffff" else 0x10000).findall(text)


def join(tokens: Iterable[str]) -> str:
    """Join words and punctuation marks to a text, with the usual spaces around punctuation."""
    text, last = "", ""
    for token in tokens:
        space = " " if text and token not in _NO_SPACE_BEFORE and last not in _NO_SPACE_AFTER else ""
        text, last = text + space + token, token
    return text


@dataclass(frozen=True)
class Vocabulary:
    """The tokens that a model knows.

    Attributes:
        tokens: All tokens; the first ones are ``SPECIAL``.
        kind: "word", "char" or "wordpiece". A piece that continues a word begins with "##".
        lower: Whether texts are read in lower case.
    """

    tokens: tuple[str, ...]
    kind: Kind = "word"
    lower: bool = True

    def __post_init__(self) -> None:
        if self.tokens[: len(SPECIAL)] != SPECIAL or len(set(self.tokens)) != len(self.tokens):
            raise BadInput(f"a vocabulary begins with {', '.join(SPECIAL)} and has each token once")

    def __len__(self) -> int:
        return len(self.tokens)

    @cached_property
    def index(self) -> dict[str, int]:
        """Token -> number. Text that looks like a special token is unknown."""
        return {token: i for i, token in enumerate(self.tokens) if i >= len(SPECIAL)}

    @cached_property
    def _longest(self) -> int:
        return max((len(token.removeprefix(wordpiece.INSIDE)) for token in self.tokens[len(SPECIAL) :]), default=1)

    @cached_property
    def _pieces(self) -> dict[str, list[str]]:
        """Word -> its pieces, of the words so far."""
        return {}

    def units(self, text: str) -> list[str]:
        """The words and punctuation marks of a text, or its characters: what n-grams are counted of."""
        text = text.lower() if self.lower else text
        return list(text) if self.kind == "char" else words(text)

    def split(self, text: str) -> list[str]:
        """The tokens of a text, known or not. A word that the pieces do not make up is one unknown token."""
        units = self.units(text)
        return [piece for word in units for piece in self._split(word)] if self.kind == "wordpiece" else units

    def _split(self, word: str) -> list[str]:
        found = self._pieces.get(word)
        if found is None:
            found = self._pieces[word] = wordpiece.pieces(word, self.index, self._longest) or [word]
        return found

    def encode(self, text: str, longest: int | None = None) -> list[int]:
        """The numbers of a text's tokens, without the beginning and end. Unknown tokens are ``UNK``.

        Args:
            text: The text.
            longest: Cut after this many tokens. None: keep all.
        """
        return [self.index.get(token, UNK) for token in self.split(text)[:longest]]

    def decode(self, numbers: Iterable[int]) -> str:
        """A text from numbers, up to ``EOS``; padding and the beginning are left out.

        If no token of a text is unknown, decoding its numbers gives the text back: the characters themselves, and with words or
        pieces ``join(words(text))``, in lower case if ``lower``.
        """
        tokens: list[str] = []
        for number in numbers:
            if number == EOS:
                break
            if number not in (PAD, BOS):
                tokens.append(self.tokens[number])
        if self.kind == "char":
            return "".join(tokens)
        return join(wordpiece.joined(tokens) if self.kind == "wordpiece" else tokens)

    def to_dict(self) -> dict[str, Any]:
        """The vocabulary as JSON values."""
        return {"kind": self.kind, "lower": self.lower, "tokens": list(self.tokens)}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "Vocabulary":
        """Read what ``to_dict`` returned.

        Raises:
            BadInput: The values are no vocabulary.
        """
        tokens, kind = values.get("tokens"), next((name for name in KINDS if name == values.get("kind")), None)
        if not isinstance(tokens, list) or not all(isinstance(t, str) for t in tokens) or kind is None:
            raise BadInput(f'a vocabulary needs "tokens", a list of texts, and "kind": {", ".join(KINDS)}')
        return cls(tuple(tokens), kind, bool(values.get("lower", True)))


def build(
    texts: Sequence[str], kind: Kind = "word", *, size: int | None = None, least: int = 1, lower: bool = True
) -> Vocabulary:
    """Build a vocabulary from texts: the most frequent words or characters, equal counts in alphabetical order, or pieces.

    Args:
        texts: The training texts.
        kind: "word", "char" or "wordpiece".
        size: Largest number of tokens, with the special ones. None: no limit.
        least: Leave out tokens that occur less often. Pieces longer than a character occur at least twice.
        lower: Read texts in lower case.

    Raises:
        BadInput: No token is left.
    """
    empty = Vocabulary(SPECIAL, kind, lower)
    room = None if size is None else max(0, size - len(SPECIAL))
    counts = Counter(token for text in texts for token in empty.units(text) if token not in SPECIAL)
    if kind == "wordpiece":
        kept = wordpiece.learn({word: count for word, count in counts.items() if count >= least}, room, least)
    else:
        ranked = sorted((-count, token) for token, count in counts.items() if count >= least)
        kept = [token for _, token in ranked[:room]]
    if not kept:
        raise BadInput(f"no token occurs {least} times in the {len(texts)} texts; give more texts")
    return Vocabulary((*SPECIAL, *kept), kind, lower)
