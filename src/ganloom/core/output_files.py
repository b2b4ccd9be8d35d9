"""Decide where a command may write, and write files that are complete or absent. All commands write through this module.

The rule: a command never replaces a file that it cannot prove to have written itself. A name that the user gives must be
free, unless ``--overwrite`` is set. A file that a command writes again under a fixed name, such as metrics.json, is replaced
only while its SHA-256 is the recorded one. The record is ``.ganloom-files.json`` in the same folder.
"""

import contextlib
import errno
import hashlib
import json
import os
import secrets
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TextIO

from ganloom.core import json_files
from ganloom.core.errors import BadInput
from ganloom.core.names import as_path

TEMPORARY = ".tmp-"
"""Temporary files are named ".tmp-NAME-TOKEN" and are in the folder of the file NAME."""
RECORD = ".ganloom-files.json"
FREE = "Choose another name, or add --overwrite"


# ----------------------------------------------------------------------------------------- before the work: may it be written


def new_file(path: str | Path, endings: Sequence[str] = (), *, overwrite: bool = False, flag: str = "--out ") -> Path:
    """Check a file name before the work begins.

    Args:
        path: The file.
        endings: Allowed suffixes in lower case, such as ".png". Empty: any.
        overwrite: Whether an existing file may be replaced.
        flag: Text before the path in the error message.

    Returns:
        The path.

    Raises:
        BadInput: If the suffix is not allowed, or the name is taken.
    """
    file = as_path(path)
    if endings and file.suffix.lower() not in endings:
        raise BadInput(f"{flag}{file} must end in {' or '.join(endings)}")
    if file.is_dir():
        raise BadInput(f"{flag}{file} is a folder. Give the name of a file in it")
    if os.path.lexists(file) and not overwrite:
        raise BadInput(f"{flag}{file} already exists. {FREE}")
    return file


def numbered(path: Path, is_taken: Callable[[Path], bool]) -> Path:
    """Return the path, or the first of NAME-2, NAME-3, ... that is not taken."""
    number, other = 2, path
    while is_taken(other):
        other, number = path.with_name(f"{path.stem}-{number}{path.suffix}"), number + 1
    return other


def new_folder(path: str | Path, *, overwrite: bool = False, flag: str = "--out ") -> Path:
    """Check the folder of several outputs before the work begins.

    Args:
        path: The folder.
        overwrite: Whether it may hold files. Those of equal names are replaced, the others stay.
        flag: Text before the path in the error message.

    Returns:
        The path.

    Raises:
        BadInput: If the path is a file, or a folder with content and ``overwrite`` is not set.
    """
    folder = as_path(path)
    if os.path.lexists(folder) and not folder.is_dir():
        raise BadInput(f"{flag}{folder} is a file and not an empty folder. Choose another")
    if folder.is_dir() and not overwrite and any(folder.iterdir()):
        raise BadInput(f"{flag}{folder} is not an empty folder. Choose another, or add --overwrite")
    return folder


def may_rewrite(
    path: str | Path, *, overwrite: bool = False, ours: Callable[[bytes], bool] = lambda content: False
) -> Path:
    """Check a file of a fixed name before the work begins: it is missing, or unchanged since ganloom wrote it.

    Args:
        path: The file.
        overwrite: Whether an existing file may be replaced in any case.
        ours: Whether ganloom wrote a file with this content, for files without a record.

    Returns:
        The path.

    Raises:
        BadInput: If another program wrote or changed the file.
    """
    file = as_path(path)
    if overwrite or not os.path.lexists(file):
        return file
    content = _content(file)
    if content is not None and not file.is_symlink():
        if recorded := _record(file.parent).get(file.name):
            if hashlib.sha256(content).hexdigest() == recorded:
                return file
        elif ours(content):
            return file
    raise BadInput(f"{file} was not written by ganloom, or was changed since. Move it, or add --overwrite")


# ------------------------------------------------------------------------------------------------------------- writing


@contextlib.contextmanager
def written(path: str | Path, *, overwrite: bool = False, sync: bool = False) -> Iterator[Path]:
    """Write a file so that it is complete or absent.

    Args:
        path: The file. Missing folders are created.
        overwrite: Replace an existing file. Without it, an existing file stays and ``BadInput`` is raised, also if the file
            appeared during the work. A file of equal content is accepted.
        sync: Flush the file to the disk before it gets its name.

    Yields:
        The temporary file to write to. It is empty and has the suffix of ``path``.
    """
    target = as_path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = _temporary(target)
    try:
        yield temporary
        if sync:
            _sync_file(temporary)
        if overwrite:
            os.replace(temporary, target)
        else:
            _publish(temporary, target)
        if sync:
            sync_folder(target.parent)
    finally:
        temporary.unlink(missing_ok=True)


