"""Choose the score by a rule that never sees an anomaly: which one tells held-out normal samples from damaged copies of them."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ganloom.anomaly import corruptions, roc
from ganloom.anomaly.methods import SUMS, WORTHLESS
from ganloom.anomaly.scorers import Scorers
from ganloom.report.progress import Report

MOST = 200
"""Held-out samples that are damaged."""
TIE = 0.01
"""Differences of the mean AUROC below this are noise. Then a sum of two scores is preferred, for it has two kinds of evidence."""
RULE = "the highest mean AUROC over {kinds} kinds of synthetic damage of {n} held-out normal {samples}; no anomaly was used"


@dataclass(frozen=True)
class Choice:
    """Which score was chosen, and what it was compared with.

    Attributes:
        score: Name of the score.
        areas: Score -> kind of damage -> AUROC.
        rule: The rule in words.
    """

    score: str
    areas: dict[str, dict[str, float]]
    rule: str

    def means(self) -> list[tuple[str, float]]:
        """Return (score, mean AUROC), the best first."""
        return sorted(
            ((name, float(np.mean(list(kinds.values())))) for name, kinds in self.areas.items()),
            key=lambda item: -item[1],
        )

    def sentence(self) -> str:
        """Say what was chosen and why."""
        means = self.means()
        others = ", ".join(f"{name} {value:.3f}" for name, value in means if name != self.score)
        return f"chose {self.score} ({dict(means)[self.score]:.3f}; {others}) by {self.rule}"


def choose(
    scorers: Scorers, hold_out: Tensor, seed: int, names: Sequence[str] | None = None, progress: Report = None
) -> Choice:
    """Choose the score.

    Args:
        scorers: The scores.
        hold_out: Normal samples (N, *shape) that nothing was trained on, N at least 2.
        seed: Seed of the damage.
        names: The candidates; None: all scores but those that are known to be worthless.
        progress: Called with (what, done, total).

    Returns:
        The choice, see ``best_of``.
    """
    normal = hold_out[:MOST]
    kinds = corruptions.damaged(normal, seed)
    everything = torch.cat([normal, *(samples for samples, _ in kinds.values())])
    candidates = [n for n in (scorers.names if names is None else names) if n not in WORTHLESS]
    found = scorers.scores(everything, candidates, progress)
    n, areas = len(normal), {}
    anomalous = np.repeat([False, True], n)
    for name, values in found.items():
        areas[name] = {
            kind: roc.auroc(np.concatenate([values[:n], values[n * (i + 1) : n * (i + 2)]]), anomalous)
            for i, kind in enumerate(kinds)
        }
    best = best_of({name: float(np.mean(list(by_kind.values()))) for name, by_kind in areas.items()})
    samples = "images" if hold_out.dim() == 4 else "rows"
    return Choice(best, areas, RULE.format(kinds=len(kinds), n=n, samples=samples))


def best_of(means: dict[str, float]) -> str:
    """Return the score with the highest mean; a sum of two scores that is at most ``TIE`` below it is preferred."""
    best = max(means, key=lambda name: means[name])
    near = [name for name in means if name in SUMS and means[name] >= means[best] - TIE]
    return max(near, key=lambda name: means[name]) if near else best
