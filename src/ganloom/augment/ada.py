"""Adaptive discriminator augmentation, ADA (Karras et al. 2020, arXiv:2006.06676).

Each transformation is applied to each image with probability p times its rate, so that below p = 1 G does not learn it
(sec. 2.2). p follows D's certainty about the reals, r_t = E[sign D(T x)]: it rises while r_t is above the target and falls
while it is below (sec. 3). Everything is twice differentiable on any device with torch's public functions, as R1 needs. All
random numbers are keyed (``ganloom.core.randomness``).
"""

import math
from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ganloom.augment.warp import (
    colour_rotation,
    frequency_bands,
    reflected,
    rotation,
    rounded,
    scaling,
    translation,
    warped,
)
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
        self.register_buffer("bank", torch.from_numpy(frequency_bands()), persistent=False)

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
            transform = transform @ scaling(1 - 2 * flips, torch.ones_like(flips))
        if rates.get("quarter"):
            turns = self._draw("quarter", (_uniform(x) * 4).floor(), 0.0)
            transform = transform @ rounded(rotation(turns * (math.pi / 2)))
        if rates.get("shift"):
            t = self._draw("shift", (randomness.rand(n, 2, device=x.device) * 2 - 1) / 8, 0.0)
            transform = transform @ translation(-(t[:, 0] * width).round(), -(t[:, 1] * height).round())
        if rates.get("scale"):
            s = self._draw("scale", torch.exp2(_normal(x) * 0.2), 1.0)
            transform = transform @ scaling(1 / s, 1 / s)
        # Once before and once after the stretch, so that at least one rotation happens with probability p.
        half = 1 - torch.sqrt((1 - rates.get("rotate", 0.0) * self.p).clamp(0, 1))
        if rates.get("rotate"):
            transform = transform @ rotation(self._draw("rotate", (_uniform(x) * 2 - 1) * math.pi, 0.0, half))
        if rates.get("stretch"):
            s = self._draw("stretch", torch.exp2(_normal(x) * 0.2), 1.0)
            transform = transform @ scaling(1 / s, s)
        if rates.get("rotate"):
            transform = transform @ rotation(self._draw("rotate", (_uniform(x) * 2 - 1) * math.pi, 0.0, half))
        if rates.get("slide"):
            t = self._draw("slide", randomness.randn(n, 2, device=x.device) / 8, 0.0)
            transform = transform @ translation(-t[:, 0] * width, -t[:, 1] * height)
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
            matrix = colour_rotation(luma, along, theta, one) @ matrix
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


def _uniform(x: Tensor) -> Tensor:
    return randomness.rand(len(x), device=x.device)


def _normal(x: Tensor) -> Tensor:
    return randomness.randn(len(x), device=x.device)
