"""Reuse runs: return a finished run, continue a stopped one, or train a new one."""

import time
from pathlib import Path
from typing import Any

from ganloom.api import Run, resume, train
from ganloom.report.progress import Progress
from ganloom.runs.folder import Folder
from ganloom.training.callbacks import Console


def finished(recipe: str, data: str, path: Path, progress: Progress | None = None, **options: Any) -> Run:
    """Train a run unless it is finished already; continue it if it was stopped.

    Args:
        recipe: The name of a recipe.
        data: The data.
        path: The run folder.
        progress: Shows what the training does between its lines.
        options: Options of ``ganloom.train``.

    Returns:
        The finished run.
    """
    state = Folder(path).read("run.json").get("state") if (path / "run.json").exists() else None
    if state == "finished":
        return Run(path)
    if state is not None and (path / "checkpoints").is_dir() and any((path / "checkpoints").iterdir()):
        return resume(path, console=Console(progress=progress), progress=progress)
    if path.exists():  # killed before its first checkpoint: there is nothing to continue
        path = path.with_name(f"{path.name}-{time.time_ns()}")
    return train(recipe, data, path, console=Console(progress=progress), progress=progress, **options)
