"""The yardstick: how fast this machine multiplies matrices, float32 and bf16."""

import os
import time
from dataclasses import dataclass

import torch

SIZES = {"cpu": (512, 1024, 2048), "cuda": (2048, 4096, 8192), "mps": (1024, 2048)}
SECONDS = 0.15
"""Time for each size and precision."""


@dataclass(frozen=True)
class Machine:
    """What the figures were taken on; ``peaks``: precision -> GFLOP/s of the fastest matrix product found."""

    device: str
    name: str
    threads: int
    load: float
    peaks: dict[str, float]

    def lines(self) -> list[str]:
        """The machine in words."""
        peaks = ", ".join(f"{name} {value:.0f}" for name, value in self.peaks.items())
        busy = f"; load {self.load:.1f} as it began" if self.load >= 0 else ""
        return [f"{self.name}, {self.threads} threads; matrix products, GFLOP/s: {peaks}{busy}"]


def measure(device: str) -> Machine:
    """Multiply for about a second."""
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else -1.0
    dtypes = {"float32": torch.float32, "bf16": torch.bfloat16}
    kind = torch.device(device).type
    peaks = {key: max(_gemm(n, dtype, device) for n in SIZES[kind]) for key, dtype in dtypes.items()}
    return Machine(device, name(device), torch.get_num_threads(), load, peaks)


def name(device: str) -> str:
    """The device in words."""
    kind = torch.device(device).type
    return torch.cuda.get_device_name(device) if kind == "cuda" else f"{kind}: {_processor()}"


def wait(device: str) -> None:
    """Until the device has done what was asked."""
    kind = torch.device(device).type
    if kind == "cuda":
        torch.cuda.synchronize(device)
    elif kind == "mps":
        torch.mps.synchronize()


def _gemm(n: int, dtype: torch.dtype, device: str) -> float:
    """GFLOP/s of the fastest of the n x n products that fit into the time."""
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
