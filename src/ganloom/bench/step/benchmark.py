"""`ganloom bench step`: measure training steps and sampling, the share of the training loop, and other projects."""

import copy
import dataclasses
import math
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ganloom.api import prepare
from ganloom.bench.step import first_step
from ganloom.bench.step.bare_loop import Bare
from ganloom.bench.step.contenders import cycle as lazies_of
from ganloom.bench.step.contenders import data as ready_of
from ganloom.bench.step.contenders import ours, peer_of, run_of, sampling
from ganloom.bench.step.flops import count
from ganloom.bench.step.timing import Contestant, Progress, Watch, clock, contest, cycle_of, ratio
from ganloom.bench.step.worker import Shipped
from ganloom.core import allocator, hardware
from ganloom.core.device import choose_device, choose_precision
from ganloom.core.errors import BadInput
from ganloom.core.hardware import Machine
from ganloom.core.randomness import Rng
from ganloom.gan import GAN
from ganloom.recipes import find
from ganloom.report.progress import Progress as ProgressLine
from ganloom.training.trainer import TrainConfig, Trainer

LOOP, DATA = 0.03, 0.02
"""Targets: what the Trainer adds to the bare steps, and the share of a step for the data."""

LAYOUTS, SHORT = 15, 0.05
"""Number of copies of a model at different places in memory, if a step takes less than this many seconds. The share of the
loop is a median over the copies."""


@dataclass(frozen=True)
class Options:
    """How to measure."""

    rounds: int = 5
    steps: int | None = None
    precision: str = "auto"
    device: str = "auto"
    data: str = "fashion-10k"
    seconds: float = 60.0
    """No round of a row starts after this time."""


@dataclass(frozen=True)
class Row:
    """One line of the report. Times are medians; ratios are medians over turns, of values from the same turn."""

    kind: str
    name: str
    precision: str
    img_per_s: float
    ms: float
    gflop: float
    gflop_per_s: float
    share: float
    """Of the peak of matrix products in ``precision``."""
    loop: float | None = None
    """For recipes: (step - data - bare step) / bare step."""
    data: float | None = None
    """For recipes: time for data / time of the step."""
    shipped: float | None = None
    """For other projects: our speed / their speed in a separate process with the default malloc."""
    same: float | None = None
    """For other projects: our speed / their speed with our malloc settings."""
    turns: int = 0


@dataclass(frozen=True)
class Report:
    """All measurements."""

    machine: Machine
    allocator: bool
    rows: list[Row]
    start: float | None = None
    """Seconds from `ganloom train` to its first step."""

    def to_dict(self) -> dict[str, Any]:
        """The report as plain data."""
        return dataclasses.asdict(self)


def measure(recipes: Sequence[str], peers: Sequence[str], options: Options, show: ProgressLine | None = None) -> Report:
    """Measure recipes, then the networks of other projects.

    Args:
        recipes: Names of recipes.
        peers: Names of other projects.
        options: How to measure.
        show: Prints the progress. None: nothing is printed.

    Returns:
        The report.

    Raises:
        BadInput: A name or a number cannot be used.
    """
    if options.rounds < 1 or (options.steps is not None and options.steps < 1):
        raise BadInput(f"--rounds and --steps must be at least 1, got {options.rounds} and {options.steps}")
    for name in recipes:
        find(name)
    for name in peers:
        peer_of(name)
    device = choose_device(options.device)
    malloc_set = allocator.keep_freed_blocks()
    progress = Progress(2 + len(recipes) + 2 * len(peers), show)
    progress.begin("the first step of `ganloom train`")
    first = first_step.seconds(recipes[0], options.data, device) if recipes else None
    progress.begin("matrix products")
    here = hardware.measure(device)
    rows: list[Row] = []
    for name in recipes:
        progress.begin(f"recipe {name}: training loop, bare steps, data")
        rows.append(_recipe(name, here, options, progress))
    for name in peers:
        with Shipped(name, device) as shipped:
            progress.begin(f"{peer_of(name).script}: its step and ours")
            rows += _steps(name, shipped, here, options, progress)
            progress.begin(f"{peer_of(name).script}: its sampling and ours")
            rows += _samples(name, shipped, here, options, progress)
    # If other programs disturbed the first measurement of the peak, all shares would be too high: use the better of two.
    after = hardware.measure(device).peaks
    peaks = {name: max(value, after[name]) for name, value in here.peaks.items()}
    rows = [dataclasses.replace(row, share=row.gflop_per_s / peaks[row.precision]) for row in rows]
    return Report(dataclasses.replace(here, peaks=peaks), malloc_set, rows, first)


def trainer_of(gan: GAN, data: Any, device: str, precision: str) -> Trainer:
    """Build the Trainer that ``ganloom.train`` would use, without callbacks.

    Args:
        gan: The model.
        data: The data.
        device: The device.
        precision: "float32" or "bf16".
    """
    half_life = getattr(gan.cfg, "ema_kimg", None)
    cfg = TrainConfig(device=device, precision=precision)
    return Trainer(gan, data, cfg, device=device, bf16=precision == "bf16", ema_kimg=half_life)


