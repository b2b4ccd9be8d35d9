"""ganloom evaluate RUN [DATA] ..."""

import dataclasses
import json
import sys
from collections.abc import Sequence
from typing import Annotated, Literal

import tyro

from ganloom.cli.messages import following
from ganloom.cli.parse import parse
from ganloom.evaluation.evaluate import evaluate
from ganloom.metrics import METRICS, Clock


@dataclasses.dataclass(frozen=True)
class Arguments:
    """Measure a run's generator against real images, beside real-versus-real, one class and noise, with intervals."""

    run: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="RUN")]
    """The run folder."""
    data: Annotated[str | None, tyro.conf.Positional, tyro.conf.arg(metavar="DATA")] = None
    """Real images to compare with. None: the run's own data."""
    n: int = 2000
    """Samples on each side."""
    features: str = "both"
    """fashion, task (a small classifier trained on the data's labels), effnet (extra), inception (FID's; see --weights),
    random, a file as net.pt2:size=224:norm=imagenet, auto (one that fits the data), both (auto, and effnet beside it where
    it is installed), or several parted by commas."""
    metrics: str = ",".join(METRICS)
    """Parted by commas: fd, kd, precision, recall, density, coverage; is, fd_inf, swd, vendi, diversity, iprecision,
    irecall; intra (distance within each class), msssim, ppl."""
    weights: str | None = None
    """Inception's weight file, as pytorch-fid or NVIDIA give it. None: the usual folders; nothing is downloaded."""
    resizer: Literal["legacy", "clean", "halfpixel"] = "legacy"
    """How images get to Inception's size: as published, as Clean-FID, or as pytorch-fid."""
    k: int = 5
    """Neighbours of precision, recall, density and coverage."""
    seed: int = 0
    """Which samples."""
    truncation: float = 1.0
    """Below 1: truer and less varied samples."""
    checkpoint: str = "both"
    """latest, best, a checkpoint's name, or both: the best beside the last."""
    intervals: bool = True
    """95 % intervals; without them it is several times as fast."""
    memorisation: bool = False
    """Compare samples with the training images and draw the nearest to RUN/neighbours.png."""
    held_out: str | None = None
    """Images that training never saw, which --memorisation compares with."""
    device: str = "cpu"
    """cpu, cuda, mps or auto: where the generator and the feature nets run."""
    json: bool = False
    """One JSON object on stdout."""


def run(argv: Sequence[str]) -> None:
    """Parse, measure, print."""
    args = parse(Arguments, argv, "evaluate")
    options = {
        field.name: getattr(args, field.name)
        for field in dataclasses.fields(args)
        if field.name not in ("run", "data", "json", "metrics")
    }
    names = [name.strip() for name in args.metrics.split(",") if name.strip()]
    clock = Clock(lambda line: print(line, file=sys.stderr, flush=True))
    found = evaluate(args.run, args.data, metrics=names, progress=clock, **options)
    if args.json:
        print(json.dumps(found))
        return
    print("\n".join(found["table"]))
    if found["checkpoint"]:
        sheet = ", neighbours.png" if "memorisation" in found else ""
        print(f"wrote {args.run}/metrics.json{sheet} in {found['seconds']} s")
    print(following(["sample", args.run]))
