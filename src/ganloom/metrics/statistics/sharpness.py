"""How sharp images are, by the variance of their Laplacian: blur lowers it, and so noise raises it."""

import torch
import torch.nn.functional as F
from torch import Tensor


def laplacian_variance(x: Tensor) -> Tensor:
    """Variance over an image of what each pixel lacks to four times its neighbours' mean: (N, C, H, W) -> (N,).

    The mean over channels. Compare it with real images of the same data: softer ones have less, noisy ones more.
    """
    kernel = torch.tensor([[0.0, 1.0, 0.0], [1.0, -4.0, 1.0], [0.0, 1.0, 0.0]], device=x.device, dtype=x.dtype)
    flat = F.conv2d(x.flatten(0, 1)[:, None], kernel[None, None])
    return flat.flatten(1).var(1, unbiased=False).view(x.shape[:2]).mean(1)
