"""A page that shows 3D models and works from the disk, without network or server.

It uses model-viewer (Apache licence 2.0, Google), one file of 1 MB that is not part of ganloom; see ``npm_files``. A page on the
disk may not fetch other files, so the models are stored in a script, as base64.
"""

import base64
import html
import json
from importlib import resources
from pathlib import Path

from ganloom.core.output_files import write_new
from ganloom.export import npm_files

FILE = "model-viewer-umd.min.js"
PACKAGE = npm_files.Package(
    "@google/model-viewer",
    "4.4.0",
    {FILE: "d785423b1d046ea84a9f59ef6cf15f3077603e1bf938b01ced9b0240691884a2"},
)
LICENCE = (
    f"{FILE}: model-viewer 4.4.0, Copyright Google LLC, Apache License 2.0 (https://www.apache.org/licenses/LICENSE-2.0); it "
    "contains three.js (MIT License, Copyright three.js authors) and lit (BSD 3-Clause License, Copyright Google LLC).\n"
)


def runtime_files(given: str | Path | None = None) -> dict[str, bytes]:
    """Return model-viewer's file by name; see ``npm_files.files_of``."""
    return npm_files.files_of(PACKAGE, given)


def write_page(folder: Path, models: dict[str, bytes], runtime: dict[str, bytes], title: str, overwrite: bool) -> Path:
    """Write the page.

    Args:
        folder: The folder.
        models: Name -> GLB file.
        runtime: What ``runtime_files`` returned.
        title: Title of the page.
        overwrite: Replace files of equal names.

    Returns:
        index.html.
    """
    stored = {name: base64.b64encode(content).decode() for name, content in models.items()}
    page = resources.files(__package__).joinpath("model_viewer.html").read_text("utf-8")
    contents = {
        FILE: runtime[FILE], "LICENSE": LICENCE.encode(), "models.js": f"const MODELS = {json.dumps(stored)};\n".encode(),
        "index.html": page.replace("TITLE", html.escape(title)).encode(),
    }  # fmt: skip
    for name, content in contents.items():  # index.html last, so that a page that opens is complete
        write_new(folder / name, content, overwrite=overwrite)
    return folder / "index.html"
