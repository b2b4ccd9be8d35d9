"""ganloom sample RUN ..."""

import dataclasses
import json
from collections.abc import Sequence
from typing import Literal

from ganloom.apps.sample import write_samples
from ganloom.cli.messages import following
from ganloom.cli.parse import parse
from ganloom.cli.shared_flags import OfImages


@dataclasses.dataclass(frozen=True)
class Arguments(OfImages):
    """Draw samples from a trained run: single files and a grid. The same seed gives the same bytes.

    Without --out: a folder under RUN/generated that is named after the arguments.
    """

    n: int = 64
    """How many; of each class with --c all."""
    seed: int = 0
    """Sample i is made from seed + i."""
    cutoff: int | None = None
    """Layers of styles, from the coarsest on, that truncation pulls; None: all. For recipes with styles."""
    noise_mode: Literal["const", "random", "none"] = "const"
    """Noise that the layers add: each its own fixed field, drawn anew by the seed, or none. For recipes with noise."""
    standing: int = 0
    """Batches from which BatchNorm takes its statistics anew, for biggan; 0: the averaged ones."""
    precision: Literal["float32", "bf16"] = "float32"
    """What the networks compute in: bf16 is about twice as fast where the machine has it, and a hundredth from exact."""
    c: str | None = None
    """A class by name or number, or "all"; none: drawn evenly."""
    device: str = "auto"
    """auto, cpu, cuda or mps."""


def run(argv: Sequence[str]) -> None:
    """Parse, sample, say what was written."""
    args = parse(Arguments, argv, "sample")
    written = write_samples(
        args.run, n=args.n, seed=args.seed, truncation=args.truncation, cutoff=args.cutoff, noise=args.noise_mode,
        standing=args.standing, c=args.c, out=args.out, checkpoint=args.checkpoint, device=args.device,
        precision=args.precision,
    )  # fmt: skip
    if args.json:
        print(json.dumps({"out": str(written.folder), "grid": str(written.grid), "files": len(written.files)}))
        return
    print(f"wrote {len(written.files)} samples and {written.grid}")
    print(following(["evaluate", args.run]))
