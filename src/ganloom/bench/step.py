"""``ganloom bench step``: whole training steps, in images and operations a second, beside the loop's own share and a peer."""

import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch

from ganloom import allocator, randomness, recipes
from ganloom import data as datasets
from ganloom.bench import flops, peers
from ganloom.config import replace
from ganloom.device import choose_precision
from ganloom.gan import GAN
from ganloom.trainer import TrainConfig, Trainer

Say = Callable[[str], None]


@dataclass(frozen=True)
class Row:
    """One recipe's step. ``share``: of the measured matrix-product peak in that precision; ``loop`` and ``data``: what
    the loop adds to the bare network steps, and what drawing batches takes of a step, both as fractions."""

    name: str
    precision: str
    img_per_s: float
    ms: float
    gflop: float
    gflop_per_s: float
    share: float
    loop: float
    data: float


@dataclass(frozen=True)
class PeerRow:
    """Our step on the peer's networks against the plain step: images a second, medians over the rounds."""

    name: str
    ours_bf16: float
    ours_float32: float
    peer: float
    peer_same_malloc: float
    sampling: float
    peer_sampling: float

    @property
    def best(self) -> float:
        """The faster of the two precisions."""
        return max(self.ours_bf16, self.ours_float32)


def build(name: str, shape: tuple[int, int, int] | None) -> GAN:
    """A recipe's model at its own shape, or at another one."""
    module = recipes.find(name)
    cfg = module.Config() if shape is None else replace(module.Config(), {"shape": shape})
    gan: GAN = module.MODEL(cfg)
    return gan


def random_pictures(shape: tuple[int, ...], classes: int) -> Any:
    """2,048 random labelled pictures: what they show costs nothing."""
    import numpy as np

    rng = np.random.default_rng(0)
    x = rng.integers(0, 256, (2048, *shape[1:], shape[0]), dtype=np.uint8)
    return datasets.open(x, labels=np.arange(2048) % max(classes, 1), shape=(shape[0], shape[1], shape[2]))


def trainer_of(gan: GAN, precision: str) -> Trainer:
    """A Trainer as ``ganloom train`` would make it."""
    data = random_pictures(gan.cfg.shape, int(getattr(gan.cfg, "n_classes", 0) or 0))
    return Trainer(gan, data, TrainConfig(), bf16=precision == "bf16")


def bare_step(run: Trainer) -> int:
    """The network steps alone: losses, backward and the same fused optimizers on one ready batch; nothing else.

    Left out: drawing, seeding, guard, statistics, schedule, average, clock, observers.
    """
    batch, images = _ready(run), 0
    for index, phase in run.active:
        if run.step % phase.lazy:
            continue
        parameters = run._parameters[index]
        optimizer = run.optimizers[run._keys[index]]
        for parameter in parameters:
            parameter.requires_grad_(True)
        for repeat in range(phase.repeat):
            terms = [t for t in phase.loss(batch).values() if t.requires_grad]
            sum(terms[1:], terms[0]).backward()
            optimizer.step()
            optimizer.zero_grad()
            images += len(batch[0]) if repeat or not images else 0
        for parameter in parameters:
            parameter.requires_grad_(False)
    run.step += 1
    return images


def _ready(run: Trainer) -> Any:
    if not hasattr(run, "_bench_batch"):
        run._bench_batch = run._draw()  # type: ignore[attr-defined]
    return run._bench_batch  # type: ignore[attr-defined]


def loop_step(run: Trainer) -> int:
    """One step of the real loop; returns the images drawn."""
    before = run.nimg
    run.train_step()
    return run.nimg - before


def draws(run: Trainer) -> float:
    """Seconds that drawing one batch takes."""
    start = time.perf_counter()
    for i in range(50):
        run.gan.draw(run.data, randomness.Rng(0, i, i * 64))
    return (time.perf_counter() - start) / 50


def measure(name: str, shape: tuple[int, int, int] | None, precision: str, rounds: int, peaks: dict[str, float]) -> Row:
    """Interleaved rounds of the loop and of the bare steps, medians; operations counted once over a lazy cycle."""
    gan = build(name, shape)
    precision = choose_precision(precision, "cpu", gan)
    run = trainer_of(gan, precision)
    cycle = max(phase.lazy for _, phase in run.active)
    for _ in range(3):
        loop_step(run), bare_step(run)
    run.step = 0
    total = flops.count(lambda: [bare_step(run) for _ in range(cycle)])
    steps = cycle * max(1, round(1.0 / max(_seconds(run, cycle), 1e-9)))
    loop: list[float] = []
    bare: list[float] = []
    images = 0
    for _ in range(rounds):
        images = _times(run, loop_step, steps, loop)
        _times(run, bare_step, steps, bare)
    seconds = statistics.median(loop)
    # Noise between rounds is larger than the loop's share: compare each round's pair.
    extra = statistics.median(a / b for a, b in zip(loop, bare, strict=True)) - 1
    gflop = total / cycle / 1e9
    drawn = draws(run) * images / steps / int(gan.cfg.batch_size)
    return Row(
        name=name, precision=precision, img_per_s=images / steps / seconds, ms=seconds * 1e3, gflop=gflop,
        gflop_per_s=gflop / seconds, share=gflop / seconds / peaks[precision], loop=extra, data=drawn / seconds,
    )  # fmt: skip


