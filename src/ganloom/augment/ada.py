"""Adaptive discriminator augmentation, ADA (Karras et al. 2020, arXiv:2006.06676).

Each transformation is applied to each image with probability p times its rate, so that below p = 1 G does not learn it
(sec. 2.2). p follows D's certainty about the reals, r_t = E[sign D(T x)]: it rises while r_t is above the target and falls
while it is below (sec. 3). Everything is twice differentiable on any device with torch's public functions, as R1 needs. All
random numbers are keyed (``ganloom.core.randomness``).
"""

import functools
import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ganloom.core import randomness
from ganloom.core.errors import BadInput, did_you_mean

PARTS: dict[str, tuple[str, ...]] = {
    "blit": ("flip", "quarter", "shift"),
    "geometry": ("scale", "rotate", "stretch", "slide"),
    "colour": ("brightness", "contrast", "invert", "hue", "saturation"),
    "filter": ("filter",),
    "noise": ("noise",),
    "cutout": ("cutout",),
}
"""Parts of the pipeline and the transformations in each (app. B)."""

BGC = ("blit", "geometry", "colour")
"""The parts that the paper found best and uses (sec. 2.3)."""

SYM2 = (-0.12940952255092145, 0.22414386804185735, 0.836516303737469, 0.48296291314469025)
SYM6 = (
    0.015404109327027373, 0.0034907120842174702, -0.11799011114819057, -0.048311742585633, 0.4910559419267466,
    0.787641141030194, 0.3379294217276218, -0.07263752278646252, -0.021060292512300564, 0.04472490177066578,
    0.0017677118642428036, -0.007800708325034148,
)  # fmt: skip
"""Wavelets of the symlet family: low-pass filters for alias-free resampling (Daubechies 1992)."""


def check_parts(parts: tuple[str, ...], flag: str = "--ada-parts") -> None:
    """Raise BadInput if a name is neither a part nor a transformation; ``flag`` is the option named in the message."""
    known = dict.fromkeys(name for part, names in PARTS.items() for name in (part, *names))
    for name in parts:
        if name not in known:
            choices = ", ".join(
                part if names == (part,) else f"{part} ({', '.join(names)})" for part, names in PARTS.items()
            )
            raise BadInput(f'{flag} has no "{name}"{did_you_mean(name, known)}: choose from {choices}')


