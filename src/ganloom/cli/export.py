"""ganloom export RUN --format onnx|web"""

import dataclasses
import json
import math
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from ganloom.cli.messages import following
from ganloom.cli.parse import parse
from ganloom.cli.shared_flags import OfModel
from ganloom.core.errors import BadInput


@dataclasses.dataclass(frozen=True)
class Arguments(OfModel):
    """Write a trained generator as a file or a page that needs no ganloom, checked against torch: the largest difference is
    said.

    Inputs: z (n, z_dim), code and c (n,) labels where the recipe has them, truncation; output x (n, C, H, W) in [-1, 1].
    Without --out: RUN/model.onnx, or the folder RUN/web.
    """

    format: Literal["onnx", "web"] = "onnx"
    """onnx: for onnxruntime and others, any batch size; web: a folder whose index.html draws images in a browser, without a
    network."""
    runtime: str | None = None
    """Of web: a folder with onnxruntime-web's files. None: ganloom's cache, filled once by npm."""


def run(argv: Sequence[str]) -> None:
    """Parse, export, say what was written."""
    from ganloom.api import load
    from ganloom.export.onnx import to_onnx

    args = parse(Arguments, argv, "export")
    gan = load(args.run, checkpoint=args.checkpoint)
    if args.format == "web":
        _web(args, gan)
        return
    if args.runtime is not None:
        raise BadInput("--runtime goes with --format web: leave it out")
    path = Path(args.run) / "model.onnx" if args.out is None else Path(args.out)
    made = to_onnx(gan, path)
    if args.json:
        print(json.dumps({"out": str(made.path), "inputs": made.inputs, "difference": made.difference}))
        return
    print(_said(made))
    print(f"wrote {made.path} ({made.bytes / 1e6:.1f} MB)")
    print(following(["sample", args.run]))


def _web(args: Arguments, gan: Any) -> None:
    from ganloom.export.web import to_web
    from ganloom.runs.folder import Folder

    described = Folder(Path(args.run)).read("config.json")
    data = described.get("data")
    name = data.get("name") if isinstance(data, dict) else data
    title = str(described.get("recipe", type(gan).__name__)) + (f" trained on {name}" if name else "")
    at = f"At {gan.kimg:g} thousand images. " if math.isfinite(gan.kimg) else ""
    about = f"{at}What it makes is synthetic; everything is computed on this machine."
    made = to_web(
        gan, args.out or Path(args.run) / "web", title=title, about=about, classes=described.get("classes"),
        runtime=args.runtime,
    )  # fmt: skip
    if args.json:
        found = {"out": str(made.folder), "inputs": made.model.inputs, "difference": made.model.difference}
        print(json.dumps(found | {"bytes": made.bytes}))
        return
    print(_said(made.model))
    print(f"wrote {made.folder} ({made.bytes / 1e6:.1f} MB): open {made.folder / 'index.html'} in a browser")
    print(f"to show it to others: python -m http.server --directory {shlex.quote(str(made.folder))}")
    print(following(["sample", args.run]))


def _said(made: Any) -> str:
    inputs = ", ".join(f"{name} ({', '.join(map(str, shape))})" for name, shape in made.inputs.items())
    return f"inputs {inputs}; largest difference to torch {made.difference:.1e}"
