"""Real-against-generated classifiers: how well can the two be told apart, and is it more than their lengths?

Each classifier trains on one half of the real and of the generated texts and is measured on the other half (a two-sample test
by a classifier, Lopez-Paz and Oquab 2017, arXiv:1610.06545). Before that, both halves are thinned so that real and generated
texts have the same lengths. Another classifier sees nothing but the length, before the thinning.
"""

import copy
import random
import zlib
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ganloom.core.randomness import key
from ganloom.texts.judge.auc import Auc, auc
from ganloom.texts.judge.diversity import ngrams
from ganloom.texts.judge.replaced import Detector, batches

Words = list[str]
Report = Callable[[int, int], None]
LEAST = 10
"""Texts of equal length on each side of each half that a classifier needs."""
_BUCKETS = 2**16


@dataclass(frozen=True)
class Told:
    """How well classifiers tell generated texts from real ones.

    Attributes:
        network: The fine-tuned network of the detector, at equal lengths; None: too few texts have equal lengths.
        words: Logistic regression on words and pairs of words, at equal lengths.
        length: The length alone, on all texts.
        length_matched: The length alone, at equal lengths.
        matched: Texts of equal lengths that were used, over all texts.
    """

    network: Auc | None
    words: Auc | None
    length: Auc
    length_matched: Auc | None
    matched: float


def tell_apart(
    real: Sequence[Words],
    generated: Sequence[Words],
    detector: Detector,
    *,
    epochs: int = 6,
    seed: int = 0,
    progress: Report | None = None,
) -> Told:
    """Train and measure the classifiers.

    Args:
        real: Tokens of real texts that the detector was not trained on.
        generated: Tokens of generated texts.
        detector: Its network is where the training starts.
        epochs: Passes over the training half.
        seed: Seed of the halves and the trainings.
        progress: Called with (steps done, steps).
    """
    rng = random.Random(f"classifier {seed}")
    train, test = zip(_halves(real, rng), _halves(generated, rng), strict=True)
    by_length = _LengthRatio(*train)
    length = auc(by_length(test[0]), by_length(test[1]))
    fair_train, fair_test = matched(*train, rng), matched(*test, rng)
    share = (len(fair_train[0]) + len(fair_test[0])) / max(1, min(len(real), len(generated)))
    if min(len(fair_train[0]), len(fair_test[0])) < LEAST:
        return Told(None, None, length, None, share)
    network = _fine_tuned(detector, fair_train, epochs, seed, progress)
    linear = _WordRatio(fair_train, seed)
    again = _LengthRatio(*fair_train)
    return Told(
        auc(network(fair_test[0]), network(fair_test[1])),
        auc(linear(fair_test[0]), linear(fair_test[1])),
        length,
        auc(again(fair_test[0]), again(fair_test[1])),
        share,
    )