class Ada(nn.Module):
    """Augment images (N, C, H, W) in about [-1, 1].

    With two or four channels the last one is an alpha channel: geometric transformations apply to it, colour changes do not.

    Args:
        rates: Rate of each transformation, multiplied by p; the name of a part sets all of its transformations.
        p: Strength at the start.
    """

    p: Tensor
    signs: Tensor
    updates: Tensor
    fresh: Tensor
    bank: Tensor

    def __init__(self, rates: Mapping[str, float], p: float = 0.0) -> None:
        super().__init__()
        self.rates: dict[str, float] = {}
        for name, rate in rates.items():
            self.rates |= dict.fromkeys(PARTS.get(name, (name,)), float(rate))
        self.register_buffer("p", torch.tensor(float(p)))
        self.register_buffer("signs", torch.zeros(2))  # the sum of D's signs on reals, and the number of images
        self.register_buffer("updates", torch.zeros(()))
        self.register_buffer("fresh", torch.zeros(()))  # 1 if logits were noted since the last update
        self.register_buffer("bank", torch.from_numpy(_bank()), persistent=False)

    # -------------------------------------------------------------------------------------------------- its strength
    @torch.no_grad()
    def note(self, logits: Tensor) -> None:
        """Add D's logits on reals to the sums.

        Args:
            logits: (N, ...). Several logits of one image count as one image, with their mean sign.
        """
        signs = logits.detach().float().sign().reshape(len(logits), -1).mean(1)
        self.signs.add_(torch.stack([signs.sum(), torch.full_like(self.p, len(logits))]))
        self.fresh.fill_(1.0)

    def move(self, target: float = 0.6, kimg: float = 500.0, every: int = 4) -> None:
        """Move p by one step, every ``every``-th update in which logits were noted (sec. 3.1).

        Args:
            target: The value of r_t to keep.
            kimg: Thousands of images in which p can go from 0 to 1.
            every: Updates between two steps.
        """
        total, n = self.signs
        self.updates.add_(self.fresh)
        self.fresh.zero_()
        due = (self.updates >= every).float()  # no value is read back, so no device synchronisation
        step = torch.sign(total / n.clamp_min(1) - target) * n / (1000 * kimg)
        self.p.copy_((self.p + due * step).clamp_min(0))
        self.signs.mul_(1 - due)
        self.updates.mul_(1 - due)

    # --------------------------------------------------------------------------------------------------- the pipeline
    def forward(self, x: Tensor) -> Tensor:
        """Augment images (N, C, H, W), with separate random numbers for each image."""
        x = x.float()
        if any(self.rates.get(name) for name in PARTS["blit"] + PARTS["geometry"]):
            x = self.moved(x)
        if any(self.rates.get(name) for name in PARTS["colour"]):
            x = self.tinted(x)
        if self.rates.get("filter"):
            x = self.filtered(x)
        if self.rates.get("noise"):
            sigma = self._draw("noise", _normal(x).abs() * 0.1, 0.0)[:, None, None, None]
            x = x + sigma * randomness.randn(*x.shape, device=x.device)
        if self.rates.get("cutout"):
            x = self.cut(x)
        return x

    def _draw(self, name: str, value: Tensor, idle: float, chance: Tensor | None = None) -> Tensor:
        """Return ``value`` with probability p x rate, else ``idle``; value is (N, ...), with one draw per image."""
        chance = self.p * self.rates[name] if chance is None else chance
        fires = randomness.rand(len(value), device=value.device) < chance
        return torch.where(fires.view(-1, *[1] * (value.dim() - 1)), value, idle)

    def moved(self, x: Tensor) -> Tensor:
        """Apply pixel blits and geometry as one map; images without a transformation are not resampled."""
        inverse = self.inverse(x)
        still = (inverse == torch.eye(3, device=x.device)).flatten(1).all(1)
        if x.device.type != "cpu":
            return torch.where(still[:, None, None, None], x, warped(x, inverse))
        rows = (~still).nonzero().flatten()  # on a CPU the other images cost nothing
        if not len(rows):
            return x
        return x.index_copy(0, rows, warped(x[rows], inverse[rows]))

    def inverse(self, x: Tensor) -> Tensor:
        """Return (N, 3, 3): maps from positions in the new image to positions in the old one, in pixels from the centre."""
        n, (height, width), rates = len(x), x.shape[2:], self.rates
        transform = torch.eye(3, device=x.device).expand(n, 3, 3)
        if rates.get("flip"):
            flips = self._draw("flip", (_uniform(x) * 2).floor(), 0.0)
            transform = transform @ _scaling(1 - 2 * flips, torch.ones_like(flips))
        if rates.get("quarter"):
            turns = self._draw("quarter", (_uniform(x) * 4).floor(), 0.0)
            transform = transform @ _rounded(_rotation(turns * (math.pi / 2)))
        if rates.get("shift"):
            t = self._draw("shift", (randomness.rand(n, 2, device=x.device) * 2 - 1) / 8, 0.0)
            transform = transform @ _translation(-(t[:, 0] * width).round(), -(t[:, 1] * height).round())
        if rates.get("scale"):
            s = self._draw("scale", torch.exp2(_normal(x) * 0.2), 1.0)
            transform = transform @ _scaling(1 / s, 1 / s)
        # Once before and once after the stretch, so that at least one rotation happens with probability p.
        half = 1 - torch.sqrt((1 - rates.get("rotate", 0.0) * self.p).clamp(0, 1))
        if rates.get("rotate"):
            transform = transform @ _rotation(self._draw("rotate", (_uniform(x) * 2 - 1) * math.pi, 0.0, half))
        if rates.get("stretch"):
            s = self._draw("stretch", torch.exp2(_normal(x) * 0.2), 1.0)
            transform = transform @ _scaling(1 / s, s)
        if rates.get("rotate"):
            transform = transform @ _rotation(self._draw("rotate", (_uniform(x) * 2 - 1) * math.pi, 0.0, half))
        if rates.get("slide"):
            t = self._draw("slide", randomness.randn(n, 2, device=x.device) / 8, 0.0)
            transform = transform @ _translation(-t[:, 0] * width, -t[:, 1] * height)
        return transform

    def tinted(self, x: Tensor) -> Tensor:
        """Apply the colour transformations as one affine map per image; for grey images its mean over three channels."""
        colours = x.shape[1] - (x.shape[1] in (2, 4))
        matrix = self.colour_map(x, colours > 1)
        if colours == 1:
            row = matrix[:, :3].mean(1)
            tinted = x[:, :1] * row[:, :3].sum(1)[:, None, None, None] + row[:, 3][:, None, None, None]
        else:
            tinted = (matrix[:, :3, :3] @ x[:, :3].flatten(2) + matrix[:, :3, 3:]).unflatten(2, x.shape[2:])
        return tinted if colours == x.shape[1] else torch.cat([tinted, x[:, colours:]], 1)

    def colour_map(self, x: Tensor, coloured: bool) -> Tensor:
        """Return (N, 4, 4): maps of colours (r, g, b, 1)."""
        n, rates, one = len(x), self.rates, torch.eye(4, device=x.device)
        luma = torch.tensor([1.0, 1.0, 1.0, 0.0], device=x.device) / math.sqrt(3)
        along = torch.outer(luma, luma)
        matrix = one.expand(n, 4, 4)
        if rates.get("brightness"):
            b = self._draw("brightness", _normal(x) * 0.2, 0.0)
            offset = torch.zeros(n, 4, 4, device=x.device)
            offset[:, :3, 3] = b[:, None]
            matrix = (one + offset) @ matrix
        if rates.get("contrast"):
            c = self._draw("contrast", torch.exp2(_normal(x) * 0.5), 1.0)
            matrix = torch.diag_embed(torch.stack([c, c, c, torch.ones_like(c)], 1)) @ matrix
        if rates.get("invert"):
            i = self._draw("invert", (_uniform(x) * 2).floor(), 0.0)[:, None, None]
            matrix = (one - 2 * along * i) @ matrix
        if rates.get("hue") and coloured:
            theta = self._draw("hue", (_uniform(x) * 2 - 1) * math.pi, 0.0)[:, None, None]
            matrix = _turned(luma, along, theta, one) @ matrix
        if rates.get("saturation") and coloured:
            s = self._draw("saturation", torch.exp2(_normal(x)), 1.0)[:, None, None]
            matrix = (along + (one - along) * s) @ matrix
        return matrix

    def filtered(self, x: Tensor) -> Tensor:
        """Amplify or weaken four frequency bands, at equal power for images with a 1 / f spectrum."""
        n, c, h, w = x.shape
        bands = len(self.bank)
        power = torch.tensor([10.0, 1.0, 1.0, 1.0], device=x.device) / 13
        gains = torch.ones(n, bands, device=x.device)
        for i in range(bands):
            t = torch.ones(n, bands, device=x.device)
            t[:, i] = self._draw("filter", torch.exp2(_normal(x)), 1.0)
            gains = gains * t / (power * t.square()).sum(1, keepdim=True).sqrt()
        taps = (gains @ self.bank).repeat_interleave(c, 0)
        pad = self.bank.shape[1] // 2
        y = reflected(x, pad, pad, pad, pad).reshape(1, n * c, h + 2 * pad, w + 2 * pad)
        y = F.conv2d(F.conv2d(y, taps[:, None, None, :], groups=n * c), taps[:, None, :, None], groups=n * c)
        return y.reshape(n, c, h, w)

    def cut(self, x: Tensor) -> Tensor:
        """Set a box with half of each side, centred at a random position, to 0."""
        n = len(x)
        half = self._draw("cutout", torch.full((n,), 0.25, device=x.device), 0.0)[:, None]
        centre = randomness.rand(n, 2, device=x.device)
        out = []
        for axis, side in enumerate((x.shape[3], x.shape[2])):
            place = (torch.arange(side, device=x.device) + 0.5) / side
            out.append((place[None] - centre[:, axis, None]).abs() >= half)
        keep = out[0][:, None, None, :] | out[1][:, None, :, None]
        return x * keep


