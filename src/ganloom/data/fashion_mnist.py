"""Fashion-MNIST: the 10,000 images that come with ganloom, and the original IDX files.

Xiao, Rasul, Vollgraf, "Fashion-MNIST: a novel image dataset for benchmarking machine learning algorithms", 2017,
arXiv:1708.07747.
"""

import gzip
import math
import os
import zlib
from importlib.resources import files
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ganloom.core.errors import BadInput
from ganloom.data.dataset import Facts

FASHION_CLASSES = [
    "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot",
]  # fmt: skip
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
    else:
        folder = _folder(name, argument)
        part = "t10k" if name.endswith("-test") else "train"
        rows = _read_idx(folder / f"{part}-images-idx3-ubyte", 3)
        labels = _read_idx(folder / f"{part}-labels-idx1-ubyte", 1)
        if len(rows) != len(labels) or labels.max(initial=0) > 9:
            raise BadInput(f"{folder}: images and labels do not match; download the four files again")
    return rows[..., None], Facts(name, labels=labels.astype(np.int64), classes=list(FASHION_CLASSES))


def fashion_10k() -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Read the 10,000 images that come with ganloom.

    Returns:
        Images uint8 (10000, 28, 28) and labels uint8 (10000,) in 0..9.
    """
    with files("ganloom.data").joinpath("fashion_10k.npz").open("rb") as file, np.load(file) as archive:
        return archive["images"], archive["labels"]


def _folder(name: str, argument: str) -> Path:
    """The folder of the original files: the argument, ``$GANLOOM_FASHION_MNIST``, or Debian's."""
    folder = Path(argument or os.environ.get("GANLOOM_FASHION_MNIST", "") or FASHION_FOLDER).expanduser()
    part = "t10k" if name.endswith("-test") else "train"
    if not any((folder / f"{part}-images-idx3-ubyte{end}").is_file() for end in (".gz", "")):
        raise BadInput(
            f"{name}: no {part}-images-idx3-ubyte.gz in {folder}; apt install dataset-fashion-mnist, "
            f"or give {name}:DIR or GANLOOM_FASHION_MNIST=DIR"
        )
    return folder


def _read_idx(plain: Path, dimensions: int) -> NDArray[np.uint8]:
    """Read an array in LeCun's IDX format, gzipped or not: magic 0 0 8 d, d big-endian sizes, the bytes."""
    packed = plain.with_name(plain.name + ".gz")
    path = packed if packed.is_file() else plain
    try:
        content = gzip.decompress(path.read_bytes()) if path == packed else path.read_bytes()
    except (OSError, EOFError, zlib.error) as error:
        raise BadInput(f"cannot read {path} ({error}); download it again") from None
    start = 4 + 4 * dimensions
    sizes = [int.from_bytes(content[i : i + 4], "big") for i in range(4, start, 4)]
    if content[:4] != bytes((0, 0, 8, dimensions)) or len(content) - start != math.prod(sizes):
        raise BadInput(f"{path} is not a complete IDX file of {dimensions} dimensions; download it again")
    return np.frombuffer(content, np.uint8, offset=start).reshape(sizes).copy()
