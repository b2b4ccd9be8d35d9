"""The network of the judge: embeddings of words and of their spelling, dilated convolutions over the words, and two heads."""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from ganloom.texts.vocabulary import PAD, UNK, Vocabulary

BUCKETS = 2**12
"""Rows of the table of character n-grams; n-grams share rows."""
LONGEST = 64
"""Tokens that are read of a text."""


@dataclass(frozen=True)
class Tokens:
    """A batch of texts as numbers.

    Attributes:
        words: (N, L) int64, the word of each token; 0 is padding.
        forms: (N, L) int64, the row of ``grams`` of each token.
        grams: (F, K) int64, the character n-grams of each different token, padded with ``BUCKETS``.
    """

    words: Tensor
    forms: Tensor
    grams: Tensor

    @property
    def mask(self) -> Tensor:
        """(N, L) float32, 1 for tokens and 0 for padding."""
        return (self.words != PAD).float()

    def to(self, device: torch.device) -> "Tokens":
        """The batch on another device."""
        return Tokens(self.words.to(device), self.forms.to(device), self.grams.to(device))


@dataclass
class Encoder:
    """Turns tokens into numbers. It remembers the n-grams of each word.

    Args:
        vocabulary: Words of the training texts.
    """

    vocabulary: Vocabulary
    _grams: dict[str, list[int]] = field(default_factory=dict)

    def __call__(self, texts: Sequence[Sequence[str]]) -> Tokens:
        """Encode texts that are split into tokens; longer ones are cut after ``LONGEST`` tokens."""
        length = max(1, max(min(len(tokens), LONGEST) for tokens in texts))
        index, forms = self.vocabulary.index, {"": 0}
        words = torch.zeros(len(texts), length, dtype=torch.int64)
        rows = torch.zeros(len(texts), length, dtype=torch.int64)
        for i, tokens in enumerate(texts):
            cut = tokens[:length]
            if cut:
                words[i, : len(cut)] = torch.tensor([index.get(token, UNK) for token in cut])
                rows[i, : len(cut)] = torch.tensor([forms.setdefault(token, len(forms)) for token in cut])
        grams = [self._of(token) for token in forms]
        widest = max(map(len, grams))
        table = torch.tensor([found + [BUCKETS] * (widest - len(found)) for found in grams])
        return Tokens(words, rows, table)

    def _of(self, word: str) -> list[int]:
        """The rows of a word's n-grams of 3 and 4 characters."""
        if not word:
            return [BUCKETS]
        if word not in self._grams:
            edged = f"<{word[:20]}>"
            parts = [edged, *(edged[i : i + n] for n in (3, 4) for i in range(len(edged) - n + 1))]
            self._grams[word] = [zlib.crc32(part.encode("utf-8", "surrogatepass")) % BUCKETS for part in parts]
        return self._grams[word]


class TextNetwork(nn.Module):
    """Reads each word with its neighbours on both sides; seven words to the left and to the right reach its state.

    Args:
        words: Size of the vocabulary.
        width: Width of the embeddings; the states are twice as wide.
        dropout: Dropout of the embeddings.
    """

    def __init__(self, words: int, width: int = 64, dropout: float = 0.1) -> None:
        super().__init__()
        self.embedding = nn.Embedding(words, width, padding_idx=PAD)
        self.spelling = nn.EmbeddingBag(BUCKETS + 1, width, mode="mean", padding_idx=BUCKETS)
        nn.init.normal_(self.embedding.weight, std=0.5)
        nn.init.normal_(self.spelling.weight, std=0.5)
        with torch.no_grad():
            self.embedding.weight[PAD] = 0.0
            self.spelling.weight[BUCKETS] = 0.0
        self.dropout = nn.Dropout(dropout)
        self.inner = nn.Conv1d(width, 2 * width, 3, padding=1)
        self.convs = nn.ModuleList(nn.Conv1d(2 * width, 2 * width, 3, padding=d, dilation=d) for d in (2, 4))
        self.norms = nn.ModuleList(nn.LayerNorm(2 * width) for _ in range(3))
        self.token_head = nn.Sequential(nn.Linear(2 * width, width), nn.ReLU(), nn.Linear(width, 1))
        self.text_head = nn.Sequential(nn.Linear(4 * width, width), nn.ReLU(), nn.Dropout(dropout), nn.Linear(width, 1))

    def hidden(self, tokens: Tokens) -> Tensor:
        """The state of each token, (N, L, 2 * width); zeros at padding, so it does not depend on the rest of the batch."""
        mask = tokens.mask[..., None]
        embedded = self.dropout(self.embedding(tokens.words) + self.spelling(tokens.grams)[tokens.forms]) * mask
        state: Tensor = self.norms[0](torch.relu(self.inner(embedded.transpose(1, 2)).transpose(1, 2))) * mask
        for conv, norm in zip(self.convs, self.norms[1:], strict=True):
            state = norm(state + torch.relu(conv(state.transpose(1, 2)).transpose(1, 2))) * mask
        return state

    def token_logits(self, tokens: Tokens) -> Tensor:
        """(N, L): large where a token is not the author's."""
        logits: Tensor = self.token_head(self.hidden(tokens)).squeeze(-1)
        return logits

    def text_logits(self, tokens: Tokens) -> Tensor:
        """(N,): large where a text is generated."""
        hidden, mask = self.hidden(tokens), tokens.mask[..., None]
        mean = (hidden * mask).sum(1) / mask.sum(1).clamp(min=1)
        most = (hidden - 1e4 * (1 - mask)).amax(1)
        logits: Tensor = self.text_head(torch.cat([mean, most], 1)).squeeze(-1)
        return logits

    def features(self, tokens: Tokens) -> Tensor:
        """(N, width): the mean over a text's tokens of the last layer before the token's logit."""
        mask = tokens.mask[..., None]
        hidden = torch.relu(self.token_head[0](self.hidden(tokens)))
        return (hidden * mask).sum(1) / mask.sum(1).clamp(min=1)
