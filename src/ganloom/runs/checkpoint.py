"""Write and read checkpoints: atomic, verified, without pickle.

A checkpoint is a folder such as ``kimg-000200`` with safetensors files, ``state.json`` and a ``MANIFEST.json`` that holds the
size and sha256 of each file. It is written to a temporary folder next to it, flushed to disk and renamed; then the text file
``latest`` is updated. So if the process is killed at any moment, the previous checkpoint is still valid. Reading verifies every
byte and falls back to the newest complete checkpoint.
"""

import hashlib
import json
import os
import re
import secrets
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import safetensors.torch
from torch import Tensor

from ganloom.core import json_files
from ganloom.core.errors import BadInput, GanloomError
from ganloom.core.names import resume_command
from ganloom.core.output_files import TEMPORARY, sync_folder
from ganloom.core.output_files import replace_file as replace_file
from ganloom.runs.file_types import CheckpointManifest, CheckpointState

FORMAT = 1
MANIFEST = "MANIFEST.json"


class CheckpointError(GanloomError):
    """A checkpoint is missing, damaged or could not be written."""


@dataclass(frozen=True)
class Loaded:
    """The content of a checkpoint.

    Attributes:
        path: Its folder.
        tensors: Part ("gan", "ema", "optim") -> name -> tensor.
        state: The content of state.json.
        skipped: One line for each damaged checkpoint that was skipped.
    """

    path: Path
    tensors: dict[str, dict[str, Tensor]]
    state: dict[str, Any]
    skipped: tuple[str, ...] = ()

    @property
    def nimg(self) -> int:
        """Real images shown to D. Raises CheckpointError if state.json does not say it."""
        nimg = self.state.get("nimg", -1)
        if nimg < 0:
            raise CheckpointError(
                f"{self.path / 'state.json'} has no nimg, the number of images that training has seen"
            )
        return int(nimg)


def name_of(nimg: int) -> str:
    """Return the folder name of a checkpoint.

    Args:
        nimg: Real images shown to D.

    Returns:
        A name such as kimg-000020, or kimg-000020.480 for 20,480 images.
    """
    whole, rest = divmod(nimg, 1000)
    return f"kimg-{whole:06d}" + (f".{rest:03d}" if rest else "")


_NAME = re.compile(r"kimg-(\d{6,})(?:\.(\d{3}))?")
_LEFT_BEHIND = re.compile(r"\.tmp-(del-)?(kimg-\d{6,}(\.\d{3})?|latest|best|healthy)-[0-9a-z]+")
"""Names of the temporary files and folders of this module."""


def parse_name(name: str) -> int | None:
    """Read the folder name of a checkpoint. This is the only place that decides what is a checkpoint.

    Args:
        name: A file name in the folder of the checkpoints.

    Returns:
        Real images shown to D; None for every name that ``name_of`` does not give, such as "kimg-000200-keep".
    """
    match = _NAME.fullmatch(name)
    nimg = None if match is None or not name.isascii() else int(match[1]) * 1000 + int(match[2] or 0)
    return nimg if nimg is not None and name_of(nimg) == name else None


# ------------------------------------------------------------------------------------------------------------ writing


