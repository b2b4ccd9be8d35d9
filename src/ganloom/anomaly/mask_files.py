"""Read masks that say where the images of a test set are anomalous."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ganloom.core.errors import BadInput
from ganloom.data.resize import fit_image

ENDINGS = (".png", ".bmp", ".tif", ".tiff", ".jpg", ".jpeg", ".webp")


def read(folder: Path, names: Sequence[str], kinds: Sequence[str | None], shape: Sequence[int], fit: str) -> Tensor:
    """Read one mask for each anomalous image; normal images have none.

    Args:
        folder: The folder: KIND/NAME.png or KIND/NAME_mask.png for the image KIND/NAME.
        names: Names of the images, with their folders.
        kinds: Kind of each anomaly; None for a normal image.
        shape: Shape of the images, (C, H, W).
        fit: How images of another size are resized.

    Returns:
        bool (N, H, W).

    Raises:
        BadInput: A mask is missing or cannot be read.
    """
    size = (1, int(shape[1]), int(shape[2]))
    where = torch.zeros(len(names), *size[1:], dtype=torch.bool)
    for number, (name, kind) in enumerate(zip(names, kinds, strict=True)):
        if kind is None:
            continue
        path = _mask_of(folder, name)
        try:
            with Image.open(path) as file:
                image = file.convert("L")
        except OSError as error:
            raise BadInput(f"the mask {path} cannot be read ({error})") from error
        where[number] = torch.from_numpy(np.asarray(fit_image(image, size, fit))[..., 0] > 127)
    return where


def _mask_of(folder: Path, name: str) -> Path:
    plain = folder / Path(name).with_suffix("")
    tried = [plain.with_name(f"{plain.name}{end}{ending}") for end in ("", "_mask") for ending in ENDINGS]
    found = next((path for path in tried if path.is_file()), None)
    if found is None:
        raise BadInput(f"there is no mask {tried[0]} (or {tried[len(ENDINGS)].name}) for the image {name}")
    return found
