"""`ganloom bench modes`: methods against mode collapse ("cures"), measured over seeds on points whose modes are known."""

import dataclasses
import math
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
from ganloom.report.number_format import duration
from ganloom.report.progress import Progress as ProgressLine

CUT = 0.5
"""Truncation of z for the figure ``truncated``."""


@dataclass(frozen=True)
class Data:
    """A data set of the benchmark."""

    what: str
    """What it is."""
    mixture: Callable[[], Mixture]
    steps: int
    """Steps of G by default."""
    plan: Plan = PLAN
    figure: str = "kl"
    """The figure that decides whether a cure helps."""
    sick: str = "plain"
    """The cure to compare with: training without the cure."""


def ring(modes: int = 8, radius: float = 1.0, sd: float = 0.01) -> Mixture:
    """Build a mixture of modes on a circle.

    Radius 1 and sd 0.01 are those of PacGAN. Radius 2 and sd 0.02, as in other papers, is the same at twice the scale.

    Args:
        modes: Number of modes.
        radius: Radius of the circle.
        sd: Standard deviation of each mode.
    """
    angles = torch.arange(modes) * (2 * math.pi / modes)
    return Mixture(radius * torch.stack([angles.cos(), angles.sin()], 1), sd)


def grid(side: int = 5, apart: float = 2.0, sd: float = 0.05) -> Mixture:
    """Build a mixture of modes on a square grid around the origin.

    Args:
        side: Number of modes on each side.
        apart: Distance between neighbours.
        sd: Standard deviation of each mode.
    """
    places = (torch.arange(side) - (side - 1) / 2) * apart
    return Mixture(torch.cartesian_prod(places, places), sd)


DATA: dict[str, Data] = {
    "ring": Data("8 modes on a circle of radius 1, sd 0.01; batches of 256, z of 2 normal numbers and 2 signs, the EMA of G "
                 "measured", ring, 8000,
                 Plan(width=32, rates=5, beta=0.999, penalties=0.05, batch=256, ema=0.1, signs=2)),
    "grid25": Data("25 modes at {-4, -2, 0, 2, 4}^2, sd 0.05, unscaled", grid, 6000),
    "grid100": Data("100 modes at {-9, -7, ..., 9}^2, sd 0.05, unscaled", lambda: grid(10), 10000),
    "narrow": Data("the grid of 25, hidden layers of 48", grid, 3000, Plan(width=48, rates=4)),
    "steady": Data("the ring, constant learning rates", ring, 3000, Plan(width=32, rates=3, steady=True), "wander"),
    "far": Data(
        "the ring, D trained 1,000 steps before G and five times as often, G by plain gradient descent", ring, 500,
        Plan(width=64, ahead=1000, critic=5, descent=0.02), "quality", "minimax",
    ),
    "few": Data(
        "the ring with sd 0.1, 256 points for each seed, D trained five times as often as G",
        lambda: Few(ring(sd=0.1).modes, 0.1, 256), 1000, Plan(width=64, rates=3, critic=5), "known",
    ),
}  # fmt: skip


