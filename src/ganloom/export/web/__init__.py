"""Export a trained generator as a web page: a folder that any browser opens from the disk, without network or server.

The page runs the ONNX model with onnxruntime-web's WebAssembly (MIT licence, Microsoft). Its three files (14 MB) are not part
of ganloom. They come from a folder that the user names, from ganloom's cache, or once from ``npm``, and their SHA-256 is checked.
A page on the disk may not fetch other files, so binary data is stored in scripts, as base64.
"""

import base64
import json
import tempfile
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ganloom import sampling
from ganloom.core.class_names import complete
from ganloom.core.errors import BadInput
from ganloom.core.output_files import new_folder, write_new
from ganloom.export import npm_files
from ganloom.export.onnx import Exported, split, to_onnx
from ganloom.gan import GAN

RUNTIME = "onnxruntime-web"
VERSION = "1.30.0"
FILES = {
    "ort.wasm.min.js": "faece07e84faa9001f5104bbe4e5c70861d06cb2376a0dea1fa0ad33a67adc81",
    "ort-wasm-simd-threaded.mjs": "e13f7f94fc51b4ca72b12faeb1ee95f4ace6dfbc8939bc718aabdc0a27c4299b",
    "ort-wasm-simd-threaded.wasm": "3398c10d07d229bd91b364548e130e0e51a8e5704b88c7c083ebbeb78842dee2",
}
"""Files of the package's dist/ that the page needs, and the SHA-256 of each in ``VERSION``."""
SEEDS = 256
"""Number of latents in the page: those of the seeds from 0."""

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
    """The page that `to_web` wrote: its folder, the model, and the size of all files in bytes."""

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
    overwrite: bool = False,
) -> Page:
    """Write a web page that draws images with the generator.

    Args:
        gan: A model that makes images from latents.
        out: The folder, new or empty.
        title: Title of the page. "": the name of the model's class.
        about: A sentence under the title.
        classes: Names of the labels. None: those of the model.
        runtime: A folder with onnxruntime-web's files (its dist/, or a folder above it). None: ganloom's cache, which is
            filled by `npm pack` if it is empty or incomplete.
        overwrite: Take a folder with content, and replace files of equal names.

    Returns:
        The folder, the exported model, and the size.

    Raises:
        BadInput: The folder is not empty, the model does not make images from latents, or the runtime is missing.
        Differs: The exported model differs from torch, see `to_onnx`.
    """
    folder = new_folder(out, overwrite=overwrite)
    if gan.conditions_on != "labels" or len(getattr(gan.cfg, "shape", ())) != 3:
        raise BadInput(f"a page draws images from seeds, and {type(gan).__name__} does not: use --format onnx")
    parts = runtime_files(runtime)
    with tempfile.TemporaryDirectory() as temporary:
        model = to_onnx(gan, Path(temporary) / "model.onnx")
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
    for name, text in texts.items():  # index.html last, so that a page that opens is complete
        write_new(folder / name, text.encode(), overwrite=overwrite)
    return Page(folder, model, sum(len(text.encode()) for text in texts.values()))


def settings(gan: GAN, title: str, about: str, classes: list[str] | None) -> dict[str, Any]:
    """Return the settings of the page.

    Args:
        gan: The model.
        title: Title of the page.
        about: A sentence under the title.
        classes: Names of the labels, or None.

    Returns:
        Sizes, names, and the latents and labels of the seeds, as JSON values.
    """
    with torch.no_grad(), sampling.unchanged(gan):
        z, c = sampling.latents(gan, SEEDS, 0, None, None)
    count = int(getattr(gan.cfg, "n_classes", 0) or 0)
    inputs = split(gan, z)
    codes = inputs["code"].shape[1] if "code" in inputs else 0
    return {
        "title": title, "about": about, "seeds": SEEDS, "z": inputs["z"].shape[1], "code": codes,
        "categories": list(gan.cfg.categories) if codes else [], "continuous": gan.cfg.continuous if codes else 0,
        "classes": complete(classes or gan.class_names, count), "labels": [] if c is None else c.tolist(),
        "latents": _text(_little(z)),
    }  # fmt: skip


def _little(z: Tensor) -> bytes:
    data: bytes = z.detach().cpu().numpy().astype("<f4").tobytes()
    return data


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()


def runtime_files(given: str | Path | None = None) -> dict[str, bytes]:
    """Return the files of onnxruntime-web by name; see ``npm_files.files_of``."""
    return npm_files.files_of(npm_files.Package(RUNTIME, VERSION, FILES), given)
