"""How far images are from the ones they should be, and what trivial translators reach: functions of tensors."""

import torch
from torch import Tensor

from ganloom.core.errors import BadInput
from ganloom.metrics.images import Images, check_images
from ganloom.metrics.statistics.ssim import _ssim
from ganloom.metrics.statistics.value import Value

_QUANTILES = 256


def paired_errors(made: Images, truth: Images) -> dict[str, Value]:
    """``l1`` and ``psnr`` (dB, of each image, then the mean) on values in [0, 1], ``ssim`` from 11 pixels a side on.

    Images (N, C, H, W) in [-1, 1]; row i of both belongs together. Equal images count as 60 dB.
    """
    a, b = check_images(made, "made"), check_images(truth, "truth")
    if a.shape != b.shape:
        raise BadInput(f"images of shapes {tuple(a.shape)} and {tuple(b.shape)}: pairs have one shape")
    apart = (a.float() - b.float()).flatten(1) / 2
    found = {
        "l1": Value.mean_of(apart.abs().mean(1)),
        "psnr": Value.mean_of(-10 * apart.square().mean(1).clamp_min(1e-6).log10()),
    }
    if min(a.shape[2:]) >= 11:
        parts = zip(a.split(64), b.split(64), strict=True)
        maps = [
            (x * y).mean((1, 2, 3)) for x, y in (_ssim((p.double() + 1) / 2, (q.double() + 1) / 2) for p, q in parts)
        ]
        found["ssim"] = Value.mean_of(torch.cat(maps))
    return found


def feature_distance(made: Tensor, truth: Tensor) -> Value:
    """The mean distance of paired features (N, d), each scaled to length 1: 0 for equal ones, at most 2."""
    a, b = (x.double() / x.double().norm(dim=1, keepdim=True).clamp_min(1e-12) for x in (made, truth))
    return Value.mean_of((a - b).norm(dim=1))


def matched(x: Tensor, targets: Tensor) -> Tensor:
    """Inputs (N, C, H, W) whose values have, channel by channel, the distribution of the targets' values."""
    at = torch.linspace(0, 1, _QUANTILES, dtype=torch.float64)
    channels = []
    for i in range(targets.shape[1]):
        own, other = (torch.quantile(_some(v[:, i]), at) for v in (x, targets))
        # The middle of a value's rank: many pixels share one value.
        flat = x[:, i].flatten().double()
        low, high = torch.searchsorted(own, flat), torch.searchsorted(own, flat, right=True)
        rank = ((low + high - 1).clamp(0, 2 * (_QUANTILES - 1)).double() / 2).round().long()
        channels.append(other[rank].reshape(x[:, i].shape).float())
    return torch.stack(channels, 1)


def _some(values: Tensor, most: int = 1_000_000) -> Tensor:
    flat = values.flatten().double()
    return flat[:: max(1, len(flat) // most)][:most]
