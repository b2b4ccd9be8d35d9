"""Files of npm packages that pages need: from a folder that the user names, from ganloom's cache, or once from ``npm``.

A downloaded file is used only if its SHA-256 is the published one. No script of a package is run.
"""

import contextlib
import hashlib
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ganloom.core.errors import BadInput, GanloomError
from ganloom.core.names import as_path
from ganloom.core.output_files import replace_file
from ganloom.data import cache

SECONDS = 300
"""Time limit for npm."""


@dataclass(frozen=True)
class Package:
    """Files of an npm package.

    Attributes:
        name: Name of the package, such as "onnxruntime-web".
        version: Its version.
        files: Names of files in its dist/, and the SHA-256 of each.
    """

    name: str
    version: str
    files: Mapping[str, str]


def files_of(package: Package, given: str | Path | None = None) -> dict[str, bytes]:
    """Return the files of a package by name.

    Args:
        package: The package.
        given: A folder with the files, of any version. None: those of the version from the cache or from npm, checked.

    Raises:
        BadInput: The files are missing, and npm cannot download them.
        GanloomError: A downloaded file has another SHA-256 than the published one.
    """
    if given is not None:
        return _read_folder(package, as_path(given))
    stores = cache.root()
    home = None if stores is None else stores.parent / f"{package.name.replace('/', '-')}-{package.version}"
    if home is not None:
        with contextlib.suppress(BadInput, OSError):  # missing or incomplete: it is filled again
            cached = _read_folder(package, home)
            if not _changed(package, cached):
                return cached
    parts = download(package)
    changed = _changed(package, parts)
    if changed:
        raise GanloomError(
            f"{changed} of {package.name} {package.version} is not the published file (its SHA-256 differs): nothing was "
            "written"
        )
    if home is not None:
        with contextlib.suppress(OSError):  # a cache that cannot be written costs a second download, not the page
            for name, data in parts.items():
                replace_file(home / name, data)
    return parts


def _read_folder(package: Package, folder: Path) -> dict[str, bytes]:
    """Read the files from a folder, its dist/, or a package in it."""
    for place in (
        folder,
        folder / "dist",
        folder / "package" / "dist",
        folder / "node_modules" / package.name / "dist",
    ):
        if all((place / name).is_file() for name in package.files):
            return {name: (place / name).read_bytes() for name in package.files}
    raise BadInput(f"{folder} holds no {package.name}: it needs {', '.join(package.files)}, as in the package's dist/")


def _changed(package: Package, parts: dict[str, bytes]) -> str | None:
    """Return the first file with another SHA-256 than the published one."""
    differs = (name for name, sha in package.files.items() if hashlib.sha256(parts[name]).hexdigest() != sha)
    return next(differs, None)


def download(package: Package) -> dict[str, bytes]:
    """Download a package by npm and return its files. Raises BadInput if that is not possible."""
    npm = shutil.which("npm")
    how = f"--runtime FOLDER with the files of `npm pack {package.name}@{package.version}`"
    if npm is None:
        raise BadInput(
            f"a page needs {package.name}'s files once, and there is no npm to download them: install Node.js, or give {how}"
        )
    print(f"downloading {package.name} {package.version} by npm, once", file=sys.stderr)
    with tempfile.TemporaryDirectory() as temporary:
        command = [npm, "pack", "--silent", "--ignore-scripts", f"{package.name}@{package.version}"]
        try:
            done = subprocess.run(command, cwd=temporary, capture_output=True, text=True, timeout=SECONDS)
        except subprocess.TimeoutExpired:
            raise BadInput(
                f"npm did not download {package.name} within {SECONDS} s: try again, or give {how}"
            ) from None
        files = list(Path(temporary).glob("*.tgz"))
        if done.returncode or not files:
            reason = " ".join(done.stderr.split())[:200] or "no reason given"
            raise BadInput(f"npm could not download {package.name} ({reason}): give {how}")
        return _unpacked(package, files[0], how)


def _unpacked(package: Package, archive_file: Path, how: str) -> dict[str, bytes]:
    """Read the files from the downloaded archive."""
    parts = {}
    with tarfile.open(archive_file) as archive:
        for name in package.files:
            member = archive.extractfile(f"package/dist/{name}")
            if member is None:
                raise BadInput(f"the package {package.name} {package.version} has no {name}: give {how}")
            parts[name] = member.read()
    return parts
