"""A finished run of given settings: the one that lies there, the one there gone on with, or a new one."""

import time
from pathlib import Path
from typing import Any

from ganloom.api import Run, resume, train
from ganloom.runs.folder import Folder
from ganloom.training.callbacks import Console


def finished(recipe: str, data: str, path: Path, **options: Any) -> Run:
    """Train into ``path`` unless that was done; a run that was stopped there goes on. ``options`` as ``ganloom.train``'s."""
    state = Folder(path).read("run.json").get("state") if (path / "run.json").exists() else None
    if state == "finished":
        return Run(path)
    if state is not None and (path / "checkpoints").is_dir() and any((path / "checkpoints").iterdir()):
        return resume(path, console=Console())
    if path.exists():  # killed before its first checkpoint: nothing to go on from
        path = path.with_name(f"{path.name}-{time.time_ns()}")
    return train(recipe, data, path, console=Console(), **options)
