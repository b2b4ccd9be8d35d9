"""Read the weights of LPIPS from the files of the user, without running code in them."""

from pathlib import Path

import torch
from torch import Tensor

from ganloom.core.errors import BadInput
from ganloom.metrics.extractors.lpips import LPIPS
from ganloom.weights.file_formats import open_file


def load_lpips(files: str | Path, device: str | torch.device = "cpu") -> LPIPS:
    """Load LPIPS.

    Args:
        files: The file of AlexNet or VGG-16 as torchvision saves it, and that of the linear heads (alex.pth or vgg.pth of LPIPS),
            separated by a comma; or one file with both.
        device: Where the network runs.

    Returns:
        The distance.

    Raises:
        BadInput: A file cannot be read, or a tensor is missing or has another shape.
    """
    paths = [Path(part.strip()) for part in str(files).split(",") if part.strip()]
    if not 1 <= len(paths) <= 2:
        raise BadInput(f"--lpips-weights {files}: give BACKBONE,HEADS, such as alexnet-owt-7be5be79.pth,alex.pth")
    tensors: dict[str, Tensor] = {}
    for path in paths:
        tensors |= open_file(path)
    return LPIPS.from_tensors(tensors, " and ".join(map(str, paths))).to(device)
