"""Weights that are a function of their names, so that a test can make again what the reference code was run with."""

import zlib

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor


def numbers(name: str, shape: tuple[int, ...]) -> Tensor:
    """Standard normal numbers, float32, the same for a name and shape on every machine."""
    values = np.random.RandomState(zlib.crc32(name.encode())).standard_normal(shape)
    return torch.from_numpy(np.asarray(values, dtype=np.float32))


def made(shapes: dict[str, tuple[int, ...]]) -> dict[str, Tensor]:
    """A table of weights like a trained network's: gains near 1, variances above 0, vectors of spectral norm that lag.

    The vectors u and v of torch's spectral norm are three iterations on a weight that has moved by 2 % since.
    """
    state = {name: _one(name, shape) for name, shape in shapes.items()}
    for name in shapes:
        if name.endswith(("weight_orig", "parametrizations.weight.original")):
            weight = state[name].flatten(1).double()
            old = weight if len(weight) == 1 else weight * (1 + 0.02 * numbers(name + "/old", weight.shape).double())
            u = numbers(name + "/u", (len(weight),)).double()
            for _ in range(3):
                v = F.normalize(old.T @ u, dim=0)
                u = F.normalize(old @ v, dim=0)
            before, after = ("weight_orig", "weight_") if name.endswith("weight_orig") else ("original", "0._")
            for end, vector in (("u", u), ("v", v)):
                state[name.removesuffix(before) + after + end] = vector.float()
    return state


def _one(name: str, shape: tuple[int, ...]) -> Tensor:
    last = name.split(".")[-1]
    x = numbers(name, shape)
    if last == "num_batches_tracked":
        return torch.tensor(1)
    if last in ("gamma", "sigma"):
        return 0.7 + 0.1 * x
    if "var" in last:
        return 0.5 + x.abs()
    if "mean" in last or last == "bias":
        return 0.05 * x if last == "bias" else 0.3 * x
    if last == "gain" or (last == "weight" and len(shape) == 1):
        return 1 + 0.2 * x
    if last in ("accumulation_counter", "sv0", "sn_sigma"):
        return torch.zeros(shape)
    if last == "u0":
        return F.normalize(x, dim=1)
    if ".embed.weight" in name and name.startswith("block"):  # gains and biases of mimicry's conditional norms
        half = shape[1] // 2
        return torch.cat([1 + 0.2 * x[:, :half], 0.3 * x[:, half:]], 1)
    if "gain" in name or ".bias." in name or "scale" in name or "offset" in name:
        return 0.2 * x
    if len(shape) == 2 and ("shared" in name or "embed" in name):
        return 0.5 * x
    fan = max(int(np.prod(shape[1:])), 1)
    return x * (0.8 / fan) ** 0.5


def inputs(n: int, *shape: int) -> Tensor:
    """Latents or images (n, *shape) for both sides of a comparison."""
    return numbers(f"inputs {n} {shape}", (n, *shape))
