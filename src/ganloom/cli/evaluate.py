"""ganloom evaluate RUN [DATA] ..."""

import dataclasses
import json
import sys
from collections.abc import Sequence
from typing import Annotated, Any, Literal

from ganloom.cli import next_commands
from ganloom.cli.flags import Positional
from ganloom.cli.messages import following
from ganloom.cli.parse import parse
from ganloom.core.names import printable
from ganloom.evaluation.evaluate import evaluate
from ganloom.metrics import METRICS
from ganloom.report.progress import Progress


@dataclasses.dataclass(frozen=True)
class Arguments:
    """Measure a run's generator against real images, with 95 % intervals. The table also has rows for real images, one class
    and noise, so that the numbers can be judged."""

    run: Annotated[str, Positional("RUN")]
    """The run folder."""
    data: Annotated[str | None, Positional("DATA")] = None
    """Real images to compare with. None: the run's training data."""
    n: int = 2000
    """Number of samples, and of real images."""
    features: str = "both"
    """The feature net: fashion, task (a small classifier trained on the data's labels), effnet (an extra), mobilenet (a
    package), inception (for FID; see --weights), random, a file such as net.pt2:size=224:norm=imagenet, auto (one
    that fits the data), both (auto, and effnet and mobilenet if they are installed), or several, separated by commas."""
    metrics: str = ",".join(METRICS)
    """Separated by commas: fd, kd, precision, recall, density, coverage; is, fd_inf, swd, cmmd, vendi, diversity,
    iprecision, irecall; intra (distance within each class), msssim, ppl, sfd (Frechet distance of a map: sees where
    things are)."""
    prd: bool = False
    """Add the precision-recall curve (PRD): its F scores to the table, and its points to the JSON."""
    cas: bool = False
    """Add the classification accuracy score (CAS): train a classifier on samples, test it on real images. Needs labels."""
    per_class: bool = False
    """Add a table with the distance and the recall of each class. Needs labels."""
    lpips_weights: str | None = None
    """BACKBONE,HEADS: the files of AlexNet or VGG-16 and of the LPIPS heads. Adds LPIPS: of pairs of samples (how varied
    they are), and to the targets if DATA has pairs."""
    weights: str | None = None
    """The Inception weight file of pytorch-fid or NVIDIA. None: search the usual folders. Nothing is downloaded."""
    resizer: Literal["legacy", "clean", "halfpixel"] = "legacy"
    """How images are resized for Inception: legacy (as published), clean (Clean-FID) or halfpixel (pytorch-fid)."""
    k: int = 5
    """Number of neighbours for precision, recall, density and coverage."""
    seed: int = 0
    """Seed of the samples and of the choice of real images."""
    truncation: float = 1.0
    """Below 1: samples are more typical and less diverse."""
    checkpoint: str = "both"
    """latest, best, the name of a checkpoint, or both: latest and best."""
    intervals: bool = True
    """Compute 95 % intervals. Without them it is several times as fast."""
    memorisation: bool = False
    """Check for memorisation: compare samples with the training images and draw the nearest ones to RUN/neighbours.png."""
    labels: Literal["auto", "none"] = "auto"
    """none: ignore the labels of DATA; its folders are no classes."""
    held_out: str | None = None
    """For --memorisation: images that were not used in training."""
    device: str = "cpu"
    """cpu, cuda, mps or auto: the device of the generator and the feature nets."""
    overwrite: bool = False
    """Replace a metrics.json or neighbours.png in RUN that ganloom did not write."""
    json: bool = False
    """Print one JSON object on stdout."""


def run(argv: Sequence[str]) -> None:
    """Read the command line, measure, print the table."""
    args = parse(Arguments, argv, "evaluate")
    options = {
        field.name: getattr(args, field.name)
        for field in dataclasses.fields(args)
        if field.name not in ("run", "data", "json", "metrics", "labels", "prd", "cas", "per_class")
    }
    options["labels"] = False if args.labels == "none" else None
    names = [name.strip() for name in args.metrics.split(",") if name.strip()]
    names += [name for name, wanted in (("prd", args.prd), ("cas", args.cas), ("classes", args.per_class)) if wanted]
    with Progress() as progress:

        def show(result: dict[str, Any]) -> None:  # before the files are written, which may fail
            progress.stop()
            print(json.dumps(result) if args.json else "\n".join(result["table"]), flush=True)

        progress("loading the model and the data")
        result = evaluate(args.run, args.data, metrics=names, progress=progress, show=show, **options)
    for line in result.get("not_written", ()):
        print(f"warning: {printable(line)}", file=sys.stderr)
    if args.json:
        return
    if result["checkpoint"] and not result["not_written"]:
        sheet = ", neighbours.png" if "memorisation" in result else ""
        print(f"wrote {args.run}/{result['file']}{sheet} in {result['seconds']} s")
    print(following(*next_commands.after_evaluate(args.run)))
