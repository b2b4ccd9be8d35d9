"""What commands print at their end: what was written, and the next commands."""

import json
from collections.abc import Sequence
from typing import Any

from ganloom.api import Run
from ganloom.cli import next_commands
from ganloom.core.names import command_line, printable
from ganloom.report.number_format import kimg
from ganloom.training.callbacks import Callback, TensorBoard, Wandb


def finished(run: Run, as_json: bool) -> None:
    """Print how a training ended and where it is."""
    last = run.metrics[-1] if run.metrics else {}
    if as_json:
        print(
            json.dumps(
                {"run": str(run.path), "reason": run.reason, "report": str(run.path / "report.html"), "last": last}
            )
        )
        return
    at = f"{kimg(last.get('kimg', 0))} kimg"
    path = printable(run.path)
    if run.reason != "finished":
        print(f"stopped by {run.reason}, saved at {at}: {path}")
    else:
        print(f"wrote {path}: report.html, samples/, model/, checkpoints/ at {at}")
    print(following(*next_commands.after_training(run, run.reason)))


def following(*commands: Sequence[object]) -> str:
    """The line with the next commands, quoted for the shell, so that they can be copied."""
    return "next: " + "        ".join(command(words) for words in commands)


def command(words: Sequence[object]) -> str:
    """A command of ganloom, quoted for the shell."""
    return command_line(["ganloom", *words])


def trackers(tensorboard: bool, wandb: str | None) -> list[Callback]:
    """The callbacks for TensorBoard and Weights & Biases.

    Raises:
        MissingExtra: The package is not installed; the message names the pip install.
    """
    callbacks: list[Callback] = [TensorBoard()] if tensorboard else []
    return callbacks + ([Wandb(wandb)] if wandb else [])


def table(rows: list[dict[str, Any]]) -> str:
    """Rows with equal keys as aligned text."""
    columns = list(rows[0])
    cells = [columns, *[[str(row[column]) for column in columns] for row in rows]]
    widths = [max(len(line[i]) for line in cells) for i in range(len(columns))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in cells
    )
