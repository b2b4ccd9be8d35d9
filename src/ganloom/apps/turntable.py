"""Turntables: views of generated objects all around, as an animation and as a strip."""

import math
from pathlib import Path

import torch
from torch import Tensor

from ganloom import sampling
from ganloom.apps.latent import FORMATS, ffmpeg, save_animation
from ganloom.apps.sample import Written, folder_named
from ganloom.apps.volumetric import model_of, object_codes
from ganloom.core.errors import BadInput
from ganloom.core.names import as_path
from ganloom.core.output_files import new_folder
from ganloom.core.precision import full_precision
from ganloom.imaging import grid
from ganloom.recipes.base.volumetric import Volumetric
from ganloom.report.progress import Report

FRAMES = 48
"""Frames of a turn, by default."""
STRIP = 8
"""Views in a strip, by default."""
FPS = 16.0


def write_turntables(
    run: str | Path,
    *,
    n: int = 4,
    seed: int = 0,
    truncation: float = 1.0,
    elevation: float | None = None,
    frames: int = FRAMES,
    format: str = "gif",
    out: str | Path | None = None,
    checkpoint: str = "latest",
    device: str = "auto",
    overwrite: bool = False,
    progress: Report = None,
) -> Written:
    """Write for each of n objects an animation of a full turn, and one sheet with a strip of views of each.

    Args:
        run: A run of a 3D recipe.
        n: Number of objects.
        seed: Object i is that of sample ``seed + i``.
        truncation: Below 1 objects are more typical and less diverse.
        elevation: Of the camera in degrees. None: the middle of the training's range.
        frames: Frames of a turn.
        format: "gif", "webp" or "mp4" (needs ffmpeg).
        out: A new or empty folder. None: a folder in RUN/generated, named after the arguments.
        checkpoint: "latest", "best", or the name of a checkpoint.
        device: "auto", "cpu", "cuda" or "mps".
        overwrite: Take a folder with content, and replace files of equal names.
        progress: Called with (what, done, total).

    Returns:
        The folder, the sheet of strips (views.png) and the animations (seed000000.gif, ...).

    Raises:
        BadInput: An argument cannot be used, or the run makes no 3D objects.
    """
    if frames < 2:
        raise BadInput(f"frames must be at least 2, got {frames}")
    if elevation is not None and not -90 <= elevation <= 90:
        raise BadInput(f"--elevation must be in -90..90 degrees, got {elevation:g}")
    if f".{format}" not in FORMATS:
        raise BadInput(f"--animation must be gif, webp or mp4, got {format}")
    if format == "mp4":
        ffmpeg()
    path = as_path(run)
    gan = model_of(
        path, n, truncation, out, checkpoint=checkpoint, device=device, overwrite=overwrite, progress=progress
    )
    height = gan.cameras.middle if elevation is None else math.radians(elevation)
    settings = {
        "truncation": (truncation, 1.0), "elevation": (elevation, None), "frames": (frames, FRAMES), "": (format, "gif"),
        "checkpoint-": (checkpoint, "latest"),
    }  # fmt: skip
    folder = folder_named(path / "generated", out, f"turntable-kimg{gan.kimg:g}-seed{seed}-n{n}", settings)
    if out is None:
        new_folder(folder, overwrite=overwrite, flag="")
    codes = object_codes(gan, n, seed, truncation)
    strips, files = [], []
    for i, row in enumerate(codes):
        if progress is not None:
            progress("turning objects", i, n)
        around = turn(gan, row, frames, height)
        file = folder / f"seed{seed + i:06d}.{format}"
        save_animation([grid.grid(view[None]) for view in around], file, FPS, overwrite=overwrite)
        files.append(file)
        strips.append(around if frames == STRIP else turn(gan, row, STRIP, height))
    sheet = folder / "views.png"
    grid.save_png(grid.grid(torch.cat(strips), STRIP), sheet, overwrite=overwrite)
    return Written(folder, sheet, files)


@torch.no_grad()
def turn(gan: Volumetric, code: Tensor, count: int, elevation: float) -> Tensor:
    """Render ``count`` views (count, C, H, W) of the object with the code (k,), evenly around it.

    The range of azimuths of the training is divided if it is no full turn.
    """
    low, high = gan.cameras.azimuth
    full = high - low >= 360
    steps = torch.arange(count) / (count if full else max(count - 1, 1))
    azimuth = torch.deg2rad((0.0 if full else low) + steps * (360.0 if full else high - low)).to(gan.device)
    with sampling.unchanged(gan), full_precision():
        parts = [gan.view(code[None], some, torch.full_like(some, elevation)) for some in azimuth.split(16)]
    return torch.cat(parts).float().cpu()
