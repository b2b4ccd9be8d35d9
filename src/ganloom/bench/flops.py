"""Floating point operations counted as they are dispatched, double backward included, and the machine's peak."""

import time
from collections.abc import Callable
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry


class FlopCounter(TorchDispatchMode):
    """Counts products and sums of matrix products and convolutions run inside it (2 a multiply-add).

    torch's own FlopCounterMode hooks modules and fails on ``autograd.grad(create_graph=True)``; this one looks only at
    the operations and uses the same table of formulas. Elementwise work is not counted.
    """

    def __init__(self) -> None:
        super().__init__()
        self.total = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        formula = flop_registry.get(func._overloadpacket)
        if formula is not None:
            self.total += int(formula(*args, **(kwargs or {}), out_val=out))
        return out


def count(run: Callable[[], object]) -> int:
    """Floating point operations of one call."""
    counter = FlopCounter()
    with counter:
        run()
    return counter.total


def peak(dtype: torch.dtype, device: str = "cpu", size: int = 1024, seconds: float = 0.5) -> float:
    """The best GFLOP/s of a size x size matrix product in ``dtype`` within some time: this machine's yardstick."""
    a, b = (torch.randn(size, size, device=device).to(dtype) for _ in "ab")
    best, end = float("inf"), time.perf_counter() + seconds
    while time.perf_counter() < end:
        start = time.perf_counter()
        a @ b
        if device.startswith("cuda"):
            torch.cuda.synchronize()
        best = min(best, time.perf_counter() - start)
    return 2 * size**3 / best / 1e9