# --------------------------------------------------------------------------------------------------------- maps


def _uniform(x: Tensor) -> Tensor:
    return randomness.rand(len(x), device=x.device)


def _normal(x: Tensor) -> Tensor:
    return randomness.randn(len(x), device=x.device)


def _rows(rows: list[list[Tensor]]) -> Tensor:
    return torch.stack([torch.stack(row, 1) for row in rows], 1)


def _scaling(x: Tensor, y: Tensor) -> Tensor:
    zero, one = torch.zeros_like(x), torch.ones_like(x)
    return _rows([[x, zero, zero], [zero, y, zero], [zero, zero, one]])


def _translation(x: Tensor, y: Tensor) -> Tensor:
    zero, one = torch.zeros_like(x), torch.ones_like(x)
    return _rows([[one, zero, x], [zero, one, y], [zero, zero, one]])


def _rotation(angle: Tensor) -> Tensor:
    zero, one, c, s = torch.zeros_like(angle), torch.ones_like(angle), angle.cos(), angle.sin()
    return _rows([[c, -s, zero], [s, c, zero], [zero, zero, one]])


def _rounded(quarters: Tensor) -> Tensor:
    """Round quarter turns to whole numbers."""
    return quarters.round()


def _turned(axis: Tensor, along: Tensor, angle: Tensor, one: Tensor) -> Tensor:
    """Return the rotation of colours around an axis: cos I + (1 - cos) v v^T + sin [v]x; the fourth number is kept."""
    x, y, z, _ = axis.tolist()
    cross = torch.tensor([[0, -z, y, 0], [z, 0, -x, 0], [-y, x, 0, 0], [0, 0, 0, 0]], device=axis.device)
    last = torch.zeros_like(one)
    last[3, 3] = 1
    return angle.cos() * (one - last) + (1 - angle.cos()) * along + angle.sin() * cross + last


