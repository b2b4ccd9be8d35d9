"""`ganloom bench modes --data stacked`: how many of 1,000 combinations of classes a recipe makes, by a measured counter.

Metz et al. 2016 (arXiv:1611.02163, app. D) stack three grey pictures in the channels of one; a classifier of each channel
counts the 10 x 10 x 10 combinations among 26,000 samples and the divergence of their shares from the data's
(Srivastava et al. 2017, arXiv:1705.07761, sec. 4.2). The counter is measured first, on real pictures: its accuracy, and
the divergence that samples of a perfect generator would get from it, which is the floor.
"""

import dataclasses
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from ganloom import allocator, metrics
from ganloom import data as datasets
from ganloom.data.stacked import MODES
from ganloom.device import choose_device, choose_precision
from ganloom.errors import BadInput, did_you_mean
from ganloom.gan import GAN
from ganloom.metrics.modes import reverse_kl
from ganloom.run import prepare
from ganloom.trainer import TrainConfig, Trainer

SAMPLES = 26_000
CLASSES, CHANNELS = 10, 3


@dataclass(frozen=True)
class Setup:
    """A recipe with what is changed in it, and how long it is trained."""

    title: str
    recipe: str
    options: dict[str, Any] = field(default_factory=dict)
    kimg: float = 300.0

    @property
    def command(self) -> str:
        """The training alone."""
        flags = " ".join(f"--{name.replace('_', '-')} {value}" for name, value in self.options.items())
        return f"ganloom train {self.recipe} stacked {flags} --total-kimg {self.kimg:g}".replace("  ", " ")


SETUPS: dict[str, Setup] = {
    "recommended": Setup("non-saturating, R1, minibatch standard deviation", "default"),
    "dcgan": Setup("DCGAN", "dcgan", {"width": 32, "batch_size": 64}),
}

PUBLISHED: tuple[tuple[str, float, float, str], ...] = (
    ("DCGAN", 99, 3.40, "Srivastava et al. 2017, arXiv:1705.07761"),
    ("ALI", 16, 5.40, "the same"),
    ("Unrolled GAN", 48.7, 4.32, "the same"),
    ("VEEGAN", 150, 2.95, "the same"),
    ("PacDCGAN2", 1000, 0.06, "Lin et al. 2018, arXiv:1712.04086"),
    ("R3GAN", 1000, 0.03, "Huang et al. 2024, arXiv:2501.05441"),
)
"""Name, modes, KL, source: on digits, with each paper's own counter. Other data than ours, so to be read, not compared."""


@dataclass(frozen=True)
class Counter:
    """The classifier that counts, and what it makes of real pictures."""

    accuracy: float
    """Share of pictures it names rightly."""
    held_out: bool
    """Whether those were pictures that it never saw."""
    modes: int
    kl: float
    """The floor: KL(shares among as many real rows || uniform)."""


@dataclass(frozen=True)
class Row:
    """One setup and seed."""

    setup: str
    seed: int
    kimg: float
    modes: int
    kl: float
    floor: float
    seconds: float

    def to_dict(self) -> dict[str, Any]:
        """JSON-able."""
        return dataclasses.asdict(self)


def modes_of(x: Tensor, net: metrics.Extractor) -> Tensor:
    """Which combination each row (N, 3, H, W) in [-1, 1] shows: (N,) int64 in [0, 1000)."""
    digits = net.logits(x.flatten(0, 1).unsqueeze(1)).argmax(1).view(-1, CHANNELS)
    return digits @ torch.tensor([CLASSES**2, CLASSES, 1])


def count(x: Tensor, net: metrics.Extractor) -> tuple[int, float]:
    """Combinations among the rows, and KL(their shares || uniform) in nats."""
    counts = modes_of(x, net).bincount(minlength=MODES)
    return int((counts > 0).sum()), reverse_kl(counts)


def measure_counter(net: metrics.Extractor) -> Counter:
    """Accuracy on Fashion-MNIST's test pictures where they are installed, else on fashion-10k; the floor on real rows."""
    try:
        known = datasets.open("fashion-mnist-test")
        held_out = True
    except BadInput:
        known, held_out = datasets.open("fashion-10k"), False
    labels = torch.from_numpy(known.labels)
    found = net.logits(known.get(slice(None))).argmax(1)
    real = datasets.open(f"stacked:{SAMPLES}").get(slice(None))
    return Counter(float((found == labels).float().mean()), held_out, *count(real, net))


