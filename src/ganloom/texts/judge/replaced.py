"""Replaced-token detector: trained on real texts alone, it says of each token whether it belongs where it stands.

Clark et al. 2020, "ELECTRA: Pre-training Text Encoders as Discriminators Rather Than Generators" (arXiv:2003.10555).
Departures: the tokens are replaced by draws from the word statistics of the texts instead of a masked language model, and
words are also inserted, deleted and repeated. The last layer of the trained network gives the features of MAUVE and of the
Frechet distance.
"""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from ganloom.core.randomness import key
from ganloom.texts.judge.corruptions import CORRUPTIONS, TRAINED, WordSource
from ganloom.texts.judge.network import Encoder, TextNetwork
from ganloom.texts.vocabulary import build

Words = list[str]
BATCH = 64
RATE = 3e-3
"""Largest learning rate."""
RATES = (0.05, 0.5)
"""Share of the words that are damaged, drawn uniformly for each text."""
Report = Callable[[int, int], None]


@dataclass(frozen=True)
class Detector:
    """A trained detector.

    Attributes:
        network: In eval mode.
        encoder: Turns tokens into the network's input.
        device: Where it computes.
    """

    network: TextNetwork
    encoder: Encoder
    device: torch.device

    def token_scores(self, texts: Sequence[Words]) -> list[list[float]]:
        """For each text: the probability of each of its tokens not to be the author's."""
        rows = zip(texts, self._logits(texts), strict=True)
        return [logits[: len(tokens)].sigmoid().tolist() for tokens, logits in rows]

    def scores(self, texts: Sequence[Words]) -> Tensor:
        """(N,): the mean over a text's tokens of -log of the probability that the token is the author's."""
        return torch.tensor(
            [
                float(F.softplus(logits[: max(1, len(tokens))]).mean())
                for tokens, logits in zip(texts, self._logits(texts), strict=True)
            ]
        )

    def features(self, texts: Sequence[Words]) -> Tensor:
        """(N, d) float32 features of texts."""
        with torch.no_grad():
            parts = [self.network.features(self.encoder(part).to(self.device)).cpu() for part in batches(texts)]
        return torch.cat(parts)

    def _logits(self, texts: Sequence[Words]) -> list[Tensor]:
        with torch.no_grad():
            return [
                row
                for part in batches(texts)
                for row in self.network.token_logits(self.encoder(part).to(self.device)).cpu()
            ]


def batches(texts: Sequence[Words]) -> list[Sequence[Words]]:
    """Texts in batches for a network that is not trained."""
    return [texts[i : i + 256] for i in range(0, len(texts), 256)]


def train_detector(
    texts: Sequence[Words],
    *,
    steps: int = 1500,
    corruptions: Sequence[str] = TRAINED,
    width: int = 64,
    seed: int = 0,
    device: torch.device | None = None,
    progress: Report | None = None,
) -> Detector:
    """Train a detector on real texts.

    Args:
        texts: Tokens of the real texts, in lower case.
        steps: Optimizer steps of ``BATCH`` texts, with their damaged versions.
        corruptions: Names in ``CORRUPTIONS`` of the damage to train on.
        width: Width of the network.
        seed: Seed of the weights, the order and the damage.
        device: Where to compute. None: the CPU.
        progress: Called with (steps done, steps).
    """
    device = device or torch.device("cpu")
    encoder = Encoder(build([" ".join(tokens) for tokens in texts], least=2 if len(texts) >= 100 else 1))
    source, rng = WordSource(texts), random.Random(f"detector {seed}")
    with torch.random.fork_rng():
        torch.default_generator.manual_seed(key(seed, "detector"))
        network = TextNetwork(len(encoder.vocabulary), width).to(device).train()
        optimizer = torch.optim.Adam(network.parameters(), lr=RATE)
        for step in range(steps):
            for group in optimizer.param_groups:
                group["lr"] = RATE * min(1.0, (step + 1) / 50) * max(0.02, 1 - step / steps)
            damaged, marks = _batch(texts, corruptions, source, rng)
            tokens = encoder(damaged).to(device)
            target = torch.zeros_like(tokens.mask)
            for i, row in enumerate(marks):
                cut = row[: target.shape[1]]
                target[i, : len(cut)] = torch.tensor(cut, dtype=torch.float32)
            loss = F.binary_cross_entropy_with_logits(
                network.token_logits(tokens), target, tokens.mask, reduction="sum"
            )
            optimizer.zero_grad()
            (loss / tokens.mask.sum()).backward()
            torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            optimizer.step()
            if progress is not None:
                progress(step + 1, steps)
    return Detector(network.eval(), encoder, device)


def _batch(
    texts: Sequence[Words], names: Sequence[str], source: WordSource, rng: random.Random
) -> tuple[list[Words], list[list[int]]]:
    """Texts of a batch and their marks: three of four are damaged."""
    damaged, marks = [], []
    for _ in range(BATCH):
        tokens = texts[rng.randrange(len(texts))]
        rate = rng.uniform(*RATES) if rng.random() < 0.75 else 0.0
        new, marked = CORRUPTIONS[rng.choice(names)](tokens, rate, rng, source)
        damaged.append(new)
        marks.append(marked)
    return damaged, marks
