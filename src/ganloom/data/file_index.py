"""The image files of a folder or a zip archive, sorted by name, with their labels."""

import builtins
import hashlib
import io
import os
import stat
import zipfile
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ganloom.core.errors import BadInput
from ganloom.data.class_folders import LABEL_FILE, labels_of_files
from ganloom.data.decode import MAX_BYTES, BadImage, Header, decode, header
from ganloom.data.file_kinds import SNIFFED, why_not_read
from ganloom.data.file_kinds import is_image as is_image
from ganloom.data.file_scales import FileScales
from ganloom.data.found_files import Entry, FoundFiles
from ganloom.data.own_folders import is_own_folder_on_disk, is_run, own_folders_of_archive


class NoImages(BadInput):
    """A folder or an archive holds no images."""


@dataclass
class Listing:
    """The images of a folder or an archive, sorted by name.

    Args:
        root: the folder or the archive.
        entries: the N files.
        labels: int64 (N,), or None.
        classes: names of the classes, or None.
        bad: (name, reason) of each file that could not be listed, or that looks like an image and is not read.
        archive: the open archive; None for a folder.
        notes: a line for the user for each kind of file or folder that was left out, or used although it has no ending.
        scales: the scales of numbers of more than 8 bits.
        several: names of decoded files that hold several frames or pages.
    """

    root: str
    entries: list[Entry]
    labels: NDArray[np.int64] | None = None
    classes: list[str] | None = None
    bad: list[tuple[str, str]] = field(default_factory=list)
    archive: zipfile.ZipFile | None = None
    notes: list[str] = field(default_factory=list)
    scales: FileScales = field(default_factory=FileScales)
    several: list[str] = field(default_factory=list)

    def open(self, index: int) -> BinaryIO:
        """Open the file of an image. Raises `BadImage` if it is too large or cannot be read."""
        entry = self.entries[index]
        if entry.size > MAX_BYTES:
            raise BadImage(f"{entry.size / 2**20:.0f} MiB, the limit is {MAX_BYTES // 2**20}")
        if self.archive is None:
            try:
                return builtins.open(os.path.join(self.root, entry.name), "rb")
            except PermissionError:
                raise BadImage("no permission to read it") from None
            except OSError as error:
                raise BadImage(f"cannot be read: {error.strerror}") from None
        try:
            # Read it whole: decoders seek, and a zip member seeks backwards by reading again from its start.
            return io.BytesIO(self.archive.read(entry.name))
        except Exception as error:  # zlib.error, BadZipFile, NotImplementedError (method), RuntimeError (password) ...
            raise BadImage(f"damaged in the archive: {' '.join(str(error).split())[:80]}") from None

    def header(self, index: int) -> Header:
        """Read the size, mode and depth of an image without decoding it. Raises `BadImage`."""
        with self.open(index) as file:
            return header(file, self.entries[index].name)

    def decode(self, index: int, at_least: int | None = None) -> Image.Image:
        """Decode an image, see `decode.decode`. Numbers of more than 8 bits get the scale of all files. Raises `BadImage`."""
        name = self.entries[index].name
        with self.open(index) as file:
            return decode(
                file,
                name,
                at_least=at_least,
                scale_of=lambda kind: self.scales.scale_of(kind, self),
                several=self.several,
            )

    def decoding_notes(self) -> list[str]:
        """Lines for the user about the images decoded so far: which scale was used, and which have several frames."""
        notes = list(self.scales.scales.notes)
        if self.several:
            first = min(self.several)
            many = f"{len(self.several)} files such as {first} hold" if len(self.several) > 1 else f"{first} holds"
            notes.append(f"{many} several frames or pages: only the first is used")
        return notes

    def path(self, name: str) -> str:
        """The path of a file as the user would write it: source and name."""
        return os.path.join(self.root, name)

    def key(self) -> str:
        """A digest that changes when a file is added, removed, renamed or written, or when the classes change."""
        digest = hashlib.sha256(os.path.abspath(self.root).encode("utf-8", "surrogateescape"))
        digest.update(repr((self.entries, self.classes, self.bad)).encode("utf-8", "surrogateescape"))
        if self.labels is not None:
            digest.update(self.labels.tobytes())
        return digest.hexdigest()

    def close(self) -> None:
        """Close the archive, if there is one."""
        if self.archive is not None:
            self.archive.close()


def single_file(path: Path) -> Listing:
    """Return a listing of one file, whatever its ending is.

    Raises:
        BadInput: the ending says that it is not read, such as a camera raw file.
    """
    reason = why_not_read(path.name)
    if reason is not None:
        raise BadInput(f"{path}: {reason}")
    return Listing(str(path.parent), [Entry(path.name, path.stat().st_size, path.stat().st_mtime_ns)])


def list_files(root: str) -> Listing:
    """List the images of a folder (`list_folder`) or of a zip archive (`list_zip`)."""
    return list_folder(root) if os.path.isdir(root) else list_zip(root)


def list_folder(root: str) -> Listing:
    """List all images under a folder, with their labels, see `scan_folder`.

    Labels come from class folders or from NVlabs' dataset.json, see `class_folders`.

    Raises:
        BadInput: the folder cannot be read or holds no images, or dataset.json is malformed.
    """
    listing = scan_folder(root)
    _check_not_empty(listing, "folder")
    label_file = Path(root, LABEL_FILE)
    _add_labels(listing, label_file.read_bytes() if label_file.is_file() else None)
    return listing


