"""Walks through the latent space of a model, and mixtures of styles, as images.

A walk connects the latents of several seeds: in z along great circles (slerp), because normal numbers are near a sphere; in w
along straight lines (lerp), for models with a ``mapping`` and a ``synthesis``. Mixing takes the styles of some layers from
other seeds.
"""

import math
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from PIL import Image, features
from torch import Tensor

from ganloom import sampling
from ganloom.apps.captions import text_model, training_captions
from ganloom.core.errors import BadInput, GanloomError
from ganloom.core.output_files import new_file, written
from ganloom.gan import GAN
from ganloom.imaging import grid

FORMATS = (".gif", ".webp", ".mp4")


@dataclass(frozen=True)
class Drawn:
    """A file that was written, and the number of images in it."""

    path: Path
    images: int


Class = str | int | Tensor | None
"""A class by name or number; see ``GAN.generate``."""


# ------------------------------------------------------------------------------------------------------------- latents


def has_styles(gan: GAN) -> bool:
    """Return whether the model has styles: a ``mapping`` and a ``synthesis``."""
    return hasattr(gan, "mapping") and hasattr(gan, "synthesis")


def styled(gan: GAN) -> Any:
    """Return the model if it has styles.

    Args:
        gan: The model.

    Raises:
        BadInput: The model has no styles.
    """
    if not has_styles(gan):
        raise BadInput(
            f"{type(gan).__name__} has no styles: use a run of stylegan or stylegan2; walk, project and directions also work in z"
        )
    return gan


@torch.no_grad()
def latents(gan: GAN, seeds: Sequence[int], c: Class = None) -> tuple[Tensor, Tensor | None]:
    """Return the latents and labels that ``generate`` uses for these seeds.

    Args:
        gan: The model.
        seeds: One for each latent.
        c: The class, by name or number. None: by the seed.

    Returns:
        (z (n, z_dim), labels (n,) or None).
    """
    with sampling.unchanged(gan):
        pairs = [sampling.latents(gan, 1, seed, None, c) for seed in seeds]
    labels = [label for _, label in pairs if label is not None]
    return torch.cat([z for z, _ in pairs]), torch.cat(labels) if labels else None


@torch.no_grad()
def styles(gan: GAN, seeds: Sequence[int], c: Class = None, truncation: float = 1.0) -> Tensor:
    """Return the styles ws (n, layers, w_dim) of these seeds."""
    z, labels = latents(gan, seeds, c)
    ws: Tensor = styled(gan).mapping(z, labels, truncation)
    return ws


@torch.no_grad()
def drawn(gan: GAN, ws: Tensor, batch: int = 64) -> Tensor:
    """Generate images (n, C, H, W) in [-1, 1] from styles ws (n, layers, w_dim), with the fixed noise of the model."""
    return torch.cat([styled(gan).synthesis(part).clamp(-1, 1) for part in ws.split(batch)])


def slerp(a: Tensor, b: Tensor, t: float) -> Tensor:
    """Interpolate along the great circle from a to b.

    Args:
        a: Latents (n, d).
        b: Latents (n, d).
        t: 0 gives a, 1 gives b.

    Returns:
        Latents (n, d), with lengths between those of a and b. Nearly parallel latents are interpolated linearly.
    """
    cosine = torch.nn.functional.cosine_similarity(a, b, dim=1).clamp(-1, 1)[:, None]
    angle = torch.acos(cosine)
    straight = angle.sin() < 1e-4
    sine = torch.where(straight, torch.ones_like(angle), angle.sin())
    curved = ((1 - t) * angle).sin() / sine * a + (t * angle).sin() / sine * b
    return torch.where(straight, torch.lerp(a, b, t), curved)


def layers_of(text: str, count: int, flag: str = "--layers") -> list[int]:
    """Read layers such as "0-3", "0,2,5" or "all".

    Args:
        text: The layers.
        count: The number of layers of the model.
        flag: The flag, for messages.

    Returns:
        The numbers, sorted.

    Raises:
        BadInput: The text cannot be read, or the model has no such layer.
    """
    if text == "all":
        return list(range(count))
    numbers: set[int] = set()
    for part in text.split(","):
        ends = part.split("-")
        if len(ends) > 2 or not all(end.strip().isdigit() for end in ends):
            raise BadInput(f'{flag} must be like 0-3, 0,2,5 or all, got "{text}"')
        numbers |= set(range(int(ends[0]), int(ends[-1]) + 1))
    if not numbers or max(numbers) >= count:
        raise BadInput(f"{flag} {text}: this model has the layers 0 to {count - 1}")
    return sorted(numbers)


