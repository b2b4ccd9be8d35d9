"""ganloom bench step ..., and the way to `bench modes`, `bench recipes` and `bench doctor`."""

import dataclasses
import json
from collections.abc import Sequence
from typing import Literal

from ganloom.cli import bench_doctor, bench_modes, bench_recipes
from ganloom.cli.parse import parse, subcommand

WORDS = {"step": None, "modes": bench_modes.run, "recipes": bench_recipes.run, "doctor": bench_doctor.run}


@dataclasses.dataclass(frozen=True)
class Arguments:
    """Measure training steps and sampling on this machine, what the loop adds, and a peer's scripts beside ours."""

    recipe: tuple[str, ...] = ("default", "gan", "dcgan", "cgan", "wgan-gp")
    """Which recipes, one or more."""
    rounds: int = 5
    """Rounds in which the contestants take turns; a median is over all turns."""
    steps: int | None = None
    """Steps a turn. None: as many as take 0.15 seconds."""
    precision: Literal["auto", "float32", "bf16"] = "auto"
    """float32, bf16 (inside the networks), or auto: bf16 where a probe finds it faster."""
    peer: bool = True
    """Measure the peers' networks, their way and ours, and sampling."""
    peers: tuple[str, ...] = ("gan", "dcgan", "wgan_gp")
    """Which: gan, dcgan, wgan_gp of PyTorch-GAN; stylegan2-32, stylegan2-64, r3gan-32, r3gan-64 by their authors' reference
    operations, minutes each."""
    data: str = "fashion-10k"
    """What the recipes draw; its images give the shape."""
    seconds: float = 60.0
    """No further round of a row begins after so many."""
    device: str = "auto"
    """auto, cpu, cuda or mps."""
    json: bool = False
    """One JSON object on stdout."""


def run(argv: Sequence[str]) -> None:
    """Parse, measure, print."""
    word = subcommand("bench", WORDS, argv, Arguments, "`ganloom bench step`, `modes`, `recipes` or `doctor`")
    if word is None:
        return
    other = WORDS[word]
    if other is not None:
        other(argv[1:])
        return
    args = parse(Arguments, argv[1:], "bench step")
    from ganloom.bench.step import benchmark, table

    options = benchmark.Options(args.rounds, args.steps, args.precision, args.device, args.data, args.seconds)
    report = benchmark.measure(args.recipe, list(args.peers) if args.peer else [], options)
    if args.json:
        print(json.dumps(report.to_dict()))
        return
    print("\n".join(table.lines(report)))
    print("next: ganloom plan DATA        ganloom train")
