"""`ganloom bench modes`: cures for mode collapse measured over seeds, on points whose modes are known."""

import dataclasses
import math
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from ganloom.bench.modes.cures import CURES, MAIN, find
from ganloom.bench.modes.toy_gans import BATCH, PLAN, Few, Mixture, Plan
from ganloom.bench.modes.toy_training import SAMPLES, Trained, train
from ganloom.core import allocator
from ganloom.core.errors import BadInput, did_you_mean
from ganloom.metrics.statistics.modes import Modes, means, mode_counts, mode_coverage, over_seeds, seed_distance
from ganloom.report.figures import duration

CUT = 0.5
"""Where z is cut to see what truncation does."""


@dataclass(frozen=True)
class Data:
    """A mixture and how long it is trained by default."""

    what: str
    mixture: Callable[[], Mixture]
    steps: int
    plan: Plan = PLAN
    figure: str = "kl"
    """What a cure is judged by on it."""
    sick: str = "plain"
    """The cure that is none."""


def ring(modes: int = 8, radius: float = 1.0, sd: float = 0.01) -> Mixture:
    """Modes on a circle (radius 1, sd 0.01 as in PacGAN; 2 and 0.02 of others is the same, doubled)."""
    angles = torch.arange(modes) * (2 * math.pi / modes)
    return Mixture(radius * torch.stack([angles.cos(), angles.sin()], 1), sd)


def grid(side: int = 5, apart: float = 2.0, sd: float = 0.05) -> Mixture:
    """side^2 modes ``apart`` from each other, about the origin, unscaled."""
    places = (torch.arange(side) - (side - 1) / 2) * apart
    return Mixture(torch.cartesian_prod(places, places), sd)


DATA: dict[str, Data] = {
    "ring": Data("8 modes on a circle of radius 1, sd 0.01; batches of 256, z of 2 normal numbers and 2 signs, G's average "
                 "measured", ring, 8000,
                 Plan(width=32, rates=5, beta=0.999, penalties=0.05, batch=256, ema=0.1, signs=2)),
    "grid25": Data("25 modes at {-4, -2, 0, 2, 4}^2, sd 0.05, unscaled", grid, 6000),
    "grid100": Data("100 modes at {-9, -7, ..., 9}^2, sd 0.05, unscaled", lambda: grid(10), 10000),
    "narrow": Data("the grid of 25, hidden layers of 48", grid, 3000, Plan(width=48, rates=4)),
    "steady": Data("the ring, rates that do not fall", ring, 3000, Plan(width=32, rates=3, steady=True), "wander"),
    "far": Data(
        "the ring, D 1,000 steps ahead and trained five times as often, G by plain gradient descent", ring, 500,
        Plan(width=64, ahead=1000, critic=5, descent=0.02), "quality", "minimax",
    ),
    "few": Data(
        "the ring with sd 0.1, of which a seed has 256 points, D trained five times as often as G",
        lambda: Few(ring(sd=0.1).modes, 0.1, 256), 1000, Plan(width=64, rates=3, critic=5), "known",
    ),
}  # fmt: skip


