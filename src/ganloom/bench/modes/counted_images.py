"""Images whose modes can be counted: a recipe is trained on them, a reader that is measured first says what it made.

The reader is measured on real images whose truth is known: how many it reads rightly, and what samples of a perfect
generator would get from it, which is the floor of the divergence and the ceiling of the modes.
"""

import dataclasses
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor

from ganloom.api import load
from ganloom.apps.run_cache import finished
from ganloom.core import allocator
from ganloom.core.errors import BadInput, did_you_mean
from ganloom.metrics.statistics.modes import reverse_kl
from ganloom.recipes import find
from ganloom.recipes.presets import command, keywords


class Reader(Protocol):
    """What a sample shows."""

    def __call__(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Images (N, C, H, W) in [-1, 1] to (mode (N,) int64, how clearly it is seen (N,), more is clearer)."""


@dataclass(frozen=True)
class Setup:
    """A recipe with what is changed in it, and how long it is trained."""

    title: str
    recipe: str
    kimg: float
    options: dict[str, Any] = field(default_factory=dict)
    """A dot leads into an optimizer: "g_opt.lr"."""

    def command(self, data: str, seed: int = 0) -> str:
        """The training alone."""
        return command(self.recipe, {**self.options, "total_kimg": self.kimg}, seed, data)


@dataclass(frozen=True)
class Task:
    """Data with countable modes."""

    data: str
    """What ``ganloom.data.open`` takes; also the task's name."""
    title: str
    modes: int
    samples: int
    """That are drawn and counted."""
    setups: dict[str, Setup]
    reader: Callable[[], Reader]
    known: Callable[[int], tuple[Tensor, Tensor, bool]]
    """n real images, their modes, and whether the reader never saw them."""
    published: tuple[tuple[str, float, float, str], ...] = ()
    """Name, modes, KL, source."""
    published_on: str = ""


@dataclass(frozen=True)
class Counter:
    """The reader, measured."""

    accuracy: float
    """Share of real images whose whole mode it reads rightly."""
    held_out: bool
    modes: int
    kl: float
    """The floor: KL(shares among as many real images || uniform)."""
    clear: float
    """The 1 % quantile of how clearly real images are seen."""


@dataclass(frozen=True)
class Row:
    """One setup and seed."""

    data: str
    setup: str
    seed: int
    kimg: float
    modes: int
    kl: float
    floor: float
    quality: float
    """Share of samples that are seen as clearly as 99 % of the real ones."""
    seconds: float

    def to_dict(self) -> dict[str, Any]:
        """JSON-able."""
        return dataclasses.asdict(self)


def count(read: Tensor, modes: int) -> tuple[int, float]:
    """Different modes among (N,), and KL(their shares || uniform) in nats."""
    counts = read.bincount(minlength=modes)
    return int((counts > 0).sum()), reverse_kl(counts)


def measure_counter(task: Task, reader: Reader) -> Counter:
    """The reader on real images."""
    x, truth, held_out = task.known(task.samples)
    read, clear = reader(x)
    accuracy = float((read == truth).float().mean())
    return Counter(accuracy, held_out, *count(read, task.modes), float(clear.quantile(0.01)))


def measure(
    task: Task,
    names: Sequence[str] = (),
    seeds: int = 1,
    seed: int = 0,
    kimg: float | None = None,
    runs: Path = Path("runs/modes"),
    *,
    each: Callable[[Row, Tensor], None] = lambda row, samples: None,
) -> tuple[Counter, list[Row]]:
    """Train each setup with each seed into ``runs``, one after the other, and count its samples; ``each`` hears at once.

    What was trained before is not trained again, and what was stopped goes on.
    """
    for name in names:
        if name not in task.setups:
            known = ", ".join(task.setups)
            raise BadInput(f'--cure: {task.data} has no "{name}"{did_you_mean(name, task.setups)}: {known}')
    if seeds < 1 or (kimg is not None and not kimg > 0):
        raise BadInput(f"--seeds counts from 1 and --kimg is above 0, got {seeds} and {kimg}")
    allocator.keep_freed_blocks()
    reader = task.reader()
    counter, rows = measure_counter(task, reader), []
    for name in tuple(names) or tuple(task.setups):
        setup = task.setups[name]
        setup = dataclasses.replace(setup, kimg=kimg or setup.kimg)
        for s in range(seed, seed + seeds):
            line = setup.command(task.data, s)
            path = runs / f"{task.data}-{name}-{zlib.crc32(line.encode()):08x}"
            options = keywords(find(setup.recipe), setup.options)
            run = finished(setup.recipe, task.data, path, total_kimg=setup.kimg, seed=s, judge=0, **options)
            samples = load(run).generate(task.samples, seed=s)
            read, clear = reader(samples)
            quality = float((clear >= counter.clear).float().mean())
            last = run.metrics[-1]
            modes, kl = count(read, task.modes)
            rows.append(
                Row(task.data, name, s, last["kimg"], modes, kl, counter.kl, quality, last["seconds"])
            )  # fmt: skip
            each(rows[-1], samples[:64])
    return counter, rows


def table(task: Task, counter: Counter, rows: Sequence[Row]) -> list[str]:
    """What was measured, as Markdown, and below it what papers report."""
    seen = "never saw" if counter.held_out else "was made from"
    out = [
        f"The reader names {counter.accuracy:.1%} of real images wholly right, of those that it {seen}; {task.samples:,} "
        f"real ones: {counter.modes} modes, KL {counter.kl:.3f} (the floor).",
        "",
        f"| setup | seed | kimg | modes of {task.modes:,} | KL to uniform | above the floor | clear | s |",
        "|---|---|---|---|---|---|---|---|",
    ]
    out += [
        f"| `{row.setup}`: {task.setups[row.setup].title} | {row.seed} | {row.kimg:.0f} | {row.modes} | {row.kl:.3f} "
        f"| {row.kl - row.floor:+.3f} | {row.quality:.1%} | {row.seconds:.0f} |"
        for row in rows
    ]
    if task.published:
        out += ["", task.published_on, "", "| | modes | KL | source |", "|---|---|---|---|"]
        out += [f"| {name} | {modes:g} | {kl:.2f} | {source} |" for name, modes, kl, source in task.published]
    return out


def rows_of(images: Tensor) -> Tensor:
    """uint8 (N, H, W, C) to (N, C, H, W) float32 in [-1, 1]."""
    return images.permute(0, 3, 1, 2).to(torch.float32) / 127.5 - 1