class Progress:
    """Which setup is at how many images, and how long it will take yet, on stderr."""

    def __init__(self, setups: int) -> None:
        self.setups, self.setup, self.told = setups, 0, 0.0

    def begin(self, title: str) -> None:
        """The next training."""
        self.setup, self.title, self.begun = self.setup + 1, title, time.perf_counter()

    def at(self, done: float) -> None:
        """So much of this training, 0 to 1, is done; said twice a second on a terminal, else twice a minute."""
        now = time.perf_counter()
        if now - self.told < (0.5 if sys.stderr.isatty() else 30.0):
            return
        self.told = now
        left = (now - self.begun) * (1 / max(done, 1e-6) - 1)
        text = f"[{self.setup}/{self.setups}] {self.title}: {done:.0%}, about {left / 60:.1f} min left of this one"
        end = "\r" if sys.stderr.isatty() else "\n"
        print(f"{text:<90}" if end == "\r" else text, end=end, file=sys.stderr, flush=True)


def train(setup: Setup, seed: int, kimg: float, at: Callable[[float], None] = lambda done: None) -> tuple[GAN, float]:
    """The averaged model after ``kimg`` thousand images, and the seconds it took."""
    gan, data = prepare(setup.recipe, "stacked", seed=seed, **setup.options)
    device = choose_device("auto")
    cfg = TrainConfig(seed=seed)
    bf16 = choose_precision("auto", device, gan) == "bf16"
    data = data.to(device)
    trainer = Trainer(gan, data, cfg, device=device, bf16=bf16, ema_kimg=float(getattr(gan.cfg, "ema_kimg", 10.0)))
    begun = time.perf_counter()
    while trainer.nimg < kimg * 1000:
        trainer.train_step()
        at(trainer.nimg / (kimg * 1000))
    if trainer.guard.read() is not None:
        raise BadInput(f"{setup.recipe}: training met a NaN; try another --seed")
    return trainer.ema, time.perf_counter() - begun


def measure(
    names: Sequence[str] = (),
    seeds: int = 1,
    seed: int = 0,
    kimg: float | None = None,
    *,
    each: Callable[[Row, Tensor], None] = lambda row, samples: None,
) -> tuple[Counter, list[Row]]:
    """Train each setup with each seed, one after the other, and count its samples; ``each`` hears of it at once."""
    for name in names:
        if name not in SETUPS:
            raise BadInput(f'--cure: stacked has no "{name}"{did_you_mean(name, SETUPS)}: {", ".join(SETUPS)}')
    if seeds < 1 or (kimg is not None and kimg <= 0):
        raise BadInput(f"--seeds counts from 1 and --kimg is above 0, got {seeds} and {kimg}")
    allocator.keep_freed_blocks()
    net = metrics.get("fashion")
    counter = measure_counter(net)
    names = tuple(names) or tuple(SETUPS)
    progress, rows = Progress(len(names) * seeds), []
    for name in names:
        for s in range(seed, seed + seeds):
            progress.begin(f"{name}, seed {s}")
            length = kimg or SETUPS[name].kimg
            gan, seconds = train(SETUPS[name], s, length, progress.at)
            samples = gan.generate(SAMPLES, seed=s).cpu()
            rows.append(Row(name, s, length, *count(samples, net), counter.kl, seconds))
            each(rows[-1], samples[:64])
    return counter, rows


def table(counter: Counter, rows: Sequence[Row]) -> list[str]:
    """What was measured, as Markdown, and below it what papers report on digits."""
    seen = "never saw" if counter.held_out else "was trained on"
    out = [
        f"Counter: {counter.accuracy:.1%} right on pictures that it {seen}; {SAMPLES:,} real rows: {counter.modes} modes, "
        f"KL {counter.kl:.3f} (the floor).",
        "",
        "| setup | seed | kimg | modes of 1,000 | KL to uniform | above the floor | s |",
        "|---|---|---|---|---|---|---|",
    ]
    out += [
        f"| `{row.setup}`: {SETUPS[row.setup].title} | {row.seed} | {row.kimg:g} | {row.modes} | {row.kl:.3f} "
        f"| {row.kl - row.floor:+.3f} | {row.seconds:.0f} |"
        for row in rows
    ]
    out += [
        "",
        "Published, on digits and with each paper's own counter:",
        "",
        "| | modes | KL | source |",
        "|---|---|---|---|",
    ]
    return out + [f"| {name} | {modes:g} | {kl:.2f} | {source} |" for name, modes, kl, source in PUBLISHED]
