"""Describe the captions of a data set: how many, their lengths, the vocabulary, and captions that several images share."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from ganloom.data.caption_words import words_of

SHOWN = 8
"""Words and captions that are shown."""


@dataclass
class Captions:
    """What is known about the captions of N images.

    Attributes:
        where: The files they come from; empty for captions that are part of the data.
        captions: Number of captions.
        distinct: Number of different ones.
        each: (least, median, most) captions of an image.
        words: (least, median, most) words of a caption.
        vocabulary: Number of different words.
        common: (word, count) of the most common words.
        once: Number of words that occur once.
        shared: Number of captions that belong to several images.
        example: The caption that belongs to most images and their number; None if no caption is shared.
        without: Number of images without a caption.
        without_examples: Names of some of them.
        notes: One line for each thing about them that the user should know.
    """

    where: list[str]
    captions: int
    distinct: int
    each: tuple[int, int, int]
    words: tuple[int, int, int]
    vocabulary: int
    common: list[tuple[str, int]]
    once: int
    shared: int
    example: tuple[str, int] | None
    without: int
    without_examples: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def facts(self) -> list[tuple[str, str]]:
        """Return (label, text) of each line of the report."""
        source = f" from {self.where[0]}" if self.where else ""
        source += f" and {len(self.where) - 1:,} more files" if len(self.where) > 1 else ""
        each = f"{self.each[0]}" if self.each[0] == self.each[2] else "min {} median {} max {}".format(*self.each)
        common = ", ".join(f"{word} {count:,}" for word, count in self.common)
        shared = f"{self.shared:,} of them with several images" if self.shared else "none with several images"
        example = f', such as "{self.example[0]}" ({self.example[1]:,} images)' if self.example else ""
        lines = [
            ("captions", f"{self.captions:,}{source}, {self.distinct:,} different, {shared}{example}"),
            ("captions an image", each),
            ("words a caption", "min {} median {} max {}".format(*self.words)),
            ("vocabulary", f"{self.vocabulary:,} words, {self.once:,} of them once; most common {common}"),
        ]
        some = f", such as {', '.join(self.without_examples)}" if self.without_examples else ""
        lines.append(
            ("without a caption", f"{self.without:,} image{'s' * (self.without > 1)}{some}" if self.without else "none")
        )
        return lines + [("note", note) for note in self.notes]


def describe(
    captions: Sequence[tuple[str, ...]], names: Sequence[str], where: Sequence[str] = (), notes: Sequence[str] = ()
) -> Captions | None:
    """Describe the captions of images.

    Args:
        captions: For each image its captions.
        names: Names of the images.
        where: The files that the captions come from.
        notes: Notes about them.

    Returns:
        The description; None if there are no captions.
    """
    images = Counter(text for own in captions for text in dict.fromkeys(own))
    if not images:
        return None
    counts: Counter[str] = Counter()
    lengths = []
    for text, times in images.items():
        words = words_of(text)
        lengths += [len(words)] * times
        counts.update({word: n * times for word, n in Counter(words).items()})
    common = sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:SHOWN]
    text, most = max(images.items(), key=lambda item: item[1])
    without = [name for name, own in zip(names, captions, strict=True) if not own]
    return Captions(
        where=list(where),
        captions=sum(map(len, captions)),
        distinct=len(images),
        each=_three([len(own) for own in captions if own]),
        words=_three(lengths),
        vocabulary=len(counts),
        common=common,
        once=sum(n == 1 for n in counts.values()),
        shared=sum(n > 1 for n in images.values()),
        example=(text, most) if most > 1 else None,
        without=len(without),
        without_examples=without[:3],
        notes=list(notes),
    )


def _three(values: Sequence[int]) -> tuple[int, int, int]:
    return min(values), int(np.median(values)), max(values)
