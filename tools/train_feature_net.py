"""Train the bundled Fashion-MNIST feature network on the training split and write its weights.

    python tools/train_feature_net.py [--data /usr/share/datasets/fashion-mnist] [--epochs 8] [--check]

Prints the accuracy of the written float16 weights on the test split, which is not used for training. The seed is fixed:
on the same machine with the same number of threads, the file is the same. ``--check`` only measures the existing file.
"""

import argparse
import gzip
import time
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor

from ganloom.metrics.extractors.by_name import FASHION_FILE, get
from ganloom.metrics.extractors.nets import SmallNet
from ganloom.metrics.extractors.task import fit

SEED = 0


def read_idx(path: Path) -> np.ndarray:
    """Read an IDX file of unsigned bytes: two zero bytes, type, number of dimensions, big-endian sizes, data."""
    raw = gzip.decompress(path.read_bytes())
    shape = np.frombuffer(raw, ">i4", raw[3], 4)
    return np.frombuffer(raw, np.uint8, offset=4 + 4 * raw[3]).reshape(shape)


def split(folder: Path, name: str) -> tuple[Tensor, Tensor]:
    """Return images (N, 1, 28, 28) float32 in [-1, 1] and labels (N,) int64 of the split ``train`` or ``t10k``."""
    images = torch.from_numpy(read_idx(folder / f"{name}-images-idx3-ubyte.gz").copy())
    labels = torch.from_numpy(read_idx(folder / f"{name}-labels-idx1-ubyte.gz").copy())
    return images[:, None].float() / 127.5 - 1, labels.long()


def main() -> None:
    """Train and write the weights, then print the test accuracy."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("/usr/share/datasets/fashion-mnist"))
    parser.add_argument("--epochs", type=float, default=8)
    parser.add_argument("--check", action="store_true", help="measure the bundled weights without training")
    args = parser.parse_args()
    if not args.check:
        x, y = split(args.data, "train")
        start = time.perf_counter()
        torch.manual_seed(SEED)
        net = fit(SmallNet(), x, y, samples=int(args.epochs * len(x)), seed=SEED)
        print(f"trained {args.epochs:g} epochs of {len(x)} images in {time.perf_counter() - start:.0f} s")
        state = {k: v.half() if v.is_floating_point() else v for k, v in net.state_dict().items()}
        save_file(state, FASHION_FILE)
        print(f"wrote {FASHION_FILE} ({FASHION_FILE.stat().st_size} bytes)")
    x, y = split(args.data, "t10k")
    extractor = get("fashion")
    accuracy = (extractor.logits(x).argmax(1) == y).float().mean().item()
    print(f"test accuracy {accuracy:.4f} on {len(x)} images, weights sha8 {extractor.sha8}")


if __name__ == "__main__":
    main()
