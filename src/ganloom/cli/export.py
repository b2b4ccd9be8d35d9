"""ganloom export RUN --format onnx|web"""

import dataclasses
import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from ganloom.cli import next_commands
from ganloom.cli.messages import following
from ganloom.cli.parse import parse
from ganloom.cli.shared_flags import ModelFlags
from ganloom.core.errors import BadInput
from ganloom.core.names import command_line
from ganloom.core.output_files import new_file, new_folder
from ganloom.report.progress import Progress
from ganloom.runs.load import refuse_tables


@dataclasses.dataclass(frozen=True)
class Arguments(ModelFlags):
    """Export a trained generator as an ONNX file or as a web page, which work without ganloom. The output is compared with
    torch, and the largest difference is printed.

    Inputs: z (n, z_dim); if the recipe has them, c (n,) labels and code; truncation. Output: x (n, C, H, W) in [-1, 1].
    Without --out: RUN/model.onnx, or the folder RUN/web.
    """

    format: Literal["onnx", "web"] = "onnx"
    """onnx: for onnxruntime and others, any batch size. web: a folder with an index.html that generates images in a browser,
    without an internet connection."""
    runtime: str | None = None
    """For web: a folder with the files of onnxruntime-web. None: ganloom's cache, which npm fills once."""


def run(argv: Sequence[str]) -> None:
    """Read the command line, export, print what was written."""
    args = parse(Arguments, argv, "export")
    with Progress() as progress:
        progress("exporting the generator and comparing it with torch")
        _export(args)


def _export(args: Arguments) -> None:
    from ganloom.api import load
    from ganloom.export.onnx import to_onnx

    path = Path(args.run) / ("web" if args.format == "web" else "model.onnx") if args.out is None else Path(args.out)
    (new_folder if args.format == "web" else new_file)(path, overwrite=args.overwrite)
    gan = load(args.run, checkpoint=args.checkpoint)
    refuse_tables(gan, args.run)
    if args.format == "web":
        _web(args, gan, path)
        return
    if args.runtime is not None:
        raise BadInput("--runtime needs --format web: add it, or leave --runtime out")
    model = to_onnx(gan, path, overwrite=args.overwrite)
    if args.json:
        print(json.dumps({"out": str(model.path), "inputs": model.inputs, "difference": model.difference}))
        return
    print(_inputs(model))
    print(f"wrote {model.path} ({model.bytes / 1e6:.1f} MB)")
    print(following(*next_commands.after_export(args.run)))


def _web(args: Arguments, gan: Any, path: Path) -> None:
    from ganloom.export.web import to_web
    from ganloom.runs.folder import Folder

    described = Folder(Path(args.run)).read("config.json")
    data = described.get("data")
    name = data.get("name") if isinstance(data, dict) else data
    title = str(described.get("recipe", type(gan).__name__)) + (f" trained on {name}" if name else "")
    at = f"At {gan.kimg:g} thousand images. " if math.isfinite(gan.kimg) else ""
    about = f"{at}The images are synthetic. Everything is computed on this machine."
    page = to_web(
        gan, path, title=title, about=about, classes=described.get("classes"),
        runtime=args.runtime, overwrite=args.overwrite,
    )  # fmt: skip
    if args.json:
        result = {"out": str(page.folder), "inputs": page.model.inputs, "difference": page.model.difference}
        print(json.dumps(result | {"bytes": page.bytes}))
        return
    print(_inputs(page.model))
    print(f"wrote {page.folder} ({page.bytes / 1e6:.1f} MB): open {page.folder / 'index.html'} in a browser")
    print(f"to serve it to others: python -m http.server --directory {command_line([page.folder])}")
    print(following(*next_commands.after_export(args.run)))


def _inputs(model: Any) -> str:
    inputs = ", ".join(f"{name} ({', '.join(map(str, shape))})" for name, shape in model.inputs.items())
    return f"inputs {inputs}; largest difference from torch {model.difference:.1e}"
