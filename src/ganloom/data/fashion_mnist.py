"""Fashion-MNIST: the 10,000 images that come with ganloom, and the original IDX files.

Xiao, Rasul, Vollgraf, "Fashion-MNIST: a novel image dataset for benchmarking machine learning algorithms", 2017,
arXiv:1708.07747.
"""

import os
from importlib.resources import files
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ganloom.core.errors import BadInput
from ganloom.data.dataset import Facts
from ganloom.data.idx_sets import FASHION_CLASSES, read_set

FASHION_FOLDER = "/usr/share/datasets/fashion-mnist"
"""Where Debian's package dataset-fashion-mnist installs the original files."""


def images(source: str) -> tuple[NDArray[np.uint8], Facts]:
    """Read ``fashion-10k``, ``fashion-mnist[:DIR]`` or ``fashion-mnist-test[:DIR]``.

    Returns:
        uint8 (N, 28, 28, 1), and facts with the labels of 10 classes.

    Raises:
        BadInput: a file is missing or damaged, or fashion-10k has an argument.
    """
    name, _, argument = source.partition(":")
    if name == "fashion-10k":
        if argument:
            raise BadInput(f"{source}: fashion-10k takes no argument; the full set is fashion-mnist:DIR")
        rows, labels = fashion_10k()
        return rows[..., None], Facts(name, labels=labels.astype(np.int64), classes=list(FASHION_CLASSES))
    return read_set(f"{name}:{argument or _folder(name)}")


def fashion_10k() -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Read the 10,000 images that come with ganloom.

    Returns:
        Images uint8 (10000, 28, 28) and labels uint8 (10000,) in 0..9.
    """
    with files("ganloom.data").joinpath("fashion_10k.npz").open("rb") as file, np.load(file) as archive:
        return archive["images"], archive["labels"]


def _folder(name: str) -> Path:
    """The folder of the original files: ``$GANLOOM_FASHION_MNIST``, or Debian's."""
    folder = Path(os.environ.get("GANLOOM_FASHION_MNIST", "") or FASHION_FOLDER).expanduser()
    part = "t10k" if name.endswith("-test") else "train"
    if not any((folder / f"{part}-images-idx3-ubyte{end}").is_file() for end in (".gz", "")):
        raise BadInput(
            f"{name}: no {part}-images-idx3-ubyte.gz in {folder}; apt install dataset-fashion-mnist, "
            f"or give {name}:DIR or GANLOOM_FASHION_MNIST=DIR"
        )
    return folder
