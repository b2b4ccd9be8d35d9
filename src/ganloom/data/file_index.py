"""The image files of a folder or a zip archive, sorted by name, with their labels."""

import builtins
import hashlib
import io
import os
import stat
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ganloom.core.errors import BadInput
from ganloom.core.names import printable
from ganloom.data.decode import EXTENSIONS, MAX_BYTES, BadImage, Header, decode, header
from ganloom.data.label_files import looks_like_labels
from ganloom.data.label_sources import ReadFile, labels_of_files

_NOT_READ = f"it is not a regular file of at most {MAX_BYTES // 2**20} MiB"


class Entry(NamedTuple):
    """One file: its name under the source with "/", its size in bytes, and a stamp that changes when the file does.

    The stamp is the modification time in nanoseconds, or the CRC of an archive's member.
    """

    name: str
    size: int
    stamp: int


@dataclass
class Listing:
    """The images of a folder or an archive, sorted by name.

    Args:
        root: the folder or the archive.
        entries: the N files.
        labels: int64 (N,), or None.
        classes: names of the classes, or None.
        bad: (name, reason) of each file that could not be listed.
        notes: one line for each thing about labels and splits that the user should know.
        sides: the two folders of image-to-image data, or None.
        paired: whether the files in them have equal names.
        flat: whether all images are in one folder.
        base: the folder under the root that a translation recipe should get; "" is the root itself.
        archive: the open archive; None for a folder.
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
        """Decode an image, see `decode.decode`. Raises `BadImage`."""
        with self.open(index) as file:
            return decode(file, self.entries[index].name, at_least=at_least)

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


def is_image(name: str) -> bool:
    """Whether a file's name ends like an image's. The "._" files that macOS writes for each image do not count."""
    base = name.rsplit("/", 1)[-1]
    return not base.startswith("._") and os.path.splitext(base)[1].lower() in EXTENSIONS


def list_files(root: str, use_labels: bool = True) -> Listing:
    """List the images of a folder (`list_folder`) or of a zip archive (`list_zip`)."""
    return list_folder(root, use_labels) if os.path.isdir(root) else list_zip(root, use_labels)


def list_folder(root: str, use_labels: bool = True) -> Listing:
    """List all images under a folder. Links are followed; folders whose name begins with a dot are skipped.

    Args:
        root: the folder.
        use_labels: read labels, see `label_sources`.

    Raises:
        BadInput: the folder cannot be read or holds no images, or a file of labels is damaged.
    """
    entries: list[Entry] = []
    others: list[str] = []
    bad: list[tuple[str, str]] = []
    visited: set[tuple[int, int]] = set()  # links may form a cycle

    def report_unreadable(error: OSError) -> None:
        if error.filename == root:
            raise BadInput(f"cannot read the folder {root}: {error.strerror}; check its permissions")
        bad.append((os.path.relpath(error.filename, root), f"folder cannot be read: {error.strerror}"))

    for folder, folders, files in os.walk(root, onerror=report_unreadable, followlinks=True):
        status = os.stat(folder)
        if (status.st_dev, status.st_ino) in visited:
            folders.clear()
            continue
        visited.add((status.st_dev, status.st_ino))
        folders[:] = sorted(f for f in folders if not f.startswith(".") and f != "__MACOSX")
        others += [os.path.relpath(os.path.join(folder, f), root) for f in files if looks_like_labels(f)]
        for file in filter(is_image, files):
            path = os.path.join(folder, file)
            name = os.path.relpath(path, root).replace(os.sep, "/")
            try:
                status = os.stat(path)
            except OSError as error:
                bad.append((name, f"cannot be read: {error.strerror}"))
                continue
            if stat.S_ISREG(status.st_mode):  # reading a pipe would block for ever
                entries.append(Entry(name, status.st_size, status.st_mtime_ns))
            else:
                bad.append((name, "not a regular file"))
    listing = Listing(root, sorted(entries), bad=sorted(bad))
    _check_not_empty(listing, "folder")

    def read(name: str) -> bytes:
        path = Path(root, name)
        if not path.is_file() or path.stat().st_size > MAX_BYTES:
            raise BadInput(_NOT_READ)
        return path.read_bytes()

    _add_labels(listing, [name.replace(os.sep, "/") for name in sorted(others)], read, use_labels)
    return listing


def list_zip(root: str, use_labels: bool = True) -> Listing:
    """List all images in a zip archive. Nothing is unpacked to disk.

    Args:
        root: the archive.
        use_labels: read labels, see `label_sources`.

    Raises:
        BadInput: the archive is damaged, has a password or holds no images; a member is a link or its path points
            outside the archive; or a file of labels is damaged.
    """
    try:
        archive = zipfile.ZipFile(root)
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
        raise BadInput(f"cannot read {root} ({error}); create the archive again") from None
    others: dict[str, str] = {}  # name with "/" -> name of the member
    entries: dict[str, Entry] = {}  # the last of several members of one name counts, as for every unpacker
    for member in archive.infolist():
        _check_member(member, root)
        parts = member.filename.replace("\\", "/").split("/")
        hidden = any(part.startswith(".") or part == "__MACOSX" for part in parts[:-1])
        if not member.is_dir() and not hidden and is_image("/".join(parts)):
            entries[member.filename] = Entry(member.filename, member.file_size, member.CRC)
        elif not hidden and looks_like_labels(parts[-1]):
            others["/".join(parts)] = member.filename
    listing = Listing(root, sorted(entries.values()), archive=archive)
    _check_not_empty(listing, "archive")

    def read(name: str) -> bytes:
        if archive.getinfo(others[name]).file_size > MAX_BYTES:
            raise BadInput(_NOT_READ)
        try:
            return archive.read(others[name])
        except Exception as error:  # see Listing.open
            raise BadInput(f"damaged in the archive: {' '.join(str(error).split())[:80]}") from None

    _add_labels(listing, sorted(others), read, use_labels)
    return listing


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


def _check_not_empty(listing: Listing, kind: str) -> None:
    if not listing.entries and not listing.bad:
        raise BadInput(f"no images in the {kind} {listing.root}; put .png, .jpg or .webp files there")


def _add_labels(listing: Listing, others: list[str], read: ReadFile, use_labels: bool) -> None:
    """Keep the entries that are data, and add their labels and what their folders say."""
    names = [entry.name.replace("\\", "/") if listing.archive else entry.name for entry in listing.entries]
    found = labels_of_files(names, others, read, listing.root, use_labels)
    files = found.files
    listing.entries = [listing.entries[i] for i in files.keep]
    listing.labels, listing.classes, listing.notes = found.labels, found.classes, list(map(printable, files.notes))
    listing.sides, listing.paired, listing.base = files.sides, files.paired, files.base
    listing.flat = all(len(path) == 1 for path in files.paths)
