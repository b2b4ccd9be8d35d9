"""ganloom resume RUN ..."""

import dataclasses
from collections.abc import Sequence
from typing import Annotated

import tyro

from ganloom.api import resume
from ganloom.cli.messages import finished, trackers
from ganloom.cli.parse import parse
from ganloom.training.callbacks import Console


@dataclasses.dataclass(frozen=True)
class Arguments:
    """Go on with a run exactly where its newest whole checkpoint left it. The folder is all that is needed."""

    run: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="RUN")]
    """The run folder."""
    total_kimg: float | None = None
    """A new end of the run, thousands of images in all."""
    data: str | None = None
    """Where the data lies now, if it moved; its content must be the same."""
    device: str | None = None
    """Go on on another device."""
    json: bool = False
    """Rows as JSON lines on stdout."""
    tensorboard: bool = False
    """Also write TensorBoard events into the run folder."""
    wandb: str | None = None
    """Also log to this Weights & Biases project."""


def run(argv: Sequence[str]) -> None:
    """Parse, resume, say where the run is."""
    args = parse(Arguments, argv, "resume")
    done = resume(
        args.run,
        total_kimg=args.total_kimg,
        data=args.data,
        device=args.device,
        console=Console(json=args.json),
        callbacks=trackers(args.tensorboard, args.wandb),
    )
    finished(done, args.json)
