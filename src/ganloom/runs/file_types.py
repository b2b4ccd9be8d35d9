"""What the JSON files of a run folder and of a model/ folder hold, and how to read them; see ``core.json_files``."""

from pathlib import Path
from typing import Any, NotRequired, TypedDict

from ganloom.core import json_files
from ganloom.core.errors import BadInput
from ganloom.core.json_files import AnyNumber
from ganloom.doctor.record import FILE as DOCTOR
from ganloom.doctor.record import FIX as DOCTOR_FIX
from ganloom.doctor.record import DoctorFile


class Start(TypedDict):
    """``init`` of config.json: the weights that training started from."""

    frozen: NotRequired[list[str]]


class _AnyConfig(TypedDict):
    format: NotRequired[int]
    recipe: str
    config: dict[str, Any]
    stabilise: NotRequired[dict[str, Any]]
    init: NotRequired[Start]
    classes: NotRequired[list[str] | None]
    classes_drawn: NotRequired[list[int] | None]
    kimg: NotRequired[float | None]


class Seeded(TypedDict):
    """``train`` of config.json: the settings of the training, of which every command reads the seed."""

    seed: NotRequired[int]


class Config(_AnyConfig):
    """config.json of a run or a model/ folder."""

    train: NotRequired[Seeded]
    data: NotRequired[Any]


class Data(TypedDict):
    """``data`` of a run's config.json."""

    name: str
    source: dict[str, Any]
    fingerprint: str
    size: NotRequired[int]
    held_out: NotRequired[int]


class RunConfig(_AnyConfig):
    """config.json of a run."""

    small: NotRequired[bool]
    train: Seeded
    data: Data


class RunState(TypedDict):
    """run.json: when and where the run was trained, and how it ended."""

    state: NotRequired[str]
    exit_reason: NotRequired[str | None]
    cores: NotRequired[float]
    device: NotRequired[str | None]
    precision: NotRequired[str]
    versions: NotRequired[dict[str, Any]]
    data: NotRequired[dict[str, Any]]


class ManifestEntry(TypedDict):
    """The size in bytes and the digest of one file of a checkpoint."""

    size: int
    sha256: str


class CheckpointManifest(TypedDict):
    """MANIFEST.json of a checkpoint."""

    format: int
    files: dict[str, ManifestEntry]


class CheckpointState(TypedDict):
    """state.json of a checkpoint: what every checkpoint holds; the Trainer's own numbers are in ``TrainerState``."""

    nimg: NotRequired[int]
    ema_pending: NotRequired[float]
    judged: NotRequired[tuple[str, AnyNumber]]


class TrainerState(TypedDict):
    """The numbers from which a Trainer continues."""

    nimg: int
    step: int
    draws: int
    averaged_at: int
    seconds: float
    rollbacks: int
    lr_factor: float
    stats: dict[str, tuple[AnyNumber, AnyNumber]]


KINDS: dict[str, tuple[Any, str]] = {
    "config.json": (Config, json_files.FIX),
    "run.json": (RunState, "Delete it: the run can be used without it"),
    DOCTOR: (DoctorFile, DOCTOR_FIX),
}
"""File name -> (what it must hold, what to do if it is damaged)."""


def read(path: Path) -> dict[str, Any]:
    """Read a JSON file of a run folder.

    Args:
        path: The file.

    Returns:
        Its object; {} if the file does not exist.

    Raises:
        BadInput: If the file cannot be read, is damaged, or holds something else.
    """
    if not path.exists():
        return {}
    kind, fix = KINDS.get(path.name, (dict[str, Any], json_files.FIX))
    return json_files.read(path, kind, fix)


def require_run(described: dict[str, Any], path: Path) -> None:
    """Check that a config.json is that of a run, with settings of the training and data.

    Args:
        described: Its content.
        path: The run folder.

    Raises:
        BadInput: If something is missing or has another type.
    """
    if "train" not in described and "recipe" in described and (path / "README.md").is_file():
        raise BadInput(
            f"{path} is the model folder of a run: it has the weights, but not the data and the settings of the training. Give "
            "the run folder"
        )
    try:
        json_files.check(described, RunConfig, "")
    except BadInput as error:
        file = path / "config.json"
        raise BadInput(f"{file} is not the config.json of a run, or is damaged: {error}. {json_files.FIX}") from error
