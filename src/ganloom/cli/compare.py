"""ganloom compare RUN RUN ..., or compare --budget TIME DATA MODEL "MODEL --flags" ..."""

import dataclasses
import json
import shlex
from collections.abc import Sequence
from typing import Annotated, Any

import tyro

from ganloom.cli.messages import following
from ganloom.cli.parse import given_fields, parse
from ganloom.core.errors import BadInput


@dataclasses.dataclass(frozen=True)
class Arguments:
    """Put what `ganloom evaluate` measured of several runs in one table; measurements taken unlike are refused. With
    --budget, train models on DATA for equal time first: `compare --budget 10m fashion-10k dcgan default vae ddpm`."""

    runs: Annotated[tuple[str, ...], tyro.conf.Positional, tyro.conf.arg(metavar="RUN")]
    """Run folders, or their metrics.json: two or more. With --budget: DATA, then models (see `ganloom recipes`),
    each with flags of `ganloom train` behind it where it is quoted: "stylegan2 --small"."""
    budget: str | None = None
    """Training time of each model, such as 90s, 10m or 1h30m. A command that was stopped goes on where it was."""
    out: str | None = None
    """With --budget: folder of the runs, compare.md, compare.json and compare.png. None: runs/compare-DATA-BUDGET."""
    seeds: int = 1
    """With --budget: trainings of each model; more than one gives means and standard deviations."""
    seed: int = 0
    """With --budget: of the first training."""
    n: int = 2000
    """With --budget: samples that are measured, against as many real images."""
    k: int = 5
    """With --budget: neighbours of precision, recall, density and coverage."""
    features: str = "both"
    """With --budget: as `ganloom evaluate --features`."""
    shape: tuple[int, int, int] | None = None
    """With --budget: channels, height, width. None: as the data are, at 32 px where they have no size of their own."""
    json: bool = False
    """One JSON object on stdout."""


def run(argv: Sequence[str]) -> None:
    """Parse, read or train, print."""
    args = parse(Arguments, argv, "compare")
    if args.budget is not None:
        _train(args, args.budget)
        return
    alone = sorted(given_fields(Arguments, argv) - {"json"})
    if alone:
        raise BadInput(f"--{alone[0]} belongs to --budget, which trains; runs that are there are compared as measured")
    from ganloom.apps.compare import compare

    found = compare(args.runs)
    if args.json:
        print(json.dumps(found.to_dict()))
        return
    print("\n".join(found.lines()))
    print(following(["sample", args.runs[0]]))


def _train(args: Arguments, budget: str) -> None:
    from ganloom.apps.compare_budget import Plan, compare_under_budget, folder_of, seconds_of

    seconds = seconds_of(budget)
    if len(args.runs) < 2:
        raise BadInput("compare --budget takes DATA and one or more models, such as fashion-10k dcgan default vae ddpm")
    data, *models = args.runs
    settings = {title: _settings(title) for title in models if len(title.split()) > 1}
    out = args.out or folder_of(data, budget)
    plan = Plan(
        data, tuple(models), seconds, seeds=args.seeds, seed=args.seed, n=args.n, k=args.k, features=args.features,
        shape=args.shape, settings=settings,
    )  # fmt: skip
    found = compare_under_budget(plan, out)
    if args.json:
        print(json.dumps(found.to_dict()))
        return
    print("\n".join(found.lines()))
    print(f"wrote {out}: compare.md, compare.json, compare.png, a run folder a model")
    print(following(["sample", found.rows[0].run]))


def _settings(words: str) -> tuple[str, dict[str, Any]]:
    """Recipe and settings of "stylegan2 --small --gamma 1"."""
    from ganloom.cli.train import settings_of

    try:
        argv = shlex.split(words)
    except ValueError as error:  # a quote without its end
        raise BadInput(f"{words!r} cannot be read as a model and its flags ({error})") from None
    return settings_of(argv)
