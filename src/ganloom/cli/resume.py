"""ganloom resume RUN ..."""

import dataclasses
from collections.abc import Sequence
from typing import Annotated

from ganloom.api import resume
from ganloom.cli import robust
from ganloom.cli.anomaly import print_fitted
from ganloom.cli.flags import Positional
from ganloom.cli.messages import finished, following, trackers
from ganloom.cli.parse import parse
from ganloom.core.errors import BadInput
from ganloom.core.names import as_path, command_line, word_of
from ganloom.core.stop_signals import continued_by
from ganloom.report.progress import Progress
from ganloom.tables.folder import is_table
from ganloom.tables.table import resume as resume_table
from ganloom.training.callbacks import Console


@dataclasses.dataclass(frozen=True)
class Arguments:
    """Continue a run from its newest complete checkpoint, with the same result as an uninterrupted run. The run folder is all
    that is needed."""

    run: Annotated[str, Positional("RUN")]
    """The run folder."""
    total_kimg: float | None = None
    """A new length of the whole run, in thousands of images. None: as before."""
    minutes: float | None = None
    """A new time limit of the whole run, in minutes of training. None: as before."""
    data: str | None = None
    """Where the data is now, if it was moved. Its content must be the same."""
    device: str | None = None
    """Another device, such as cuda. None: as before."""
    json: bool = False
    """Print the statistics as JSON lines on stdout."""
    tensorboard: bool = False
    """Also write TensorBoard events into the run folder."""
    wandb: str | None = None
    """Also log to this Weights & Biases project."""


def run(argv: Sequence[str]) -> None:
    """Read the command line, resume, print where the run is."""
    args = parse(Arguments, argv, "resume")
    if robust.is_begun(args.run):
        if changed := [name for name in ("total_kimg", "minutes", "data", "device") if getattr(args, name) is not None]:
            raise BadInput(
                f"--{changed[0].replace('_', '-')}: {args.run} is a text classifier, which is continued as it began"
            )
        robust.resume(args.run, as_json=args.json)
        return
    if is_table(args.run):
        with Progress() as progress:
            resume_table(args.run, console=Console(json=args.json, progress=progress), progress=progress)
        print(following(["table", "sample", args.run]))
        return
    with Progress() as progress:
        if args.total_kimg is None and args.minutes is None and _complete(args, progress):
            return
        done = resume(
            args.run,
            total_kimg=args.total_kimg,
            minutes=args.minutes,
            data=args.data,
            device=args.device,
            console=Console(json=args.json, progress=progress),
            callbacks=trackers(args.tensorboard, args.wandb),
            progress=progress,
        )
        if _complete(args, progress):
            return
    finished(done, args.json)


def _complete(args: Arguments, progress: Progress) -> bool:
    """Complete the anomaly detector that a finished training belongs to, and print it. Return whether there was one."""
    from ganloom.anomaly import fitting

    path = as_path(args.run)
    if not (fitting.is_pending(path) and fitting.is_trained(path)):
        return False
    with continued_by(command_line(["ganloom", "resume", word_of(args.run)]), lambda: True):
        found = fitting.open_run(path, progress)
    print_fitted(args.run, found, as_json=args.json)
    return True
