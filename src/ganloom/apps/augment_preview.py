"""Real images as D sees them under augmentation, at several strengths, and what G would draw if the augmentation leaked.

Augmentation stays out of G's images as long as enough reals pass untouched: T is then one-to-one on distributions (Karras
et al. 2020, arXiv:2006.06676, sec. 2.2), which holds in practice up to a strength of about 0.8.
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
from ganloom.augment.policy import POLICY
from ganloom.core import randomness
from ganloom.core.errors import BadInput
from ganloom.imaging import grid
from ganloom.runs.folder import check_new

SAFE = 0.8
"""The largest strength at which the authors found no leak (sec. 2.2)."""
STRENGTHS = (0.2, 0.4, 0.6, 0.8, 1.0)
DRAWS = 1000


@dataclass(frozen=True)
class Previewed:
    """Two sheets, and for each strength the share of images that pass untouched."""

    sheet: Path
    leak: Path
    untouched: dict[float, float]

    def lines(self) -> list[str]:
        """The shares in words."""
        said = [f"p {p:g}: {share:.1%} of images pass untouched" for p, share in self.untouched.items()]
        return [
            line + (f"; above {SAFE:g} it can leak" if p > SAFE else "")
            for p, line in zip(self.untouched, said, strict=True)
        ]


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
) -> Previewed:
    """Write ``out``, a PNG, and OUT-leak.png beside it, both new.

    ``out``: a row an image; as it is, under ADA's ``parts`` at each strength, under each part of DiffAugment's ``policy`` and
    under all of it. The leak: a row a strength, each of other images; if G draws such ones, the augmentation has leaked.
    """
    path = check_new(out, (".png",))
    leak = check_new(path.with_name(f"{path.stem}-leak.png"), (".png",))
    check_parts(parts, "--parts")
    check_policy(policy, "--policy")
    if n < 1:
        raise BadInput(f"--n must be at least 1, got {n}")
    if not p or not all(0 <= strength <= 1 for strength in p):
        raise BadInput(f"--p are strengths in 0..1, got {' '.join(f'{strength:g}' for strength in p) or 'none'}")
    opened = datasets.open(data, shape=shape, fit=fit)
    if opened.kind == "points":
        raise BadInput(f"{opened.name} is a set of points: augmentation is for images")
    columns = 1 + len(p) + len(policy) + (len(policy) > 1)
    with torch.random.fork_rng(devices=[]):
        randomness.seed_all(randomness.key(seed, "augment"))
        x = opened.get(_spread(len(opened), n))
        seen = [x, *(pipe(parts, strength)(x) for strength in p), *(diff_augment(x, (name,)) for name in policy)]
        seen += [diff_augment(x, policy)] if len(policy) > 1 else []
        many = opened.get(_spread(len(opened), columns * len(p), 1))
        leaked = [pipe(parts, s)(rows) for s, rows in zip(p, many.split(-(-len(many) // len(p))), strict=False)]
        untouched = {float(strength): share_untouched(x[:1], parts, strength) for strength in p}
    grid.save_png(grid.grid(grid.side_by_side(*seen).clamp(-1, 1), columns), path)
    grid.save_png(grid.grid(torch.cat(leaked).clamp(-1, 1), columns), leak)
    return Previewed(path, leak, untouched)


def pipe(parts: tuple[str, ...], p: float) -> Ada:
    """ADA's pipeline at a strength."""
    return Ada(dict.fromkeys(parts, 1.0), p)


@torch.no_grad()
def share_untouched(x: Tensor, parts: tuple[str, ...], p: float, draws: int = DRAWS) -> float:
    """The share of ``draws`` copies of one image (1, C, H, W) that come through as they were."""
    small = torch.linspace(-0.5, 0.5, x.shape[1] * 16).view(1, -1, 4, 4)  # no two pixels alike, so that each move shows
    many = small.expand(draws, -1, -1, -1).contiguous()
    away = (pipe(parts, p)(many) - many).flatten(1).abs().amax(1)
    return float((away < 1e-4).float().mean())


def _spread(size: int, n: int, start: int = 0) -> Tensor:
    """n rows of so many, far apart."""
    return (torch.linspace(0, size - 1, n).round().long() + start) % size
