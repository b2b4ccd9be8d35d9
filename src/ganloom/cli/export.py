"""ganloom export RUN --format onnx"""

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

import tyro

from ganloom.cli.parse import parse
from ganloom.cli.say import following


@dataclasses.dataclass(frozen=True)
class Arguments:
    """Write a trained generator as a file that needs no ganloom, checked against torch: the largest difference is said.

    Inputs: z (n, z_dim), c (n,) labels and truncation where the recipe has them; output x (n, C, H, W) in [-1, 1].
    """

    run: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="RUN")]
    """A run folder, or a model/ folder."""
    format: Literal["onnx"] = "onnx"
    """onnx: for onnxruntime and others, any batch size."""
    out: str | None = None
    """The new file. None: RUN/model.onnx."""
    checkpoint: str = "latest"
    """latest, best, or a checkpoint's name."""
    json: bool = False
    """One JSON object on stdout."""


def run(argv: Sequence[str]) -> None:
    """Parse, export, say what was written."""
    from ganloom.export import to_onnx
    from ganloom.run import load

    args = parse(Arguments, argv, "export")
    path = Path(args.run) / "model.onnx" if args.out is None else Path(args.out)
    made = to_onnx(load(args.run, checkpoint=args.checkpoint), path)
    if args.json:
        print(json.dumps({"out": str(made.path), "inputs": made.inputs, "difference": made.difference}))
        return
    inputs = ", ".join(f"{name} ({', '.join(map(str, shape))})" for name, shape in made.inputs.items())
    print(f"inputs {inputs}; largest difference to torch {made.difference:.1e}")
    print(f"wrote {made.path} ({made.bytes / 1e6:.1f} MB)")
    print(following(["sample", args.run]))
