"""Reuse runs: return a finished run, continue a stopped one, or train a new one."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ganloom.api import Run, resume, train
from ganloom.report.progress import Progress
from ganloom.runs.folder import Folder
from ganloom.training.callbacks import Callback, Console


def finished(
    recipe: str,
    data: str,
    path: Path,
    progress: Progress | None = None,
    callbacks: Sequence[Callback] = (),
    console: Callback | None = None,
    **options: Any,
) -> Run:
    """Train a run unless it is finished already; continue it if it was stopped.

    Args:
        recipe: The name of a recipe.
        data: The data.
        path: The run folder.
        progress: Shows what the training does between its lines.
        callbacks: More callbacks of the training, also of one that is continued.
        console: The callback that prints the training; None: ``Console``.
        options: Options of ``ganloom.train``.

    Returns:
        The finished run.
    """
    console = console or Console(progress=progress)
    state = Folder(path).read("run.json").get("state") if (path / "run.json").exists() else None
    if state == "finished":
        return Run(path)
    if state is not None and not Folder(path).without_checkpoint():
        return resume(path, callbacks=callbacks, console=console, progress=progress)
    return train(recipe, data, path, callbacks=callbacks, console=console, progress=progress, **options)