def write_new(path: str | Path, data: bytes, *, overwrite: bool = False) -> Path:
    """Write a new file, complete or not at all; see ``written``. Returns the path."""
    with written(path, overwrite=overwrite) as temporary:
        temporary.write_bytes(data)
    return as_path(path)


def replace_file(path: Path, data: bytes, *, sync: bool = True) -> None:
    """Replace a file of ganloom's own, as in a run folder. A reader sees the old or the new content, never a part of it."""
    with written(path, overwrite=True, sync=sync) as temporary:
        temporary.write_bytes(data)


def rewrite(
    path: str | Path, data: bytes, *, overwrite: bool = False, ours: Callable[[bytes], bool] = lambda content: False
) -> Path:
    """Write a file of a fixed name, and record its SHA-256, so that a later command may replace it.

    Args:
        path: The file.
        data: Its content.
        overwrite: See ``may_rewrite``.
        ours: See ``may_rewrite``.

    Returns:
        The path.

    Raises:
        BadInput: If another program wrote or changed the file.
    """
    file = may_rewrite(path, overwrite=overwrite or _content(as_path(path)) == data, ours=ours)
    replace_file(file, data, sync=False)
    known = _record(file.parent) | {file.name: hashlib.sha256(data).hexdigest()}
    replace_file(file.parent / RECORD, (json.dumps(known, indent=1, sort_keys=True) + "\n").encode(), sync=False)
    return file


def append_to(path: Path) -> TextIO:
    """Open a text file of a run for appending; a symbolic link is not followed.

    Raises:
        OSError: If the file is a symbolic link, or cannot be opened.
    """
    return os.fdopen(
        open_unlinked(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT), "a", encoding="utf-8", errors="backslashreplace"
    )


def open_unlinked(path: Path, flags: int) -> int:
    """Open a file without following a symbolic link. Returns the descriptor. Raises OSError that names the link."""
    try:
        if not hasattr(os, "O_NOFOLLOW") and path.is_symlink():  # Windows
            raise OSError(errno.ELOOP, "")
        return os.open(path, flags | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0), 0o666)
    except OSError as error:
        if path.is_symlink():
            reason = "is a symbolic link, which ganloom does not write through; remove it"
            raise OSError(errno.ELOOP, reason, str(path)) from error
        raise


def sync_folder(folder: Path) -> None:
    """Flush a folder, so that a new name in it survives a power failure."""
    if os.name == "nt":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _sync_file(path: Path) -> None:
    with open(path, "rb+") as file:
        os.fsync(file.fileno())


def _temporary(target: Path) -> Path:
    """Create an empty temporary file beside the target, under a name that no file has."""
    name = target.name if len(os.fsencode(target.name)) < 150 else f"{target.name[:30]}{target.suffix[:10]}"
    while True:
        path = target.with_name(f"{TEMPORARY}{name}-{secrets.token_hex(4)}{target.suffix[:10]}")
        with contextlib.suppress(FileExistsError):
            os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666))
            return path


def _publish(temporary: Path, target: Path) -> None:
    """Give the file its name, unless the name is taken by other content."""
    try:
        os.link(temporary, target)  # fails if the name is taken; a rename would replace the file
    except FileExistsError:
        if target.is_symlink() or _content(target) != temporary.read_bytes():
            raise BadInput(f"{target} already exists. {FREE}") from None
    except OSError:  # a file system without hard links
        if os.path.lexists(target):
            raise BadInput(f"{target} already exists. {FREE}") from None
        os.rename(temporary, target)


def _content(path: Path) -> bytes | None:
    try:
        return path.read_bytes() if path.is_file() else None
    except OSError:
        return None


def _record(folder: Path) -> dict[str, str]:
    """Return file name -> SHA-256 of the files that ganloom wrote into a folder."""
    if not (folder / RECORD).exists():
        return {}
    try:
        return json_files.read(folder / RECORD, dict[str, str])
    except BadInput:  # then the files that it lists count as those of somebody else
        return {}
