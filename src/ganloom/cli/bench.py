"""ganloom bench step ..."""

import dataclasses
import json
import sys
from collections.abc import Sequence
from typing import Literal

from ganloom.bench.step import bench, lines
from ganloom.cli.parse import parse
from ganloom.errors import BadInput, did_you_mean
from ganloom.recipes import RECIPES, find


@dataclasses.dataclass(frozen=True)
class Arguments:
    """Measure whole training steps: img/s, operations counted, share of the matrix product's peak, what the loop and the
    data add, and the same networks against the plain way to train them. Run it on an idle machine."""

    recipes: tuple[str, ...] = tuple(RECIPES)
    """Which recipes; "none" for none."""
    shape: tuple[int, int, int] | None = (1, 28, 28)
    """Channels, height, width for all of them. None: each recipe's own."""
    precision: Literal["auto", "float32", "bf16"] = "auto"
    """Precision of the recipes' steps."""
    rounds: int = 5
    """Interleaved rounds; medians are printed."""
    seconds: float = 2.0
    """Length of a peer's round."""
    peer: bool = True
    """Also measure the peer's networks."""
    json: bool = False
    """One JSON object on stdout."""


def run(argv: Sequence[str]) -> None:
    """Parse, measure, print."""
    if not argv or argv[0].startswith("-"):
        parse(Arguments, argv if argv else ["--help"], "bench step")
        return
    if argv[0] != "step":
        raise BadInput(f'unknown benchmark "{argv[0]}"{did_you_mean(argv[0], ["step"])}: use `ganloom bench step`')
    args = parse(Arguments, argv[1:], "bench step")
    names = [] if args.recipes == ("none",) else list(args.recipes)
    for name in names:
        find(name)
    if args.rounds < 1 or not args.seconds > 0:
        raise BadInput("--rounds must be at least 1 and --seconds above 0")
    say = lambda text: print(f"measuring: {text}", file=sys.stderr, flush=True)  # noqa: E731
    found = bench(names, args.shape, args.precision, args.rounds, args.seconds, args.peer, say)
    print(json.dumps(found) if args.json else "\n".join(lines(found)))
