"""ganloom mesh RUN ..."""

import dataclasses
import json
from collections.abc import Sequence
from typing import Literal

from ganloom.apps.mesh import write_meshes
from ganloom.cli.messages import following
from ganloom.cli.parse import parse
from ganloom.cli.shared_flags import ImageFlags
from ganloom.report.progress import Progress


@dataclasses.dataclass(frozen=True)
class Arguments(ImageFlags):
    """Write generated 3D objects as closed meshes, with colours if the recipe has them, or as a page that shows them. For runs
    of prgan, gan3d and eg3d.

    Without --out: a folder in RUN/meshes, named after the arguments.
    """

    n: int = 4
    """Number of objects."""
    seed: int = 0
    """Object i is that of sample SEED + i."""
    format: Literal["glb", "obj", "ply", "web"] = "glb"
    """glb (binary glTF), obj or ply: one file for each object. web: a page that works without an internet connection."""
    side: int | None = None
    """Points along each side of the volume, 8 to 256. None: the model's own (32 at 32 px)."""
    level: float | None = None
    """Occupancy between 0 and 1 from which a point is inside. None: the recipe's own."""
    clean: bool = True
    """Fill cavities, and leave out parts with less than 2 % of the volume."""
    runtime: str | None = None
    """For web: a folder with the file of model-viewer. None: ganloom's cache, which npm fills once."""
    device: str = "auto"
    """auto, cpu, cuda or mps."""


def run(argv: Sequence[str]) -> None:
    """Read the command line, write the meshes, print what was written."""
    args = parse(Arguments, argv, "mesh")
    with Progress() as progress:
        written = write_meshes(
            args.run, n=args.n, seed=args.seed, format=args.format, truncation=args.truncation, side=args.side,
            level=args.level, clean=args.clean, out=args.out, runtime=args.runtime, checkpoint=args.checkpoint,
            device=args.device, overwrite=args.overwrite, progress=progress,
        )  # fmt: skip
    if args.json:
        shown = {
            "out": str(written.folder),
            "files": [str(file) for file in written.files],
            "notes": list(written.notes),
        }
        print(json.dumps(shown | {"meshes": [dataclasses.asdict(one) for one in written.topologies]}))
        return
    for note in written.notes:
        print(note)
    closed = sum(one.watertight for one in written.topologies)
    print(f"{closed} of {len(written.topologies)} meshes are watertight")
    if args.format == "web":
        print(f"wrote {written.folder}: open {written.files[0]} in a browser")
    else:
        print(f"wrote {len(written.files)} .{args.format} files to {written.folder}")
    print(following(["sample", args.run, "--turntable"], ["bench", "volumes", "--help"]))