# ----------------------------------------------------------------------------------------------------------------- walk


def walk(
    gan: GAN,
    out: str | Path,
    *,
    seeds: Sequence[int] = (0, 1, 2, 3, 4),
    frames: int = 60,
    fps: float = 20.0,
    space: str = "auto",
    truncation: float = 1.0,
    c: Class = None,
    overwrite: bool = False,
) -> Drawn:
    """Write a closed walk through the images of several seeds as an animation.

    Args:
        gan: The model.
        out: The new file: .gif, .webp, or .mp4 (needs ffmpeg).
        seeds: The images to pass through, at least two.
        frames: Number of frames.
        fps: Frames per second, in (0, 100].
        space: "z", "w", or "auto": w if the model has it.
        truncation: Truncation of the images.
        c: The class, by name or number. None: the first one, if the model has classes.
        overwrite: Replace an existing file.

    Returns:
        What was written.

    Raises:
        BadInput: An argument cannot be used.
    """
    path = new_file(out, FORMATS, overwrite=overwrite)
    if path.suffix.lower() == ".webp" and not features.check("webp"):
        raise BadInput("this Pillow cannot write WebP: let --out end in .gif")
    if path.suffix.lower() == ".mp4":
        ffmpeg()
    if len(seeds) < 2:
        raise BadInput(f"--seeds needs at least two seeds, got {list(seeds)}")
    if frames < len(seeds):
        raise BadInput(f"--frames {frames} is fewer than the {len(seeds)} seeds")
    if not 0 < fps <= 100:
        raise BadInput(f"--fps must be in (0, 100], got {fps}")
    x = walked(gan, seeds, frames, space, truncation, c)
    save_animation([grid.grid(frame[None]) for frame in x], path, fps, overwrite=overwrite)
    return Drawn(path, len(x))


@torch.no_grad()
def walked(
    gan: GAN, seeds: Sequence[int], frames: int, space: str = "auto", truncation: float = 1.0, c: Class = None
) -> Tensor:
    """Generate the images of a walk, (frames, C, H, W); see ``walk``."""
    if space not in ("auto", "z", "w"):
        raise BadInput(f'--space must be auto, z or w, got "{space}"')
    if gan.conditions_on == "captions":  # one caption for all frames
        code = gan.caption_codes(training_captions(text_model(gan), 1, 0) if c is None else str(c))
        z = torch.cat([sampling.latents(gan, 1, seed, None, code)[0] for seed in seeds])
        zs = [slerp(z[int(p)][None], z[(int(p) + 1) % len(z)][None], p % 1) for p in _places(len(seeds), frames)]
        return gan.generate(z=torch.cat(zs), c=code.expand(frames, -1), truncation=truncation)
    in_w = space == "w" or (space == "auto" and has_styles(gan))
    if gan.c(1) is not None and c is None:
        c = torch.tensor((gan.drawn_classes or (0,))[0])  # one class for all frames: labels cannot be interpolated
    places = _places(len(seeds), frames)
    if in_w:
        ws = styles(gan, seeds, c, truncation)
        steps = [torch.lerp(ws[int(p)], ws[(int(p) + 1) % len(ws)], p % 1) for p in places]
        return drawn(gan, torch.stack(steps))
    z, _ = latents(gan, seeds, c)
    zs = [slerp(z[int(p)][None], z[(int(p) + 1) % len(z)][None], p % 1) for p in places]
    return gan.generate(z=torch.cat(zs), c=c, truncation=truncation)


def _places(seeds: int, frames: int) -> list[float]:
    """Where each frame is on the way through the seeds and back to the first."""
    return [i * seeds / frames for i in range(frames)]


def save_animation(images: Sequence[Image.Image], path: Path, fps: float, *, overwrite: bool = False) -> None:
    """Write an animation that repeats; the file is complete or does not exist.

    Args:
        images: The frames. Transparent ones are shown on dark grey.
        path: The file: .gif, .webp or .mp4.
        fps: Frames per second.
        overwrite: Replace an existing file.
    """
    plain = []
    for image in images:
        if image.mode in ("LA", "RGBA"):
            background = Image.new("RGBA", image.size, (40, 40, 40, 255))
            image = Image.alpha_composite(background, image.convert("RGBA")).convert("RGB")
        plain.append(image)
    kwargs: dict[str, Any] = {"lossless": True} if path.suffix.lower() == ".webp" else {"optimize": False}
    with written(path, overwrite=overwrite) as temporary:
        if path.suffix.lower() == ".mp4":
            _save_mp4(plain, temporary, fps)
        else:
            plain[0].save(
                temporary, save_all=True, append_images=plain[1:], duration=max(10, round(1000 / fps)), loop=0, **kwargs
            )


