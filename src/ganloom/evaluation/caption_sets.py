"""Captions to measure a text-to-image model on: those of its data, held-out ones, and for ``shapes`` new wordings too."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ganloom.core.names import printable
from ganloom.data import shapes
from ganloom.data.caption_words import vocabulary, words_of
from ganloom.data.captioned import Captioned
from ganloom.data.shapes_captions import Wording, wording_of
from ganloom.imaging import levels

MOST = 1000
"""Captions of a set that are measured, at most."""
FRESH = 7_000_003
"""Seeds of newly drawn shapes begin here: no data set is drawn with them."""
TRAINING = "training captions"


@dataclass(frozen=True)
class CaptionSet:
    """N captions with a real image of each.

    Attributes:
        name: What they are.
        texts: The captions.
        images: Real images (N, C, H, W) in [-1, 1] on the CPU.
        group: int64 (N,), equal for captions of equal meaning.
        combination: For ``shapes`` the number of the combination of each caption, int64 (N,); else None.
        trained: Whether the model was trained on these captions.
    """

    name: str
    texts: tuple[str, ...]
    images: Tensor
    group: Tensor
    combination: Tensor | None
    trained: bool


def sets_of(trained: Captioned, held: Any, other: Any, n: int, seed: int) -> list[CaptionSet]:
    """Choose the sets.

    Args:
        trained: The training data.
        held: Data that were held out, or None.
        other: Data that the user gave instead of the training data, or None.
        n: Captions of each set, at most.
        seed: Keys the choice.
    """
    n = min(n, MOST)
    if isinstance(other, Captioned):
        return [_rows_of(other, printable(other.name), n, seed, trained=False)]
    wording = wording_of_data(trained)
    if wording is not None:
        sets = _of_shapes(wording, trained, n, seed)
    else:
        sets = [_rows_of(trained, TRAINING, n, seed, trained=True)]
    if isinstance(held, Captioned):
        sets.append(_rows_of(held, "held-out captions", n, seed, trained=False))
    return sets


def wording_of_data(data: Captioned) -> Wording | None:
    """Return the wording of the captions of the built-in set ``shapes``; None for other data."""
    source = str(data.source.get("source", "")) if isinstance(data.source, dict) else ""
    name, *words = source.split(",")
    if name.partition(":")[0] != "shapes" or data.facts.factors is None or data.shape[0] != 3:
        return None
    return wording_of(words, source)


def _of_shapes(wording: Wording, data: Captioned, n: int, seed: int) -> list[CaptionSet]:
    """Draw new images: of the combinations of training, of those that were held out, and in other words."""
    plain = replace(wording, templates=False, synonyms=False, synonym=False)
    asked = {TRAINING: wording}
    if wording.combinations == "seen":
        asked["unseen combinations"] = replace(plain, combinations="unseen")
    if wording.varied:
        asked["unseen templates"] = replace(plain, templates=True)
        asked["a synonym unseen"] = replace(plain, synonym=True)
        asked["synonyms unseen"] = replace(plain, synonyms=True)
    made = []
    for i, (name, own) in enumerate(asked.items()):
        facts = shapes.describe(n, FRESH + 10 * seed + i, own)
        factors = facts.factors or {}
        images = levels.from_uint8(shapes.render(factors, data.shape))
        numbers = torch.from_numpy(shapes.combination(factors))
        made.append(CaptionSet(name, tuple(facts.captions or ()), images, numbers, numbers, name == TRAINING))
    return made


def _rows_of(data: Captioned, name: str, n: int, seed: int, *, trained: bool) -> CaptionSet:
    """Choose rows of a data set, each with its first caption."""
    rows = torch.randperm(len(data), generator=torch.Generator().manual_seed(seed))[:n]
    _, group = data.drawn_captions(rows, torch.zeros(len(rows)))
    factors = data.facts.factors if wording_of_data(data) is not None else None
    combination = None if factors is None else torch.from_numpy(shapes.combination(factors)[rows.numpy()])
    images = torch.cat([data.get(part).cpu() for part in rows.split(500)])
    return CaptionSet(name, tuple(data.captions_of(rows)), images, group, combination, trained)


def nearest_captions(texts: tuple[str, ...], others: tuple[str, ...], vectors: Tensor | None = None) -> Tensor:
    """Return for each caption which of others is nearest.

    Args:
        texts: N captions.
        others: M captions.
        vectors: (N + M, d) sentence vectors of both; None: they are compared by their words.

    Returns:
        int64 (N,).
    """
    if vectors is not None:
        unit = torch.nn.functional.normalize(vectors - vectors[len(texts) :].mean(0), dim=1)
        return torch.cat([(part @ unit[len(texts) :].T).argmax(1) for part in unit[: len(texts)].split(500)])
    return _by_words(texts, others)


def _by_words(texts: tuple[str, ...], others: tuple[str, ...]) -> Tensor:
    """The nearest caption by the words in common; rare words count more (tf-idf)."""
    number = {word: i for i, word in enumerate(vocabulary(others))}

    def table(captions: tuple[str, ...]) -> NDArray[np.float32]:
        counts = np.zeros((len(captions), len(number)), np.float32)
        for row, caption in zip(counts, captions, strict=True):
            row[[number[word] for word in set(words_of(caption)) if word in number]] = 1
        return counts

    a, b = table(texts), table(others)
    weight = np.log((1 + len(others)) / (1 + b.sum(0)))
    b = b * weight / np.maximum(np.linalg.norm(b * weight, axis=1, keepdims=True), 1e-6)
    return torch.from_numpy((a * weight) @ b.T).argmax(1)
