"""ganloom evaluate RUN [DATA] ..."""

import dataclasses
import json
from collections.abc import Sequence
from typing import Annotated

import tyro

from ganloom.apps.evaluate import evaluate
from ganloom.cli.parse import parse
from ganloom.cli.say import following


@dataclasses.dataclass(frozen=True)
class Arguments:
    """Measure a run's generator against real pictures, beside real-versus-real and noise, with intervals."""

    run: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="RUN")]
    """The run folder."""
    data: Annotated[str | None, tyro.conf.Positional, tyro.conf.arg(metavar="DATA")] = None
    """Real pictures to compare with. None: the run's own data."""
    n: int = 2000
    """Samples on each side."""
    features: str = "auto"
    """fashion, task (a small classifier trained on the data's labels), effnet (extra), random, or auto."""
    k: int = 5
    """Neighbours of precision, recall, density and coverage."""
    seed: int = 0
    """Which samples."""
    checkpoint: str = "both"
    """latest, best, a checkpoint's name, or both: the best beside the last."""
    json: bool = False
    """One JSON object on stdout."""


def run(argv: Sequence[str]) -> None:
    """Parse, measure, print."""
    args = parse(Arguments, argv, "evaluate")
    found = evaluate(
        args.run, args.data, n=args.n, features=args.features, k=args.k, seed=args.seed, checkpoint=args.checkpoint
    )
    if args.json:
        print(json.dumps(found))
        return
    print("\n".join(found["table"]))
    if found["checkpoint"]:
        print(f"wrote {args.run}/metrics.json in {found['seconds']} s")
    print(following(["sample", args.run]))
