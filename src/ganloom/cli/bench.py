"""ganloom bench step ...; calls the other benchmarks (`BENCHMARKS`)."""

import dataclasses
import json
from collections.abc import Sequence
from typing import Literal

from ganloom.cli import (
    bench_anomaly,
    bench_doctor,
    bench_inpaint,
    bench_modes,
    bench_recipes,
    bench_restore,
    bench_robust,
    bench_tables,
)
from ganloom.cli.messages import following
from ganloom.cli.parse import parse, subcommand
from ganloom.report.progress import Progress

BENCHMARKS = {
    "step": None,
    "modes": bench_modes.run,
    "recipes": bench_recipes.run,
    "doctor": bench_doctor.run,
    "inpaint": bench_inpaint.run,
    "restore": bench_restore.run,
    "anomaly": bench_anomaly.run,
    "tables": bench_tables.run,
    "robust": bench_robust.run,
}


@dataclasses.dataclass(frozen=True)
class Arguments:
    """Measure on this machine how long training steps and sampling take, how much of it is the training loop, and how long
    other projects' scripts take for the same networks."""

    recipe: tuple[str, ...] = ("default", "gan", "dcgan", "cgan", "wgan-gp")
    """Recipes to measure."""
    rounds: int = 5
    """Number of rounds. In each round every contestant has one turn; the medians are over all turns."""
    steps: int | None = None
    """Steps in a turn. None: as many as take 0.15 seconds."""
    precision: Literal["auto", "float32", "bf16"] = "auto"
    """float32, bf16 (inside the networks), or auto: the faster one, by a short measurement."""
    peer: bool = True
    """Also measure the networks of other projects, with their script and with ganloom, and their sampling."""
    peers: tuple[str, ...] = ("gan", "dcgan", "wgan_gp")
    """Other projects: gan, dcgan, wgan_gp, pix2pix-256, pix2pix-64, cyclegan-128, cyclegan-32 (PyTorch-GAN); stylegan2-32,
    stylegan2-64, r3gan-32, r3gan-64 (the authors' reference operations; minutes each)."""
    data: str = "fashion-10k"
    """The data set; its images give the shape."""
    seconds: float = 60.0
    """Start no new round of a row after this many seconds."""
    device: str = "auto"
    """auto, cpu, cuda or mps."""
    json: bool = False
    """Print one JSON object on stdout."""


def run(argv: Sequence[str]) -> None:
    """Read the command line, measure, print the table."""
    word = subcommand(
        "bench",
        BENCHMARKS,
        argv,
        Arguments,
        "`ganloom bench step` or another of: " + ", ".join(BENCHMARKS),
    )
    if word is None:
        return
    other = BENCHMARKS[word]
    if other is not None:
        other(argv[1:])
        return
    args = parse(Arguments, argv[1:], "bench step")
    from ganloom.bench.step import benchmark, table

    options = benchmark.Options(args.rounds, args.steps, args.precision, args.device, args.data, args.seconds)
    with Progress() as progress:
        report = benchmark.measure(args.recipe, list(args.peers) if args.peer else [], options, progress)
    if args.json:
        print(json.dumps(report.to_dict()))
        return
    print("\n".join(table.lines(report)))
    print(following(["plan", args.data], ["train"]))
