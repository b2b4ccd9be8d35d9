"""Keyed randomness: every random number is a function of (seed, place), so a run carries no random state.

A phase seeds torch's default generator from ``key(seed, step, phase, repeat)``; noise is drawn for the global batch and
each process keeps its slice, so several processes see what one would.
"""

import functools
import hashlib
from typing import Any

import torch
from torch import Tensor

_rank, _world = 0, 1


def key(*parts: object) -> int:
    """A 63-bit seed from anything printable."""
    return int.from_bytes(hashlib.blake2b(repr(parts).encode(), digest_size=8).digest(), "little") >> 1


def seed_all(seed: int) -> None:
    """Seed the CPU's generator and, where one is in use, the accelerator's; far cheaper than ``torch.manual_seed``."""
    torch.default_generator.manual_seed(seed)
    if torch.cuda.is_initialized():
        torch.cuda.manual_seed(seed)
    elif _mps():
        torch.mps.manual_seed(seed)


@functools.cache
def _mps() -> bool:
    return torch.backends.mps.is_available()


def set_shard(rank: int, world: int) -> None:
    """This process keeps rows [rank::world] of what ``rand`` and ``randn`` draw."""
    global _rank, _world
    _rank, _world = rank, world


def shard() -> tuple[int, int]:
    """(rank, world) of this process."""
    return _rank, _world


def mine(rows: Tensor) -> Tensor:
    """This process's slice of a global batch."""
    return rows if _world == 1 else rows[_rank::_world]


def randn(n: int, *shape: int, device: torch.device | str = "cpu") -> Tensor:
    """Standard normal numbers (n, *shape), float32."""
    return mine(torch.randn(n * _world, *shape, device=device))


def rand(n: int, *shape: int, device: torch.device | str = "cpu") -> Tensor:
    """Uniform numbers in [0, 1), (n, *shape), float32."""
    return mine(torch.rand(n * _world, *shape, device=device))


def randint(high: int, n: int, device: torch.device | str = "cpu") -> Tensor:
    """Integers in [0, high), (n,) int64."""
    return mine(torch.randint(high, (n * _world,), device=device))


class Rng(torch.Generator):
    """The random numbers of one draw: a CPU generator keyed by (seed, draw) that also knows where the run stands.

    ``position`` is the number of real images drawn so far: a data set's order is a function of it, so the sampler has
    no other state. ``rank`` and ``world`` say which slice ``[rank::world]`` of the global batch this process takes.
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
