"""Train a recipe on images whose modes can be counted, and count the modes of its samples with a classifier ("reader").

The reader is first measured on real images with known modes: how many it classifies correctly, and the result for samples of
a perfect generator, which is the least possible divergence and the largest possible number of modes.
"""

import dataclasses
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from torch import Tensor

from ganloom.api import load
from ganloom.apps.run_cache import finished
from ganloom.core import allocator
from ganloom.core.errors import BadInput, did_you_mean
from ganloom.core.randomness import measurement_seed
from ganloom.metrics.statistics.modes import reverse_kl
from ganloom.recipes import find
from ganloom.recipes.presets import command, keywords
from ganloom.report.progress import Progress, stage


class Reader(Protocol):
    """Classifies samples."""

    def __call__(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """From images (N, C, H, W) in [-1, 1] to (modes (N,) int64, clearness (N,), larger is clearer)."""


@dataclass(frozen=True)
class Setup:
    """A recipe with its settings and its length."""

    title: str
    recipe: str
    kimg: float
    options: dict[str, Any] = field(default_factory=dict)
    """Keywords of ``ganloom.train``; "g_opt.lr" is the field lr of g_opt."""

    def command(self, data: str, seed: int = 0) -> str:
        """The command line of the training.

        Args:
            data: The data.
            seed: The seed.
        """
        return command(self.recipe, {**self.options, "total_kimg": self.kimg}, seed, data)


@dataclass(frozen=True)
class Task:
    """Data whose modes can be counted."""

    data: str
    """The name of the data for ``ganloom.data.open``, and of the task."""
    title: str
    modes: int
    samples: int
    """Number of samples to count."""
    setups: dict[str, Setup]
    reader: Callable[[], Reader]
    known: Callable[[int], tuple[Tensor, Tensor, bool]]
    """n -> (n real images, their modes, whether they were not used to make the reader)."""
    published: tuple[tuple[str, float, float, str], ...] = ()
    """Published results: name, modes, KL, source."""
    published_on: str = ""
    """On which data they were measured."""


@dataclass(frozen=True)
class Counter:
    """The quality of the reader."""

    accuracy: float
    """Share of real images whose mode is right."""
    held_out: bool
    modes: int
    kl: float
    """KL(shares of as many real images || uniform): the least possible value."""
    clear: float
    """The 1 % quantile of the clearness of real images."""


@dataclass(frozen=True)
class Row:
    """The result of one setup and seed."""

    data: str
    setup: str
    seed: int
    kimg: float
    modes: int
    kl: float
    floor: float
    quality: float
    """Share of samples that are at least as clear as 99 % of the real images."""
    seconds: float

    def to_dict(self) -> dict[str, Any]:
        """The row as plain data."""
        return dataclasses.asdict(self)


def count(read: Tensor, modes: int) -> tuple[int, float]:
    """Count modes.

    Args:
        read: Modes (N,).
        modes: Number of possible modes.

    Returns:
        (number of different modes, KL(their shares || uniform) in nats).
    """
    counts = read.bincount(minlength=modes)
    return int((counts > 0).sum()), reverse_kl(counts)


def measure_counter(task: Task, reader: Reader) -> Counter:
    """Measure the reader on real images.

    Args:
        task: The task.
        reader: Its reader.
    """
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
    progress: Progress | None = None,
) -> tuple[Counter, list[Row]]:
    """Train each setup with each seed, and count the modes of its samples.

    Finished runs are not trained again, and stopped runs are continued.

    Args:
        task: The task.
        names: Keys of ``task.setups``. Empty: all.
        seeds: Number of seeds.
        seed: The first seed.
        kimg: Length in thousands of images. None: that of each setup.
        runs: The folder for the run folders.
        each: Called with each row and 64 samples.
        progress: Shows what is done between the lines of the trainings.

    Returns:
        (the quality of the reader, the rows).

    Raises:
        BadInput: A name or a number cannot be used.
    """
    for name in names:
        if name not in task.setups:
            known = ", ".join(task.setups)
            raise BadInput(
                f'--cure: {task.data} has no setting "{name}"{did_you_mean(name, task.setups)}; it has {known}'
            )
    if seeds < 1 or (kimg is not None and not kimg > 0):
        raise BadInput(f"--seeds must be at least 1 and --total-kimg above 0, got {seeds} and {kimg}")
    allocator.keep_freed_blocks()
    stage(progress, "training the classifier that counts the modes, and measuring it")
    reader = task.reader()
    counter, rows = measure_counter(task, reader), []
    for name in tuple(names) or tuple(task.setups):
        setup = task.setups[name]
        setup = dataclasses.replace(setup, kimg=kimg or setup.kimg)
        for s in range(seed, seed + seeds):
            line = setup.command(task.data, s)
            path = runs / f"{task.data}-{name}-{zlib.crc32(line.encode()):08x}"
            options = keywords(find(setup.recipe), setup.options)
            run = finished(setup.recipe, task.data, path, progress, total_kimg=setup.kimg, seed=s, judge=0, **options)
            stage(progress, f"counting the modes of {name}, seed {s}")
            samples = load(run).generate(task.samples, seed=measurement_seed(s, "mode count"))
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
    """Write the results, and published results below them, as Markdown.

    Args:
        task: The task.
        counter: The quality of the reader.
        rows: The rows.

    Returns:
        The lines.
    """
    images = "images that it was not trained on" if counter.held_out else "the images that it was trained on"
    out = [
        f"The reader classifies {counter.accuracy:.1%} of real images correctly ({images}). {task.samples:,} real images: "
        f"{counter.modes} modes, KL {counter.kl:.3f} (the least possible value).",
        "",
        f"| setup | seed | kimg | modes of {task.modes:,} | KL to uniform | above the least value | clear | s |",
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
