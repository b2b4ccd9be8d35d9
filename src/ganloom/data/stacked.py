"""A thousand modes: three grey images of clothes in the three channels of one, each of ten classes.

After the stacked MNIST of Metz, Poole, Pfau, Sohl-Dickstein, "Unrolled Generative Adversarial Networks", 2016,
arXiv:1611.02163, app. D, which counts how many of the 10 x 10 x 10 combinations a generator makes.
"""

import math
from importlib.resources import files

import numpy as np
from numpy.typing import NDArray

from ganloom.data import cache, store
from ganloom.data.dataset import Facts

SIZE = 50_000
MODES = 1000
CHANNELS = ("red", "green", "blue")


def images(size: int = SIZE, seed: int = 0) -> tuple[NDArray[np.uint8], Facts]:
    """``size`` rows (N, 28, 28, 3) uint8, each channel a random image of ``fashion-10k``; a function of (size, seed).

    Factors ``red``, ``green`` and ``blue`` are the channels' classes, int64 (N,); there are no labels, for modes are to
    be found, not told.
    """
    with files("ganloom.data").joinpath("fashion_10k.npz").open("rb") as file, np.load(file) as archive:
        grey, labels = archive["images"], archive["labels"].astype(np.int64)
    picks = np.random.default_rng(seed).integers(len(grey), size=(size, len(CHANNELS)))
    facts = Facts("stacked", factors={name: labels[picks[:, i]] for i, name in enumerate(CHANNELS)})
    shape = (len(CHANNELS), *grey.shape[1:])
    if size * math.prod(shape) <= cache.MEMORY_LIMIT:
        return np.ascontiguousarray(grey[picks].transpose(0, 2, 3, 1)), facts

    def one(index: int) -> NDArray[np.uint8]:
        image: NDArray[np.uint8] = grey[picks[index]].transpose(1, 2, 0)
        return image

    return store.fill(one, size, shape).store.rows, facts
