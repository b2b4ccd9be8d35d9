"""Text classifiers: convolutions over words or characters, an LSTM over words, and a frozen sentence encoder with a head.

Words: Kim 2014 (arXiv:1408.5882) and an LSTM in both directions. Characters: convolutions as in Zhang et al. 2015
(arXiv:1509.01626), with two layers. Sentence encoder: all-MiniLM-L6-v2, or a folder with a BERT model; only the head is trained.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ganloom.core.errors import BadInput
from ganloom.networks.text_encoder import Sentences
from ganloom.robust.speller import Speller
from ganloom.texts.vocabulary import PAD, Vocabulary

Architecture = Literal["cnn", "lstm", "chars", "sentence"]
KINDS: tuple[Architecture, ...] = get_args(Architecture)
LONGEST, LONGEST_CHARACTERS = 64, 256
"""Words, and characters, that are read of a text."""
SHORTEST = 8
"""Length to which shorter texts are padded, for the convolutions."""


class TextClassifier(nn.Module):
    """Tokens to logits, through ``embedded`` and ``head``, so that the embeddings can be perturbed.

    Padding has no influence: a text has the same logits in every batch.

    Args:
        inputs: Size of the vocabulary; with "sentence", the length of the sentence vectors.
        classes: Number of classes.
        kind: "cnn", "lstm", "chars" or "sentence".
        width: Width of the embeddings and the features.
        dropout: Dropout before the last layer.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(
        self, inputs: int, classes: int, kind: Architecture = "cnn", width: int = 64, dropout: float = 0.4
    ) -> None:
        super().__init__()
        self.kind, self.width = kind, width
        if kind != "sentence":
            self.embedding = nn.Embedding(inputs, width if kind != "chars" else max(1, width // 2), padding_idx=PAD)
            nn.init.normal_(self.embedding.weight, std=0.1)
            with torch.no_grad():
                self.embedding.weight[PAD] = 0.0
        if kind == "cnn":
            self.convs = nn.ModuleList(nn.Conv1d(width, width, size, padding=size // 2) for size in (1, 2, 3))
            features = 3 * width
        elif kind == "lstm":
            self.lstm = nn.LSTM(width, width, batch_first=True, bidirectional=True)
            features = 2 * width
        elif kind == "chars":
            self.first = nn.Conv1d(max(1, width // 2), width, 5, padding=2)
            self.second = nn.Conv1d(width, 2 * width, 3, padding=1)
            features = 2 * width
        else:
            self.register_buffer("mean", torch.zeros(inputs))
            self.register_buffer("deviation", torch.ones(inputs))
            self.hidden = nn.Linear(inputs, 2 * width)
            features = 2 * width
        self.last = nn.Linear(features, classes)
        self.dropout = nn.Dropout(dropout)

    def embedded(self, tokens: Tensor) -> Tensor:
        """(N, L) int64 token numbers to (N, L, d) embeddings; zeros at padding. Sentence vectors (N, 1, d) are standardised."""
        if self.kind == "sentence":
            return (tokens - self.mean) / self.deviation
        vectors: Tensor = self.embedding(tokens)
        return vectors

    def standardise(self, vectors: Tensor) -> None:
        """Set mean and standard deviation from the sentence vectors (N, 1, d) of the training texts."""
        self.mean.copy_(vectors.mean((0, 1)))
        self.deviation.copy_(vectors.std((0, 1)).clamp(min=1e-6))

    def head(self, embedded: Tensor) -> Tensor:
        """(N, L, d) embeddings to (N, classes) logits."""
        inside = (embedded.detach() != 0).any(2)
        if self.kind == "cnn":
            rows, length = embedded.transpose(1, 2), embedded.shape[1]
            features = torch.cat(
                [(torch.relu(conv(rows))[..., :length] * inside[:, None]).amax(2) for conv in self.convs], 1
            )
        elif self.kind == "lstm":
            features = self._both_directions(embedded, inside)
        elif self.kind == "chars":
            rows = F.max_pool1d(torch.relu(self.first(embedded.transpose(1, 2))) * inside[:, None], 2, ceil_mode=True)
            there = F.max_pool1d(inside[:, None].to(embedded.dtype), 2, ceil_mode=True)
            features = (torch.relu(self.second(rows)) * there).amax(2)
        else:
            features = torch.relu(self.hidden(embedded.squeeze(1)))
        logits: Tensor = self.last(self.dropout(features))
        return logits

    def _both_directions(self, embedded: Tensor, inside: Tensor) -> Tensor:
        """The largest value over the text of each feature of the LSTM, which does not read the padding."""
        length = embedded.shape[1]
        lengths = (inside * torch.arange(1, length + 1, device=inside.device)).amax(1).clamp(min=1).cpu()
        packed = nn.utils.rnn.pack_padded_sequence(embedded, lengths, batch_first=True, enforce_sorted=False)
        rows, _ = nn.utils.rnn.pad_packed_sequence(self.lstm(packed)[0], batch_first=True, total_length=length)
        beyond = torch.arange(length)[None] >= lengths[:, None]
        largest: Tensor = rows.masked_fill(beyond[..., None].to(rows.device), -1e4).amax(1)
        return largest

    def forward(self, tokens: Tensor) -> Tensor:
        """(N, L) int64 token numbers, or (N, 1, d) sentence vectors, to (N, classes) logits."""
        return self.head(self.embedded(tokens))


def rows_of(vocabulary: Vocabulary, texts: Sequence[str]) -> list[tuple[int, ...]]:
    """The token numbers of texts, cut after ``LONGEST`` words or ``LONGEST_CHARACTERS`` characters."""
    longest = LONGEST if vocabulary.kind == "word" else LONGEST_CHARACTERS
    return [tuple(vocabulary.encode(text, longest)) for text in texts]


def padded(rows: Sequence[tuple[int, ...]]) -> Tensor:
    """Token numbers as a tensor (N, L) with padding on the right; L is at least ``SHORTEST``."""
    length = max(SHORTEST, *map(len, rows)) if rows else SHORTEST
    return torch.tensor([row + (PAD,) * (length - len(row)) for row in rows], dtype=torch.int64).view(len(rows), length)


def encode(vocabulary: Vocabulary, texts: Sequence[str]) -> Tensor:
    """Texts as token numbers (N, L)."""
    return padded(rows_of(vocabulary, texts))


@dataclass(frozen=True)
class Classifier:
    """A classifier.

    Attributes:
        network: In eval mode once it is trained.
        vocabulary: Its words or characters; "sentence" does not use it.
        classes: Names of the classes.
        defence: How it was trained.
        speller: Corrects the words of a text before they are read; None: off.
        encoder: The sentence encoder of the kind "sentence".
    """

    network: TextClassifier
    vocabulary: Vocabulary
    classes: list[str]
    defence: str = "none"
    speller: Speller | None = None
    encoder: Sentences | None = None

    def encode(self, texts: Sequence[str]) -> Tensor:
        """What the network reads of texts: token numbers (N, L), or sentence vectors (N, 1, d)."""
        if self.encoder is not None:
            return self.encoder.codes(texts)[:, None]
        return padded(rows_of(self.vocabulary, texts))

    def logits(self, texts: Sequence[str]) -> Tensor:
        """Logits (N, classes) of texts, without a gradient. Texts that are equal for the network are computed once."""
        rows: Sequence[object] = texts if self.encoder is not None else rows_of(self.vocabulary, texts)
        number: dict[object, int] = {}
        places = [number.setdefault(row, len(number)) for row in rows]
        different = list(number)
        parts = []
        with torch.no_grad():
            for start in range(0, len(different), 512):
                some: list = different[start : start + 512]  # type: ignore[type-arg]
                parts.append(self.network(self.encode(some) if self.encoder is not None else padded(some)))
        return torch.cat(parts)[places] if parts else torch.empty(0, len(self.classes))

    def predict(self, texts: Sequence[str]) -> Tensor:
        """Class probabilities (N, classes) of texts."""
        if self.speller is not None:
            texts = [self.speller(text) for text in texts]
        return self.logits(texts).softmax(1)

    def numbers(self, labels: Sequence[str]) -> list[int]:
        """Labels as class numbers.

        Raises:
            BadInput: A label is no class of the model.
        """
        index = {name: i for i, name in enumerate(self.classes)}
        unknown = next((label for label in labels if label not in index), None)
        if unknown is not None:
            raise BadInput(f'the label "{unknown[:40]}" is no class of the model; it has {", ".join(self.classes[:8])}')
        return [index[label] for label in labels]