def scan_folder(root: str) -> Listing:
    """List all images under a folder, without labels; there may be none.

    Links are followed. Folders whose name begins with a dot are skipped, and so are runs and other outputs of ganloom.

    Raises:
        BadInput: the folder cannot be read, or is a run.
    """
    if is_run(root):
        raise BadInput(
            f"{root} is a run folder, not data; give the folder of its training images, or {root}/generated/..."
        )
    found = FoundFiles()
    visited: set[tuple[int, int]] = set()  # links may form a cycle

    def report_unreadable(error: OSError) -> None:
        if error.filename == root:
            raise BadInput(f"cannot read the folder {root}: {error.strerror}; check its permissions")
        found.bad.append((os.path.relpath(error.filename, root), f"folder cannot be read: {error.strerror}"))

    for folder, folders, files in os.walk(root, onerror=report_unreadable, followlinks=True):
        status = os.stat(folder)
        if (status.st_dev, status.st_ino) in visited:
            folders.clear()
            continue
        visited.add((status.st_dev, status.st_ino))
        if folder != root and is_own_folder_on_disk(folder, files, folders):
            found.own.append(os.path.relpath(folder, root).replace(os.sep, "/"))
            folders.clear()
            continue
        folders[:] = sorted(f for f in folders if not f.startswith(".") and f != "__MACOSX")
        for file in files:
            path = os.path.join(folder, file)
            name = os.path.relpath(path, root).replace(os.sep, "/")
            found.add(name, partial(_entry_of_path, path, name), partial(_start_of_path, path))
    return Listing(root, sorted(found.entries), bad=sorted(found.bad), notes=found.notes())


def _entry_of_path(path: str, name: str) -> Entry | str:
    """The entry of a file, or the reason why it cannot be read."""
    try:
        status = os.stat(path)
    except OSError as error:
        return f"cannot be read: {error.strerror}"
    if not stat.S_ISREG(status.st_mode):  # reading a pipe would block for ever
        return "not a regular file"
    return Entry(name, status.st_size, status.st_mtime_ns)


def _start_of_path(path: str) -> bytes:
    """The first bytes of a file; empty if it cannot be read."""
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):
            return b""
        with builtins.open(path, "rb") as file:
            return file.read(SNIFFED)
    except OSError:
        return b""


def list_zip(root: str) -> Listing:
    """List all images in a zip archive, as `list_folder` does. Nothing is unpacked to disk.

    Raises:
        BadInput: the archive is damaged, has a password or holds no images; a member is a link or its path points
            outside the archive; or dataset.json is malformed.
    """
    try:
        archive = zipfile.ZipFile(root)
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
        raise BadInput(f"cannot read {root} ({error}); create the archive again") from None
    members: dict[str, zipfile.ZipInfo] = {}  # the last of several members of one name counts, as for every unpacker
    for member in archive.infolist():
        _check_member(member, root)
        parts = member.filename.replace("\\", "/").split("/")
        hidden = any(part.startswith(".") or part == "__MACOSX" for part in parts[:-1])
        if not member.is_dir() and not hidden:
            members[member.filename] = member
    found = FoundFiles(own=own_folders_of_archive(archive, members))
    inside = tuple(f"{folder}/" for folder in found.own)
    for name, member in members.items():
        if not name.startswith(inside):
            found.add(
                name, partial(Entry, name, member.file_size, member.CRC), partial(_start_of_member, archive, name)
            )
    listing = Listing(root, sorted(found.entries), bad=sorted(found.bad), archive=archive, notes=found.notes())
    _check_not_empty(listing, "archive")
    _add_labels(listing, _read_label_member(archive))
    return listing


def _start_of_member(archive: zipfile.ZipFile, name: str) -> bytes:
    """The first bytes of a member; empty if it is damaged."""
    try:
        with archive.open(name) as file:
            return file.read(SNIFFED)
    except Exception:  # zlib.error, BadZipFile, NotImplementedError ...: it is no image then
        return b""


def _check_member(member: zipfile.ZipInfo, root: str) -> None:
    """Refuse what no ordinary tool writes: paths that leave the archive, links, passwords."""
    parts = member.filename.replace("\\", "/").split("/")
    if ".." in parts or parts[0] == "" or ":" in parts[0]:
        raise BadInput(
            f"{root} is refused: its member {member.filename!r} points outside the archive; create the archive again"
        )
    if stat.S_ISLNK(member.external_attr >> 16):
        raise BadInput(f"{root} is refused: its member {member.filename!r} is a link; zip the images themselves")
    if member.flag_bits & 1:
        raise BadInput(f"{root} needs a password; create the archive without one")


def _read_label_member(archive: zipfile.ZipFile) -> bytes | None:
    if LABEL_FILE not in archive.namelist() or archive.getinfo(LABEL_FILE).file_size > MAX_BYTES:
        return None
    try:
        return archive.read(LABEL_FILE)
    except Exception:  # the member is damaged; the images are still usable
        return None


def _check_not_empty(listing: Listing, kind: str) -> None:
    if not listing.entries and not listing.bad:
        left_out = "".join(f" ({note})" for note in listing.notes[:1])
        raise NoImages(f"no images in the {kind} {listing.root}{left_out}; put .png, .jpg or .webp files there")


def _add_labels(listing: Listing, label_file: bytes | None) -> None:
    names = [entry.name for entry in listing.entries]
    zipped = listing.archive is not None
    listing.labels, listing.classes = labels_of_files(names, label_file, listing.root, skip_top=zipped)
