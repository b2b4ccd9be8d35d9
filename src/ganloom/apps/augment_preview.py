"""Preview augmentation: real images as D gets them, at several strengths, and what G would draw if the augmentation leaked.

Augmentation does not leak into the images of G as long as enough real images are not changed by it: then T is one-to-one on
distributions (Karras et al. 2020, arXiv:2006.06676, sec. 2.2). In practice this holds up to a strength of about 0.8.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ganloom import data as datasets
from ganloom.augment.ada import BGC, Ada, check_parts
from ganloom.augment.diffaugment import check_policy, diff_augment
from ganloom.augment.policy import FEW, POLICY, Advice
from ganloom.core import randomness
from ganloom.core.errors import BadInput
from ganloom.core.output_files import new_file
from ganloom.imaging import grid
from ganloom.recipes.advice import few_images

SAFE = 0.8
"""The largest strength without a leak in the paper (sec. 2.2)."""
STRENGTHS = (0.2, 0.4, 0.6, 0.8, 1.0)
DRAWS = 1000
RECIPE = "stylegan2"
"""The recipe that ADA was made for, which the advice and the next command are for."""


@dataclass(frozen=True)
class Previewed:
    """Two sheets, and for each strength the share of images that are not changed."""

    sheet: Path
    leak: Path
    untouched: dict[float, float]
    advice: Advice | None = None
    """What to do with so few images; None if they are not few."""

    def lines(self) -> list[str]:
        """The shares as text, a line for each strength; then the advice for few images."""
        few = [] if self.advice is None else [f"few images: {self.advice.text}"]
        return [
            f"p {p:g}: {share:.1%} of images are not changed" + (f"; above {SAFE:g} it can leak" if p > SAFE else "")
            for p, share in self.untouched.items()
        ] + few


def preview(
    data: Any,
    out: str | Path,
    *,
    p: Sequence[float] = STRENGTHS,
    parts: tuple[str, ...] = BGC,
    policy: tuple[str, ...] = POLICY,
    n: int = 6,
    seed: int = 0,
    shape: tuple[int, int, int] | None = None,
    fit: str = "crop",
    overwrite: bool = False,
) -> Previewed:
    """Write two sheets.

    ``out`` has a row for each image: without augmentation, under ADA at each strength, under each part of DiffAugment, and
    under all parts. OUT-leak.png has a row for each strength of ADA, with other images. If the samples of G look like these,
    the augmentation has leaked.

    Args:
        data: Whatever ``ganloom.data.open`` accepts; images.
        out: The new .png file.
        p: Strengths of ADA, in [0, 1].
        parts: Parts of ADA.
        policy: Parts of DiffAugment.
        n: Number of images.
        seed: Seed of all random numbers.
        shape: Channels, height and width. None: from the data.
        fit: How to bring images of other sizes to the shape: "crop", "pad" or "squash".
        overwrite: Replace existing files.

    Returns:
        Both files, and the shares of images that are not changed.

    Raises:
        BadInput: An argument cannot be used, or a file exists.
    """
    path = new_file(out, (".png",), overwrite=overwrite)
    leak = new_file(path.with_name(f"{path.stem}-leak.png"), overwrite=overwrite)
    check_parts(parts, "--parts")
    check_policy(policy, "--policy")
    if n < 1:
        raise BadInput(f"--n must be at least 1, got {n}")
    if not p or not all(0 <= strength <= 1 for strength in p):
        raise BadInput(f"--p needs strengths in 0..1, got {' '.join(f'{strength:g}' for strength in p) or 'none'}")
    opened = datasets.open(data, shape=shape, fit=fit, labels=False)  # they would not be used
    if opened.kind == "points":
        raise BadInput(f"{opened.name} is a set of points: augmentation needs images")
    columns = 1 + len(p) + len(policy) + (len(policy) > 1)
    with torch.random.fork_rng(devices=[]):
        randomness.seed_all(randomness.key(seed, "augment"))
        x = opened.get(_spread(len(opened), n))
        columns_of = [x, *(pipe(parts, strength)(x) for strength in p), *(diff_augment(x, (name,)) for name in policy)]
        columns_of += [diff_augment(x, policy)] if len(policy) > 1 else []
        many = opened.get(_spread(len(opened), columns * len(p), 1))
        leaked = [pipe(parts, s)(rows) for s, rows in zip(p, many.split(-(-len(many) // len(p))), strict=False)]
        untouched = {float(strength): share_untouched(x[:1], parts, strength) for strength in p}
    grid.save_png(grid.grid(grid.side_by_side(*columns_of).clamp(-1, 1), columns), path, overwrite=overwrite)
    grid.save_png(grid.grid(torch.cat(leaked).clamp(-1, 1), columns), leak, overwrite=overwrite)
    few = few_images(RECIPE, len(opened)) if len(opened) < FEW else None
    return Previewed(path, leak, untouched, few)


def pipe(parts: tuple[str, ...], p: float) -> Ada:
    """Build ADA's pipeline.

    Args:
        parts: Its parts.
        p: Its strength, in [0, 1].
    """
    return Ada(dict.fromkeys(parts, 1.0), p)


@torch.no_grad()
def share_untouched(x: Tensor, parts: tuple[str, ...], p: float, draws: int = DRAWS) -> float:
    """Compute the share of images that ADA does not change.

    Args:
        x: An image (1, C, H, W), for the number of channels.
        parts: Parts of ADA.
        p: Its strength.
        draws: Number of random draws.

    Returns:
        The share, in [0, 1].
    """
    small = torch.linspace(-0.5, 0.5, x.shape[1] * 16).view(
        1, -1, 4, 4
    )  # all pixels differ, so that every transformation changes the image
    many = small.expand(draws, -1, -1, -1).contiguous()
    change = (pipe(parts, p)(many) - many).flatten(1).abs().amax(1)
    return float((change < 1e-4).float().mean())


def _spread(size: int, n: int, start: int = 0) -> Tensor:
    """n of ``size`` rows, evenly spaced."""
    return (torch.linspace(0, size - 1, n).round().long() + start) % size
