"""A run folder as the Trainer's storage: checkpoints, the best one, the model folder, and the event log."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ganloom.core import json_files
from ganloom.core.names import printable
from ganloom.core.terminal import say
from ganloom.runs import checkpoint
from ganloom.runs.file_types import TrainerState
from ganloom.runs.folder import Folder, versions
from ganloom.runs.model_folder import write_model
from ganloom.training.nan_guard import NonFinite, bad_state
from ganloom.training.trainer import Trainer

FIT = "a state that does not fit config.json of the run"

PRINTED = ("data", "classes", "length", "warning", "nan", "init", "augment")
"""Kinds of events that are printed on stderr too."""
HEALTHY = "healthy"
"""The file in checkpoints/ that names the last checkpoint at which the doctor found no problem; it is kept."""


class RunStorage:
    """Saves a Trainer to a run folder and restores it; see ``training.storage.Storage``.

    Args:
        folder: The run folder.
        take_score: Returns the last measurement of the model, (name, value), once; None if there is none. The checkpoint
            with the lowest value is kept as the best.
    """

    def __init__(self, folder: Folder, take_score: Callable[[], tuple[str, float] | None] = lambda: None) -> None:
        self.folder, self.take_score = folder, take_score
        self.run_dir: Path | None = folder.path
        self.best: tuple[str, float] | None = None
        self._events_failed = False

    def save(self, trainer: Trainer) -> None:
        """Write a checkpoint and the model folder.

        Raises:
            NonFinite: If a weight or buffer is NaN or infinite; nothing is written then.
        """
        fault = bad_state(trainer.gan) or bad_state(trainer.ema)
        if fault:
            raise NonFinite(f"{fault} at kimg {trainer.nimg / 1000:g}: not saved; the last checkpoint is still valid")
        state = trainer.state() | {"versions": versions()}
        score = self.take_score()
        if score:
            state["judged"] = list(score)
        name = checkpoint.name_of(trainer.nimg)
        checkpoint.save(self.folder.checkpoints, name, trainer.tensors(), state)
        if score and (self.best is None or self.best[0] != score[0] or score[1] < self.best[1]):
            self.best = score
            checkpoint.mark_best(self.folder.checkpoints, name)
        checkpoint.prune(self.folder.checkpoints, trainer.cfg.keep)
        write_model(self.folder, trainer)

    def load(self, trainer: Trainer) -> checkpoint.Loaded:
        """Load the newest complete checkpoint into the trainer. Nothing is written; ``report_loaded`` does that."""
        loaded = checkpoint.load(self.folder.checkpoints)
        load_state(trainer, loaded)
        self.best = self._best_score()
        return loaded

    def report_loaded(self, trainer: Trainer, loaded: checkpoint.Loaded) -> None:
        """Remove what an interrupted save left behind, and report it and the damaged checkpoints that were skipped."""
        for name in checkpoint.sweep(self.folder.checkpoints):
            trainer.event("warning", f"removed {name}, which an interrupted save left behind")
        for line in loaded.skipped:
            trainer.event("warning", f"{line}; using {loaded.path.name} instead")
        trainer.event("resume", f"resumed from {loaded.path.name}")

    def restore(self, trainer: Trainer) -> bool:
        """Load the newest checkpoint into the trainer. Return False if there is none."""
        if not checkpoint.names(self.folder.checkpoints):
            return False
        loaded = checkpoint.load(self.folder.checkpoints)
        load_state(trainer, loaded)
        return True

    def has_checkpoint(self) -> bool:
        """Return whether the run has a checkpoint."""
        return bool(checkpoint.names(self.folder.checkpoints))

    def event(self, kind: str, text: str, kimg: float, figures: dict[str, Any] | None = None) -> None:
        """Write a line to events.jsonl; warnings are printed on stderr too."""
        try:
            self.folder.event(kind, text, kimg, figures)
        except OSError as error:  # training goes on; a full disk ends it at the next checkpoint
            if not self._events_failed:
                say(
                    f"warning: events.jsonl cannot be written ({printable(error.strerror or error)}): events are lost",
                    sys.stderr,
                )
            self._events_failed = True
        if kind in PRINTED:
            say(f"{kind}: {printable(text)}", sys.stderr)

    def healthy_checkpoint(self) -> str | None:
        """Name of the last checkpoint at which the doctor found no problem, or None."""
        return checkpoint.pointer(self.folder.checkpoints, HEALTHY)

    def mark_healthy(self, nimg: int) -> None:
        """Mark the checkpoint that will be saved at ``nimg`` images as healthy."""
        checkpoint.replace_file(self.folder.checkpoints / HEALTHY, checkpoint.name_of(nimg).encode())

    def _best_score(self) -> tuple[str, float] | None:
        """Read the score of the best checkpoint; None if there is none."""
        name = checkpoint.pointer(self.folder.checkpoints, "best")
        if name is None:
            return None
        try:
            score = checkpoint.read(self.folder.checkpoints / name, only=lambda part: False).state.get("judged")
        except checkpoint.CheckpointError:
            return None
        return (str(score[0]), float(score[1])) if score else None


def load_state(trainer: Trainer, loaded: checkpoint.Loaded) -> None:
    """Load a checkpoint into a trainer.

    Args:
        trainer: The trainer.
        loaded: The checkpoint.

    Raises:
        BadInput: If the checkpoint does not fit the model.
    """
    with json_files.blaming(loaded.path, FIT):
        json_files.check(loaded.state, TrainerState, "state.json: ")
        trainer.load_state(loaded.tensors, loaded.state)
