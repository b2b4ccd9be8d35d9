"""ganloom sample RUN ..."""

import dataclasses
import json
from collections.abc import Sequence
from typing import Annotated

import tyro

from ganloom.apps.generate import write_samples
from ganloom.cli.parse import parse
from ganloom.cli.say import following


@dataclasses.dataclass(frozen=True)
class Arguments:
    """Draw samples from a trained run: single files and a grid. The same seed gives the same bytes."""

    run: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="RUN")]
    """A run folder, or a model/ folder."""
    n: int = 64
    """How many; of each class with --c all."""
    seed: int = 0
    """Sample i is made from seed + i."""
    truncation: float = 1.0
    """Below 1: truer and less varied."""
    standing: int = 0
    """Batches from which BatchNorm takes its statistics anew, for biggan; 0: the averaged ones."""
    c: str | None = None
    """A class by name or number, or "all"; none: drawn evenly."""
    out: str | None = None
    """A new or empty folder. None: RUN/generated/..."""
    checkpoint: str = "latest"
    """latest, best, or a checkpoint's name."""
    device: str = "auto"
    """auto, cpu, cuda or mps."""
    json: bool = False
    """One JSON object on stdout."""


def run(argv: Sequence[str]) -> None:
    """Parse, sample, say what was written."""
    args = parse(Arguments, argv, "sample")
    written = write_samples(
        args.run, n=args.n, seed=args.seed, truncation=args.truncation, standing=args.standing, c=args.c, out=args.out,
        checkpoint=args.checkpoint, device=args.device,
    )  # fmt: skip
    if args.json:
        print(json.dumps({"out": str(written.folder), "grid": str(written.grid), "files": len(written.files)}))
        return
    print(f"wrote {len(written.files)} samples and {written.grid}")
    print(following(["evaluate", args.run]))
