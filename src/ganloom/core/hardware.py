"""Measure how fast this machine multiplies matrices in float32 and bf16, as a reference for benchmarks."""

import os
import time
from dataclasses import dataclass

import torch

SIZES = {"cpu": (512, 1024, 2048), "cuda": (2048, 4096, 8192), "mps": (1024, 2048)}
SECONDS = 0.15
"""Time per matrix size and precision."""


@dataclass(frozen=True)
class Machine:
    """The machine that a benchmark ran on.

    Attributes:
        device: Name of the device, such as "cpu" or "cuda:0".
        name: Name of the processor or GPU.
        threads: Threads that torch uses.
        load: Load average before the measurement, -1 if unknown.
        peaks: Precision -> GFLOP/s of the fastest matrix product.
    """

    device: str
    name: str
    threads: int
    load: float
    peaks: dict[str, float]

    def lines(self) -> list[str]:
        """Describe the machine as lines of text."""
        peaks = ", ".join(f"{name} {value:.0f}" for name, value in self.peaks.items())
        busy = f"; load average {self.load:.1f} at the start" if self.load >= 0 else ""
        return [f"{self.name}, {self.threads} threads; matrix products, GFLOP/s: {peaks}{busy}"]


def measure(device: str) -> Machine:
    """Measure the matrix products of a device, for about a second.

    Args:
        device: "cpu", "cuda", "cuda:N" or "mps".

    Returns:
        The machine and its peaks.
    """
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else -1.0
    dtypes = {"float32": torch.float32, "bf16": torch.bfloat16}
    kind = torch.device(device).type
    peaks = {key: max(_gemm(n, dtype, device) for n in SIZES[kind]) for key, dtype in dtypes.items()}
    return Machine(device, name(device), torch.get_num_threads(), load, peaks)


def name(device: str) -> str:
    """Return the name of the device's processor or GPU."""
    kind = torch.device(device).type
    return torch.cuda.get_device_name(device) if kind == "cuda" else f"{kind}: {_processor()}"


def wait(device: str) -> None:
    """Wait until the device has finished all queued work."""
    kind = torch.device(device).type
    if kind == "cuda":
        torch.cuda.synchronize(device)
    elif kind == "mps":
        torch.mps.synchronize()


def _gemm(n: int, dtype: torch.dtype, device: str) -> float:
    """Return the GFLOP/s of the fastest n x n product within ``SECONDS``."""
    a, b = (torch.randn(n, n, device=device).to(dtype) for _ in range(2))
    out = torch.empty_like(a)
    best, start = float("inf"), time.perf_counter()
    while time.perf_counter() - start < SECONDS or best == float("inf"):
        before = time.perf_counter()
        torch.mm(a, b, out=out)
        wait(device)
        best = min(best, time.perf_counter() - before)
    return 2 * n**3 / best / 1e9


def _processor() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as lines:
            return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        import platform

        return platform.processor() or platform.machine()
