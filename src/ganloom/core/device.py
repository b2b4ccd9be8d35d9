"""Choose the device and the precision of a run."""

import functools
import time

import torch
from torch import nn

from ganloom.core.errors import BadInput
from ganloom.core.precision import called_networks

_GAIN = 1.3
"""Speed-up over float32 in the probe from which ``auto`` chooses bf16."""


def choose_device(name: str) -> str:
    """Return the device to use.

    Args:
        name: "auto", "cpu", "cuda", "cuda:N" or "mps". "auto" is the first available of cuda, mps and cpu.

    Returns:
        The device's name.

    Raises:
        BadInput: If the name is unknown or the device is not available.
    """
    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    kind = name.split(":")[0]
    if kind not in ("cpu", "cuda", "mps"):
        raise BadInput(f'--device must be auto, cpu, cuda, cuda:N or mps, got "{name}"')
    if kind == "cuda" and not torch.cuda.is_available():
        raise BadInput(f'--device {name}: PyTorch finds no CUDA device; use "--device cpu"')
    if kind == "cuda" and ":" in name and int(name.split(":")[1]) >= torch.cuda.device_count():
        raise BadInput(f"--device {name}: N must be below the number of CUDA devices, {torch.cuda.device_count()}")
    if kind == "mps" and not torch.backends.mps.is_available():
        raise BadInput('--device mps: PyTorch finds no Metal device; use "--device cpu"')
    return name


@functools.cache
def bf16_gain(device_type: str) -> float:
    """Measure how many times faster a convolution runs in bf16 than in float32.

    It takes about 0.1 s and runs once per process.

    Args:
        device_type: "cpu", "cuda" or "mps".

    Returns:
        The speed-up; 0.0 if the device does not support bf16.
    """
    device = torch.device(device_type)
    x = torch.randn(32, 64, 14, 14, device=device).to(memory_format=torch.channels_last)
    conv = nn.Conv2d(64, 64, 3, padding=1).to(device)
    best = {}
    try:
        for dtype in (torch.float32, torch.bfloat16):
            layer, inputs = conv.to(dtype), x.to(dtype)
            times = []
            for _ in range(8):
                start = time.perf_counter()
                with torch.no_grad():
                    layer(layer(inputs)).sum().item()
                times.append(time.perf_counter() - start)
            best[dtype] = min(times[2:])
    except RuntimeError:
        return 0.0
    return best[torch.float32] / best[torch.bfloat16]


def choose_precision(precision: str, device: str, gan: nn.Module) -> str:
    """Return the precision to train in.

    Args:
        precision: "float32", "bf16" or "auto". "auto" is bf16 if the probe finds it clearly faster and a network of the
            model declares that it gains from it (``bf16 = True``).
        device: Device of the run.
        gan: The model.

    Returns:
        "float32" or "bf16".
    """
    if precision != "auto":
        return precision
    if not any(getattr(network, "bf16", False) for network in called_networks(gan)):
        return "float32"
    return "bf16" if bf16_gain(device.split(":")[0]) >= _GAIN else "float32"
