"""Write src/ganloom/data/fashion_10k.npz: the first 1,000 images of each class of the Fashion-MNIST training split.

    python tools/make_fashion_10k.py [FOLDER with the four idx .gz files]

The images keep the order of the training split. The test split is not used, so it stays held out. The file holds
``images`` uint8 (10000, 28, 28) and ``labels`` uint8 (10000,). A second run gives the same bytes if zlib is the same.
On Debian and Ubuntu, install the original files with: apt install dataset-fashion-mnist
"""

import gzip
import sys
from pathlib import Path

import numpy as np

PER_CLASS = 1000
TARGET = Path(__file__).parent.parent / "src" / "ganloom" / "data" / "fashion_10k.npz"


def main() -> None:
    """Read the original files, keep the first images of each class, write the npz file."""
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else "/usr/share/datasets/fashion-mnist")
    images = np.frombuffer(gzip.decompress((folder / "train-images-idx3-ubyte.gz").read_bytes()), np.uint8, offset=16)
    labels = np.frombuffer(gzip.decompress((folder / "train-labels-idx1-ubyte.gz").read_bytes()), np.uint8, offset=8)
    images = images.reshape(-1, 28, 28)
    keep = np.sort(np.concatenate([np.flatnonzero(labels == k)[:PER_CLASS] for k in range(10)]))
    np.savez_compressed(TARGET, images=images[keep], labels=labels[keep])
    print(f"wrote {TARGET}: {len(keep)} images, {TARGET.stat().st_size / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
