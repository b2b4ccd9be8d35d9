"""The folder of a run: its files, its lock and its event log."""

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
from ganloom.core.names import as_path, file_name
from ganloom.runs import checkpoint, file_types


def check_empty(path: str | Path, flag: str = "--out ") -> Path:
    """Check that a folder does not exist or is empty.

    Args:
        path: The folder.
        flag: Text before the path in the error message.

    Returns:
        The path.

    Raises:
        BadInput: If the path is a file or a folder with content.
    """
    folder = as_path(path)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise BadInput(f"{flag}{folder} is not an empty folder. Choose another; nothing is overwritten")
    return folder


def check_new(path: str | Path, endings: Sequence[str]) -> Path:
    """Check that a file does not exist and has one of the endings.

    Args:
        path: The file.
        endings: Allowed suffixes in lower case, such as ".png".

    Returns:
        The path.

    Raises:
        BadInput: If the suffix is not allowed or the file exists.
    """
    file = as_path(path)
    if file.suffix.lower() not in endings:
        raise BadInput(f"--out {file} must end in {' or '.join(endings)}")
    if file.exists():
        raise BadInput(f"--out {file} already exists. Choose another; nothing is overwritten")
    return file


class Folder:
    """Paths and small files of one run.

    Args:
        path: The run folder.

    Attributes:
        checkpoints: The folder of the checkpoints.
        model: The folder of the exported model.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.checkpoints = path / "checkpoints"
        self.model = path / "model"

    def create(self) -> None:
        """Create the folder.

        Raises:
            BadInput: If it is a file, is not empty, already holds a run, or cannot be created.
        """
        if self.path.exists() and not self.path.is_dir():
            raise BadInput(f"--out {self.path} is a file. Choose a folder that does not exist yet")
        if (self.path / "config.json").exists():
            raise BadInput(
                f"{self.path} already holds a run. Continue it with `ganloom resume {self.path}`, "
                "or choose another --out"
            )
        content = [p.name for p in self.path.iterdir() if p.name != "lock"] if self.path.exists() else []
        if content:
            raise BadInput(f"{self.path} is not empty (it contains {content[0]}). Choose another --out")
        try:
            self.checkpoints.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise BadInput(f"cannot create the run folder {self.path}: {error.strerror}") from error

    def require(self) -> None:
        """Check that the folder is a run; raise BadInput otherwise."""
        if not self.path.is_dir():
            raise BadInput(f"no run at {self.path}. Give the run folder that `ganloom train` printed at its start")
        if not (self.path / "config.json").is_file():
            raise BadInput(f"{self.path} is not a run folder (it has no config.json)")

    def read(self, name: str) -> dict[str, Any]:
        """Read a JSON file of the run.

        Args:
            name: File name, such as "config.json".

        Returns:
            The JSON object; {} if the file does not exist.

        Raises:
            BadInput: If the file cannot be read, is damaged, or holds something else; see ``file_types``.
        """
        return file_types.read(self.path / name)

    def write(self, name: str, value: dict[str, Any]) -> None:
        """Replace a JSON file of the run atomically."""
        checkpoint.replace_file(self.path / name, json.dumps(value, indent=1).encode())

    def update(self, name: str, **changes: Any) -> None:
        """Change some keys of a JSON file of the run."""
        self.write(name, self.read(name) | changes)

    def event(self, kind: str, text: str, kimg: float, more: dict[str, Any] | None = None) -> None:
        """Append a line to events.jsonl.

        Args:
            kind: Kind of event, such as "resume".
            text: One line for people.
            kimg: Real images shown to D so far, in thousands.
            more: Further keys, such as the figures of a finding.
        """
        event = {"time": round(time.time(), 1), "kimg": kimg, "kind": kind, "text": text} | (more or {})
        line = json.dumps(event)
        with open(self.path / "events.jsonl", "a", encoding="utf-8") as file:
            file.write(line + "\n")

    @contextlib.contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the lock of the folder, so that only one training runs in it.

        The system releases the lock when its process ends.

        Raises:
            BadInput: If another process holds the lock.
        """
        self.path.mkdir(parents=True, exist_ok=True)
        with open(self.path / "lock", "a+", encoding="utf-8", errors="replace") as file:
            try:
                _lock_file(file.fileno())
            except OSError as error:
                file.seek(0)
                holder = file.read(20).strip()
                holder = holder if holder.isascii() and holder.isdigit() else "unknown"
                raise BadInput(
                    f"another training (process {holder}) is running in {self.path}. Wait for it, or stop it with Ctrl-C"
                ) from error
            file.seek(0)
            file.truncate()
            file.write(str(os.getpid()))
            file.flush()
            yield


def _lock_file(handle: int) -> None:
    """Lock the file or raise OSError. The system releases the lock when the process ends, for whatever reason."""
    if sys.platform == "win32":
        import msvcrt

        msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
    else:
        import fcntl

        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)


def next_name(parent: Path, recipe: str, data: str) -> Path:
    """Return PARENT/RECIPE-DATA-NN with the first free number from 01."""
    stem = file_name(f"{recipe}-{data}").strip("-.") or recipe
    number = 1
    while (parent / f"{stem}-{number:02d}").exists():
        number += 1
    return parent / f"{stem}-{number:02d}"


def versions() -> dict[str, str]:
    """Return the versions of ganloom, torch, Python and the platform, and the number of threads."""
    return {
        "ganloom": __version__,
        "torch": torch.__version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "threads": str(torch.get_num_threads()),
    }


def file_error(error: OSError) -> GanloomError:
    """Convert an OSError (full disk, no permission) to a one-line error."""
    return GanloomError(f"cannot write {error.filename or 'the run folder'}: {error.strerror or error}")