def _recipe(name: str, here: Machine, options: Options, progress: Progress) -> Row:
    """Time the Trainer's step and the bare step in turns, on several copies of the model; data is timed inside the step.

    The place of the tensors in memory changes the time of a small network by some per cent, as much as the loop adds. So all
    copies stay in memory, and each is at another place.
    """
    gan, data = prepare(name, options.data)
    precision = choose_precision(options.precision, here.device, gan)
    ready = [gan.draw(data, Rng(1, i, i * gan.cfg.batch_size)) for i in range(8)]
    times: dict[str, list[float]] = {"step": [], "bare": [], "draw": []}
    copies: list[tuple[Trainer, Bare]] = []
    wait, layouts = _wait(here.device), LAYOUTS
    while len(copies) < layouts:
        trainer = trainer_of(copy.deepcopy(gan), data, here.device, precision)
        bare = Bare(copy.deepcopy(gan), ready, here.device, precision == "bf16")
        copies.append((trainer, bare))
        cycle = cycle_of([phase.lazy for phase in trainer.phases])
        images = _images(trainer)
        if len(copies) == 1:
            start = time.perf_counter()
            gflop = _gflop(trainer.train_step, cycle)
            layouts = LAYOUTS if (time.perf_counter() - start) / cycle < SHORT else 1
        watch = Watch(trainer.gan.draw)
        trainer.gan.draw = watch  # type: ignore[method-assign]
        some = contest(
            {"step": watch.around(clock(trainer.train_step, wait)), "bare": clock(bare.step, wait)},
            math.ceil(options.rounds / layouts), steps=options.steps, cycle=cycle,
            seconds=options.seconds / layouts, progress=progress,
        )  # fmt: skip
        some["draw"] = watch.turns[-len(some["step"]) :]
        for key, values in some.items():
            times[key] += values
    added = [s - d for s, d in zip(times["step"], times["draw"], strict=True)]
    return _row(
        "recipe", name, precision, times["step"], images, gflop, here,
        loop=ratio(added, times["bare"]) - 1, data=ratio(times["draw"], times["step"]),
    )  # fmt: skip


def _steps(name: str, shipped: Shipped, here: Machine, options: Options, progress: Progress) -> list[Row]:
    """Time the script in its own process, the script in this process, and ours in float32 and (if supported) in bf16."""
    peer, wait = run_of(name, here.device), _wait(here.device)
    trainers = {precision: _ours(name, precision, here.device) for precision in _precisions(name, options, here.device)}
    cycle = cycle_of(lazies_of(name))
    contestants: dict[str, Contestant] = {"shipped": shipped.contestant("step"), "same": clock(peer.step, wait)}
    contestants |= {precision: clock(run.train_step, wait) for precision, run in trainers.items()}
    times = contest(
        contestants, options.rounds, steps=options.steps, cycle=cycle, seconds=options.seconds, progress=progress
    )  # fmt: skip
    images = peer_of(name).batch * peer_of(name).n_critic
    gflop = _gflop(peer.step, cycle)
    script = peer_of(name).script
    rows = [
        _row("peer", f"{script} as shipped", "float32", times["shipped"], images, gflop, here),
        _row("peer", f"{script} with our malloc", "float32", times["same"], images, gflop, here),
    ]
    return rows + [
        _row(
            "peer", f"{script} our way", precision, times[precision], images, _gflop(run.train_step, cycle), here,
            shipped=ratio(times["shipped"], times[precision]), same=ratio(times["same"], times[precision]),
        )
        for precision, run in trainers.items()
    ]  # fmt: skip


def _samples(name: str, shipped: Shipped, here: Machine, options: Options, progress: Progress) -> list[Row]:
    """Time sampling of about 64 images: the script's G in eval mode, and our ``generate`` with a latent for each seed."""
    peer, gan, wait = run_of(name, here.device), ours(name), _wait(here.device)
    trainer_of(gan, None, here.device, "float32")  # sets the memory layout of the networks
    calls = {at: sampling(name, gan, here.device, at) for at in _precisions(name, options, here.device)}
    n = calls["float32"][0]
    contestants: dict[str, Contestant] = {"shipped": shipped.contestant("sample"), "same": clock(peer.sample, wait)}
    contestants |= {precision: clock(call, wait) for precision, (_, call) in calls.items()}
    times = contest(
        contestants,
        options.rounds, steps=options.steps, seconds=options.seconds, progress=progress,
    )  # fmt: skip
    script, gflop = peer_of(name).script, _gflop(peer.sample)
    return [
        _row("sample", f"{script} as shipped", "float32", times["shipped"], n, gflop, here),
        _row("sample", f"{script} with our malloc", "float32", times["same"], n, gflop, here),
        *(
            _row(
                "sample", f"{script} generate()", precision, times[precision], n, _gflop(call), here,
                shipped=ratio(times["shipped"], times[precision]), same=ratio(times["same"], times[precision]),
            )
            for precision, (_, call) in calls.items()
        ),
    ]  # fmt: skip


def _ours(name: str, precision: str, device: str) -> Trainer:
    return trainer_of(ours(name), ready_of(name, device), device, precision)


def _precisions(name: str, options: Options, device: str) -> list[str]:
    """float32, for the same numbers as the script, and the chosen precision."""
    chosen = choose_precision(options.precision, device, ours(name))
    return ["float32"] if chosen == "float32" else ["float32", "bf16"]


def _images(trainer: Trainer) -> int:
    """Real images in a step."""
    before = trainer.nimg
    trainer.train_step()
    return trainer.nimg - before


def _gflop(step: Any, cycle: int = 1) -> float:
    return count(lambda: [step() for _ in range(cycle)]).total / cycle / 1e9


def _wait(device: str) -> Any:
    return lambda: hardware.wait(device)


def _row(
    kind: str,
    name: str,
    precision: str,
    times: Sequence[float],
    images: int,
    gflop: float,
    here: Machine,
    **ratios: float,
) -> Row:
    seconds = statistics.median(times)
    speed = gflop / seconds
    return Row(
        kind, name, precision, images / seconds, seconds * 1e3, gflop, speed, speed / here.peaks[precision],
        turns=len(times), **ratios,
    )  # fmt: skip
