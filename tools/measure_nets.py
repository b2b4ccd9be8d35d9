"""Measure how feature networks react to known damage to real images; print the table of docs/metrics.md.

    python tools/measure_nets.py [--n 500] [--sets fashion-10k shapes letters]

For each data set, the first two lines are the Frechet distances of each damaged set to the same number of real images,
by the task network and by EfficientNet-Lite1 (the extra effnet). The third line is their geometric mean, after each is
divided by its value for undamaged images.
"""

import argparse
import math

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor
from torch.nn import functional as F

from ganloom import data as datasets
from ganloom import metrics
from ganloom.evaluation.measure import choose_features, effnet_installed

DAMAGES = ("real", "blurred", "half of the classes", "one class", "noise")
SETS = ("fashion-10k", "shapes", "letters")


def letters(n: int = 4000, seed: int = 0) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Return rendered letters A to J, 28 x 28 grey, with random size, position, slant and brightness, and their labels."""
    rng = np.random.default_rng(seed)
    rows, labels = np.zeros((n, 28, 28, 1), np.uint8), rng.integers(0, 10, n)
    for i in range(n):
        canvas = Image.new("L", (56, 56))
        font = ImageFont.load_default(float(rng.uniform(30, 44)))
        place = 28 + rng.uniform(-5, 5), 28 + rng.uniform(-5, 5)
        fill = int(rng.integers(140, 256))
        ImageDraw.Draw(canvas).text(place, "ABCDEFGHIJ"[labels[i]], fill=fill, font=font, anchor="mm")
        turned = canvas.rotate(float(rng.uniform(-20, 20)), Image.Resampling.BICUBIC)
        rows[i, :, :, 0] = np.asarray(turned.resize((28, 28), Image.Resampling.BOX))
    return rows, labels


def open_set(name: str) -> datasets.Data:
    """Open one of `SETS`, or any data set with labels."""
    if name == "letters":
        rows, labels = letters()
        return datasets.open(rows, labels=labels)
    return datasets.open("shapes:4000" if name == "shapes" else name)


def blurred(x: Tensor, sigma: float = 0.5) -> Tensor:
    """Blur images with a Gaussian; ``sigma`` is in pixels."""
    offsets = torch.arange(-3, 4)
    line = torch.exp(-offsets.square() / (2 * sigma**2))
    line, c = line / line.sum(), x.shape[1]
    x = F.conv2d(F.pad(x, (3, 3, 3, 3), mode="replicate"), line[None, None, :, None].repeat(c, 1, 1, 1), groups=c)
    return F.conv2d(x, line[None, None, None].repeat(c, 1, 1, 1), groups=c)


def damaged(data: datasets.Data, n: int, seed: int = 0) -> tuple[Tensor, dict[str, Tensor]]:
    """Return ``n`` real images, and ``n`` other images with each of `DAMAGES`. A class with few images repeats them."""
    rng = torch.Generator().manual_seed(seed)
    order = torch.randperm(len(data), generator=rng)
    x = data.get(order[n:].numpy()).cpu()
    y = torch.from_numpy(np.asarray(data.labels))[order[n:]]
    lower, one = x[y < (data.n_classes + 1) // 2], x[y == 1]
    sets = {
        "real": x[:n],
        "blurred": blurred(x[:n]),
        "half of the classes": lower[torch.arange(n) % len(lower)],
        "one class": one[torch.arange(n) % len(one)],
        "noise": torch.rand((n, *x.shape[1:]), generator=rng) * 2 - 1,
    }
    return data.get(order[:n].numpy()).cpu(), sets


def measure(data: datasets.Data, n: int) -> dict[str, dict[str, float]]:
    """Return the Frechet distance to real images by network and damage."""
    nets = [choose_features("auto", data)] + ([metrics.get("effnet")] if effnet_installed() else [])
    real, sets = damaged(data, n)
    distances = {}
    for extractor in nets:
        reference = extractor(real)
        distances[extractor.name] = {k: metrics.frechet_distance(reference, extractor(x)) for k, x in sets.items()}
    return distances


def together(distances: dict[str, dict[str, float]]) -> dict[str, float]:
    """Return the geometric mean over the networks of each distance divided by its value for undamaged images."""
    return {
        damage: math.exp(
            sum(math.log(values[damage] / values["real"]) for values in distances.values()) / len(distances)
        )
        for damage in DAMAGES
    }


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--n", type=int, default=500)
    parser.add_argument("--sets", nargs="+", default=list(SETS))
    args = parser.parse_args()
    print(f"| data, features | {' | '.join(DAMAGES)} |\n|---|{'---:|' * len(DAMAGES)}")
    for name in args.sets:
        distances = measure(open_set(name), args.n)
        for net, values in distances.items():
            label = "task" if net.startswith("task_") else net
            print(f"| {name}, {label} | {' | '.join(f'{values[d]:.4g}' for d in DAMAGES)} |")
        print(f"| {name}, together | {' | '.join(f'{v:.3g}' for v in together(distances).values())} |", flush=True)


if __name__ == "__main__":
    main()
