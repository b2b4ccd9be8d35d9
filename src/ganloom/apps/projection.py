"""Find the latents whose image is most similar to a given image: in W (one w), in W+ (one w for each layer), or in z.

As in StyleGAN2 (Karras et al. 2019, arXiv:1912.04958, app. D): Adam on w, decreasing noise on w, and a learning rate that
falls to 0. Different here: the start is the best of many random w; the distance is the squared difference of pixels over a
pyramid of halved images, and also of features if a feature net is given. The fixed noise of the model is not optimized.
For models without styles, z is optimized; see ``projection_z``.
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
from ganloom.apps.latent import Class, drawn, has_styles, psnr, styled
from ganloom.apps.projection_z import CANDIDATES, ZSpace, check_z, nearest
from ganloom.core.errors import BadInput
from ganloom.core.names import as_path
from ganloom.core.output_files import new_folder, write_new
from ganloom.data.decode import BadImage, quiet
from ganloom.data.file_index import single_file
from ganloom.data.file_scales import FileScales
from ganloom.data.pixel_scale import check_scales
from ganloom.data.resize import fit_image
from ganloom.gan import GAN
from ganloom.imaging import grid, levels

SPACES = ("auto", "z", "w", "w+")
Progress = Callable[[int, int, float], None] | None
"""Called with (step, steps, loss)."""


@dataclass(frozen=True)
class Projected:
    """The result of a projection."""

    ws: Tensor | None
    """Styles (N, layers, w_dim); None for a projection into z."""
    x: Tensor
    """Their images (N, C, H, W) in [-1, 1]."""
    psnr: float
    """Peak signal-to-noise ratio against the targets, in decibels."""
    seconds: float
    """How long it took."""
    z: Tensor | None = None
    """Latents (N, z_dim); None for a projection into w or w+."""
    c: Tensor | None = None
    """Labels (N,) that go with ``z``, for a model with classes."""


def project(
    gan: GAN,
    target: Tensor,
    *,
    space: str = "auto",
    steps: int = 200,
    seed: int = 0,
    net: Any = None,
    weight: float = 1.0,
    c: Class = None,
    progress: Progress = None,
) -> Projected:
    """Find the latents of images.

    Args:
        gan: A model that makes images from latents.
        target: Images (N, C, H, W) in [-1, 1].
        space: "w": one style for all layers; "w+": one for each layer; "z": the latent, for any model. "auto": "w+" for a
            model with styles, else "z".
        steps: Number of optimization steps.
        seed: Seed of all random numbers.
        net: A feature extractor of ``ganloom.metrics`` whose features are compared too, or None.
        weight: Weight of the features.
        c: The class to start from, by name or number; None: any. In z it stays the class.
        progress: Called after each step.

    Returns:
        The result.

    Raises:
        BadInput: The model does not have this space, or an argument cannot be used.
    """
    if space not in SPACES:
        raise BadInput(f'--space must be auto, z, w or w+, got "{space}"')
    if space == "auto":
        space = "w+" if has_styles(gan) else "z"
    if steps < 1:
        raise BadInput(f"--steps must be at least 1, got {steps}")
    if len(gan.cfg.shape) != 3:
        raise BadInput(
            f"this model makes points of {gan.cfg.shape[0]} numbers, not images: there is nothing to project"
        )
    if tuple(target.shape[1:]) != tuple(gan.cfg.shape):
        raise BadInput(
            f"the image has shape {tuple(target.shape[1:])}, but this model generates {tuple(gan.cfg.shape)}"
        )
    start_time = time.perf_counter()
    with sampling.unchanged(gan):
        gan.requires_grad_(False)
        torch.default_generator.manual_seed(seed)
        target = target.to(gan.device)
        searched = _z_space(gan, target, c) if space == "z" else _w_space(gan, target, c, every=space == "w+")
        start, deviation = searched.start, searched.deviation
        target_features = None if net is None else perceived(net, target).detach()
        move = torch.zeros_like(start).requires_grad_(True)
        adam = torch.optim.Adam([move], lr=0.1, betas=(0.9, 0.999))
        best, least = start.clone(), torch.full((len(target),), math.inf, device=target.device)
        for step in range(steps):
            t = step / steps
            adam.param_groups[0]["lr"] = 0.1 * min(1.0, t / 0.05 + 0.1) * (0.5 + 0.5 * math.cos(math.pi * t))
            noise = 0.05 * max(0.0, 1 - t / 0.75) ** 2
            latents = searched.kept(start + deviation * (move + noise * torch.randn_like(move)))
            x = searched.images(latents)
            each = distance(x, target) + searched.unlikely(latents)
            if target_features is not None:
                each = each + weight * (perceived(net, x) - target_features).square().mean(
                    1
                ) / target_features.square().mean(1)
            adam.zero_grad()
            each.sum().backward()
            adam.step()
            better = each.detach() < least
            least = torch.where(better, each.detach(), least)
            best = torch.where(better.reshape(-1, *[1] * (best.dim() - 1)), latents.detach(), best)
            if progress:
                progress(step + 1, steps, float(each.detach().mean()))
        with torch.no_grad():
            x = searched.images(best).clamp(-1, 1)
    similar, seconds = psnr(x, target), time.perf_counter() - start_time
    if isinstance(searched, ZSpace):
        labels = None if searched.c is None else searched.c.cpu()
        return Projected(None, x.cpu(), similar, seconds, z=best.cpu(), c=labels)
    return Projected(searched.full(best).contiguous().cpu(), x.cpu(), similar, seconds)


@dataclass(frozen=True)
class WSpace:
    """The styles of a model as a space to search in; see ``ZSpace``.

    Attributes:
        model: A model with styles.
        start: Styles (N, layers or 1, w_dim) to start from.
        deviation: The standard deviation of w.
    """

    model: Any
    start: Tensor
    deviation: Tensor

    def full(self, ws: Tensor) -> Tensor:
        """Return one w for each layer."""
        return ws.expand(-1, self.model.G.synthesis.n_layers, -1)

    def images(self, ws: Tensor) -> Tensor:
        """Generate images (N, C, H, W) with a gradient."""
        x: Tensor = self.model.synthesis(self.full(ws))
        return x

    def kept(self, ws: Tensor) -> Tensor:
        """Return ws: every w is allowed."""
        return ws

    def unlikely(self, ws: Tensor) -> Tensor:
        """Return no penalty (N,)."""
        return ws.new_zeros(len(ws))


def _z_space(gan: GAN, target: Tensor, c: Class) -> ZSpace:
    check_z(gan)
    return nearest(gan, target, c, distance)


@torch.no_grad()
def _w_space(gan: GAN, target: Tensor, c: Class, *, every: bool) -> WSpace:
    """Start from the nearest of many random w; ``every``: one w for each layer."""
    model = styled(gan)
    if c is None:
        w = many_w(gan, CANDIDATES, 1)
    else:
        labels = gan.conditions(CANDIDATES, c)
        w = model.mapping(gan.z(CANDIDATES), labels)[:, 0]
    layers = model.G.synthesis.n_layers
    x = drawn(gan, w[:, None].expand(-1, layers, -1))
    distances = torch.stack([distance(x, image[None].expand_as(x)) for image in target])
    start = w[distances.argmin(1)][:, None].expand(-1, layers if every else 1, -1)
    return WSpace(model, start, w.std(0).mean().clamp_min(1e-6))


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


def read_image(
    path: str | Path, shape: tuple[int, int, int], fit: str = "crop", scales: dict[str, Any] | None = None
) -> Tensor:
    """Read an image file.

    Args:
        path: The file.
        shape: Channels, height and width to bring it to.
        fit: "crop", "pad" or "squash".
        scales: Which numbers of more than 8 bits are black and white, as in the training, see
            ``ganloom.data.pixel_scale``. None: decided from this image.

    Returns:
        (1, C, H, W) in [-1, 1].

    Raises:
        BadInput: The file cannot be read as an image.
    """
    path = as_path(path)
    if path.is_dir():
        raise BadInput(f"{path} is a folder: give one image")
    if not path.exists():
        raise BadInput(f"there is no file {path}: give an image")
    listing = single_file(path)
    check_scales(scales or {})
    listing.scales = FileScales(scales)
    try:
        with quiet():
            image: Image.Image = listing.decode(0)
    except BadImage as error:
        raise BadInput(f"{path} cannot be read as an image ({error})") from None
    pixels = np.array(fit_image(image, shape, fit))
    pixels = pixels[:, :, None] if pixels.ndim == 2 else pixels
    return levels.from_uint8(pixels[None])


def latents_file(result: Projected) -> str:
    """The name of the file of latents that ``write`` writes."""
    return "z.safetensors" if result.ws is None else "ws.safetensors"


def write(result: Projected, target: Tensor, out: str | Path, *, overwrite: bool = False) -> Path:
    """Write target.png, projected.png, both.png, and ws.safetensors or z.safetensors (z, and the labels c).

    Args:
        result: From ``project``.
        target: The image, (1, C, H, W) in [-1, 1].
        out: A new or empty folder.
        overwrite: Take a folder with content, and replace files of equal names.

    Returns:
        The folder.

    Raises:
        BadInput: The folder is not empty.
    """
    folder = new_folder(out, overwrite=overwrite)
    for name, x in (("target", target), ("projected", result.x)):
        grid.save_png(grid.to_uint8(x)[0], folder / f"{name}.png", overwrite=overwrite)
    grid.save_png(grid.grid(torch.cat([target, result.x]), columns=2), folder / "both.png", overwrite=overwrite)
    tensors = {name: t for name, t in (("ws", result.ws), ("z", result.z), ("c", result.c)) if t is not None}
    write_new(folder / latents_file(result), safetensors.torch.save(tensors), overwrite=overwrite)
    return folder
