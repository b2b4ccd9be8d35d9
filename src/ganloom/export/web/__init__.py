"""A trained generator as a page: a folder that any browser opens from the disk, without a network and without a server.

The page runs the ONNX model by onnxruntime-web's WebAssembly (MIT licence, Microsoft). Its three files (14 MB) are not part of
ganloom: they come from a folder of the user's, from ganloom's cache, or once by ``npm``, and are then checked by their SHA-256.
Browsers refuse to fetch neighbours of a page on the disk, so all that is binary lies in scripts, as base64.
"""

import base64
import hashlib
import json
import shutil
import subprocess
import sys
import tarfile
import tempfile
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ganloom import sampling
from ganloom.core.errors import BadInput, GanloomError
from ganloom.data import cache
from ganloom.export.onnx import Exported, split, to_onnx
from ganloom.gan import GAN
from ganloom.runs import checkpoint
from ganloom.runs.folder import check_empty

RUNTIME = "onnxruntime-web"
VERSION = "1.30.0"
FILES = {
    "ort.wasm.min.js": "faece07e84faa9001f5104bbe4e5c70861d06cb2376a0dea1fa0ad33a67adc81",
    "ort-wasm-simd-threaded.mjs": "e13f7f94fc51b4ca72b12faeb1ee95f4ace6dfbc8939bc718aabdc0a27c4299b",
    "ort-wasm-simd-threaded.wasm": "3398c10d07d229bd91b364548e130e0e51a8e5704b88c7c083ebbeb78842dee2",
}
"""What the page needs of the package's dist/, and the SHA-256 of each in ``VERSION``."""
SEEDS = 256
"""Latents that go with the page: those of the seeds from 0 on."""
SECONDS = 300

LICENCE = f"""{RUNTIME} (ort.wasm.min.js, parts.js), MIT License, Copyright (c) Microsoft Corporation

Permission is hereby granted, free of charge, to any person obtaining a copy of this software and associated documentation
files (the "Software"), to deal in the Software without restriction, including without limitation the rights to use, copy,
modify, merge, publish, distribute, sublicense, and/or sell copies of the Software, and to permit persons to whom the Software
is furnished to do so, subject to the following conditions:

The above copyright notice and this permission notice shall be included in all copies or substantial portions of the Software.

THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR IMPLIED, INCLUDING BUT NOT LIMITED TO THE
WARRANTIES OF MERCHANTABILITY, FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL THE AUTHORS OR COPYRIGHT
HOLDERS BE LIABLE FOR ANY CLAIM, DAMAGES OR OTHER LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR OTHERWISE, ARISING FROM,
OUT OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE SOFTWARE.
"""


@dataclass(frozen=True)
class Page:
    """What ``to_web`` wrote."""

    folder: Path
    model: Exported
    bytes: int


def to_web(
    gan: GAN,
    out: str | Path,
    *,
    title: str = "",
    about: str = "",
    classes: list[str] | None = None,
    runtime: str | Path | None = None,
) -> Page:
    """Write the page of ``gan`` to the folder ``out``, new or empty.

    ``classes``: names of the labels. ``runtime``: a folder that holds onnxruntime-web's files (its dist/, or what stands above
    it); None: ganloom's cache, filled by `npm pack` where it is empty. Raises Differs as ``to_onnx`` does.
    """
    folder = check_empty(out)
    if gan.conditions_on == "images" or len(getattr(gan.cfg, "shape", ())) != 3:
        raise BadInput(f"a page draws images from seeds, and {type(gan).__name__} does not: use --format onnx")
    parts = runtime_files(runtime)
    with tempfile.TemporaryDirectory() as made:
        model = to_onnx(gan, Path(made) / "model.onnx")
        content = model.path.read_bytes()
    name = title or type(gan).__name__
    texts = {
        "settings.js": f"const SETTINGS = {json.dumps(settings(gan, name, about, classes))};\n",
        "model.js": f'const MODEL = "{_text(content)}";\n',
        "ort/parts.js": f"const ORT_MODULE = {json.dumps(parts['ort-wasm-simd-threaded.mjs'].decode())};\n"
        f'const ORT_BINARY = "{_text(parts["ort-wasm-simd-threaded.wasm"])}";\n',
        "ort/ort.wasm.min.js": parts["ort.wasm.min.js"].decode(),
        "ort/LICENSE": LICENCE,
    }
    texts |= {
        name: resources.files(__name__).joinpath(name).read_text("utf-8") for name in ("generate.js", "index.html")
    }
    (folder / "ort").mkdir(parents=True, exist_ok=True)
    for name, text in texts.items():  # the page itself last: what opens is whole
        checkpoint.replace_file(folder / name, text.encode())
    return Page(folder, model, sum(len(text.encode()) for text in texts.values()))


