"""Count the modes of stacked images (1,000 modes) with a classifier.

Metz et al. 2016 (arXiv:1611.02163, app. D) stack three grey images as the channels of one image. A classifier of each channel
counts the 10 x 10 x 10 combinations in 26,000 samples, and the divergence of their shares from those of the data
(Srivastava et al. 2017, arXiv:1705.07761, sec. 4.2).
"""

import numpy as np
import torch
from torch import Tensor

from ganloom import data as datasets
from ganloom import metrics
from ganloom.bench.modes.counted_images import Setup, Task
from ganloom.core.errors import BadInput
from ganloom.data.stacked import CHANNELS, MODES

CLASSES = 10


class Classifier:
    """Classifies each channel with the built-in classifier of Fashion-MNIST."""

    def __init__(self) -> None:
        self.net = metrics.get("fashion")

    def __call__(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """From images (N, 3, 28, 28) in [-1, 1] to (modes (N,) in [0, 1000), least probability of the channels (N,))."""
        probabilities = self.net.logits(x.flatten(0, 1).unsqueeze(1)).softmax(1).view(len(x), len(CHANNELS), CLASSES)
        sure, classes = probabilities.max(2)
        return classes @ torch.tensor([CLASSES**2, CLASSES, 1]), sure.min(1).values


def known(n: int) -> tuple[Tensor, Tensor, bool]:
    """Draw n stacks of Fashion-MNIST's test images if they are installed, else of fashion-10k; see ``Task.known``."""
    try:
        grey, held_out = datasets.open("fashion-mnist-test"), True
    except BadInput:
        grey, held_out = datasets.open("fashion-10k"), False
    picks = np.random.default_rng(1).integers(len(grey), size=(n, len(CHANNELS)))
    x, labels = grey.get(slice(None)), torch.from_numpy(grey.labels)
    stacks = torch.cat([x[picks[:, i]] for i in range(len(CHANNELS))], 1)
    return stacks, labels[picks] @ torch.tensor([CLASSES**2, CLASSES, 1]), held_out


_FALLING = ((120.0, 1.0), (400.0, 0.0))
"""Schedule of the learning rates: constant until 120 kimg, then linearly to 0, which makes the mode shares more even."""

TASK = Task(
    "stacked", "Stacked images", MODES, 26_000,
    {
        "recommended": Setup(
            "non-saturating, R1, minibatch standard deviation; rates falling to 0", "default", 400.0,
            {"width": 32, "ema_kimg": 10.0, "g_opt.schedule": _FALLING, "d_opt.schedule": _FALLING},
        ),
        "dcgan": Setup("DCGAN", "dcgan", 100.0, {"width": 32, "batch_size": 64}),
    },
    Classifier,
    known,
    (
        ("DCGAN", 99, 3.40, "Srivastava et al. 2017, arXiv:1705.07761"),
        ("ALI", 16, 5.40, "the same"),
        ("Unrolled GAN", 48.7, 4.32, "the same"),
        ("VEEGAN", 150, 2.95, "the same"),
        ("PacDCGAN2", 1000, 0.06, "Lin et al. 2018, arXiv:1712.04086"),
        ("R3GAN", 1000, 0.03, "Huang et al. 2024, arXiv:2501.05441"),
    ),
    "Published results, on digits and with the classifier of each paper. The data differs, so they cannot be compared directly:",
)  # fmt: skip