def _seconds(run: Trainer, cycle: int) -> float:
    start = time.perf_counter()
    for _ in range(cycle):
        loop_step(run)
    return time.perf_counter() - start


def _times(run: Trainer, step: Callable[[Trainer], int], steps: int, into: list[float]) -> int:
    """Seconds a step over ``steps`` of them, appended to ``into``; returns the images."""
    run.step = 0
    start = time.perf_counter()
    images = sum(step(run) for _ in range(steps))
    into.append((time.perf_counter() - start) / steps)
    return images


def against_peer(name: str, rounds: int, seconds: float, say: Say) -> PeerRow:
    """Rounds of: ours in bf16, ours in float32, the plain step here, the plain step in a process of its own."""
    runs = {p: trainer_of(peers.Ours(name), p) for p in ("bf16", "float32")}
    plain, plain_g = peers.plain_step(name)
    for run in runs.values():
        loop_step(run), loop_step(run)
    plain()
    found: dict[str, list[float]] = {key: [] for key in ("bf16", "float32", "here", "shipped", "ours_s", "shipped_s")}
    model = runs["float32"].gan.G.eval()
    for i in range(rounds):
        say(f"peer {name}: round {i + 1} of {rounds}")
        runs["float32"].gan.G.train()
        for precision, run in runs.items():
            found[precision].append(peers.timed(lambda run=run: loop_step(run), seconds))  # type: ignore[misc]
        found["here"].append(peers.timed(plain, seconds))
        found["ours_s"].append(peers.sampling(model.eval(), min(seconds, 1.0)))
        speed, sample = _shipped(name, seconds)
        found["shipped"].append(speed)
        found["shipped_s"].append(sample)
    middle = {key: statistics.median(values) for key, values in found.items()}
    return PeerRow(
        name,
        middle["bf16"],
        middle["float32"],
        middle["shipped"],
        middle["here"],
        middle["ours_s"],
        middle["shipped_s"],
    )


def _shipped(name: str, seconds: float) -> tuple[float, float]:
    """(img/s of the plain step, img/s of sampling) in a fresh process whose allocator is as it comes."""
    command = [sys.executable, "-m", "ganloom.bench.peers", name, str(seconds)]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    return float(said[0]), float(said[1])


def bench(
    names: Sequence[str],
    shape: tuple[int, int, int] | None,
    precision: str,
    rounds: int,
    seconds: float,
    peer: bool,
    say: Say,
) -> dict[str, Any]:
    """Everything that ``ganloom bench step`` prints, as plain data."""
    kept = allocator.keep_freed_blocks()
    say("peak of the matrix product")
    peaks = {"float32": flops.peak(torch.float32), "bf16": flops.peak(torch.bfloat16)}
    rows = []
    for i, name in enumerate(names):
        say(f"recipe {name} ({i + 1} of {len(names)})")
        rows.append(measure(name, shape, precision, rounds, peaks))
    versus = [against_peer(name, rounds, seconds, say) for name in peers.NAMES] if peer else []
    return {
        "threads": torch.get_num_threads(),
        "malloc_thresholds": kept,
        "peak_gflop_per_s": peaks,
        "recipes": [asdict(row) for row in rows],
        "peers": [asdict(row) | {"best": row.best} for row in versus],
    }


def lines(found: dict[str, Any]) -> list[str]:
    """The tables as text."""
    peaks = found["peak_gflop_per_s"]
    out = [
        f"{found['threads']} threads; matrix product {peaks['float32']:.0f} GFLOP/s in float32, {peaks['bf16']:.0f} in bf16",
        "",
        f"{'recipe':<10}{'precision':<11}{'img/s':>8}{'ms/step':>9}{'GFLOP':>8}{'GFLOP/s':>9}{'of peak':>9}"
        f"{'loop':>8}{'data':>7}",
    ]
    for row in found["recipes"]:
        out.append(
            f"{row['name']:<10}{row['precision']:<11}{row['img_per_s']:>8.0f}{row['ms']:>9.1f}{row['gflop']:>8.2f}"
            f"{row['gflop_per_s']:>9.0f}{row['share']:>9.0%}{row['loop']:>+8.1%}{row['data']:>7.1%}"
        )
    if found["peers"]:
        out += [
            "",
            "the peer's networks and batch, img/s (peer: ready batches, its loader left out)",
            f"{'':<10}{'ours bf16':>10}{'ours f32':>10}{'peer':>8}{'ratio':>8}{'peer, same malloc':>19}{'ratio':>8}"
            f"{'sampling':>10}{'peer':>8}",
        ]
    for row in found["peers"]:
        out.append(
            f"{row['name']:<10}{row['ours_bf16']:>10.0f}{row['ours_float32']:>10.0f}{row['peer']:>8.0f}"
            f"{row['best'] / row['peer']:>7.2f}x{row['peer_same_malloc']:>19.0f}{row['best'] / row['peer_same_malloc']:>7.2f}x"
            f"{row['sampling']:>10.0f}{row['peer_sampling']:>8.0f}"
        )
    return out
