"""Text classifiers on words: a convolutional network (Kim 2014, arXiv:1408.5882) and an LSTM in both directions."""

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from ganloom.texts.vocabulary import PAD, Vocabulary

Architecture = Literal["cnn", "lstm"]
LONGEST = 64
"""Words that are read of a text."""


class TextClassifier(nn.Module):
    """Words to logits, through ``embedded`` and ``head``, so that the embeddings can be perturbed.

    Args:
        words: Size of the vocabulary.
        classes: Number of classes.
        kind: "cnn" or "lstm".
        width: Width of the embeddings and the features.
        dropout: Dropout before the last layer.
    """

    def __init__(
        self, words: int, classes: int, kind: Architecture = "cnn", width: int = 64, dropout: float = 0.4
    ) -> None:
        super().__init__()
        self.kind = kind
        self.embedding = nn.Embedding(words, width, padding_idx=PAD)
        nn.init.normal_(self.embedding.weight, std=0.1)
        with torch.no_grad():
            self.embedding.weight[PAD] = 0.0
        if kind == "cnn":
            self.convs = nn.ModuleList(nn.Conv1d(width, width, size, padding=size // 2) for size in (1, 2, 3))
        else:
            self.lstm = nn.LSTM(width, width, batch_first=True, bidirectional=True)
        self.last = nn.Linear(width * (3 if kind == "cnn" else 2), classes)
        self.dropout = nn.Dropout(dropout)

    def embedded(self, words: Tensor) -> Tensor:
        """(N, L) int64 word numbers to (N, L, width) embeddings; zeros at padding."""
        vectors: Tensor = self.embedding(words)
        return vectors

    def head(self, embedded: Tensor) -> Tensor:
        """(N, L, width) embeddings to (N, classes) logits."""
        if self.kind == "cnn":
            rows = embedded.transpose(1, 2)
            features = torch.cat([torch.relu(conv(rows)).amax(2) for conv in self.convs], 1)
        else:
            inside = (embedded.detach() != 0).any(2, keepdim=True)
            features = self.lstm(embedded)[0].masked_fill(~inside, -1e4).amax(1)
        logits: Tensor = self.last(self.dropout(features))
        return logits

    def forward(self, words: Tensor) -> Tensor:
        """(N, L) int64 word numbers to (N, classes) logits."""
        return self.head(self.embedded(words))


def encode(vocabulary: Vocabulary, texts: Sequence[str]) -> Tensor:
    """Texts as word numbers (N, L), with padding on the right; at least three words long, for the convolutions."""
    rows = [vocabulary.encode(text, LONGEST) for text in texts]
    out = torch.full((len(rows), max(3, *map(len, rows)) if rows else 3), PAD)
    for i, row in enumerate(rows):
        out[i, : len(row)] = torch.tensor(row, dtype=torch.int64)
    return out
