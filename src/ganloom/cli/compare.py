"""ganloom compare RUN RUN ..."""

import dataclasses
import json
from collections.abc import Sequence
from typing import Annotated

import tyro

from ganloom.cli.parse import parse
from ganloom.cli.say import following


@dataclasses.dataclass(frozen=True)
class Arguments:
    """Put what `ganloom evaluate` measured of several runs in one table; measurements taken unlike are refused."""

    runs: Annotated[tuple[str, ...], tyro.conf.Positional, tyro.conf.arg(metavar="RUN")]
    """Run folders, or their metrics.json: two or more."""
    json: bool = False
    """One JSON object on stdout."""


def run(argv: Sequence[str]) -> None:
    """Parse, read, print."""
    args = parse(Arguments, argv, "compare")
    from ganloom.apps.compare import compare

    found = compare(args.runs)
    if args.json:
        print(json.dumps(found.to_dict()))
        return
    print("\n".join(found.lines()))
    print(following(["sample", args.runs[0]]))
