"""Errors of translated images against their targets, and histogram matching as a trivial translator."""

import torch
from torch import Tensor

from ganloom.core.errors import BadInput
from ganloom.metrics.images import Images, check_images
from ganloom.metrics.statistics.ssim import ssim_maps
from ganloom.metrics.statistics.value import Value

_QUANTILES = 256


def paired_errors(made: Images, truth: Images) -> dict[str, Value]:
    """Compute the errors of images against the true ones.

    Args:
        made: (N, C, H, W) in [-1, 1].
        truth: (N, C, H, W); row i is the target of row i of ``made``.

    Returns:
        ``l1`` and ``psnr`` (in dB, mean over images; equal images count as 60 dB) of values in [0, 1], and ``ssim`` for
        images of 11 pixels a side or more. With 95 % intervals over the images.

    Raises:
        BadInput: different shapes, or unusable images.
    """
    a, b = check_images(made, "made"), check_images(truth, "truth")
    if a.shape != b.shape:
        raise BadInput(f"images of shapes {tuple(a.shape)} and {tuple(b.shape)}: both images of a pair need one shape")
    difference = a.float() - b.float()
    errors = {
        "l1": Value.mean_of((difference.flatten(1) / 2).abs().mean(1)),
        "psnr": Value.mean_of(psnr_of(difference)),
    }
    if min(a.shape[2:]) >= 11:
        parts = zip(a.split(64), b.split(64), strict=True)
        maps = [
            (x * y).mean((1, 2, 3))
            for x, y in (ssim_maps((p.double() + 1) / 2, (q.double() + 1) / 2) for p, q in parts)
        ]
        errors["ssim"] = Value.mean_of(torch.cat(maps))
    return errors


def psnr_of(difference: Tensor) -> Tensor:
    """Return the PSNR (N,) in dB of images in [-1, 1] from their differences (N, C, H, W); equal images count as 60 dB."""
    return -10 * (difference.flatten(1) / 2).square().mean(1).clamp_min(1e-6).log10()


def feature_distance(made: Tensor, truth: Tensor) -> Value:
    """Compute the mean distance of paired features, each scaled to length 1.

    Args:
        made: (N, d).
        truth: (N, d).

    Returns:
        The mean, from 0 (equal) to 2, and its 95 % interval over the pairs.
    """
    a, b = (x.double() / x.double().norm(dim=1, keepdim=True).clamp_min(1e-12) for x in (made, truth))
    return Value.mean_of((a - b).norm(dim=1))


def matched(x: Tensor, targets: Tensor) -> Tensor:
    """Change the values of images so that each channel has the distribution of the targets' channel.

    Args:
        x: (N, C, H, W).
        targets: (M, C, h, w).

    Returns:
        (N, C, H, W) float32.
    """
    at = torch.linspace(0, 1, _QUANTILES, dtype=torch.float64)
    channels = []
    for i in range(targets.shape[1]):
        own, other = (torch.quantile(_sample(v[:, i]), at) for v in (x, targets))
        flat = x[:, i].flatten().double()
        low, high = torch.searchsorted(own, flat), torch.searchsorted(own, flat, right=True)
        # The middle rank, because many pixels have equal values.
        rank = ((low + high - 1).clamp(0, 2 * (_QUANTILES - 1)).double() / 2).round().long()
        channels.append(other[rank].reshape(x[:, i].shape).float())
    return torch.stack(channels, 1)


def _sample(values: Tensor, most: int = 1_000_000) -> Tensor:
    """At most ``most`` of the values, evenly spaced."""
    flat = values.flatten().double()
    return flat[:: max(1, len(flat) // most)][:most]
