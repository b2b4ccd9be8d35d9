"""Read the members of zip archives. Nothing is unpacked to disk."""

import stat
import zipfile

from ganloom.core.errors import BadInput


def open_zip(root: str) -> zipfile.ZipFile:
    """Open an archive. Raises BadInput if it is damaged."""
    try:
        return zipfile.ZipFile(root)
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
        raise BadInput(f"cannot read {root} ({error}); create the archive again") from None


def members_of(archive: zipfile.ZipFile, root: str) -> dict[str, zipfile.ZipInfo]:
    """Return the files in an archive, by their names with "/"; not those in folders whose name begins with a dot.

    Args:
        archive: the open archive.
        root: its path, for messages.

    Raises:
        BadInput: the archive has a password, or a member is a link or its path points outside the archive.
    """
    members: dict[str, zipfile.ZipInfo] = {}  # the last of several members of one name counts, as for every unpacker
    for member in archive.infolist():
        parts = member.filename.replace("\\", "/").split("/")
        _check_member(member, parts, root)
        hidden = any(part.startswith(".") or part == "__MACOSX" for part in parts[:-1])
        if not member.is_dir() and not hidden:
            members["/".join(parts)] = member
    return members


def read_member(archive: zipfile.ZipFile, member: str | zipfile.ZipInfo) -> bytes:
    """Read a member whole. Raises OSError with the reason if it is damaged."""
    try:
        return archive.read(member)
    except Exception as error:  # zlib.error, BadZipFile, NotImplementedError (method), RuntimeError (password) ...
        raise OSError(f"damaged in the archive: {' '.join(str(error).split())[:80]}") from None


def start_of_member(archive: zipfile.ZipFile, member: zipfile.ZipInfo, count: int) -> bytes:
    """Read the first ``count`` bytes of a member; empty if it is damaged."""
    try:
        with archive.open(member) as file:
            return file.read(count)
    except Exception:  # zlib.error, BadZipFile, NotImplementedError ...: it is no image then
        return b""


def _check_member(member: zipfile.ZipInfo, parts: list[str], root: str) -> None:
    """Refuse what no ordinary tool writes: paths that leave the archive, links, passwords."""
    if ".." in parts or parts[0] == "" or ":" in parts[0]:
        raise BadInput(
            f"{root} is refused: its member {member.filename!r} points outside the archive; create the archive again"
        )
    if stat.S_ISLNK(member.external_attr >> 16):
        raise BadInput(f"{root} is refused: its member {member.filename!r} is a link; zip the images themselves")
    if member.flag_bits & 1:
        raise BadInput(f"{root} needs a password; create the archive without one")
