"""Random numbers derived from the seed and the position in the run, so no state of a generator has to be saved.

Each phase seeds torch's default generator with ``key(seed, step, phase, repeat)``. Noise is drawn for the global batch, and
each process keeps its slice, so several processes use the same numbers as one.
"""

import functools
import hashlib
from typing import Any

import torch
from torch import Tensor

_rank, _world = 0, 1


def key(*parts: object) -> int:
    """Return a 63-bit seed from the ``repr`` of any values."""
    return int.from_bytes(hashlib.blake2b(repr(parts).encode(), digest_size=8).digest(), "little") >> 1


_PURPOSES = ("evaluation", "best checkpoint", "path length", "mode count")


def measurement_seed(seed: int, purpose: str = "evaluation") -> int:
    """Return the first sample seed of a measurement, such that measurements with different seeds share no latent.

    ``generate`` draws the latent of sample i from seed + i, and torch's CPU generator uses the low 32 bits of a seed only. So
    the 2^32 streams are shared out: the bits of (seed, purpose) are written in reverse order, which spreads the first seeds
    of consecutive measurements as far as possible. The seeds below 2^k have 2^(30 - k) samples each that no other has: a
    million each for the seeds 0 to 1023. The seed 0 of an evaluation begins at 0.

    Args:
        seed: Seed of the measurement; its low 30 bits are used.
        purpose: "evaluation", "best checkpoint", "path length" or "mode count". Different purposes share no latent either.

    Returns:
        A seed in [0, 2^32).
    """
    number = (seed % 2**30) * 4 + _PURPOSES.index(purpose)
    return int(f"{number:032b}"[::-1], 2)


def seed_all(seed: int) -> None:
    """Seed the generators of the CPU and of the accelerator in use. Much faster than ``torch.manual_seed``."""
    torch.default_generator.manual_seed(seed)
    if torch.cuda.is_initialized():
        torch.cuda.manual_seed(seed)
    elif _mps():
        torch.mps.manual_seed(seed)


@functools.cache
def _mps() -> bool:
    return torch.backends.mps.is_available()


def set_shard(rank: int, world: int) -> None:
    """Set the rows that this process keeps of what ``rand``, ``randn`` and ``randint`` draw: [rank::world].

    Args:
        rank: Index of this process.
        world: Number of processes.
    """
    global _rank, _world
    _rank, _world = rank, world


def shard() -> tuple[int, int]:
    """Return (rank, world) of this process."""
    return _rank, _world


def mine(rows: Tensor) -> Tensor:
    """Return this process's rows of a global batch."""
    return rows if _world == 1 else rows[_rank::_world]


def randn(n: int, *shape: int, device: torch.device | str = "cpu") -> Tensor:
    """Draw standard normal numbers (n, *shape), float32; n is the number of rows of this process."""
    return mine(torch.randn(n * _world, *shape, device=device))


def rand(n: int, *shape: int, device: torch.device | str = "cpu") -> Tensor:
    """Draw uniform numbers in [0, 1), (n, *shape), float32; n is the number of rows of this process."""
    return mine(torch.rand(n * _world, *shape, device=device))


def randint(high: int, n: int, device: torch.device | str = "cpu") -> Tensor:
    """Draw integers in [0, high), (n,) int64; n is the number of rows of this process."""
    return mine(torch.randint(high, (n * _world,), device=device))


class Rng(torch.Generator):
    """CPU generator for one batch, seeded with (seed, draw), that also holds the position in the run.

    Args:
        seed: Seed of the run.
        draw: Number of the batch.
        position: Real images drawn so far. The order of the data is a function of the seed and the position, so the
            sampler has no other state.
        rank: Index of this process; it takes the rows [rank::world] of the global batch.
        world: Number of processes.

    Attributes:
        run_seed: The argument ``seed``.
    """

    run_seed: int
    position: int
    rank: int
    world: int

    def __new__(cls, seed: int, draw: int = 0, position: int = 0, rank: int = 0, world: int = 1) -> "Rng":
        self: Rng = super().__new__(cls)
        self.manual_seed(key(seed, "draw", draw))
        self.run_seed, self.position, self.rank, self.world = seed, position, rank, world
        return self

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        pass
