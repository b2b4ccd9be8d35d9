"""The data sets that come with ganloom or with the system, each under a name."""

import gzip
import math
import os
import zlib
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ganloom.core.errors import BadInput
from ganloom.data import cache, points, shapes, stacked, store
from ganloom.data.dataset import Facts
from ganloom.data.points import Points
from ganloom.data.resize import Shape
from ganloom.data.translation_dataset import Domains

BUILTIN: dict[str, str] = {
    "fashion-10k": "10,000 images of clothes, 10 classes, 28 x 28 grey; comes with ganloom",
    "fashion-mnist": "all 60,000 training images of Fashion-MNIST; fashion-mnist:DIR reads them from DIR",
    "fashion-mnist-test": "the 10,000 test images of Fashion-MNIST, held out from both sets above",
    "shapes": "rendered coloured shapes with known factors and captions, 32 x 32 RGB; shapes:N for N of them",
    "stacked": "three images of fashion-10k in one's channels, 1,000 combinations of classes; stacked:N for N of them",
    "ring": "points: 8 Gaussian modes on a circle; ring:N for N points",
    "grid": "points: 25 Gaussian modes on a grid; grid:N for N points",
    "unpaired-fashion": "two domains: fashion-10k as it is, and other images of it inverted and coloured, 28 x 28 RGB",
    "edges-to-emoji": "pairs: edges of colour emoji and the emoji, 64 px; needs the Noto emoji font (edges-to-emoji:FILE)",
    "regular-to-bold": "pairs: letters of the installed fonts, regular and bold, 64 px grey",
}
"""Name -> one line on what it is; each opens with ``ganloom.data.open(name)``."""

FASHION_CLASSES = [
    "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot",
]  # fmt: skip
FASHION_FOLDER = "/usr/share/datasets/fashion-mnist"
"""Where Debian's package dataset-fashion-mnist puts the originals."""


TRANSLATIONS = ("unpaired-fashion", "edges-to-emoji", "regular-to-bold")
"""Built-in sets in which images are made from images."""


def is_builtin(source: str) -> bool:
    """Whether this is a built-in set's name, with or without ``:argument``."""
    return source.split(":", 1)[0] in BUILTIN


def images(source: str) -> tuple[NDArray[np.uint8], Facts]:
    """The rows (uint8 NHWC) and facts of ``fashion-10k``, ``fashion-mnist[:DIR]`` or ``fashion-mnist-test[:DIR]``."""
    name, _, argument = source.partition(":")
    if name == "fashion-10k":
        if argument:
            raise BadInput(f"{source}: fashion-10k takes nothing after the colon; fashion-mnist:DIR is the whole set")
        with files("ganloom.data").joinpath("fashion_10k.npz").open("rb") as file, np.load(file) as archive:
            rows, labels = archive["images"], archive["labels"]
    else:
        folder = _fashion_folder(name, argument)
        part = "t10k" if name.endswith("-test") else "train"
        rows = _idx(folder / f"{part}-images-idx3-ubyte", 3)
        labels = _idx(folder / f"{part}-labels-idx1-ubyte", 1)
        if len(rows) != len(labels) or labels.max(initial=0) > 9:
            raise BadInput(f"{folder}: images and labels do not belong together; fetch the four files anew")
    return rows[..., None], Facts(name, labels=labels.astype(np.int64), classes=list(FASHION_CLASSES))


def stack(source: str) -> tuple[NDArray[np.uint8], Facts]:
    """The rows (uint8 NHWC) and facts of ``stacked[:N]``."""
    return stacked.images(number(source, stacked.SIZE))


def translation(source: str, asked: dict[str, Any], progress: store.Progress) -> Domains:
    """One of ``TRANSLATIONS``, drawn at the size that ``asked["shape"]`` says, else at 64 pixels (clothes: 28)."""
    from ganloom.data import translation_sets

    name, _, argument = source.partition(":")
    if argument and name != "edges-to-emoji":
        raise BadInput(f"{source}: {name} takes nothing after the colon")
    if name == "unpaired-fashion":
        return translation_sets.unpaired_fashion(asked)
    shape = asked["shape"] or (0, 64, 64)
    if shape[1] != shape[2] or not 16 <= shape[1] <= 512:
        raise BadInput(f"--shape {' '.join(map(str, shape))}: {name} draws squares of 16 to 512 pixels")
    if name == "edges-to-emoji":
        return translation_sets.edges_to_emoji(source, int(shape[1]), asked, progress)
    return translation_sets.regular_to_bold(int(shape[1]), asked, progress)


def toy(source: str) -> Points:
    """``ring[:N]`` or ``grid[:N]``."""
    name, _, _ = source.partition(":")
    return (points.ring if name == "ring" else points.grid)(number(source, points.SIZE))


def number(source: str, default: int) -> int:
    """The N of ``name:N``."""
    name, colon, argument = source.partition(":")
    if not colon:
        return default
    digits = argument.replace("_", "").replace(",", "")
    if not (digits.isascii() and digits.isdigit() and 0 < int(digits[:12]) <= 10_000_000):
        raise BadInput(f"{source}: after the colon comes a number from 1 to 10000000, such as {name}:{default}")
    return int(digits)


def _fashion_folder(name: str, argument: str) -> Path:
    told = argument or os.environ.get("GANLOOM_FASHION_MNIST", "")
    folder = Path(told or FASHION_FOLDER).expanduser()
    part = "t10k" if name.endswith("-test") else "train"
    if not any((folder / f"{part}-images-idx3-ubyte{end}").is_file() for end in (".gz", "")):
        raise BadInput(
            f"{name}: no {part}-images-idx3-ubyte.gz in {folder}; apt install dataset-fashion-mnist, "
            f"or say {name}:DIR or GANLOOM_FASHION_MNIST=DIR"
        )
    return folder


def _idx(plain: Path, dimensions: int) -> NDArray[np.uint8]:
    """An array in LeCun's IDX format, gzipped or not: magic 0 0 8 d, d big-endian sizes, the bytes."""
    packed = plain.with_name(plain.name + ".gz")
    path = packed if packed.is_file() else plain
    try:
        content = gzip.decompress(path.read_bytes()) if path == packed else path.read_bytes()
    except (OSError, EOFError, zlib.error) as error:
        raise BadInput(f"cannot read {path} ({error}); fetch it anew") from None
    start = 4 + 4 * dimensions
    sizes = [int.from_bytes(content[i : i + 4], "big") for i in range(4, start, 4)]
    if content[:4] != bytes((0, 0, 8, dimensions)) or len(content) - start != math.prod(sizes):
        raise BadInput(f"{path} is no whole IDX file of {dimensions} dimensions; fetch it anew")
    return np.frombuffer(content, np.uint8, offset=start).reshape(sizes).copy()


def render_shapes(source: str, shape: Shape | None) -> tuple[NDArray[np.uint8], Facts]:
    """``shapes[:N]`` rendered at ``shape`` (C, H, W), by default 3 x 32 x 32: drawn at that size, not resized."""
    facts = shapes.describe(number(source, shapes.SIZE))
    made, target = facts.factors or {}, shape or shapes.SHAPE
    size = len(made["shape"])
    if size * math.prod(target) <= cache.MEMORY_LIMIT:
        return shapes.render(made, target), facts

    def one(index: int) -> NDArray[np.uint8]:
        image: NDArray[np.uint8] = shapes.render({k: v[index : index + 1] for k, v in made.items()}, target)[0]
        return image

    return store.fill(one, size, target).store.rows, facts
