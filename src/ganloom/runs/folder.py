"""The folder of a run: its files, its lock and its event log."""

import contextlib
import json
import os
import platform
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from ganloom import __version__
from ganloom.core.errors import BadInput, GanloomError
from ganloom.core.names import file_name, resume_command
from ganloom.core.output_files import TEMPORARY, append_to, open_unlinked, replace_file
from ganloom.runs import checkpoint, file_types

LINES = ("log.txt", "events.jsonl", "metrics.jsonl")
"""Files of a run that are only appended to."""
_START = ("lock", "run.json", "checkpoints", "data.npz", "held.npz", "bad_files.csv")
"""What a start writes before config.json."""


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
        self._begun = False

    def check_startable(self) -> None:
        """Check that a training may start in this folder: it is new or empty, or a run ended in it before its first checkpoint.

        Raises:
            BadInput: If the path is a file, the folder holds something else, or the run has a checkpoint.
        """
        if os.path.lexists(self.path) and not self.path.is_dir():
            raise BadInput(f"--out {self.path} is a file. Choose a folder that does not exist yet")
        if not self.path.exists():
            return
        if (self.path / "config.json").exists():
            if not self.without_checkpoint():
                raise BadInput(
                    f"{self.path} already holds a run. Continue it with `{resume_command(self.path)}`, "
                    "or choose another --out"
                )
            self.check_links()
            return
        known = _START if self.read("run.json").get("state") == "starting" else ("lock", "checkpoints")
        content = [
            p.name
            for p in sorted(self.path.iterdir())
            if p.name not in known
            and not p.name.startswith(tuple(f"{TEMPORARY}{name}" for name in (*_START, "config")))
        ]
        content += ["checkpoints"] if self.checkpoints.exists() and any(self.checkpoints.iterdir()) else []
        if content:
            raise BadInput(f"{self.path} is not empty (it contains {content[0]}). Choose another --out")

    def without_checkpoint(self) -> bool:
        """Return whether the run ended before its first checkpoint, so that it can start again without a loss."""
        marks = (self.checkpoints / "latest", self.model / "G.safetensors")  # written with each checkpoint
        return not checkpoint.names(self.checkpoints) and not any(os.path.lexists(mark) for mark in marks)

    def check_links(self) -> None:
        """Raise BadInput if a file of the run that is appended to is a symbolic link, which may lead anywhere."""
        for name in ("lock", *LINES):
            if (self.path / name).is_symlink():
                raise BadInput(
                    f"{self.path / name} is a symbolic link, which ganloom does not write through. Remove it"
                )

    def create(self) -> None:
        """Create the folder, after ``check_startable`` and inside ``lock``.

        Raises:
            BadInput: If it cannot be created.
        """
        try:
            self.checkpoints.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise BadInput(f"cannot create the run folder {self.path}: {error.strerror}") from error

    def require(self) -> None:
        """Check that the folder is a run; raise BadInput otherwise."""
        if not self.path.is_dir():
            raise BadInput(f"no run at {self.path}. Give the run folder that `ganloom train` printed at its start")
        if not (self.path / "config.json").is_file():
            started = (self.path / "run.json").is_file() or self.checkpoints.is_dir()
            advice = ". It ended while it was made: run the same `ganloom train` command again" if started else ""
            raise BadInput(f"{self.path} is not a run folder (it has no config.json){advice}")

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
        replace_file(self.path / name, json.dumps(value, indent=1).encode())

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
        with append_to(self.path / "events.jsonl") as file:
            file.write(line + "\n")

    @contextlib.contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the lock of the folder, so that only one training runs in it.

        The system releases the lock when its process ends. If ``begin`` is not called inside, everything is as before
        afterwards: the content of the file, or that there was no file or no folder.

        Raises:
            BadInput: If another process holds the lock, or the folder cannot be written.
        """
        self.check_links()
        made = not self.path.exists()
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            handle, before = self._take_lock()
        except OSError as error:
            raise BadInput(f"cannot write the run folder {self.path}: {error.strerror or error}") from error
        self._begun = False
        try:
            os.ftruncate(handle, 0)
            os.lseek(handle, 0, os.SEEK_SET)
            os.write(handle, str(os.getpid()).encode())
            yield
        finally:
            if not self._begun:
                self._restore_lock(handle, before, made)
            os.close(handle)

    def begin(self) -> None:
        """Note that a training begins: from now on, the folder is written."""
        self._begun = True

    def _take_lock(self) -> tuple[int, tuple[bytes, int] | None]:
        """Return the locked file, and its content and time before; None if there was no file."""
        path = self.path / "lock"
        while True:
            existed = path.exists()
            handle = open_unlinked(path, os.O_RDWR | os.O_CREAT)
            content = os.read(handle, 100)
            try:
                _lock_file(handle)
            except OSError as error:
                os.close(handle)
                text = content[:20].decode(errors="replace").strip()
                holder = text if text.isascii() and text.isdigit() else "unknown"
                raise BadInput(
                    f"another training (process {holder}) is running in {self.path}. Wait for it, or stop it with Ctrl-C"
                ) from error
            mine = os.fstat(handle)
            with contextlib.suppress(FileNotFoundError):
                if os.path.samestat(mine, os.stat(path)):
                    return handle, (content, mine.st_mtime_ns) if existed else None
            os.close(handle)  # its last holder removed the file: lock the new one

    def _restore_lock(self, handle: int, before: tuple[bytes, int] | None, made: bool) -> None:
        path = self.path / "lock"
        with contextlib.suppress(OSError):
            if before is None:
                path.unlink()
                if made:
                    self.path.rmdir()
                return
            os.ftruncate(handle, 0)
            os.lseek(handle, 0, os.SEEK_SET)
            os.write(handle, before[0])
            os.utime(path, ns=(before[1], before[1]))


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
