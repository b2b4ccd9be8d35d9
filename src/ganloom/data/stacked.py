"""The built-in set ``stacked`` with 1,000 modes: three grey images of ten classes as the channels of one image.

It follows the stacked MNIST of Metz, Poole, Pfau, Sohl-Dickstein, "Unrolled Generative Adversarial Networks", 2016,
arXiv:1611.02163, app. D, which counts how many of the 10 x 10 x 10 combinations a generator produces.
"""

import math

import numpy as np
from numpy.typing import NDArray

from ganloom.core.old_import_paths import renamed
from ganloom.data import cache, fashion_mnist, store
from ganloom.data.dataset import Facts

SIZE = 50_000
"""Images by default."""
MODES = 1000
CHANNELS = ("red", "green", "blue")


def images(size: int = SIZE, seed: int = 0) -> tuple[NDArray[np.uint8], Facts]:
    """Build ``size`` images, each channel a random image of ``fashion-10k``; a function of (size, seed).

    Returns:
        uint8 (N, 28, 28, 3), and facts whose factors ``red``, ``green`` and ``blue`` are the classes of the channels,
        int64 (N,). There are no labels: the generator is to find the modes without them.
    """
    grey, classes = fashion_mnist.fashion_10k()
    labels = classes.astype(np.int64)
    picks = np.random.default_rng(seed).integers(len(grey), size=(size, len(CHANNELS)))
    facts = Facts("stacked", factors={name: labels[picks[:, i]] for i, name in enumerate(CHANNELS)})
    shape = (len(CHANNELS), *grey.shape[1:])
    if size * math.prod(shape) <= cache.MEMORY_LIMIT:
        return np.ascontiguousarray(grey[picks].transpose(0, 2, 3, 1)), facts

    def stack_row(index: int) -> NDArray[np.uint8]:
        image: NDArray[np.uint8] = grey[picks[index]].transpose(1, 2, 0)
        return image

    return store.fill(stack_row, size, shape).store.rows, facts


__getattr__ = renamed(__name__)  # names of earlier versions
