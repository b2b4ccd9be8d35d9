"""Captions of the built-in set ``shapes`` in varied words, and which combinations and words are held out.

The combinations of colour, shape, size and place are split: 20 % are "unseen". Each number of a split holds out others. Of the
templates and of the synonyms some are held out too, so that a model can be asked in words that it was not trained on.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ganloom.core.errors import BadInput, did_you_mean

UNSEEN = 0.2
"""Share of the combinations that are held out."""

TEMPLATES = (
    "a {size} {colour} {shape} {place}",
    "{place} there is a {size} {colour} {shape}",
    "a {colour} {shape}, {size}, {place}",
    "the {shape} is {colour} and {size}, {place}",
    "one {size} {shape} in {colour} {place}",
    "{size} {colour} {shape} {place}",
)
HELD_TEMPLATES = (
    "there is a {colour} {shape} {place}, and the {shape} is {size}",
    "{place}: one {colour} {shape}, {size}",
    "a {shape} in {colour} {place}, {size}",
)
SYNONYMS: dict[str, tuple[str, ...]] = {
    "red": ("scarlet",), "green": ("emerald",), "blue": ("azure",), "purple": ("violet",), "yellow": ("golden",),
    "circle": ("disc", "round dot"), "square": ("box",), "diamond": ("rhombus",), "cross": ("plus sign",),
    "small": ("little", "tiny"), "large": ("big",), "medium": ("mid-sized",),
    "at the top": ("in the upper middle",), "at the bottom": ("in the lower middle",), "in the centre": ("in the middle",),
    "at the top left": ("in the upper left corner",), "at the top right": ("in the upper right corner",),
    "at the bottom left": ("in the lower left corner",), "at the bottom right": ("in the lower right corner",),
    "on the left": ("at the left side",), "on the right": ("at the right side",),
}  # fmt: skip
"""Word of a plain caption -> other words for it that training uses."""
HELD_SYNONYMS: dict[str, tuple[str, ...]] = {
    "red": ("crimson",), "green": ("lime",), "blue": ("sapphire",), "purple": ("lilac",), "cyan": ("turquoise",),
    "orange": ("tangerine",), "circle": ("ball",), "square": ("quadrilateral",), "star": ("pentagram",),
    "small": ("miniature",), "large": ("huge",), "medium": ("average",), "in the centre": ("at the heart",),
}  # fmt: skip
"""The same for words that training does not use."""
OPTIONS = ("seen", "unseen", "varied", "templates", "synonyms", "synonym")
"""What may follow ``shapes:N,``, besides ``split=K``: see ``Wording``."""
SPLIT = "split="


@dataclass(frozen=True)
class Wording:
    """Which combinations a set holds and how its captions are worded.

    Attributes:
        combinations: "all", "seen" (80 %) or "unseen" (the other 20 %).
        varied: Captions follow `TEMPLATES` and use `SYNONYMS`; otherwise all are like "a small red circle on the left".
        templates: Captions follow `HELD_TEMPLATES` instead.
        synonyms: Captions use `HELD_SYNONYMS` wherever there is one.
        synonym: Captions use one of `HELD_SYNONYMS`, for one attribute.
        split: Number of the split into seen and unseen combinations.
    """

    combinations: str = "all"
    varied: bool = False
    templates: bool = False
    synonyms: bool = False
    synonym: bool = False
    split: int = 0


def wording_of(words: Sequence[str], source: str) -> Wording:
    """Read the words after ``shapes:N,``. Raises BadInput for an unknown one."""
    splits = [word for word in words if word.startswith(SPLIT)]
    for word in words:
        if word not in OPTIONS and word not in splits:
            raise BadInput(
                f"{source}: {word!r}{did_you_mean(word, OPTIONS)}; after the number give {', '.join(OPTIONS)}, {SPLIT}K"
            )
    if {"seen", "unseen"} <= set(words):
        raise BadInput(f"{source}: give seen or unseen; without both, the set holds all combinations")
    numbers = [word.removeprefix(SPLIT) for word in splits] or ["0"]
    if len(numbers) > 1 or not (numbers[0].isascii() and numbers[0].isdigit()):
        raise BadInput(f"{source}: give one {SPLIT}K with a whole number K from 0, not {', '.join(splits)}")
    combinations = "seen" if "seen" in words else "unseen" if "unseen" in words else "all"
    named = {word: True for word in OPTIONS[2:] if word in words}
    return Wording(combinations, **named, split=int(numbers[0]))


def unseen(combinations: int, split: int = 0) -> NDArray[np.bool_]:
    """Return which of the combinations are held out: bool (combinations,). The same ones for each number of a split."""
    held = np.zeros(combinations, bool)
    held[np.random.default_rng(20 + split).permutation(combinations)[: round(UNSEEN * combinations)]] = True
    return held


def captions(parts: Sequence[dict[str, str]], wording: Wording, seed: int = 0) -> list[str]:
    """Word the captions of images.

    Args:
        parts: For each image the plain words of its "colour", "shape", "size" and "place".
        wording: How.
        seed: Decides templates and synonyms.
    """
    templates = HELD_TEMPLATES if wording.templates else TEMPLATES if wording.varied else TEMPLATES[:1]
    chance = np.random.default_rng([seed, 1]).random((len(parts), 5))
    texts = []
    which = np.random.default_rng([seed, 2]).random(len(parts))
    for row, u, pick in zip(parts, chance.tolist(), which.tolist(), strict=True):
        held = [key for key, word in row.items() if word in HELD_SYNONYMS]
        if not wording.synonyms:
            held = held[int(pick * len(held)) :][:1] if wording.synonym else []
        worded = {
            key: _chosen(HELD_SYNONYMS[word], u[i]) if key in held else _worded(word, wording, u[i])
            for i, (key, word) in enumerate(row.items())
        }
        texts.append(templates[int(u[4] * len(templates))].format(**worded))
    return texts


def _worded(word: str, wording: Wording, u: float) -> str:
    """A word, or in half of the cases one of the synonyms that training uses."""
    known = SYNONYMS.get(word, ())
    if not (wording.varied and known) or u < 0.5:
        return word
    return _chosen(known, (u - 0.5) * 2)


def _chosen(words: tuple[str, ...], u: float) -> str:
    return words[int(u * len(words))]
