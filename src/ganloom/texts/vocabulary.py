"""Turn texts into numbers and back: a vocabulary of words or of characters that is built from texts. Plain Python."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

from ganloom.core.errors import BadInput

Kind = Literal["word", "char"]
SPECIAL = ("<pad>", "<unk>", "<bos>", "<eos>")
"""The first tokens of each vocabulary: padding, an unknown token, the beginning and the end of a text."""
PAD, UNK, BOS, EOS = range(len(SPECIAL))

_WORD = re.compile(r"\w+(?:['’\-.]\w+)*|[^\w\s]")
_NO_SPACE_BEFORE = frozenset(".,;:!?)]}%’'")
_NO_SPACE_AFTER = frozenset("([{$")


def words(text: str) -> list[str]:
    """Split a text into words and punctuation marks. Words keep inner apostrophes, hyphens and dots: "don't", "3.5"."""
    return _WORD.findall(text)


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
        kind: "word" or "char".
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

    def split(self, text: str) -> list[str]:
        """The tokens of a text, known or not."""
        text = text.lower() if self.lower else text
        return words(text) if self.kind == "word" else list(text)

    def encode(self, text: str, longest: int | None = None) -> list[int]:
        """The numbers of a text's tokens, without the beginning and end. Unknown tokens are ``UNK``.

        Args:
            text: The text.
            longest: Cut after this many tokens. None: keep all.
        """
        return [self.index.get(token, UNK) for token in self.split(text)[:longest]]

    def decode(self, numbers: Iterable[int]) -> str:
        """A text from numbers, up to ``EOS``; padding and the beginning are left out."""
        tokens: list[str] = []
        for number in numbers:
            if number == EOS:
                break
            if number not in (PAD, BOS):
                tokens.append(self.tokens[number])
        return join(tokens) if self.kind == "word" else "".join(tokens)

    def to_dict(self) -> dict[str, Any]:
        """The vocabulary as JSON values."""
        return {"kind": self.kind, "lower": self.lower, "tokens": list(self.tokens)}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "Vocabulary":
        """Read what ``to_dict`` returned.

        Raises:
            BadInput: The values are no vocabulary.
        """
        tokens, kind = values.get("tokens"), values.get("kind")
        if not isinstance(tokens, list) or not all(isinstance(t, str) for t in tokens) or kind not in ("word", "char"):
            raise BadInput('a vocabulary needs "tokens", a list of texts, and "kind", word or char')
        return cls(tuple(tokens), kind, bool(values.get("lower", True)))


def build(
    texts: Sequence[str], kind: Kind = "word", *, size: int | None = None, least: int = 1, lower: bool = True
) -> Vocabulary:
    """Build a vocabulary from texts: the most frequent tokens, equal counts in alphabetical order.

    Args:
        texts: The training texts.
        kind: "word" or "char".
        size: Largest number of tokens, with the special ones. None: no limit.
        least: Leave out tokens that occur less often.
        lower: Read texts in lower case.

    Raises:
        BadInput: No token is left.
    """
    empty = Vocabulary(SPECIAL, kind, lower)
    counts = Counter(token for text in texts for token in empty.split(text) if token not in SPECIAL)
    ranked = sorted((-count, token) for token, count in counts.items() if count >= least)
    kept = [token for _, token in ranked[: None if size is None else max(0, size - len(SPECIAL))]]
    if not kept:
        raise BadInput(f"no token occurs {least} times in the {len(texts)} texts; give more texts")
    return Vocabulary((*SPECIAL, *kept), kind, lower)
