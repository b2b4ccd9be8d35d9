"""What doctor.json in a run folder holds, and how to read it."""

from pathlib import Path
from typing import Any, Literal, NotRequired, TypedDict

from ganloom.core import json_files
from ganloom.doctor.finding import Facts

FILE = "doctor.json"
"""File in the run folder: facts, interval between probes, newest findings."""
FIX = "Delete it: the doctor then starts again from the beginning"


class SavedFinding(TypedDict):
    """A finding, as ``Finding.to_dict`` writes it."""

    name: str
    severity: Literal["green", "yellow", "red"]


class Heal(TypedDict):
    """A setting that was changed to heal the run."""

    finding: str
    change: dict[str, Any]
    back_to: str


class DoctorFile(TypedDict):
    """doctor.json."""

    facts: NotRequired[Facts]
    findings: NotRequired[list[SavedFinding]]
    heals: NotRequired[list[Heal]]
    left_out: NotRequired[dict[str, str]]
    seconds: NotRequired[float]
    ended: NotRequired[str | None]


def read(run: Path) -> dict[str, Any]:
    """Read doctor.json of a run folder; {} if there is none.

    Raises:
        BadInput: If the file is damaged.
    """
    path = run / FILE
    return json_files.read(path, DoctorFile, FIX) if path.exists() else {}
