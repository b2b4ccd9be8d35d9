"""Cut square crops from a folder of photographs: python tools/cut_crops.py PHOTOGRAPHS OUT --n 300 --side 64

Crops of textured places, at random scales, as PNG files. The same arguments give the same files.
"""

import argparse
from pathlib import Path

import numpy as np
from PIL import Image

from ganloom.bench.inpaint.photographs import crop


def cut(folder: Path, out: Path, n: int, side: int, scales: tuple[int, int], seed: int = 0) -> None:
    """Cut crops from photographs.

    Args:
        folder: A folder of images that PIL reads.
        out: A new folder.
        n: Number of crops; the photographs take turns.
        side: Side of a crop in pixels.
        scales: Smallest and largest longer side of a photograph, in pixels, when a crop is cut from it.
        seed: Seed of the scales and places.
    """
    rng = np.random.default_rng(seed)
    photographs = []
    for path in sorted(folder.iterdir()):
        image = Image.open(path)
        image.draft("RGB", (2 * scales[1], 2 * scales[1]))  # JPEG files are decoded at a fraction of their size
        image = image.convert("RGB")
        image.thumbnail((scales[1], scales[1]), Image.Resampling.LANCZOS)
        photographs.append(image)
    out.mkdir(parents=True)
    for number in range(n):
        made = crop(photographs[number % len(photographs)], side, scales, rng)
        Image.fromarray(made).save(out / f"{number:05d}.png")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photographs", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--n", type=int, default=300)
    parser.add_argument("--side", type=int, default=64)
    parser.add_argument("--scales", type=int, nargs=2, default=(120, 400), metavar=("LOW", "HIGH"))
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    cut(args.photographs, args.out, args.n, args.side, tuple(args.scales), args.seed)


if __name__ == "__main__":
    main()
