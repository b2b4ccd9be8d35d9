"""Find the styles whose image is most similar to a given image: projection into W (one w) or W+ (one w for each layer).

As in StyleGAN2 (Karras et al. 2019, arXiv:1912.04958, app. D): Adam on w, decreasing noise on w, and a learning rate that
falls to 0. Different here: the start is the best of many random w; the distance is the squared difference of pixels over a
pyramid of halved images, and also of features if a feature net is given. The fixed noise of the model is not optimized.
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
from ganloom.core.names import as_path
from ganloom.data.decode import decode
from ganloom.data.resize import fit_image
from ganloom.gan import GAN
from ganloom.imaging import grid
from ganloom.runs import checkpoint
from ganloom.runs.folder import check_empty

SPACES = ("w", "w+")
CANDIDATES = 512
Progress = Callable[[int, int, float], None] | None
"""Called with (step, steps, loss)."""


@dataclass(frozen=True)
class Projected:
    """The result of a projection."""

    ws: Tensor
    """Styles (N, layers, w_dim)."""
    x: Tensor
    """Their images (N, C, H, W) in [-1, 1]."""
    psnr: float
    """Peak signal-to-noise ratio against the targets, in decibels."""
    seconds: float
    """How long it took."""


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
    """Find the styles of images.

    Args:
        gan: A model with styles.
        target: Images (N, C, H, W) in [-1, 1].
        space: "w": one style for all layers; "w+": one for each layer.
        steps: Number of optimization steps.
        seed: Seed of all random numbers.
        net: A feature extractor of ``ganloom.metrics`` whose features are compared too, or None.
        weight: Weight of the features.
        c: The class to start from; None: any.
        progress: Called after each step.

    Returns:
        The result.

    Raises:
        BadInput: The model has no styles, or an argument cannot be used.
    """
    model = styled(gan)
    if space not in SPACES:
        raise BadInput(f'--space must be w or w+, got "{space}"')
    if steps < 1:
        raise BadInput(f"--steps must be at least 1, got {steps}")
    if tuple(target.shape[1:]) != tuple(gan.cfg.shape):
        raise BadInput(
            f"the image has shape {tuple(target.shape[1:])}, but this model generates {tuple(gan.cfg.shape)}"
        )
    start_time = time.perf_counter()
    with sampling.unchanged(gan):
        gan.requires_grad_(False)
        torch.default_generator.manual_seed(seed)
        target = target.to(gan.device)
        start, deviation = _start(gan, target, c)
        layers = model.G.synthesis.n_layers
        start = start[:, None].expand(-1, layers if space == "w+" else 1, -1)
        target_features = None if net is None else perceived(net, target).detach()
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
            if target_features is not None:
                each = each + weight * (perceived(net, x) - target_features).square().mean(
                    1
                ) / target_features.square().mean(1)
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
    return Projected(best.cpu(), x.cpu(), psnr(x, target), time.perf_counter() - start_time)


@torch.no_grad()
def _start(gan: GAN, target: Tensor, c: int | None) -> tuple[Tensor, Tensor]:
    """(the nearest of many random w, (N, w_dim); the standard deviation of w)."""
    if c is None:
        w = many_w(gan, CANDIDATES, 1)
    else:
        labels = gan.conditions(CANDIDATES, c)
        w = styled(gan).mapping(gan.z(CANDIDATES), labels)[:, 0]
    layers = styled(gan).G.synthesis.n_layers
    x = drawn(gan, w[:, None].expand(-1, layers, -1))
    distances = torch.stack([distance(x, image[None].expand_as(x)) for image in target])
    return w[distances.argmin(1)], w.std(0).mean().clamp_min(1e-6)


def distance(x: Tensor, y: Tensor) -> Tensor:
    """Compute the sum of mean squared differences over a pyramid of halved images, down to 4 pixels.

    Args:
        x: Generated images (N, C, H, W), which may leave [-1, 1].
        y: Target images in [-1, 1], (N, C, H, W).

    Returns:
        Distances (N,).
    """
    # Samples are clipped when they are written: where the target is at the limit, values beyond it are no error.
    x = torch.where(y >= 1, x.clamp(max=1), torch.where(y <= -1, x.clamp(min=-1), x))
    total = (x - y).square().mean((1, 2, 3))
    while min(x.shape[2:]) >= 8:
        x, y = F.avg_pool2d(x, 2), F.avg_pool2d(y, 2)
        total = total + (x - y).square().mean((1, 2, 3))
    return total


def perceived(net: Any, x: Tensor) -> Tensor:
    """Compute features with gradient.

    Args:
        net: A feature extractor of ``ganloom.metrics``.
        x: Images in [-1, 1], (N, C, H, W).

    Returns:
        Features (N, d).
    """
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
    """Read an image file.

    Args:
        path: The file.
        shape: Channels, height and width to bring it to.
        fit: "crop", "pad" or "squash".

    Returns:
        (1, C, H, W) in [-1, 1].

    Raises:
        BadInput: The file cannot be read as an image.
    """
    path = as_path(path)
    try:
        with open(path, "rb") as file:
            image: Image.Image = decode(file, path.name)
    except FileNotFoundError:
        raise BadInput(f"there is no file {path}: give an image") from None
    except IsADirectoryError:
        raise BadInput(f"{path} is a folder: give one image") from None
    except Exception as error:
        raise BadInput(f"{path} cannot be read as an image ({' '.join(str(error).split())})") from error
    pixels = np.array(fit_image(image, shape, fit))
    pixels = pixels[:, :, None] if pixels.ndim == 2 else pixels
    return torch.from_numpy(pixels).permute(2, 0, 1)[None].float() / 127.5 - 1


def write(result: Projected, target: Tensor, out: str | Path) -> Path:
    """Write target.png, projected.png, both.png and ws.safetensors.

    Args:
        result: From ``project``.
        target: The image, (1, C, H, W) in [-1, 1].
        out: A new or empty folder.

    Returns:
        The folder.

    Raises:
        BadInput: The folder is not empty.
    """
    folder = check_empty(out)
    folder.mkdir(parents=True, exist_ok=True)
    for name, x in (("target", target), ("projected", result.x)):
        grid.save_png(grid.to_uint8(x)[0], folder / f"{name}.png")
    grid.save_png(grid.grid(torch.cat([target, result.x]), columns=2), folder / "both.png")
    checkpoint.replace_file(folder / "ws.safetensors", safetensors.torch.save({"ws": result.ws}))
    return folder
