"""What a folder or a zip archive holds: the images, by name and in a fixed order, and their classes."""

import builtins
import hashlib
import io
import json
import os
import stat
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ganloom.core.errors import BadInput
from ganloom.data.arrays import to_labels
from ganloom.data.decode import EXTENSIONS, MAX_BYTES, BadImage

_LABEL_FILE = "dataset.json"


class Entry(NamedTuple):
    """One file: its name under the source with "/", its bytes, and a stamp that changes when the file does."""

    name: str
    size: int
    stamp: int


@dataclass
class Listing:
    """The images of a source, sorted by name. ``bad`` names what could not even be listed: (name, reason)."""

    root: str
    entries: list[Entry]
    labels: NDArray[np.int64] | None = None
    classes: list[str] | None = None
    bad: list[tuple[str, str]] = field(default_factory=list)
    archive: zipfile.ZipFile | None = None

    def open(self, index: int) -> BinaryIO:
        """The bytes of an image; raises ``BadImage`` or OSError."""
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
            # Whole and in memory: decoders seek, and a zip member seeks backwards by starting again.
            return io.BytesIO(self.archive.read(entry.name))
        except Exception as error:  # zlib.error, BadZipFile, NotImplementedError (method), RuntimeError (password) ...
            raise BadImage(f"damaged in the archive: {' '.join(str(error).split())[:80]}") from None

    def path(self, name: str) -> str:
        """A name as the user would write it."""
        return os.path.join(self.root, name)

    def key(self) -> str:
        """A digest that changes when a file is added, removed, renamed or written, or when classes change."""
        digest = hashlib.sha256(os.path.abspath(self.root).encode("utf-8", "surrogateescape"))
        digest.update(repr((self.entries, self.classes, self.bad)).encode("utf-8", "surrogateescape"))
        if self.labels is not None:
            digest.update(self.labels.tobytes())
        return digest.hexdigest()

    def close(self) -> None:
        """Let go of the archive."""
        if self.archive is not None:
            self.archive.close()


def is_image(name: str) -> bool:
    """Whether a file's name is an image's; macOS's "._" companions of real images are not."""
    base = name.rsplit("/", 1)[-1]
    return not base.startswith("._") and os.path.splitext(base)[1].lower() in EXTENSIONS


def list_folder(root: str) -> Listing:
    """All images under a folder, links followed, folders whose name begins with a dot left out.

    Classes are the immediate sub-folders when all images lie in two or more of them, or what NVlabs' dataset.json
    says. BadInput when there are no images.
    """
    entries: list[Entry] = []
    bad: list[tuple[str, str]] = []
    seen: set[tuple[int, int]] = set()  # links may make a circle

    def unreadable(error: OSError) -> None:
        if error.filename == root:
            raise BadInput(f"cannot read the folder {root}: {error.strerror}; check its permissions")
        bad.append((os.path.relpath(error.filename, root), f"folder cannot be read: {error.strerror}"))

    for folder, folders, files in os.walk(root, onerror=unreadable, followlinks=True):
        here = os.stat(folder)
        if (here.st_dev, here.st_ino) in seen:
            folders.clear()
            continue
        seen.add((here.st_dev, here.st_ino))
        folders[:] = sorted(f for f in folders if not f.startswith(".") and f != "__MACOSX")
        for file in filter(is_image, files):
            path = os.path.join(folder, file)
            name = os.path.relpath(path, root).replace(os.sep, "/")
            try:
                facts = os.stat(path)
            except OSError as error:
                bad.append((name, f"cannot be read: {error.strerror}"))
                continue
            if stat.S_ISREG(facts.st_mode):  # a pipe would wait for ever
                entries.append(Entry(name, facts.st_size, facts.st_mtime_ns))
            else:
                bad.append((name, "not a regular file"))
    listing = Listing(root, sorted(entries), bad=sorted(bad))
    _check_any(listing, "folder")
    label_file = Path(root, _LABEL_FILE)
    _classify(listing, label_file.read_bytes() if label_file.is_file() else None)
    return listing


