"""Choose a method by a score on held-out rows."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from ganloom.core.errors import BadInput
from ganloom.report.progress import Report
from ganloom.tables import privacy, quality, utility
from ganloom.tables.column import Column
from ganloom.tables.schema import Frame

HELD_OUT = 0.2
"""Share of the rows on which methods are compared."""
FEWEST_ROWS = 60
"""With fewer rows nothing can be compared: the copula is used."""
SAME = 0.03
"""Scores that differ by less are called equal."""
ENOUGH = 300
"""Rows from which a classifier learns to detect synthetic rows."""
MOST_NEARER = 0.6
"""A method whose rows are nearer to the training rows more often than this is not chosen."""


class Known(Protocol):
    """Where finished scores are kept."""

    scores: "dict[str, Score]"
    refused: dict[str, str]

    def keep(self, name: str, result: "Score | str") -> None:
        """Keep the score of a method, or why it cannot learn the table."""
        ...


class Method(Protocol):
    """What learns rows and draws new ones."""

    name: str

    def fit(self, frame: Frame, target: str | None = None, seed: int = 0) -> "Method":
        """Learn rows."""
        ...

    def sample(self, n: int, rng: np.random.Generator) -> Frame:
        """Draw n rows."""
        ...


@dataclass(frozen=True)
class Score:
    """The score of a method on held-out rows, and its parts: each is between 0 (worst) and 1 (best).

    Attributes:
        total: The mean of the parts.
        shape: Agreement of the columns.
        dependence: Agreement of the pairs of columns.
        utility: Score of models trained on synthetic rows, divided by that of models trained on real ones.
        detection: 1 if no classifier can tell the rows from real ones.
        nearer: See ``privacy.Privacy``.
        noise: How far ``nearer`` may be from its true value: it depends on the number of held-out rows.
    """

    total: float
    shape: float
    dependence: float
    utility: float
    detection: float
    nearer: float
    noise: float = 0.0


def score(columns: list[Column], train: Frame, held: Frame, synthetic: Frame, target: str | None, seed: int) -> Score:
    """Score synthetic rows on real rows that the method did not learn from."""
    agreement = quality.compare(columns, held, synthetic)
    useful = _utility(columns, train, held, synthetic, target, seed)
    unseen = hidden(utility.detection(columns, enough(train, held), synthetic, seed))
    near = privacy.measure(columns, train, synthetic, held, seed)
    parts = [agreement.shape, agreement.dependence, useful, unseen]
    known = [part for part in parts if not math.isnan(part)]
    return Score(float(np.mean(known)), agreement.shape, agreement.dependence, useful, unseen, near.nearer, near.noise)


def enough(train: Frame, held: Frame) -> Frame:
    """Held-out rows; with all others where they are too few for a classifier that detects synthetic rows."""
    if len(next(iter(held.values()))) >= ENOUGH:
        return held
    return {name: np.concatenate([values, held[name]]) for name, values in train.items()}


def hidden(told: dict[str, float]) -> float:
    """The AUC of classifiers as a score: 1 if they can only guess, 0 if they are always right; NaN without classifiers."""
    return min(1.0, 2 * (1 - float(np.mean(list(told.values()))))) if told else math.nan


def _utility(
    columns: list[Column], train: Frame, held: Frame, synthetic: Frame, target: str | None, seed: int
) -> float:
    if target is None:
        return math.nan
    real = utility.train_and_test(columns, train, held, target, seed)
    made = utility.train_and_test(columns, synthetic, held, target, seed)
    if real is None:
        return math.nan
    if made is None:
        return 0.0
    best = real.above_chance
    return 0.0 if best <= 0 else float(np.clip(made.above_chance / best, 0.0, 1.0))


def split(frame: Frame, share: float, seed: int) -> tuple[Frame, Frame]:
    """Split rows at random into (those to learn from, held-out ones)."""
    rows = len(next(iter(frame.values())))
    order = np.random.default_rng([seed, 1]).permutation(rows)
    held = max(1, round(share * rows))
    parts = np.sort(order[held:]), np.sort(order[:held])
    return {k: v[parts[0]] for k, v in frame.items()}, {k: v[parts[1]] for k, v in frame.items()}


def choose(
    methods: dict[str, Callable[[], Method]],
    columns: list[Column],
    frame: Frame,
    target: str | None,
    seed: int,
    progress: Report,
    valid: Callable[[Frame], Frame],
    known: Known,
) -> tuple[str, dict[str, Score], dict[str, str]]:
    """Fit each method on 80 % of the rows and score it on the others.

    Args:
        methods: Name -> a function that returns a new method.
        columns: The columns.
        frame: The rows.
        target: The column that models predict.
        seed: Seed of the split and of the methods.
        progress: Called with (what, done, total).
        valid: Brings drawn values into the bounds of their columns.
        known: Scores that are there already, and where new ones are kept.

    Returns:
        The name of the best method whose rows are not too near to the training rows; all scores; and why methods refused.
    """
    train, held = split(frame, HELD_OUT, seed)
    for number, (name, new) in enumerate(methods.items()):
        if progress is not None:
            progress(f"comparing methods on held-out rows: {name}", number, len(methods))
        if name in known.scores or name in known.refused:
            continue
        try:
            method = new().fit(train, target, seed)
        except BadInput as error:  # such as too many categories for a network
            known.keep(name, str(error))
            continue
        rows = max(len(next(iter(train.values()))), 200)
        drawn = valid(method.sample(rows, np.random.default_rng([seed, 2])))
        known.keep(name, score(columns, train, held, drawn, target, seed))
    return best_of(known.scores), known.scores, known.refused


def best_of(scores: dict[str, Score]) -> str:
    """The method with the best score among those whose rows are not too near to the training rows, beyond chance."""
    private = [name for name, found in scores.items() if not found.nearer - found.noise > MOST_NEARER]
    if not private:
        return min(scores, key=lambda name: scores[name].nearer)
    return max(private, key=lambda name: scores[name].total)


def sentence(best: str, scores: dict[str, Any]) -> str:
    """Say which method was chosen, and why."""
    listed = ", ".join(f"{name} {s.total:.3f}" for name, s in sorted(scores.items(), key=lambda item: -item[1].total))
    return (
        f"chosen: {best}, by the score on {HELD_OUT:.0%} of the rows that the methods did not learn from ({listed}; 1 is "
        "best); then it learned all rows"
    )


def whether_gan_helps(totals: dict[str, float]) -> str:
    """Say whether the GAN is better than the best other method on the held-out rows.

    Args:
        totals: Score by method, with "ctgan".
    """
    others = {name: total for name, total in totals.items() if name != "ctgan"}
    best = max(others, key=others.__getitem__)
    gain = totals["ctgan"] - others[best]
    numbers = f"on held-out rows its score is {totals['ctgan']:.3f}, that of {best} {others[best]:.3f}"
    if gain > SAME:
        return f"The GAN (ctgan) helps: {numbers}."
    if gain < -SAME:
        return f"The GAN (ctgan) does not help: {numbers}."
    return f"The GAN (ctgan) makes no difference: {numbers}."
