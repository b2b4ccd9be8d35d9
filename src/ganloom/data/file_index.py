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
from ganloom.core.names import printable
from ganloom.data.decode import MAX_BYTES, BadImage, Header, decode, header
from ganloom.data.file_kinds import SNIFFED, why_not_read
from ganloom.data.file_kinds import is_image as is_image
from ganloom.data.file_scales import FileScales
from ganloom.data.found_files import Entry, FoundFiles
from ganloom.data.label_sources import ReadFile, labels_of_files
from ganloom.data.own_folders import is_own_folder_on_disk, is_run, own_folders_of_archive
from ganloom.data.zip_members import members_of, open_zip, read_member, start_of_member

_NOT_READ = f"it is not a regular file of at most {MAX_BYTES // 2**20} MiB"


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
        notes: a line for the user for each kind of file or folder that was left out, or used although it has no ending, and
            for each thing about labels and splits.
        sides: the two folders of image-to-image data, or None.
        paired: whether the files in them have equal names.
        flat: whether all images are in one folder.
        base: the folder under the root that a translation recipe should get; "" is the root itself.
        archive: the open archive; None for a folder.
        scales: the scales of numbers of more than 8 bits.
        several: names of decoded files that hold several frames or pages.
        captions: names of files that may hold captions.
        read: reads one of them, while the archive is open.
    """

    root: str
    entries: list[Entry]
    labels: NDArray[np.int64] | None = None
    classes: list[str] | None = None
    bad: list[tuple[str, str]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    sides: tuple[str, str] | None = None
    paired: bool = False
    flat: bool = False
    base: str = ""
    archive: zipfile.ZipFile | None = None
    scales: FileScales = field(default_factory=FileScales)
    several: list[str] = field(default_factory=list)
    captions: list[str] = field(default_factory=list)
    read: ReadFile | None = None

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
            return io.BytesIO(read_member(self.archive, entry.name))
        except OSError as error:
            raise BadImage(str(error)) from None

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

    def names(self) -> list[str]:
        """The names of the images, with "/"."""
        return [entry.name.replace("\\", "/") if self.archive else entry.name for entry in self.entries]

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


def list_files(root: str, use_labels: bool = True) -> Listing:
    """List the images of a folder (`list_folder`) or of a zip archive (`list_zip`)."""
    return list_folder(root, use_labels) if os.path.isdir(root) else list_zip(root, use_labels)


def list_folder(root: str, use_labels: bool = True) -> Listing:
    """List all images under a folder, with their labels, see `scan_folder`.

    Args:
        root: the folder.
        use_labels: read labels, see `label_sources`.

    Raises:
        BadInput: the folder cannot be read or holds no images, or a file of labels is damaged.
    """
    found = _files_under(root)
    listing = _listing_of(root, found)
    _check_not_empty(listing, "folder")

    def read(name: str) -> bytes:
        path = Path(root, name)
        if not path.is_file() or path.stat().st_size > MAX_BYTES:
            raise BadInput(_NOT_READ)
        return path.read_bytes()

    _add_labels(listing, found, read, use_labels)
    return listing


def scan_folder(root: str) -> Listing:
    """List all images under a folder, without labels; there may be none.

    Links are followed. Folders whose name begins with a dot are skipped, and so are runs and other outputs of ganloom.

    Raises:
        BadInput: the folder cannot be read, or is a run.
    """
    return _listing_of(root, _files_under(root))


def _files_under(root: str) -> FoundFiles:
    """The files under a folder, see `scan_folder`."""
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
        if folder != root and all(name.startswith(".") for name in (*folders, *files)):
            found.empty.append(os.path.relpath(folder, root).replace(os.sep, "/"))
        folders[:] = sorted(f for f in folders if not f.startswith(".") and f != "__MACOSX")
        for file in files:
            path = os.path.join(folder, file)
            name = os.path.relpath(path, root).replace(os.sep, "/")
            found.add(name, partial(_entry_of_path, path, name), partial(_start_of_path, path))
    return found


def _listing_of(root: str, found: FoundFiles, archive: zipfile.ZipFile | None = None) -> Listing:
    notes = list(map(printable, found.notes()))
    return Listing(root, sorted(found.entries), bad=sorted(found.bad), archive=archive, notes=notes)


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


def list_zip(root: str, use_labels: bool = True) -> Listing:
    """List all images in a zip archive, as `list_folder` does. Nothing is unpacked to disk.

    Args:
        root: the archive.
        use_labels: read labels, see `label_sources`.

    Raises:
        BadInput: the archive is damaged, has a password or holds no images; a member is a link or its path points
            outside the archive; or a file of labels is damaged.
    """
    archive = open_zip(root)
    members = members_of(archive, root)
    found = FoundFiles(own=own_folders_of_archive(archive, members))
    inside = tuple(f"{folder}/" for folder in found.own)
    for name, member in members.items():
        if not name.startswith(inside):
            entry = partial(Entry, member.filename, member.file_size, member.CRC)
            found.add(name, entry, partial(start_of_member, archive, member, SNIFFED))
    listing = _listing_of(root, found, archive)
    _check_not_empty(listing, "archive")

    def read(name: str) -> bytes:
        if members[name].file_size > MAX_BYTES:
            raise BadInput(_NOT_READ)
        try:
            return read_member(archive, members[name])
        except OSError as error:
            raise BadInput(str(error)) from None

    _add_labels(listing, found, read, use_labels)
    return listing


def _check_not_empty(listing: Listing, kind: str) -> None:
    if not listing.entries and not listing.bad:
        left_out = "".join(f" ({note})" for note in listing.notes[:1])
        raise NoImages(f"no images in the {kind} {listing.root}{left_out}; put .png, .jpg or .webp files there")


def _add_labels(listing: Listing, found: FoundFiles, read: ReadFile, use_labels: bool) -> None:
    """Keep the entries that are data, and add their labels and what their folders say."""
    labelled = labels_of_files(listing.names(), sorted(found.labels), read, listing.root, use_labels)
    files = labelled.files
    listing.entries = [listing.entries[i] for i in files.keep]
    listing.labels, listing.classes = labelled.labels, labelled.classes
    listing.captions, listing.read = sorted(found.captions), read
    listing.notes += map(printable, files.notes)
    listing.sides, listing.paired, listing.base = files.sides, files.paired, files.base
    listing.flat = all(len(path) == 1 for path in files.paths)