@dataclass(frozen=True)
class Row:
    """The result of one cure on one data set."""

    data: str
    cure: str
    steps: int
    seeds: int
    seed: int
    """The first seed."""
    seconds: float
    """Time of training, all seeds together."""
    figures: dict[str, tuple[float, float, float]]
    """modes, fair, quality, kl and those of ``extra``: the mean over seeds and its 95 % interval."""
    worst: dict[str, float]
    """modes, quality and kl of the worst seed."""
    apart: float
    """Mean total variation between the mode shares of two seeds."""
    each: list[Modes] = field(repr=False)
    """The figures of every seed."""
    extra: dict[str, list[float]] = field(default_factory=dict, repr=False)
    """wander, sure, truncated and, for few data, known of every seed."""

    def seeds_of(self, figure: str) -> list[float]:
        """The values of a figure, one for each seed."""
        return self.extra.get(figure) or [float(getattr(one, figure)) for one in self.each]

    def to_dict(self) -> dict[str, Any]:
        """The row as plain data."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "Row":
        """The row of which ``values`` is the ``to_dict``."""
        figures = {name: (float(a), float(b), float(c)) for name, (a, b, c) in values["figures"].items()}
        return cls(**{**values, "figures": figures, "each": [Modes(**one) for one in values["each"]]})


class Progress:
    """Report which cure is at which step, and the time left.

    Args:
        cures: Number of cures.
        steps: Number of steps of each.
        show: Prints the progress. None: nothing is printed.
    """

    def __init__(self, cures: int, steps: int, show: ProgressLine | None = None) -> None:
        self.cures, self.steps, self.cure, self.name, self.show = cures, steps, 0, "", show
        self.start = time.perf_counter()

    def begin(self, name: str) -> None:
        """Start the next cure."""
        self.cure, self.name = self.cure + 1, name
        if self.show is not None:
            self.show.say(f"[{self.cure}/{self.cures}] {name}: {self.steps} steps{self.left(0)}")

    def at(self, step: int) -> None:
        """Report that a step is done."""
        if self.show is not None:
            self.show(f"[{self.cure}/{self.cures}] {self.name}: steps of training", step, self.steps)

    def left(self, step: int) -> str:
        """Estimate the time left from the steps so far. The times of cures differ by a factor of about 3."""
        done = (self.cure - 1) * self.steps + step
        if not done:
            return ""
        left = (time.perf_counter() - self.start) * (self.cures * self.steps / done - 1)
        return f", about {duration(left)} left"

    def measuring(self) -> None:
        """Report that the samples are measured."""
        if self.show is not None:
            self.show(f"[{self.cure}/{self.cures}] {self.name}: measuring the samples")


def measure(
    data: str,
    cures: Sequence[str] = MAIN,
    seeds: int = 10,
    steps: int | None = None,
    seed: int = 0,
    *,
    each: Callable[[Row, Trained], None] = lambda row, trained: None,
    show: ProgressLine | None = None,
) -> list[Row]:
    """Train each cure with all seeds at once, and measure 2,500 samples of each seed.

    Args:
        data: A key of ``DATA``.
        cures: Keys of ``CURES``.
        seeds: Number of seeds.
        steps: Steps of G. None: by the data set.
        seed: The first seed.
        each: Called with each row and its networks.
        show: Prints the progress. None: nothing is printed.

    Returns:
        One row for each cure.

    Raises:
        BadInput: A name or a number cannot be used.
    """
    if data not in DATA:
        raise BadInput(f'--data: there is no data set "{data}"{did_you_mean(data, DATA)}; use {", ".join(DATA)}, dirac')
    if seeds < 1 or (steps is not None and steps < 1):
        raise BadInput(f"--seeds and --steps must be at least 1, got {seeds} and {steps}")
    for name in cures:
        find(name)
    batch = DATA[data].plan.batch
    bad = [name for name in cures if batch % CURES[name].pack]
    if bad:
        raise BadInput(
            f"--cure: {bad[0]} packs {CURES[bad[0]].pack} samples, but the batch of {batch} is not a multiple of that"
        )
    allocator.keep_freed_blocks()
    mixture, steps = DATA[data].mixture(), steps or DATA[data].steps
    progress = Progress(len(cures), steps, show)
    rows = []
    for name in cures:
        progress.begin(name)
        trained = train(CURES[name], mixture, seeds, steps, seed, progress.at, DATA[data].plan)
        progress.measuring()
        rows.append(judge(trained, mixture, data, name, steps, seed))
        each(rows[-1], trained)
    return rows


def judge(trained: Trained, mixture: Mixture, data: str, cure: str, steps: int, seed: int) -> Row:
    """Measure one training.

    Args:
        trained: The networks.
        mixture: The data.
        data: The name of the data set.
        cure: The name of the cure.
        steps: Steps of G.
        seed: The first seed.

    Returns:
        The row.
    """
    samples = list(trained.sample(SAMPLES, seed))
    coverage = [mode_coverage(x, mixture.modes, mixture.sd) for x in samples]
    worst = {
        "modes": float(min(m.modes for m in coverage)),
        "quality": min(m.quality for m in coverage),
        "kl": max(m.kl for m in coverage),
    }
    extra = others(trained, mixture, seed)
    figures = dict(means(coverage, len(mixture.modes)))
    figures.update({name: over_seeds(values, 0.0, 1.0) for name, values in extra.items()})
    apart = seed_distance(samples, mixture.modes, mixture.sd)
    return Row(data, cure, steps, len(coverage), seed, trained.seconds, figures, worst, apart, coverage, extra)


@torch.no_grad()
def others(trained: Trained, mixture: Mixture, seed: int) -> dict[str, list[float]]:
    """Compute more figures of every seed, each in [0, 1].

    wander: total variation of the mode shares (and of the share of bad samples) between snapshots of G late in the run, with
    equal z. sure: mean of twice the distance from 1/2 of the probabilities that D gives to training points and fakes.
    truncated: share of good samples with truncated z. known, for ``Few`` only: share of pairs of a training point and a new
    point for which D gives the training point the higher logit (1/2: it has memorised none).

    Args:
        trained: The networks.
        mixture: The data.
        seed: The first seed.

    Returns:
        Name -> values, one for each seed.
    """
    snapshots = [_shares(x, mixture) for x in trained.looks]
    pairs = [(a - b).abs().sum(1) / 2 for a, b in zip(snapshots, snapshots[1:], strict=False)]
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
        old = _logits(trained, mixture.points)[:, :, None]
        fresh = _logits(trained, mixture.fresh(seeds * n).view(seeds, n, -1))[:, None]
        out["known"] = ((old > fresh).float() + (old == fresh).float() / 2).mean((1, 2)).tolist()
    return out


def _logits(trained: Trained, x: Tensor) -> Tensor:
    """D's logits (S, n / pack) for (S, n, d), batch by batch, because some D use the whole batch."""
    return torch.cat([trained.D(part.flatten(0, 1)).view(len(x), -1) for part in x.split(BATCH, 1)], 1)


def _shares(samples: Tensor, mixture: Mixture) -> Tensor:
    """(S, n, d) -> (S, K + 1): the share of samples near each mode, and near no mode."""
    near = torch.stack([mode_counts(x, mixture.modes, mixture.sd) for x in samples])
    return torch.cat([near, samples.shape[1] - near.sum(1, keepdim=True)], 1) / samples.shape[1]
