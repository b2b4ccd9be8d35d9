"""What the Trainer needs from the place where a run is stored: save, restore, and a log of events."""

from pathlib import Path
from typing import Any, Protocol


class Storage(Protocol):
    """Where a run is stored. ``runs.run_storage.RunStorage`` implements it for a run folder."""

    run_dir: Path | None
    """The run folder. None: nothing is written to disk."""

    def save(self, trainer: Any) -> None:
        """Write a checkpoint of the trainer's present state."""

    def restore(self, trainer: Any) -> bool:
        """Load the newest checkpoint into the trainer. Return False if there is none."""

    def has_checkpoint(self) -> bool:
        """Whether there is a checkpoint, or none is ever needed."""

    def event(self, kind: str, text: str, kimg: float, figures: dict[str, Any] | None = None) -> None:
        """Write one line to the event log."""

    def healthy_checkpoint(self) -> str | None:
        """Name of the last checkpoint at which the doctor found no problem, or None."""

    def mark_healthy(self, nimg: int) -> None:
        """Note that the checkpoint which follows at ``nimg`` images is healthy, so that it is kept."""


class NoStorage:
    """Stores nothing: for a Trainer in memory only."""

    def __init__(self, run_dir: Path | None = None) -> None:
        self.run_dir = run_dir

    def save(self, trainer: Any) -> None:
        """Do nothing."""

    def restore(self, trainer: Any) -> bool:
        """Return False: there is no checkpoint."""
        return False

    def has_checkpoint(self) -> bool:
        """Return True: none is ever needed."""
        return True

    def event(self, kind: str, text: str, kimg: float, figures: dict[str, Any] | None = None) -> None:
        """Do nothing."""

    def healthy_checkpoint(self) -> str | None:
        """Return None."""
        return None

    def mark_healthy(self, nimg: int) -> None:
        """Do nothing."""
