"""Folders that ganloom wrote: runs, exported models and folders of generated images. Inside a data set they are no data."""

import os
import re
import zipfile
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable
from functools import partial
from pathlib import Path

from ganloom.core import json_files
from ganloom.core.output_files import write_new

MARKER = ".ganloom-output"
"""A file with this name says that ganloom wrote the images of its folder."""

PROJECTIONS = tuple(frozenset({"projected.png", name}) for name in ("ws.safetensors", "z.safetensors"))
"""Files that ``latent project`` writes, in w and in z."""
_SAMPLE = re.compile(r"seed\d{6,}\.png")
_LIMIT = 2**20  # bytes of a config.json that are read


def mark_output(folder: str | os.PathLike[str], command: str) -> None:
    """Mark a folder as an output of ganloom, so that its images are not trained on by accident. A marker that is there stays.

    Args:
        folder: a folder that exists.
        command: the command that writes the images, such as "translate".
    """
    text = f"ganloom {command} wrote these images. Without this file, they are data like any other images.\n"
    if not os.path.lexists(Path(folder, MARKER)):
        write_new(Path(folder, MARKER), text.encode())


def is_own_folder(
    files: Collection[str], config: Callable[[], bytes], folders: Callable[[], Collection[Collection[str]]]
) -> bool:
    """Whether a folder is a run, an exported model, or holds images that ganloom generated.

    Args:
        files: names of the files in the folder.
        config: reads its config.json, at most 1 MiB.
        folders: lists the names of the files in each of its sub-folders.
    """
    if MARKER in files:
        return True
    if "config.json" in files and _is_config(config):
        return True
    return any(files_of <= set(files) for files_of in PROJECTIONS) or _holds_samples(files, folders)


def _is_config(read: Callable[[], bytes]) -> bool:
    """Whether a config.json is that of a run or of a model."""
    try:
        content = json_files.parse(read()[:_LIMIT])
    except (OSError, ValueError, KeyError):
        return False
    return isinstance(content, dict) and isinstance(content.get("recipe"), str) and "config" in content


def _holds_samples(files: Collection[str], folders: Callable[[], Collection[Collection[str]]]) -> bool:
    """Whether these are the files that ``sample`` writes: grid.png, and seed000000.png ... here or in folders of classes."""
    images = {name for name in files if name.lower().endswith(".png")} - {"grid.png"}
    if "grid.png" not in files or not all(map(_SAMPLE.fullmatch, images)):
        return False
    inside = folders()
    return bool(images or inside) and all(names and all(map(_SAMPLE.fullmatch, names)) for names in inside)


def is_run(folder: str) -> bool:
    """Whether a folder on disk is a run or an exported model."""
    return _is_config(lambda: _read(folder))


def is_own_folder_on_disk(folder: str, files: Collection[str], folders: Collection[str]) -> bool:
    """Whether a folder on disk is one of ours, see `is_own_folder`.

    Args:
        folder: the folder.
        files: names of the files in it.
        folders: names of the folders in it.
    """
    return is_own_folder(
        files, partial(_read, folder), lambda: [_files_in(os.path.join(folder, name)) for name in folders]
    )


def is_own_path(folder: str) -> bool:
    """Whether a folder on disk is one of ours, see `is_own_folder`, or holds only folders of ours and no other files."""
    try:
        with os.scandir(folder) as found:
            entries = sorted(found, key=lambda entry: entry.name)
        files = {entry.name for entry in entries if not entry.is_dir()}
        folders = [entry.name for entry in entries if entry.is_dir(follow_symlinks=False)]
    except OSError:
        return False
    if is_own_folder_on_disk(folder, files, folders):
        return True
    return not files and bool(folders) and all(is_own_path(os.path.join(folder, name)) for name in folders)


def _read(folder: str) -> bytes:
    with open(os.path.join(folder, "config.json"), "rb") as file:
        return file.read(_LIMIT)


def _files_in(folder: str) -> list[str]:
    try:
        return os.listdir(folder)
    except OSError:
        return []


def own_folders_of_archive(archive: zipfile.ZipFile, names: Iterable[str]) -> list[str]:
    """Find the folders of ours in a zip archive, see `is_own_folder`.

    Args:
        archive: the open archive.
        names: names of its members.

    Returns:
        Names of folders, sorted, none inside another.
    """
    files: dict[str, list[str]] = defaultdict(list)
    for name in names:
        folder, _, file = name.rpartition("/")
        files[folder].append(file)
    own: list[str] = []
    for folder in sorted(filter(None, files)):
        if folder.startswith(tuple(f"{one}/" for one in own)):
            continue
        config = partial(_read_member, archive, f"{folder}/config.json")
        if is_own_folder(files[folder], config, partial(_inside, files, folder)):
            own.append(folder)
    return own


def _inside(files: dict[str, list[str]], folder: str) -> list[list[str]]:
    """The files of each sub-folder."""
    return [names for other, names in files.items() if other.rpartition("/")[0] == folder]


def _read_member(archive: zipfile.ZipFile, name: str) -> bytes:
    try:
        with archive.open(name) as file:
            return file.read(_LIMIT)
    except Exception as error:  # the member is damaged: zlib.error, BadZipFile, NotImplementedError ...
        raise OSError(str(error)) from None
