"""ganloom compare RUN RUN ..., or compare --budget TIME DATA MODEL "MODEL --flags" ..."""

import dataclasses
import json
import math
import os
import shlex
from collections.abc import Sequence
from typing import Annotated, Any, Literal

from ganloom.cli import next_commands
from ganloom.cli.flags import Positional
from ganloom.cli.messages import following
from ganloom.cli.order import data_and_models
from ganloom.cli.parse import parse_given
from ganloom.core.errors import BadInput
from ganloom.core.stop_signals import continued_by_the_same_command
from ganloom.report.progress import Progress


@dataclasses.dataclass(frozen=True)
class Arguments:
    """Show what `ganloom evaluate` measured for several runs in one table. Runs that were measured with different settings are
    refused. With --budget, train models on DATA for equal time first:
    `ganloom compare --budget 10m fashion-10k dcgan default vae ddpm`."""

    runs: Annotated[tuple[str, ...], Positional("RUN")]
    """Two or more run folders, or their metrics.json files. With --budget: DATA and models (see `ganloom recipes`), in any order.
    A model in quotes may have flags of `ganloom train`: "stylegan2 --small"."""
    config: str | None = None
    """Read settings from a TOML or JSON file. Flags of the command line win."""
    budget: str | None = None
    """Training time of each model, such as 90s, 10m or 1h30m. If you stop it, run the same command to continue."""
    out: str | None = None
    """With --budget: the folder for the runs, compare.md, compare.json and compare.png. None: runs/compare-DATA-BUDGET."""
    seeds: int = 1
    """With --budget: number of trainings of each model. More than one gives means and standard deviations."""
    seed: int = 0
    """With --budget: seed of the first training."""
    n: int = 2000
    """With --budget: number of samples that are measured, against as many real images."""
    k: int = 5
    """With --budget: number of neighbours for precision, recall, density and coverage."""
    features: str = "both"
    """With --budget: the feature nets; see `ganloom evaluate --features`."""
    shape: tuple[int, int, int] | None = None
    """With --budget: channels, height and width. None: from the data; 32 px if the images have different sizes."""
    labels: Literal["auto", "none"] = "auto"
    """With --budget: none: ignore the labels of DATA; its folders are no classes."""
    overwrite: bool = False
    """With --budget: replace files in the folder that ganloom did not write."""
    json: bool = False
    """Print one JSON object on stdout."""


def run(argv: Sequence[str]) -> None:
    """Read the command line, read the measurements or train, print the table."""
    args, given = parse_given(Arguments, argv, "compare")
    if args.budget is not None:
        _train(args, args.budget)
        return
    others = sorted(given - {"runs", "json", "config"})
    if others:
        raise BadInput(
            f"--{others[0]} needs --budget: without it, runs are compared as `ganloom evaluate` measured them"
        )
    from ganloom.apps.compare import compare

    comparison = compare(args.runs)
    if args.json:
        print(json.dumps(comparison.to_dict()))
        return
    print("\n".join(comparison.lines()))
    print(following(*next_commands.after_evaluate(folder_of_run(args.runs[0]))))


def _train(args: Arguments, budget: str) -> None:
    from ganloom.apps.compare_budget import Plan, compare_under_budget, folder_of, seconds_of
    from ganloom.data import full_shape

    seconds = seconds_of(budget)
    if len(args.runs) < 2:
        raise BadInput("compare --budget takes DATA and one or more models, such as fashion-10k dcgan default vae ddpm")
    data, models = data_and_models(args.runs)
    settings = {title: _settings(title) for title in models if len(title.split()) > 1}
    out = args.out or folder_of(data, budget)
    plan = Plan(
        data, tuple(models), seconds, seeds=args.seeds, seed=args.seed, n=args.n, k=args.k, features=args.features,
        labels=False if args.labels == "none" else None, settings=settings,
    )  # fmt: skip
    with continued_by_the_same_command(), Progress() as progress:
        progress("checking the models and opening the data")
        reading = progress.part("reading the data")
        plan = dataclasses.replace(plan, shape=full_shape(data, args.shape, labels=plan.labels, progress=reading))
        comparison = compare_under_budget(plan, out, show=progress, overwrite=args.overwrite)
    if args.json:
        print(json.dumps(comparison.to_dict()))
        return
    print("\n".join(comparison.lines()))
    print(f"wrote {out}: compare.md, compare.json, compare.png, and a run folder for each model")
    print(following(*next_commands.after_evaluate(_best(comparison))))


def folder_of_run(path: str) -> str:
    """The run folder of a run, or of its metrics.json."""
    return os.path.dirname(path) or "." if os.path.isfile(path) else path


def _best(comparison: Any) -> str:
    """The run with the lowest first distance; a run without a checkpoint only if there is no other."""

    def distance(row: Any) -> float:
        values = [value.value for name, value in row.values.items() if name.startswith("fd")]
        return values[0] if values else math.inf

    return str(min(comparison.rows, key=distance).run)


def _settings(words: str) -> tuple[str, dict[str, Any]]:
    """The recipe and the settings of "stylegan2 --small --gamma 1"."""
    from ganloom.cli.train import settings_of

    try:
        argv = shlex.split(words)
    except ValueError as error:  # a quote that is not closed
        raise BadInput(f"{words!r} cannot be read as a model and its flags ({error})") from None
    return settings_of(argv)