def write_bytes(path: Path, data: bytes) -> None:
    """Write a file and flush it to disk."""
    with open(path, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def save(folder: Path, name: str, tensors: dict[str, dict[str, Tensor]], state: dict[str, Any]) -> Path:
    """Write a checkpoint and point ``latest`` to it.

    Args:
        folder: The folder of the checkpoints; it is created if necessary.
        name: Name of the checkpoint, see ``name_of``. An existing one of this name is replaced.
        tensors: Part -> name -> tensor; each part becomes one safetensors file.
        state: JSON-serializable state.

    Returns:
        The path of the checkpoint.

    Raises:
        CheckpointError: If it cannot be written; earlier checkpoints are untouched.
    """
    final, temporary = folder / name, folder / f"{TEMPORARY}{name}-{secrets.token_hex(4)}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        temporary.mkdir()
        manifest: dict[str, Any] = {"format": FORMAT, "files": {}}
        parts = {f"{part}.safetensors": _to_bytes(values) for part, values in tensors.items()}
        for file, content in [*parts.items(), ("state.json", _json(state))]:
            write_bytes(temporary / file, content)
            manifest["files"][file] = {"size": len(content), "sha256": hashlib.sha256(content).hexdigest()}
        write_bytes(temporary / MANIFEST, _json(manifest))
        sync_folder(temporary)
        if os.path.lexists(final):  # from the same moment of the same run: replace it
            _remove(final)
        os.rename(temporary, final)
        sync_folder(folder)
        replace_file(folder / "latest", name.encode())
    except OSError as error:
        shutil.rmtree(temporary, ignore_errors=True)
        raise CheckpointError(
            f"could not write checkpoint {final}: {error.strerror or error}; earlier checkpoints are untouched"
        ) from error
    return final


def _to_bytes(values: dict[str, Tensor]) -> bytes:
    data: bytes = safetensors.torch.save({name: t.detach().cpu().contiguous() for name, t in values.items()})
    return data


def _json(value: Any) -> bytes:
    return json.dumps(value, indent=1, sort_keys=True).encode()


def _remove(path: Path) -> None:
    """Remove a checkpoint. Files that are not listed in its manifest stay, in a folder named NAME-kept.

    The folder is renamed first, so that a kill leaves a temporary folder and not half a checkpoint.
    """
    own = _own_files(path)
    if own is None or path.is_symlink() or set(os.listdir(path)) - own:
        kept = path.rename(_free_name(path))
        for name in own or () if not kept.is_symlink() else ():
            (kept / name).unlink(missing_ok=True)
        return
    temporary = path.with_name(f"{TEMPORARY}del-{path.name}-{secrets.token_hex(4)}")
    os.rename(path, temporary)
    shutil.rmtree(temporary, ignore_errors=True)


def _own_files(path: Path) -> set[str] | None:
    """Return the names of the files that ``save`` wrote into a checkpoint; None if its manifest cannot be read."""
    try:
        files = json_files.decode((path / MANIFEST).read_bytes(), CheckpointManifest, MANIFEST)["files"]
        return {MANIFEST, *(name for name in files if Path(name).name == name)}
    except (OSError, BadInput):
        return None


def _free_name(path: Path) -> Path:
    """Return NAME-kept, or NAME-kept-2 and so on if that name is taken."""
    free, number = path.with_name(f"{path.name}-kept"), 2
    while os.path.lexists(free):
        free, number = path.with_name(f"{path.name}-kept-{number}"), number + 1
    return free


def sweep(folder: Path) -> list[str]:
    """Remove the temporary files of a killed process; return their names. All other files stay."""
    removed = []
    for path in folder.glob(f"{TEMPORARY}*"):
        if not _LEFT_BEHIND.fullmatch(path.name):
            continue
        removed.append(path.name)
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)
    return removed


def mark_best(folder: Path, name: str) -> None:
    """Point ``best`` to a checkpoint."""
    replace_file(folder / "best", name.encode())


def prune(folder: Path, keep: int) -> None:
    """Remove old checkpoints.

    Args:
        folder: The folder of the checkpoints.
        keep: Number of newest checkpoints to keep, 0 for all. Those that ``latest``, ``best`` and ``healthy`` name are kept too.
            Folders without a readable manifest are neither counted nor removed.
    """
    named = {pointer(folder, which) for which in ("latest", "best", "healthy")}
    complete = [name for name in names(folder) if _own_files(folder / name) is not None]
    for name in complete[:-keep] if keep else []:
        if name not in named:
            _remove(folder / name)


def drop_after(folder: Path, name: str) -> None:
    """Remove the checkpoints that are newer than ``name``."""
    known = names(folder)
    for other in known[known.index(name) + 1 :]:
        _remove(folder / other)


# ------------------------------------------------------------------------------------------------------------ reading


def names(folder: Path) -> list[str]:
    """Return the names of all checkpoints, oldest first. Everything else in the folder is ignored, see ``parse_name``."""
    found = [(nimg, p.name) for p in folder.glob("kimg-*") if (nimg := parse_name(p.name)) is not None and p.is_dir()]
    return [name for _, name in sorted(found)]


def pointer(folder: Path, which: str) -> str | None:
    """Return the name of the checkpoint that a pointer file names.

    Args:
        folder: The folder of the checkpoints.
        which: Name of the pointer file: "latest", "best" or "healthy".

    Returns:
        The name, None if the file or the checkpoint does not exist.
    """
    try:
        name = (folder / which).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError):
        return None
    return name if parse_name(name) is not None and (folder / name).is_dir() else None