def list_zip(root: str) -> Listing:
    """All images in a zip archive; nothing is unpacked to disk.

    The archive is refused, in one line, when it is damaged or locked, or when a member's name leaves it or is a link:
    no honest tool makes such a file.
    """
    try:
        archive = zipfile.ZipFile(root)
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
        raise BadInput(f"cannot read {root} ({error}); make the archive anew") from None
    entries: dict[str, Entry] = {}  # of members of equal name the last counts, as for every unpacker
    for member in archive.infolist():
        parts = member.filename.replace("\\", "/").split("/")
        if ".." in parts or parts[0] == "" or ":" in parts[0]:
            raise BadInput(
                f"{root} is refused: its member {member.filename!r} points outside it; make the archive anew"
            )
        if stat.S_ISLNK(member.external_attr >> 16):
            raise BadInput(f"{root} is refused: its member {member.filename!r} is a link; zip the images themselves")
        if member.flag_bits & 1:
            raise BadInput(f"{root} is locked with a password; make the archive without one")
        hidden = any(part.startswith(".") or part == "__MACOSX" for part in parts[:-1])
        if not member.is_dir() and not hidden and is_image(member.filename):
            entries[member.filename] = Entry(member.filename, member.file_size, member.CRC)
    listing = Listing(root, sorted(entries.values()), archive=archive)
    _check_any(listing, "archive")
    _classify(listing, _label_member(archive))
    return listing


def _label_member(archive: zipfile.ZipFile) -> bytes | None:
    if _LABEL_FILE not in archive.namelist() or archive.getinfo(_LABEL_FILE).file_size > MAX_BYTES:
        return None
    try:
        return archive.read(_LABEL_FILE)
    except Exception:  # a damaged member: the images are still there
        return None


def _check_any(listing: Listing, what: str) -> None:
    if not listing.entries and not listing.bad:
        raise BadInput(f"no images in the {what} {listing.root}; put .png, .jpg or .webp files there")


def _classify(listing: Listing, label_file: bytes | None) -> None:
    """Labels from dataset.json if there is one of NVlabs' form, else from the sub-folders."""
    pairs = _nvlabs(label_file)
    if pairs is not None:
        if pairs:
            _label_by_name(listing, pairs)
        return
    names = [entry.name.split("/") for entry in listing.entries]
    if listing.archive is not None:  # archives often hold one folder that holds everything
        while names and all(len(parts) > 1 and parts[0] == names[0][0] for parts in names):
            names = [parts[1:] for parts in names]
    folders = sorted({parts[0] for parts in names if len(parts) > 1})
    if len(folders) < 2 or any(len(parts) == 1 for parts in names):
        return
    number = {folder: i for i, folder in enumerate(folders)}
    listing.labels = np.array([number[parts[0]] for parts in names], np.int64)
    listing.classes = folders


def _nvlabs(label_file: bytes | None) -> list[Any] | None:
    """The pairs of {"labels": [[name, label], ...]}: [] for null, None for any other file."""
    try:
        content = json.loads(label_file or b"")
    except ValueError:
        return None
    if not isinstance(content, dict) or "labels" not in content:
        return None
    pairs = content["labels"]
    if pairs is None:
        return []
    pairs = list(pairs.items()) if isinstance(pairs, dict) else pairs
    return pairs if isinstance(pairs, list) else None


def _label_by_name(listing: Listing, pairs: list[Any]) -> None:
    where = f"{_LABEL_FILE} in {listing.root}"
    try:
        known = {str(name).replace("\\", "/"): label for name, label in pairs}
    except (TypeError, ValueError):
        raise BadInput(f"{where}: labels must be a list of [name, label]; mend or remove the file") from None
    missing = [entry.name for entry in listing.entries if entry.name not in known]
    if missing:
        raise BadInput(f"{where} has no label for {len(missing)} images, such as {missing[0]}; add or remove them")
    values = [known[entry.name] for entry in listing.entries]
    listing.labels, listing.classes = to_labels(values, len(values), where)
