"""ganloom bench step ...; calls the other benchmarks (`BENCHMARKS`)."""

import dataclasses
import json
from collections.abc import Sequence
from typing import Literal

from ganloom.cli import (
    bench_anomaly,
    bench_captions,
    bench_doctor,
    bench_inpaint,
    bench_modes,
    bench_recipes,
    bench_restore,
    bench_robust,
    bench_tables,
    bench_text,
    bench_volumes,
)
from ganloom.cli.messages import following
from ganloom.cli.parse import Subcommand, call_subcommand, parse
from ganloom.report.progress import Progress


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


def step(argv: Sequence[str]) -> None:
    """Read the command line, measure, print the table."""
    args = parse(Arguments, argv, "bench step")
    from ganloom.bench.step import benchmark, table

    options = benchmark.Options(args.rounds, args.steps, args.precision, args.device, args.data, args.seconds)
    with Progress() as progress:
        report = benchmark.measure(args.recipe, list(args.peers) if args.peer else [], options, progress)
    if args.json:
        print(json.dumps(report.to_dict()))
        return
    print("\n".join(table.lines(report)))
    print(following(["plan", args.data], ["train"]))


SUBCOMMANDS: dict[str, Subcommand] = {
    "step": (Arguments, step),
    "modes": (bench_modes.Arguments, bench_modes.run),
    "recipes": (bench_recipes.Arguments, bench_recipes.run),
    "doctor": (bench_doctor.Arguments, bench_doctor.run),
    "inpaint": (bench_inpaint.Arguments, bench_inpaint.run),
    "restore": (bench_restore.Arguments, bench_restore.run),
    "anomaly": (bench_anomaly.Arguments, bench_anomaly.run),
    "tables": (bench_tables.Arguments, bench_tables.run),
    "text": (bench_text.Arguments, bench_text.run),
    "robust": (bench_robust.Arguments, bench_robust.run),
    "captions": (bench_captions.Arguments, bench_captions.run),
    "volumes": (bench_volumes.Arguments, bench_volumes.run),
}


def run(argv: Sequence[str]) -> None:
    """Call the subcommand."""
    call_subcommand("bench", SUBCOMMANDS, argv)