def ffmpeg() -> str:
    """Find ffmpeg, which writes .mp4 files.

    Raises:
        BadInput: It is not installed.
    """
    program = shutil.which("ffmpeg")
    if program is None:
        raise BadInput("an .mp4 needs ffmpeg, which is not on the PATH: install it, or let --out end in .gif or .webp")
    return program


def _save_mp4(images: Sequence[Image.Image], path: Path, fps: float) -> None:
    """Write H.264, or MPEG-4 if this ffmpeg has no H.264 encoder. Odd sides get a black line."""
    width, height = images[0].size
    raw = b"".join(image.convert("RGB").tobytes() for image in images)
    source = ["-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{width}x{height}", "-r", f"{fps:g}", "-i", "-"]
    even = ["-vf", f"pad={width + width % 2}:{height + height % 2}", "-pix_fmt", "yuv420p", "-movflags", "+faststart"]
    message = ""
    for encoder in (["libx264", "-crf", "12"], ["mpeg4", "-q:v", "2"]):
        argv = [ffmpeg(), "-v", "error", "-y", *source, *even, "-c:v", *encoder, "-f", "mp4", str(path)]
        done = subprocess.run(argv, input=raw, capture_output=True)
        if not done.returncode:
            return
        message = " ".join(done.stderr.decode(errors="replace").split())[:200]
    raise GanloomError(f"ffmpeg could not write {path.suffix}: {message}")


# ------------------------------------------------------------------------------------------------------------------ mix


def mix(
    gan: GAN,
    out: str | Path,
    *,
    rows: Sequence[int] = (0, 1, 2, 3),
    columns: Sequence[int] = (10, 11, 12, 13, 14),
    layers: str = "0-2",
    truncation: float = 1.0,
    c: Class = None,
    overwrite: bool = False,
) -> Drawn:
    """Write a grid of style mixtures: the image of each row with some layers of the image of each column.

    The first row and the first column show the source images.

    Args:
        gan: A model with styles.
        out: The new .png file.
        rows: Seeds of the rows.
        columns: Seeds of the columns.
        layers: Layers to take from the columns: "0-3", "0,2,5" or "all".
        truncation: Truncation of the images.
        c: The class, by name or number. None: by the seed.
        overwrite: Replace an existing file.

    Returns:
        What was written.

    Raises:
        BadInput: An argument cannot be used.
    """
    path = new_file(out, (".png",), overwrite=overwrite)
    x = mixed(gan, rows, columns, layers, truncation, c)
    grid.save_png(grid.grid(x, columns=len(columns) + 1), path, overwrite=overwrite)
    return Drawn(path, len(x))


def mixed(
    gan: GAN, rows: Sequence[int], columns: Sequence[int], layers: str, truncation: float = 1.0, c: Class = None
) -> Tensor:
    """Generate the images of the grid, row by row; the first one is empty: ((rows + 1) x (columns + 1), C, H, W)."""
    if not rows or not columns:
        raise BadInput("--rows and --columns need at least one seed each")
    own, other = styles(gan, rows, c, truncation), styles(gan, columns, c, truncation)
    chosen = layers_of(layers, own.shape[1])
    grid = own[:, None].repeat(1, len(other), 1, 1)
    grid[:, :, chosen] = other[None, :, chosen]
    x, top, left = drawn(gan, grid.flatten(0, 1)), drawn(gan, other), drawn(gan, own)
    lines = [torch.cat([torch.full_like(top[:1], -1.0), top])]
    lines += [torch.cat([left[i : i + 1], x[i * len(top) : (i + 1) * len(top)]]) for i in range(len(left))]
    return torch.cat(lines)


def psnr(a: Tensor, b: Tensor) -> float:
    """Compute the peak signal-to-noise ratio of images in [-1, 1], in decibels."""
    error = float((a - b).square().mean())
    return math.inf if error == 0 else 10 * math.log10(4 / error)
