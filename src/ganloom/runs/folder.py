"""A run's folder: its files, its lock, and the events that are written to it."""

import contextlib
import json
import os
import platform
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch

from ganloom import __version__
from ganloom.core.errors import BadInput, GanloomError
from ganloom.runs import checkpoint


def check_empty(path: str | Path, flag: str = "--out ") -> Path:
    """A folder that is to be made, or is there and holds nothing; ``flag`` stands before it where it is refused."""
    folder = Path(path)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise BadInput(f"{flag}{folder} is not an empty folder: choose another, nothing is overwritten")
    return folder


def check_new(path: str | Path, endings: Sequence[str]) -> Path:
    """A file that does not exist yet, of one of these kinds."""
    file = Path(path)
    if file.suffix.lower() not in endings:
        raise BadInput(f"--out {file} must end in {' or '.join(endings)}")
    if file.exists():
        raise BadInput(f"--out {file} is there already: choose another, nothing is overwritten")
    return file


class Folder:
    """Paths and small files of one run."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.checkpoints = path / "checkpoints"
        self.model = path / "model"

    def create(self) -> None:
        """Make the folder; one that already holds something is left alone and refused."""
        if self.path.exists() and not self.path.is_dir():
            raise BadInput(f"--out {self.path} is a file: name a folder that does not exist yet")
        if (self.path / "config.json").exists():
            raise BadInput(
                f"{self.path} already holds a run: `ganloom resume {self.path}` goes on with it, "
                "or choose another --out for a new one"
            )
        foreign = [p.name for p in self.path.iterdir() if p.name != "lock"] if self.path.exists() else []
        if foreign:
            raise BadInput(f"{self.path} is not empty (it has {foreign[0]}): choose another --out")
        try:
            self.checkpoints.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise BadInput(f"cannot make the run folder {self.path}: {error.strerror}") from error

    def require(self) -> None:
        """Check that this is a run."""
        if not self.path.is_dir():
            raise BadInput(f"no run at {self.path}: give the folder that `ganloom train` named when it began")
        if not (self.path / "config.json").is_file():
            raise BadInput(f"{self.path} is not a run folder (it has no config.json)")

    def read(self, name: str) -> dict[str, Any]:
        """A JSON file of the run; {} when it is not there."""
        path = self.path / name
        if not path.exists():
            return {}
        try:
            value = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise BadInput(f"{path} cannot be read as JSON ({error}): restore it, or train anew") from error
        if not isinstance(value, dict):
            raise BadInput(f"{path} does not hold a JSON object")
        return value

    def write(self, name: str, value: dict[str, Any]) -> None:
        """Replace a JSON file of the run, whole or not at all."""
        checkpoint.replace_file(self.path / name, json.dumps(value, indent=1).encode())

    def update(self, name: str, **changes: Any) -> None:
        """Change some keys of a JSON file."""
        self.write(name, self.read(name) | changes)

    def event(self, kind: str, text: str, kimg: float, more: dict[str, Any] | None = None) -> None:
        """Append a line to events.jsonl; ``more``: further keys, such as the figures of a finding."""
        said = {"time": round(time.time(), 1), "kimg": kimg, "kind": kind, "text": text} | (more or {})
        line = json.dumps(said)
        with open(self.path / "events.jsonl", "a", encoding="utf-8") as file:
            file.write(line + "\n")

    @contextlib.contextmanager
    def lock(self) -> Iterator[None]:
        """Only one training in a folder; a lock whose process is gone counts for nothing."""
        self.path.mkdir(parents=True, exist_ok=True)
        with open(self.path / "lock", "a+", encoding="utf-8") as file:
            try:
                _lock_file(file.fileno())
            except OSError as error:
                file.seek(0)
                holder = file.read().strip() or "unknown"
                raise BadInput(
                    f"another training (process {holder}) is at work in {self.path}: wait for it, or stop it with Ctrl-C there"
                ) from error
            file.seek(0)
            file.truncate()
            file.write(str(os.getpid()))
            file.flush()
            yield


def _lock_file(handle: int) -> None:
    """Take the file's lock or raise OSError; the system frees it when the process ends, however it ends."""
    if sys.platform == "win32":
        import msvcrt

        msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
    else:
        import fcntl

        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)


def next_name(parent: Path, recipe: str, data: str) -> Path:
    """runs/RECIPE-DATA-01, the first number that is free."""
    stem = "".join(ch if ch.isalnum() or ch in "-_." else "-" for ch in f"{recipe}-{data}").strip("-.") or recipe
    number = 1
    while (parent / f"{stem}-{number:02d}").exists():
        number += 1
    return parent / f"{stem}-{number:02d}"


def versions() -> dict[str, str]:
    """What the run ran on."""
    return {
        "ganloom": __version__,
        "torch": torch.__version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "threads": str(torch.get_num_threads()),
    }


def file_error(error: OSError) -> GanloomError:
    """A full disk or a folder that cannot be written, as one line."""
    return GanloomError(f"cannot write {error.filename or 'the run folder'}: {error.strerror or error}")
