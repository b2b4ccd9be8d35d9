"""An n-gram model of texts: a simple generator that needs no training, as a control."""

import random
from collections import defaultdict
from collections.abc import Sequence

Tokens = Sequence[str]
BACK_OFF = 0.2
"""Probability to use one token less of the context, so that drawn texts are not copies."""
LONGEST = 100
"""Largest number of tokens in a drawn text."""
_BEGIN, _END = "\x02", "\x03"


class NGrams:
    """Draws each token by its count after the two tokens before it, or after fewer of them.

    Args:
        texts: The tokens of the texts, at least one text.
    """

    def __init__(self, texts: Sequence[Tokens]) -> None:
        self._after: dict[tuple[str, ...], list[str]] = defaultdict(list)
        for tokens in texts:
            row = [_BEGIN, _BEGIN, *tokens, _END]
            for i in range(2, len(row)):
                for start in (i - 2, i - 1, i):
                    self._after[tuple(row[start:i])].append(row[i])

    def draw(self, rng: random.Random) -> list[str]:
        """Draw the tokens of a text; it may be a copy, but is not empty."""
        tokens: list[str] = []
        row = [_BEGIN, _BEGIN]
        while len(tokens) < LONGEST:
            context = tuple(row[-2:])
            while context and (context not in self._after or rng.random() < BACK_OFF):
                context = context[1:]
            token = rng.choice(self._after[context])
            if token == _END:
                if tokens:
                    break
                continue
            tokens.append(token)
            row.append(token)
        return tokens
