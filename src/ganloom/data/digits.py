"""Handwritten digits, 8 x 8: the 1,797 images that scikit-learn calls ``digits``. They come with ganloom.

Alpaydin, Kaynak, "Optical recognition of handwritten digits", UCI Machine Learning Repository, 1998 (the test set).
"""

from importlib.resources import files

import numpy as np
from numpy.typing import NDArray

from ganloom.core.errors import BadInput
from ganloom.data.dataset import Facts
from ganloom.data.resize import Shape

SHAPE: Shape = (1, 28, 28)
"""(C, H, W) by default: that of MNIST, because few networks take 8 x 8."""


def images(source: str) -> tuple[NDArray[np.uint8], Facts]:
    """Read ``digits``.

    Returns:
        uint8 (1797, 8, 8, 1), white on black, and facts with the labels of 10 classes.

    Raises:
        BadInput: the name has an argument.
    """
    if source != "digits":
        raise BadInput(f"{source}: digits takes no argument; --shape sets another size")
    with files("ganloom.data").joinpath("digits.npz").open("rb") as file, np.load(file) as archive:
        rows, labels = archive["images"], archive["labels"]
    return rows[..., None], Facts("digits", labels=labels.astype(np.int64), classes=[str(i) for i in range(10)])
