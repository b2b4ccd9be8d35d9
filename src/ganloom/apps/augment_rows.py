"""The rows of `ganloom augment report`: accuracy and recall of each way to train a classifier, and the verdict of each row."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ganloom.apps.augment_split import Labels
from ganloom.core.names import shown
from ganloom.metrics.statistics.paired_seeds import Verdict, crossed_mean, judge
from ganloom.metrics.statistics.value import Value

REAL, CLASSIC, ONLY, BOTH, NOISE = "real", "real + classic", "GAN only (CAS)", "real + GAN", "real + noisy copies"
METHODS = (REAL, CLASSIC, ONLY, BOTH, NOISE)
"""How a classifier is trained."""
MEANING = {
    REAL: "real images as they are",
    CLASSIC: "real images with classic augmentation: shift by up to an eighth of the side, zoom by up to 10 %, brightness and "
    "contrast by up to 20 %",
    ONLY: "generated images only, with classic augmentation: the classification accuracy score",
    BOTH: "half of each batch real, half generated, with the augmentation of the better one of real and real + classic",
    NOISE: "a control: as real + GAN, but with noisy copies of the real images in the place of the generated ones",
}


@dataclass(frozen=True)
class Cell:
    """What one way to train a classifier reaches.

    Attributes:
        accuracy: share of the test images that are classified correctly, a mean over the seeds, with its interval.
        recalls: class name -> recall.
    """

    accuracy: Value
    recalls: dict[str, Value]

    @property
    def lowest(self) -> tuple[str, Value]:
        """The class with the lowest recall."""
        return min(self.recalls.items(), key=lambda pair: pair[1].value)

    @classmethod
    def of(cls, right: Tensor, labels: Tensor, names: Sequence[str]) -> "Cell":
        """From whether each test image is classified correctly, (seeds, N), and the classes (N,)."""
        recalls = {names[k]: _share(right[:, labels == k]) for k in labels.unique().tolist()}
        return cls(_share(right), recalls)


def _share(right: Tensor) -> Value:
    """The share of right answers (seeds, N) with its interval.

    If all answers are right, or none is, the variance is 0, and the interval is that of Clopper and Pearson for N images.
    """
    mean = crossed_mean(right.double()).within(0.0, 1.0)
    if mean.value not in (0.0, 1.0):
        return mean
    bound = 0.025 ** (1 / right.shape[1])
    return Value(1.0, bound, 1.0) if mean.value else Value(0.0, 0.0, 1 - bound)


@dataclass(frozen=True)
class Row:
    """One number of labels.

    Attributes:
        labels: the number, and what the GAN of the row was trained on.
        model: name of that GAN's run.
        images: mean number of real images in the row.
        cells: method -> result.
        against: the better one of real images as they are and with classic augmentation.
        verdict: whether generated images help, compared with ``against``.
        control: the same for noisy copies in the place of generated images.
    """

    labels: Labels
    model: str
    images: float
    cells: dict[str, Cell]
    against: str
    verdict: Verdict
    control: Verdict

    @property
    def sentence(self) -> str:
        """The verdict in words, with what the GAN knew more than the row."""
        text = f"{self.labels.name} labels a class: real + GAN {self.verdict}, compared with {self.against}"
        return (
            f"{text}. NOT a row of {self.labels.name} labels for the GAN: {self.labels.known}"
            if self.labels.leaks
            else text
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain data."""
        verdicts = {"verdict": self.verdict, "control": self.control}
        return {
            "labels": self.labels.name, "against": self.against, "model": self.model, "real_images": self.images,
            "gan_trained_on": self.labels.known, "gan_saw_more_labels": self.labels.leaks,
            "methods": {
                name: {
                    "accuracy": _plain(cell.accuracy),
                    "recall": {k: _plain(v) for k, v in cell.recalls.items()},
                    "lowest_recall": cell.lowest[0],
                }
                for name, cell in self.cells.items()
            },
            **{
                key: {"word": v.word, "p": v.p, "gain": _plain(v.gain), "reason": v.reason} for key, v in verdicts.items()
            },
        }  # fmt: skip


def _plain(value: Value) -> dict[str, float]:
    return {k: v for k, v in vars(value).items() if v is not None}


def better_of_real(right: Mapping[str, Tensor]) -> str:
    """The better one of real and real + classic, with which generated images are compared. ``right`` is that of ``row_of``."""
    return REAL if right[REAL].sum() > right[CLASSIC].sum() else CLASSIC


def row_of(
    labels: Labels, model: str, images: float, right: Mapping[str, Tensor], test_labels: Tensor, names: Sequence[str]
) -> Row:
    """Build a row.

    Args:
        labels: The number of labels.
        model: Name of the GAN's run.
        images: Mean number of real images.
        right: Method -> (seeds, N) whether each test image is classified correctly.
        test_labels: (N,) classes of the test images.
        names: Names of all classes.
    """
    cells = {name: Cell.of(right[name], test_labels, names) for name in METHODS}
    against = better_of_real(right)
    verdict, control = (judge(right[name], right[against]) for name in (BOTH, NOISE))
    return Row(labels, model, images, cells, against, verdict, control)


def percent(value: Value) -> str:
    """Return a share as per cent with its interval."""
    text = f"{100 * value.value:.1f}"
    if value.low is None or value.high is None:
        return text
    return f"{text} [{100 * value.low:.1f}, {100 * value.high:.1f}]"


def text_table(rows: Sequence[Row]) -> list[str]:
    """The rows as aligned text: a line for each number of labels, a column for each method, accuracy in per cent."""
    cells = [["labels a class", *METHODS]]
    cells += [
        [row.labels.name + " *" * row.labels.leaks, *(percent(row.cells[m].accuracy) for m in METHODS)] for row in rows
    ]
    widths = [max(len(line[i]) for line in cells) for i in range(len(cells[0]))]
    return ["  ".join(cell.ljust(w) for cell, w in zip(line, widths, strict=True)).rstrip() for line in cells]


def recall_lines(rows: Sequence[Row]) -> list[str]:
    """The lowest recall of real + GAN and of GAN only in each row."""
    lines = []
    for row in rows:
        parts = [
            f"{m} {shown(row.cells[m].lowest[0])} {percent(row.cells[m].lowest[1])}" for m in (CLASSIC, ONLY, BOTH)
        ]
        lines.append(f"lowest recall of a class, {row.labels.name} labels: {'; '.join(parts)}")
    return lines


def stacked(answers: Sequence[Tensor], labels: Tensor) -> Tensor:
    """Whether the predictions of each seed are right, (seeds, N)."""
    return torch.stack([one == labels for one in answers])
