"""Write generated 3D objects as meshes: GLB, OBJ or PLY files, or a page that shows them."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ganloom import sampling
from ganloom.apps.sample import folder_named
from ganloom.apps.volumetric import model_of, object_codes
from ganloom.core.errors import BadInput, did_you_mean
from ganloom.core.names import as_path
from ganloom.core.output_files import new_folder, write_new
from ganloom.core.precision import full_precision
from ganloom.export import model_viewer
from ganloom.recipes.base.volumetric import Volumetric
from ganloom.report.progress import Report
from ganloom.volumes.mesh_files import WRITERS, glb
from ganloom.volumes.meshes import Mesh, Topology, surface, topology

FORMATS = (*WRITERS, "web")
LARGEST = 256
"""Largest number of points along each side of a volume."""


@dataclass(frozen=True)
class WrittenMeshes:
    """What ``write_meshes`` wrote.

    Attributes:
        folder: The folder.
        files: One file for each object; index.html of a page.
        topologies: What was measured of each mesh.
        notes: Lines for the user.
    """

    folder: Path
    files: list[Path]
    topologies: list[Topology]
    notes: tuple[str, ...] = ()


def write_meshes(
    run: str | Path,
    *,
    n: int = 4,
    seed: int = 0,
    format: str = "glb",
    truncation: float = 1.0,
    side: int | None = None,
    level: float | None = None,
    clean: bool = True,
    out: str | Path | None = None,
    runtime: str | Path | None = None,
    checkpoint: str = "latest",
    device: str = "auto",
    overwrite: bool = False,
    progress: Report = None,
) -> WrittenMeshes:
    """Write the surfaces of n generated objects.

    Args:
        run: A run of a 3D recipe.
        n: Number of objects.
        seed: Object i is that of sample ``seed + i``.
        format: "glb", "obj", "ply", or "web" for a page that shows all of them.
        truncation: Below 1 objects are more typical and less diverse.
        side: Points along each side of the volume, 8 to 256. None: the model's own.
        level: Occupancy in (0, 1) from which a point is inside. None: the model's own.
        clean: Fill cavities, and leave out small parts.
        out: A new or empty folder. None: a folder in RUN/meshes, named after the arguments.
        runtime: For "web": a folder with model-viewer's file. None: ganloom's cache, which npm fills once.
        checkpoint: "latest", "best", or the name of a checkpoint.
        device: "auto", "cpu", "cuda" or "mps".
        overwrite: Take a folder with content, and replace files of equal names.
        progress: Called with (what, done, total).

    Raises:
        BadInput: An argument cannot be used, the run makes no 3D objects, or a volume is empty.
        MissingExtra: scikit-image is not installed.
    """
    _check(format, side, level, runtime)
    path = as_path(run)
    gan = model_of(
        path, n, truncation, out, checkpoint=checkpoint, device=device, overwrite=overwrite, progress=progress
    )
    settings = {
        "truncation": (truncation, 1.0), "side": (side, None), "level": (level, None), "": ("" if clean else "no-clean", ""),
        "checkpoint-": (checkpoint, "latest"),
    }  # fmt: skip
    folder = folder_named(path / "meshes", out, f"kimg{gan.kimg:g}-seed{seed}-n{n}-{format}", settings)
    if out is None:
        new_folder(folder, overwrite=overwrite, flag="")
    viewer = model_viewer.runtime_files(runtime) if format == "web" else {}
    made = []
    for i, code in enumerate(object_codes(gan, n, seed, truncation)):
        if progress is not None:
            progress("computing surfaces", i, n)
        try:
            made.append(mesh_of(gan, code, side, level, clean=clean))
        except BadInput as error:
            raise BadInput(f"{path}, seed {seed + i}: {error}") from None
    names = [f"seed{seed + i:06d}" for i in range(n)]
    if format == "web":
        title = f"{type(gan).__name__}: {n} generated objects"
        files = [
            model_viewer.write_page(folder, dict(zip(names, map(glb, made), strict=True)), viewer, title, overwrite)
        ]
    else:
        contents = zip(names, map(WRITERS[format], made), strict=True)
        files = [write_new(folder / f"{name}.{format}", content, overwrite=overwrite) for name, content in contents]
    left_out = sum(mesh.parts_left_out for mesh in made)
    notes = (f"left out {left_out} small part{'s' * (left_out > 1)}; --no-clean keeps them",) if left_out else ()
    return WrittenMeshes(folder, files, [topology(mesh) for mesh in made], notes)


def _check(format: str, side: int | None, level: float | None, runtime: str | Path | None) -> None:
    if format not in FORMATS:
        raise BadInput(f"--format {format}{did_you_mean(format, FORMATS)}: it must be one of {', '.join(FORMATS)}")
    if side is not None and not 8 <= side <= LARGEST:
        raise BadInput(f"--side must be in 8..{LARGEST}, got {side}")
    if level is not None and not 0 < level < 1:
        raise BadInput(f"--level must be between 0 and 1, got {level:g}")
    if runtime is not None and format != "web":
        raise BadInput("--runtime needs --format web: add it, or leave --runtime out")


@torch.no_grad()
def mesh_of(
    gan: Volumetric, code: Tensor, side: int | None = None, level: float | None = None, *, clean: bool = True
) -> Mesh:
    """Return the surface of the object with the code (k,), with colours if the model has them.

    Raises:
        BadInput: If its volume is empty.
    """
    with sampling.unchanged(gan), full_precision():
        volumes = gan.volume(code[None], side)
        mesh = surface(volumes.occupancy[0].float().cpu().numpy(), level or volumes.level, clean=clean)
        if not gan.coloured:
            return mesh
        points = torch.from_numpy(mesh.vertices).to(gan.device)
        return mesh.coloured(np.asarray(gan.colours_at(code[None], points[None])[0].float().cpu()))
