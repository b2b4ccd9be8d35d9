"""Check texts: lengths, vocabulary, duplicates, labels, and signs of a wrong encoding."""

import dataclasses
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ganloom.core.names import shown
from ganloom.texts.texts import Texts, normalised
from ganloom.texts.vocabulary import words

_MOJIBAKE = re.compile(r"Ã[\x80-\xbf©¨¤¶¼ŸŠ]|â€[™œ“”˜¦]|Â[ °±·»«]")
"""UTF-8 that was read as cp1252 and saved again."""


@dataclass(frozen=True)
class Spread:
    """Five figures of a list of numbers."""

    least: int
    median: int
    mean: float
    most_95: int
    """95 % of the numbers are at most this large."""
    largest: int

    @classmethod
    def of(cls, numbers: Sequence[int]) -> "Spread":
        """The figures of at least one number."""
        ranked = sorted(numbers)
        last = len(ranked) - 1
        return cls(
            ranked[0],
            ranked[last // 2],
            sum(ranked) / len(ranked),
            ranked[min(last, int(0.95 * len(ranked)))],
            ranked[-1],
        )

    def __str__(self) -> str:
        return f"{self.least} to {self.largest}, median {self.median}, mean {self.mean:.1f}, 95 % have at most {self.most_95}"


@dataclass(frozen=True)
class Report:
    """What ``check`` found.

    Attributes:
        name: The source.
        count: Number of texts.
        characters: Lengths in characters.
        words: Lengths in words and punctuation marks.
        vocabulary: Number of different words, in lower case.
        once: How many of them occur once.
        frequent: The most frequent words with their counts.
        duplicates: Texts that repeat an earlier one exactly.
        near_duplicates: Texts that repeat an earlier one but for case and spaces, the exact ones included.
        classes: Class -> number of texts; empty without labels.
        conflicts: Different texts that occur with two labels.
        groups: Number of groups; None: the source has none.
        splits: Split -> number of texts; empty where the source has none.
        leaks: Texts of the splits validation and test that are in the split train too.
        warnings: One line for each thing that a training would suffer from.
        notes: One line for each thing that was left out.
    """

    name: str
    count: int
    characters: Spread
    words: Spread
    vocabulary: int
    once: int
    frequent: list[tuple[str, int]]
    duplicates: int
    near_duplicates: int
    classes: dict[str, int]
    conflicts: int
    groups: int | None
    splits: dict[str, int]
    leaks: int
    warnings: list[str]
    notes: list[str]

    def to_dict(self) -> dict[str, Any]:
        """The report as JSON values."""
        return dataclasses.asdict(self)

    def lines(self) -> list[str]:
        """The report as text."""
        share = 100 * self.once / self.vocabulary if self.vocabulary else 0.0
        rows = [
            f"{shown(self.name, 80)}: {self.count:,} texts",
            f"characters  {self.characters}",
            f"words       {self.words}",
            f"vocabulary  {self.vocabulary:,} different words, {share:.0f} % of them occur once; "
            f"most frequent: {' '.join(shown(word, 20) for word, _ in self.frequent[:8])}",
            f"duplicates  {self.duplicates:,} exact, {self.near_duplicates:,} but for case and spaces",
        ]
        if self.classes:
            ranked = sorted(self.classes.items(), key=lambda pair: -pair[1])
            listed = ", ".join(f"{shown(name, 24)} {count:,}" for name, count in ranked[:12])
            more = f" and {len(ranked) - 12} more" if len(ranked) > 12 else ""
            rows.append(f"labels      {len(ranked)} classes: {listed}{more}")
        else:
            rows.append("labels      none")
        if self.groups is not None:
            rows.append(f"groups      {self.groups:,}")
        if self.splits:
            rows.append("splits      " + ", ".join(f"{name} {count:,}" for name, count in self.splits.items()))
        return rows + [f"note: {note}" for note in self.notes] + [f"warning: {warning}" for warning in self.warnings]


def check(texts: Texts) -> Report:
    """Check texts.

    Args:
        texts: At least two texts.

    Raises:
        BadInput: There is only one text.
    """
    texts.need(2, "a data set")
    tokens = [words(text.lower()) for text in texts.texts]
    counts = Counter(token for row in tokens for token in row)
    plain = [normalised(text) for text in texts.texts]
    labels = Counter(texts.labels or ())
    report = Report(
        name=texts.name,
        count=len(texts),
        characters=Spread.of([len(text) for text in texts.texts]),
        words=Spread.of([len(row) for row in tokens]),
        vocabulary=len(counts),
        once=sum(count == 1 for count in counts.values()),
        frequent=counts.most_common(20),
        duplicates=len(texts) - len(set(texts.texts)),
        near_duplicates=len(texts) - len(set(plain)),
        classes=dict(sorted(labels.items())),
        conflicts=_conflicts(plain, texts.labels),
        groups=None if texts.groups is None else len(set(texts.groups)),
        splits=dict(Counter(texts.splits or ())),
        leaks=_leaks(plain, texts.splits),
        warnings=[],
        notes=list(texts.notes),
    )
    report.warnings.extend(_warnings(report, texts))
    return report


def _conflicts(plain: Sequence[str], labels: Sequence[str] | None) -> int:
    of: dict[str, set[str]] = {}
    for text, label in zip(plain, labels or (), strict=False):
        of.setdefault(text, set()).add(label)
    return sum(len(found) > 1 for found in of.values())


def _leaks(plain: Sequence[str], splits: Sequence[str] | None) -> int:
    if splits is None:
        return 0
    train = {text for text, part in zip(plain, splits, strict=True) if part == "train"}
    return sum(part != "train" and text in train for text, part in zip(plain, splits, strict=True))


def _warnings(report: Report, texts: Texts) -> list[str]:
    found = []
    if report.near_duplicates > report.count / 20:
        share = 100 * report.near_duplicates / report.count
        found.append(f"{share:.0f} % of the texts repeat another one; a model learns them by heart")
    if report.conflicts:
        found.append(f"{report.conflicts} texts occur with two different labels; no classifier can be right on both")
    if report.leaks:
        found.append(f"{report.leaks} texts of validation or test are in train too; measured figures are too good")
    found += _label_warnings(report.classes, report.count)
    wrong = [text for text in texts.texts if "\ufffd" in text or _MOJIBAKE.search(text)]
    if wrong:
        found.append(
            f"{len(wrong)} texts have broken characters, such as {shown(wrong[0])!r}: read with a wrong encoding"
        )
    control = sum(any((ord(c) < 32 and c not in "\t\n\r\f") or ord(c) == 127 for c in text) for text in texts.texts)
    if control:
        found.append(f"{control} texts have control characters")
    if report.words.largest > 20 * max(1, report.words.median):
        found.append(
            f"the longest text has {report.words.largest:,} words, the median {report.words.median}; it will be cut"
        )
    if report.count < 200:
        found.append(f"only {report.count} texts; a model needs some hundreds")
    return found


def _label_warnings(classes: dict[str, int], count: int) -> list[str]:
    if not classes:
        return []
    if len(classes) == 1:
        return ["all texts have one label; a classifier needs at least two classes"]
    if len(classes) > count / 2:
        return [f"{len(classes)} labels for {count} texts: this column is hardly a class; --label COLUMN names another"]
    small = sorted((n, name) for name, n in classes.items() if n < 10)
    if small:
        return [f"{len(small)} classes have fewer than 10 texts, such as {shown(small[0][1], 24)} with {small[0][0]}"]
    return []