def _bank() -> Any:
    """Return (4, 43) float32: filters of four bands that sum to the identity, from sym2 (app. B, image-space filtering)."""
    low = np.asarray(SYM2)
    high = low * (-1.0) ** np.arange(len(low))
    low2, high2 = np.convolve(low, low[::-1]) / 2, np.convolve(high, high[::-1]) / 2
    bank = np.eye(4, 1)
    for i in range(1, 4):
        spread = np.zeros((4, 2 * bank.shape[1] - 1))
        spread[:, ::2] = bank
        bank = np.stack([np.convolve(row, low2) for row in spread])
        start = (bank.shape[1] - len(high2)) // 2
        bank[i, start : start + len(high2)] += high2
    return bank.astype(np.float32)


def reflected(x: Tensor, left: int, right: int, top: int, bottom: int) -> Tensor:
    """Pad an image by mirroring it at its border pixels, repeatedly if the padding is wide."""
    for axis, before, after in ((3, left, right), (2, top, bottom)):
        if before or after:
            x = x.index_select(axis, _mirror(x.shape[axis], before, after).to(x.device))
    return x


@functools.lru_cache(64)
def _mirror(side: int, before: int, after: int) -> Tensor:
    period = max(2 * side - 2, 1)
    place = torch.arange(-before, side + after) % period
    return torch.minimum(place, period - place) if side > 1 else torch.zeros_like(place)