def settings(gan: GAN, title: str, about: str, classes: list[str] | None) -> dict[str, Any]:
    """What the page knows of the model: sizes, names, and the latents and labels of its seeds."""
    with torch.no_grad(), sampling.unchanged(gan):
        z, c = sampling.latents(gan, SEEDS, 0, None, None)
    count = int(getattr(gan.cfg, "n_classes", 0) or 0)
    inputs = split(gan, z)
    codes = inputs["code"].shape[1] if "code" in inputs else 0
    return {
        "title": title, "about": about, "seeds": SEEDS, "z": inputs["z"].shape[1], "code": codes,
        "categories": list(gan.cfg.categories) if codes else [], "continuous": gan.cfg.continuous if codes else 0,
        "classes": (classes or [str(i) for i in range(count)])[:count], "labels": [] if c is None else c.tolist(),
        "latents": _text(_little(z)),
    }  # fmt: skip


def _little(z: Tensor) -> bytes:
    data: bytes = z.detach().cpu().numpy().astype("<f4").tobytes()
    return data


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()


# ---------------------------------------------------------------------------------------------------------- the runtime


def runtime_files(given: str | Path | None = None) -> dict[str, bytes]:
    """onnxruntime-web's files: those of ``given`` in any version, or those of ``VERSION`` from the cache, checked."""
    if given is not None:
        return _found(Path(given))
    stores = cache.root()
    home = None if stores is None else stores.parent / f"{RUNTIME}-{VERSION}"
    if home is not None and home.is_dir():
        kept = _found(home)
        if not _wrong(kept):
            return kept
    parts = _packed()
    wrong = _wrong(parts)
    if wrong:
        raise GanloomError(
            f"{wrong} of {RUNTIME} {VERSION} is not the published one (its SHA-256 differs): nothing was written"
        )
    if home is not None:
        home.mkdir(parents=True, exist_ok=True)
        for name, data in parts.items():
            checkpoint.replace_file(home / name, data)
    return parts


def _found(folder: Path) -> dict[str, bytes]:
    """The files in a folder, its dist/, or a package under it."""
    for place in (folder, folder / "dist", folder / "package" / "dist", folder / "node_modules" / RUNTIME / "dist"):
        if all((place / name).is_file() for name in FILES):
            return {name: (place / name).read_bytes() for name in FILES}
    raise BadInput(f"{folder} holds no {RUNTIME}: it needs {', '.join(FILES)}, as in the package's dist/")


def _wrong(parts: dict[str, bytes]) -> str | None:
    return next((name for name, sha in FILES.items() if hashlib.sha256(parts[name]).hexdigest() != sha), None)


def _packed() -> dict[str, bytes]:
    """The files out of the package, which npm brings; no script of the package is run."""
    npm = shutil.which("npm")
    how = f"--runtime FOLDER with the files of `npm pack {RUNTIME}@{VERSION}`"
    if npm is None:
        raise BadInput(
            f"a page needs {RUNTIME}'s files once, and there is no npm to bring them: install Node.js, or give {how}"
        )
    print(f"fetching {RUNTIME} {VERSION} by npm, once", file=sys.stderr)
    with tempfile.TemporaryDirectory() as made:
        asked = [npm, "pack", "--silent", "--ignore-scripts", f"{RUNTIME}@{VERSION}"]
        try:
            done = subprocess.run(asked, cwd=made, capture_output=True, text=True, timeout=SECONDS)
        except subprocess.TimeoutExpired:
            raise BadInput(f"npm brought no {RUNTIME} within {SECONDS} s: try again, or give {how}") from None
        files = list(Path(made).glob("*.tgz"))
        if done.returncode or not files:
            said = " ".join(done.stderr.split())[:200] or "no reason given"
            raise BadInput(f"npm could not bring {RUNTIME} ({said}): give {how}")
        found = {}
        with tarfile.open(files[0]) as archive:
            for name in FILES:
                member = archive.extractfile(f"package/dist/{name}")
                if member is None:
                    raise BadInput(f"the package {RUNTIME} {VERSION} has no {name}: give {how}")
                found[name] = member.read()
    return found