def _halves(texts: Sequence[Words], rng: random.Random) -> tuple[list[Words], list[Words]]:
    """Two halves; equal texts are in the same half."""
    different = sorted({tuple(tokens) for tokens in texts})
    rng.shuffle(different)
    first = set(different[: len(different) // 2])
    sides = [tokens in first for tokens in map(tuple, texts)]
    return (
        [t for t, side in zip(texts, sides, strict=True) if side],
        [t for t, side in zip(texts, sides, strict=True) if not side],
    )


def matched(a: Sequence[Words], b: Sequence[Words], rng: random.Random) -> tuple[list[Words], list[Words]]:
    """Draw as many texts of each length from both sets. Lengths above 16 tokens count as equal within about 6 %."""
    by_bin: list[dict[int, list[Words]]] = []
    for texts in (a, b):
        groups: dict[int, list[Words]] = defaultdict(list)
        for tokens in texts:
            groups[length_bin(len(tokens))].append(tokens)
        by_bin.append(groups)
    chosen: tuple[list[Words], list[Words]] = ([], [])
    for place in sorted(by_bin[0].keys() & by_bin[1].keys()):
        count = min(len(groups[place]) for groups in by_bin)
        for side, groups in zip(chosen, by_bin, strict=True):
            side.extend(rng.sample(groups[place], count))
    return chosen


def length_bin(length: int) -> int:
    """The bin of a length: one a token up to 16, then 16 for each doubling."""
    if length <= 16:
        return length
    shift = length.bit_length() - 5
    return 16 * shift + (length >> shift)


class _LengthRatio:
    """Score of a text: log of the share of its length among generated over that among real texts."""

    def __init__(self, real: Sequence[Words], generated: Sequence[Words]) -> None:
        self._real = Counter(length_bin(len(tokens)) for tokens in real)
        self._generated = Counter(length_bin(len(tokens)) for tokens in generated)
        self._bins = len(self._real.keys() | self._generated.keys()) + 1

    def __call__(self, texts: Sequence[Words]) -> Tensor:
        bins = [length_bin(len(tokens)) for tokens in texts]
        p = torch.tensor([self._generated[place] + 1.0 for place in bins]) / (self._generated.total() + self._bins)
        q = torch.tensor([self._real[place] + 1.0 for place in bins]) / (self._real.total() + self._bins)
        return p.log() - q.log()


class _WordRatio:
    """Logistic regression on the words and the pairs of neighbours of a text."""

    def __init__(self, sets: tuple[Sequence[Words], Sequence[Words]], seed: int) -> None:
        texts, target = [*sets[0], *sets[1]], torch.tensor([0.0] * len(sets[0]) + [1.0] * len(sets[1]))
        self._weights = nn.EmbeddingBag(_BUCKETS, 1, mode="mean")
        nn.init.zeros_(self._weights.weight)
        optimizer = torch.optim.Adam(self._weights.parameters(), lr=0.2)
        flat, starts = self._rows(texts)
        for _ in range(60):
            loss = F.binary_cross_entropy_with_logits(self._weights(flat, starts).squeeze(1), target)
            loss = loss + 1e-4 * self._weights.weight.square().sum() / len(texts)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()

    def __call__(self, texts: Sequence[Words]) -> Tensor:
        with torch.no_grad():
            logits: Tensor = self._weights(*self._rows(texts)).squeeze(1)
        return logits

    @staticmethod
    def _rows(texts: Sequence[Words]) -> tuple[Tensor, Tensor]:
        flat: list[int] = []
        starts: list[int] = []
        for tokens in texts:
            starts.append(len(flat))
            grams = [*ngrams(tokens, 1), *ngrams(["<", *tokens, ">"], 2)]
            flat += [zlib.crc32("\0".join(g).encode("utf-8", "surrogatepass")) % _BUCKETS for g in grams]
        return torch.tensor(flat), torch.tensor(starts)


def _fine_tuned(
    detector: Detector, sets: tuple[Sequence[Words], Sequence[Words]], epochs: int, seed: int, progress: Report | None
) -> Callable[[Sequence[Words]], Tensor]:
    """Train a copy of the detector's network to tell the two sets apart; return its logits of texts."""
    rows = [(tokens, 0.0) for tokens in sets[0]] + [(tokens, 1.0) for tokens in sets[1]]
    rng, network = random.Random(f"fine-tuning {seed}"), copy.deepcopy(detector.network).train()
    steps = epochs * ((len(rows) + 63) // 64)
    step = 0
    with torch.random.fork_rng():
        torch.default_generator.manual_seed(key(seed, "classifier"))
        optimizer = torch.optim.Adam(network.parameters(), lr=1e-3)
        for _ in range(epochs):
            rng.shuffle(rows)
            for i in range(0, len(rows), 64):
                for group in optimizer.param_groups:
                    group["lr"] = 1e-3 * max(0.05, 1 - step / steps)
                batch = rows[i : i + 64]
                logits = network.text_logits(detector.encoder([tokens for tokens, _ in batch]).to(detector.device))
                target = torch.tensor([side for _, side in batch], device=logits.device)
                optimizer.zero_grad()
                F.binary_cross_entropy_with_logits(logits, target).backward()
                torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
                optimizer.step()
                step += 1
                if progress is not None:
                    progress(step, steps)
    network.eval()

    def scores(texts: Sequence[Words]) -> Tensor:
        with torch.no_grad():
            parts = [network.text_logits(detector.encoder(p).to(detector.device)).cpu() for p in batches(texts)]
        return torch.cat(parts)

    return scores