def warped(x: Tensor, inverse: Tensor) -> Tensor:
    """Resample x at the positions inverse x position, without aliasing: pad by mirroring, upsample, sample, downsample.

    The filters are products with band matrices, which on a CPU take a fifth of the time of one-channel convolutions.
    """
    n, c, height, width = x.shape
    border = len(SYM6) // 4
    up, down = [[_matrix(kind, side).to(x.device) for side in (height, width)] for kind in ("up", "down")]
    y = up[0] @ x @ up[1].t()
    ones = torch.ones(n, device=x.device)

    def shift(a: float, b: float) -> Tensor:
        return _translation(ones * a, ones * b)

    def scale(a: float, b: float) -> Tensor:
        return _scaling(ones * a, ones * b)

    doubled = shift(-0.5, -0.5) @ scale(2, 2) @ inverse @ scale(0.5, 0.5) @ shift(0.5, 0.5)
    out = (height + 2 * border) * 2, (width + 2 * border) * 2
    theta = scale(2 / y.shape[3], 2 / y.shape[2]) @ doubled @ scale(out[1] / 2, out[0] / 2)
    grid = F.affine_grid(theta[:, :2], [n, c, *out], align_corners=False)
    halved: Tensor = down[0] @ sampled(y, grid) @ down[1].t()
    return halved


@functools.lru_cache(16)
def _matrix(kind: str, side: int) -> Tensor:
    """Return the matrix that upsamples or downsamples by 2 with SYM6.

    "up": pads ``side`` pixels by mirroring side - 1 on both sides, then upsamples: (6 side - 4, side). "down": downsamples a
    row with 6 more pixels at each end: (side, 2 side + 12).
    """
    taps = torch.tensor(SYM6, dtype=torch.float64) / sum(SYM6)
    if kind == "down":
        matrix = torch.zeros(side, 2 * side + 12, dtype=torch.float64)
        for t, tap in enumerate(taps):
            matrix[torch.arange(side), 2 * torch.arange(side) + 1 + t] = tap
        return matrix.float()
    mirror = _mirror(side, side - 1, side - 1)
    length = len(mirror)
    matrix = torch.zeros(2 * length, side, dtype=torch.float64)
    for t, tap in enumerate(taps):
        source = torch.arange(length)
        row = 2 * source + t - 5
        inside = (row >= 0) & (row < 2 * length)
        matrix.index_put_((row[inside], mirror[source[inside]]), 2 * tap, accumulate=True)
    return matrix.float()


def sampled(x: Tensor, grid: Tensor) -> Tensor:
    """Apply ``grid_sample`` (bilinear, zeros outside), differentiable in x any number of times; the grid has no gradient."""
    out: Tensor = _Sampled.apply(x, grid.detach())
    return out


class _Sampled(torch.autograd.Function):
    """``grid_sample`` is linear in x: its gradient is the transposed map, whose gradient is this map again."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, grid: Tensor) -> Tensor:  # type: ignore[override]
        ctx.save_for_backward(grid)
        ctx.shape = x.shape
        return F.grid_sample(x, grid, align_corners=False)

    @staticmethod
    def backward(ctx: Any, slopes: Tensor) -> tuple[Tensor, None]:  # type: ignore[override]
        (grid,) = ctx.saved_tensors
        return _Spread.apply(slopes, grid, ctx.shape), None


class _Spread(torch.autograd.Function):
    """The gradient of ``grid_sample`` with respect to its input."""

    @staticmethod
    def forward(ctx: Any, slopes: Tensor, grid: Tensor, shape: torch.Size) -> Tensor:  # type: ignore[override]
        ctx.save_for_backward(grid)
        with torch.enable_grad():
            x = slopes.new_zeros(shape).requires_grad_(True)
            (spread,) = torch.autograd.grad(F.grid_sample(x, grid, align_corners=False), x, slopes)
        return spread

    @staticmethod
    def backward(ctx: Any, slopes: Tensor) -> tuple[Tensor, None, None]:  # type: ignore[override]
        (grid,) = ctx.saved_tensors
        return _Sampled.apply(slopes, grid), None, None