def read(path: Path, only: Callable[[str], bool] = lambda part: True) -> Loaded:
    """Read one checkpoint and verify the size and sha256 of all its files.

    Args:
        path: Folder of the checkpoint.
        only: Which parts to load, as a function of their name. All files are verified.

    Returns:
        The content.

    Raises:
        CheckpointError: If a file is missing or damaged, or the format is newer than this version of ganloom.
    """
    try:
        files = _listed(path)
        content = {}
        for name, expected in files.items():
            data = (path / name).read_bytes()
            if len(data) != expected["size"]:
                raise CheckpointError(f"{path / name} has {len(data)} bytes instead of {expected['size']}")
            if hashlib.sha256(data).hexdigest() != expected["sha256"]:
                raise CheckpointError(f"{path / name} is damaged (sha256 differs from the manifest)")
            content[name] = data
        state = json_files.decode(content["state.json"], CheckpointState, str(path / "state.json"), fix="")
        tensors = {
            name.removesuffix(".safetensors"): safetensors.torch.load(data)
            for name, data in content.items()
            if name.endswith(".safetensors") and only(name.removesuffix(".safetensors"))
        }
    except CheckpointError:
        raise
    except BadInput as error:
        raise CheckpointError(str(error)) from error
    except FileNotFoundError as error:
        raise CheckpointError(f"{path} is incomplete: {Path(str(error.filename)).name} is missing") from error
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read: {error.strerror or error}") from error
    except Exception as error:  # a damaged manifest can raise any exception
        raise CheckpointError(f"{path} is damaged ({type(error).__name__} while reading it)") from error
    return Loaded(path, tensors, state)


def _listed(path: Path) -> dict[str, Any]:
    """Read the manifest of a checkpoint: file name -> size and sha256. Raise if it is damaged or does not list all files."""
    file = path / MANIFEST
    manifest = json_files.decode(file.read_bytes(), CheckpointManifest, str(file), fix="")
    if manifest["format"] > FORMAT:
        raise CheckpointError(f"{path} has format {manifest['format']}, which needs a newer ganloom")
    files: dict[str, Any] = manifest["files"]
    if outside := [name for name in files if name in ("", ".", "..") or set(name) & set("/\\\0")]:
        raise CheckpointError(f"{file} is damaged: it lists {outside[0][:80]!r}, which is not a file of the checkpoint")
    needed = {"state.json", "gan.safetensors", *(p.name for p in path.glob("*.safetensors"))}
    if missing := sorted(needed - files.keys()):
        raise CheckpointError(f"{file} is damaged: it does not list {missing[0]}")
    return files


def load(folder: Path, which: str = "latest", only: Callable[[str], bool] = lambda part: True) -> Loaded:
    """Read a checkpoint; if it is damaged, read the newest complete one instead.

    Args:
        folder: The folder of the checkpoints.
        which: "latest", "best" or the name of a checkpoint. "best" falls back to "latest" if there is no best one.
        only: Which parts to load, as a function of their name.

    Returns:
        The content; ``skipped`` has a line for each damaged checkpoint.

    Raises:
        CheckpointError: If there is no complete checkpoint.
        BadInput: If there is no checkpoint of this name.
    """
    known = names(folder)
    if not known:
        raise CheckpointError(
            f"{folder} contains no checkpoint: the run ended before the first one was saved. "
            f"Continue with `{resume_command(folder.parent)}`"
        )
    if which not in ("latest", "best") and which not in known:
        raise BadInput(f'{folder} has no checkpoint "{which}". Choose one of {", ".join(known)}')
    first = pointer(folder, which) if which in ("latest", "best") else which
    if which == "best" and first is None:
        first = pointer(folder, "latest")
    # Then the others, newest first: the process may have been killed between the rename and the update of the pointer.
    order = ([first] if first else []) + [name for name in reversed(known) if name != first]
    skipped = []
    for name in order:
        try:
            loaded = read(folder / name, only)
        except CheckpointError as error:
            skipped.append(str(error))
            continue
        return Loaded(loaded.path, loaded.tensors, loaded.state, tuple(skipped))
    raise CheckpointError(f"all checkpoints in {folder} are incomplete or damaged: {skipped[0]}")
