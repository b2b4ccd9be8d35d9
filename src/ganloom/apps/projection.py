"""The w whose image is nearest to a given one: projection into W (one w) or W+ (one a layer).

As in StyleGAN2 (Karras et al. 2019, arXiv:1912.04958, app. D): Adam on w, noise on w that fades, the rate falling to 0. Here
the start is the best of many random w, the distance is the squared difference of pixels over a pyramid of halved images,
and, if a feature net is named, that of its features too. The fixed noise fields are not fitted.
"""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.torch
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from ganloom import sampling
from ganloom.apps.directions import many_w
from ganloom.apps.latent import drawn, psnr, styled
from ganloom.core.errors import BadInput
from ganloom.data.decode import decode
from ganloom.data.resize import fit_image
from ganloom.gan import GAN
from ganloom.imaging import grid
from ganloom.runs import checkpoint
from ganloom.runs.folder import check_empty

SPACES = ("w", "w+")
CANDIDATES = 512
Progress = Callable[[int, int, float], None] | None
"""Told (step, steps, loss)."""


@dataclass(frozen=True)
class Projected:
    """``ws`` (N, layers, w_dim), its images, and how near they come."""

    ws: Tensor
    x: Tensor
    psnr: float
    seconds: float


def project(
    gan: GAN,
    target: Tensor,
    *,
    space: str = "w+",
    steps: int = 200,
    seed: int = 0,
    net: Any = None,
    weight: float = 1.0,
    c: int | None = None,
    progress: Progress = None,
) -> Projected:
    """Find ws of images (N, C, H, W) in [-1, 1]; ``net``: a ``metrics.features`` extractor whose features count too."""
    model = styled(gan)
    if space not in SPACES:
        raise BadInput(f'--space must be w or w+, got "{space}"')
    if steps < 1:
        raise BadInput(f"--steps must be at least 1, got {steps}")
    if tuple(target.shape[1:]) != tuple(gan.cfg.shape):
        raise BadInput(f"the image has shape {tuple(target.shape[1:])}, and this model makes {tuple(gan.cfg.shape)}")
    begun = time.perf_counter()
    with sampling.unchanged(gan):
        gan.requires_grad_(False)
        torch.default_generator.manual_seed(seed)
        target = target.to(gan.device)
        start, deviation = _start(gan, target, c)
        layers = model.G.synthesis.n_layers
        start = start[:, None].expand(-1, layers if space == "w+" else 1, -1)
        seen = None if net is None else perceived(net, target).detach()
        move = torch.zeros_like(start).requires_grad_(True)
        adam = torch.optim.Adam([move], lr=0.1, betas=(0.9, 0.999))
        best, least = start.clone(), torch.full((len(target),), math.inf, device=target.device)
        for step in range(steps):
            t = step / steps
            adam.param_groups[0]["lr"] = 0.1 * min(1.0, t / 0.05 + 0.1) * (0.5 + 0.5 * math.cos(math.pi * t))
            noise = 0.05 * max(0.0, 1 - t / 0.75) ** 2
            ws = start + deviation * (move + noise * torch.randn_like(move))
            x = model.synthesis(ws.expand(-1, layers, -1))
            each = distance(x, target)
            if seen is not None:
                each = each + weight * (perceived(net, x) - seen).square().mean(1) / seen.square().mean(1)
            adam.zero_grad()
            each.sum().backward()
            adam.step()
            better = each.detach() < least
            least = torch.where(better, each.detach(), least)
            best = torch.where(better[:, None, None], ws.detach(), best)
            if progress:
                progress(step + 1, steps, float(each.detach().mean()))
        best = best.expand(-1, layers, -1).contiguous()
        x = drawn(gan, best)
    return Projected(best.cpu(), x.cpu(), psnr(x, target), time.perf_counter() - begun)


@torch.no_grad()
def _start(gan: GAN, target: Tensor, c: int | None) -> tuple[Tensor, Tensor]:
    """(the nearest of random w, (N, w_dim); the deviation of w)."""
    if c is None:
        w = many_w(gan, CANDIDATES, 1)
    else:
        labels = gan.conditions(CANDIDATES, c)
        w = styled(gan).mapping(gan.z(CANDIDATES), labels)[:, 0]
    layers = styled(gan).G.synthesis.n_layers
    x = drawn(gan, w[:, None].expand(-1, layers, -1))
    apart = torch.stack([distance(x, one[None].expand_as(x)) for one in target])
    return w[apart.argmin(1)], w.std(0).mean().clamp_min(1e-6)


def distance(x: Tensor, y: Tensor) -> Tensor:
    """Mean squared difference of images over their halvings down to 4 pixels, (N,)."""
    # Samples are clipped when drawn: beyond the range is as good as at its end, where the target is there.
    x = torch.where(y >= 1, x.clamp(max=1), torch.where(y <= -1, x.clamp(min=-1), x))
    total = (x - y).square().mean((1, 2, 3))
    while min(x.shape[2:]) >= 8:
        x, y = F.avg_pool2d(x, 2), F.avg_pool2d(y, 2)
        total = total + (x - y).square().mean((1, 2, 3))
    return total


def perceived(net: Any, x: Tensor) -> Tensor:
    """Features (N, d) of images in [-1, 1] with their gradient, from an extractor of ``metrics.features``."""
    from ganloom.metrics.extractors.inputs import to_channels, to_size

    if isinstance(net.net, torch.nn.Module):
        net.net.eval().requires_grad_(False)
    low, high = net.value_range
    x = to_channels(x.clamp(-1, 1), net.channels)
    x = x if net.size is None else to_size(x, net.size)
    out = net.net((x + 1) * ((high - low) / 2) + low)
    features: Tensor = out[0] if isinstance(out, tuple) else out
    return features.mean((2, 3)) if features.dim() == 4 else features


def read_image(path: str | Path, shape: tuple[int, int, int], fit: str = "crop") -> Tensor:
    """An image file as (1, C, H, W) in [-1, 1], brought to the shape."""
    path = Path(path)
    try:
        with open(path, "rb") as file:
            image: Image.Image = decode(file, path.name)
    except FileNotFoundError:
        raise BadInput(f"no file {path}: give an image") from None
    except IsADirectoryError:
        raise BadInput(f"{path} is a folder: give one image") from None
    except Exception as error:
        raise BadInput(f"{path} cannot be read as an image ({' '.join(str(error).split())})") from error
    pixels = np.array(fit_image(image, shape, fit))
    pixels = pixels[:, :, None] if pixels.ndim == 2 else pixels
    return torch.from_numpy(pixels).permute(2, 0, 1)[None].float() / 127.5 - 1


def write(found: Projected, target: Tensor, out: str | Path) -> Path:
    """Folder ``out``, new: target.png, projected.png, both.png and ws.safetensors."""
    folder = check_empty(out)
    folder.mkdir(parents=True, exist_ok=True)
    for name, x in (("target", target), ("projected", found.x)):
        grid.save_png(grid.to_uint8(x)[0], folder / f"{name}.png")
    grid.save_png(grid.grid(torch.cat([target, found.x]), columns=2), folder / "both.png")
    checkpoint.replace_file(folder / "ws.safetensors", safetensors.torch.save({"ws": found.ws}))
    return folder