@dataclass(frozen=True)
class Row:
    """One cure on one data set."""

    data: str
    cure: str
    steps: int
    seeds: int
    seed: int
    """The first seed."""
    seconds: float
    """Of training, all seeds together."""
    figures: dict[str, tuple[float, float, float]]
    """modes, fair, quality, kl and those of ``extra``: mean over seeds, and its 95 % interval."""
    worst: dict[str, float]
    """The worst seed's modes, quality and kl."""
    apart: float
    """Mean total variation between the seeds' shares over the modes."""
    each: list[Modes] = field(repr=False)
    """Every seed's figures."""
    extra: dict[str, list[float]] = field(default_factory=dict, repr=False)
    """Every seed's wander, sure, truncated and, where the data is few, known."""

    def seeds_of(self, figure: str) -> list[float]:
        """A figure of every seed."""
        return self.extra.get(figure) or [float(getattr(one, figure)) for one in self.each]

    def to_dict(self) -> dict[str, Any]:
        """JSON-able."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "Row":
        """What ``to_dict`` gave."""
        figures = {name: (float(a), float(b), float(c)) for name, (a, b, c) in values["figures"].items()}
        return cls(**{**values, "figures": figures, "each": [Modes(**one) for one in values["each"]]})


class Progress:
    """Which cure is at which step, and how long all will take yet, on stderr; rewritten in place on a terminal."""

    def __init__(self, cures: int, steps: int) -> None:
        self.cures, self.steps, self.cure, self.name = cures, steps, 0, ""
        self.begun = self.told = time.perf_counter()

    def begin(self, name: str) -> None:
        """The next cure."""
        self.cure, self.name = self.cure + 1, name
        if not sys.stderr.isatty():
            print(f"[{self.cure}/{self.cures}] {name}: {self.steps} steps{self.left(0)}", file=sys.stderr, flush=True)

    def at(self, step: int) -> None:
        """A step is done."""
        now = time.perf_counter()
        if now - self.told > 0.5 and sys.stderr.isatty():
            self.told = now
            text = f"[{self.cure}/{self.cures}] {self.name}: step {step} of {self.steps}{self.left(step)}; Ctrl-C stops"
            print(f"{text:<90}", end="\r", file=sys.stderr, flush=True)

    def left(self, step: int) -> str:
        """An estimate from the steps so far; cures differ by a factor of about 3."""
        done = (self.cure - 1) * self.steps + step
        if not done:
            return ""
        left = (time.perf_counter() - self.begun) * (self.cures * self.steps / done - 1)
        return f", about {duration(left)} left"

    def end(self) -> None:
        """Clear the line."""
        if sys.stderr.isatty():
            print(" " * 90, end="\r", file=sys.stderr, flush=True)


def measure(
    data: str,
    cures: Sequence[str] = MAIN,
    seeds: int = 10,
    steps: int | None = None,
    seed: int = 0,
    *,
    each: Callable[[Row, Trained], None] = lambda row, trained: None,
) -> list[Row]:
    """Train each cure with ``seeds`` seeds at once and measure 2,500 samples of each; ``each`` hears of it at once."""
    if data not in DATA:
        raise BadInput(f'--data: none is called "{data}"{did_you_mean(data, DATA)}: {", ".join(DATA)}, dirac')
    if seeds < 1 or (steps is not None and steps < 1):
        raise BadInput(f"--seeds and --steps count from 1, got {seeds} and {steps}")
    for name in cures:
        find(name)
    batch = DATA[data].plan.batch
    bad = [name for name in cures if batch % CURES[name].pack]
    if bad:
        raise BadInput(f"--cure: {bad[0]} packs {CURES[bad[0]].pack}, which does not divide the batch of {batch}")
    allocator.keep_freed_blocks()
    mixture, steps = DATA[data].mixture(), steps or DATA[data].steps
    progress = Progress(len(cures), steps)
    rows = []
    for name in cures:
        progress.begin(name)
        trained = train(CURES[name], mixture, seeds, steps, seed, progress.at, DATA[data].plan)
        rows.append(judge(trained, mixture, data, name, steps, seed))
        progress.end()
        each(rows[-1], trained)
    return rows


def judge(trained: Trained, mixture: Mixture, data: str, cure: str, steps: int, seed: int) -> Row:
    """The row of one training."""
    samples = list(trained.sample(SAMPLES, seed))
    found = [mode_coverage(x, mixture.modes, mixture.sd) for x in samples]
    worst = {
        "modes": float(min(m.modes for m in found)),
        "quality": min(m.quality for m in found),
        "kl": max(m.kl for m in found),
    }
    extra = others(trained, mixture, seed)
    figures = dict(means(found, len(mixture.modes)))
    figures.update({name: over_seeds(values, 0.0, 1.0) for name, values in extra.items()})
    apart = seed_distance(samples, mixture.modes, mixture.sd)
    return Row(data, cure, steps, len(found), seed, trained.seconds, figures, worst, apart, found, extra)


@torch.no_grad()
def others(trained: Trained, mixture: Mixture, seed: int) -> dict[str, list[float]]:
    """Figures of every seed beside those of its samples, each from 0 to 1.

    wander: total variation of the shares over the modes (and of the share near none) between one look and the next, late in
    the run and for the same z. sure: how far from 1/2 the probability is that D gives to training points and to fakes,
    times 2, mean. truncated: good samples where z is cut. known: share of pairs of a training point and a fresh one where
    D tells which is which (1/2: it has learned no point by heart), for `Few` only.
    """
    looks = [_shares(x, mixture) for x in trained.looks]
    pairs = [(a - b).abs().sum(1) / 2 for a, b in zip(looks, looks[1:], strict=False)]
    wander = torch.stack(pairs).mean(0) if pairs else torch.zeros(trained.G.seeds)
    n, seeds = 20 * BATCH, trained.G.seeds
    fakes, real = trained.sample(n, seed), mixture.draw(seeds * n).view(seeds, n, -1)
    logits = torch.cat([_logits(trained, real), _logits(trained, fakes)], 1)
    cut = [mode_coverage(x, mixture.modes, mixture.sd).quality for x in trained.sample(SAMPLES, seed, CUT)]
    out = {
        "wander": wander.tolist(),
        "sure": (2 * logits.sigmoid() - 1).abs().mean(1).tolist(),
        "truncated": cut,
    }
    if isinstance(mixture, Few):
        seen = _logits(trained, mixture.points)[:, :, None]
        fresh = _logits(trained, mixture.fresh(seeds * n).view(seeds, n, -1))[:, None]
        out["known"] = ((seen > fresh).float() + (seen == fresh).float() / 2).mean((1, 2)).tolist()
    return out


def _logits(trained: Trained, x: Tensor) -> Tensor:
    """D's of (S, n, d): (S, n / pack), a batch at a time, since some D look at the whole batch."""
    return torch.cat([trained.D(part.flatten(0, 1)).view(len(x), -1) for part in x.split(BATCH, 1)], 1)


def _shares(samples: Tensor, mixture: Mixture) -> Tensor:
    """(S, n, d) -> (S, K + 1): of each mode, and of none."""
    near = torch.stack([mode_counts(x, mixture.modes, mixture.sd) for x in samples])
    return torch.cat([near, samples.shape[1] - near.sum(1, keepdim=True)], 1) / samples.shape[1]
