"""The oracle: an LSTM with random weights, whose sequences are the data. It gives the true likelihood of any sequence.

Yu et al. 2017, arXiv:1609.05473, section 5.1: embeddings and hidden state of 32, all weights from N(0, 1), 5,000 tokens,
sequences of 20 tokens, 10,000 of them to train on.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ganloom.core.randomness import key
from ganloom.data.dataset import Facts
from ganloom.data.encoded_texts import EncodedTexts
from ganloom.networks import sequence
from ganloom.networks.sequence import LSTM
from ganloom.texts.vocabulary import SPECIAL

HIDDEN = 32
PART = 500


@dataclass(frozen=True)
class Sizes:
    """The sizes of a benchmark.

    Attributes:
        tokens: Number of tokens that occur, without the special ones.
        length: Tokens in a sequence.
        train: Sequences to train on.
        validation: Sequences that decide which weights are kept.
        test: Sequences whose likelihood is NLL_test.
        drawn: Sequences of a model whose likelihood by the oracle is NLL_oracle.
    """

    tokens: int = 500
    length: int = 20
    train: int = 5000
    validation: int = 1000
    test: int = 4000
    drawn: int = 8000


FULL = Sizes(tokens=5000, train=10_000)
"""The sizes of the paper."""


@dataclass(frozen=True)
class Mean:
    """A mean over sequences, with its standard error."""

    value: float
    error: float

    @classmethod
    def of(cls, values: Tensor) -> "Mean":
        """The mean of (n,) values."""
        return cls(float(values.mean()), float(values.std() / len(values) ** 0.5))


class Oracle:
    """The true distribution.

    Args:
        sizes: The sizes.
        seed: Seed of the weights and of the sequences.
    """

    def __init__(self, sizes: Sizes, seed: int = 0) -> None:
        self.sizes, self.seed = sizes, seed
        self.vocabulary = sizes.tokens + len(SPECIAL)
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(key("oracle", seed))
            self.net = LSTM(self.vocabulary, sizes.length, 0, HIDDEN, HIDDEN, True, 0.0).eval().requires_grad_(False)
            for weights in self.net.parameters():
                torch.nn.init.normal_(weights)

    def data(self) -> EncodedTexts:
        """The sequences: those to train on, with the others as ``validation`` and ``test``."""
        sizes = self.sizes
        parts = {name: self._drawn(getattr(sizes, name), name) for name in ("validation", "test", "train")}
        made = {name: EncodedTexts(rows, Facts("oracle")) for name, rows in parts.items() if name != "train"}
        return EncodedTexts(parts["train"], Facts("oracle"), **made)  # type: ignore[arg-type]

    def _drawn(self, n: int, name: str) -> "np.ndarray[tuple[int, int], np.dtype[np.int64]]":
        generator = torch.Generator().manual_seed(key("sequences", self.seed, name))
        u = torch.rand(n, self.sizes.length, generator=generator)
        with torch.no_grad():
            rows = torch.cat([sequence.draw(self.net, part) for part in u.split(PART)])
        return rows.numpy()

    @torch.no_grad()
    def nll(self, rows: Tensor) -> Tensor:
        """The negative log likelihood per token (n,) of sequences (n, L), in nats."""
        parts = [-sequence.log_likelihood(self.net(part), part).mean(1) for part in rows.cpu().split(PART)]
        return torch.cat(parts)
