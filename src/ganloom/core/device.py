"""Which device and which precision a run uses."""

import functools
import time

import torch
from torch import nn

from ganloom.core.errors import BadInput
from ganloom.core.precision import called_networks

_GAIN = 1.3
"""bf16 must be this much faster than float32 on the probe before ``auto`` takes it."""


def choose_device(name: str) -> str:
    """``auto`` is cuda, mps or cpu, whichever comes first; a device that is not there is an error."""
    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    kind = name.split(":")[0]
    if kind not in ("cpu", "cuda", "mps"):
        raise BadInput(f'--device must be auto, cpu, cuda, cuda:N or mps, got "{name}"')
    if kind == "cuda" and not torch.cuda.is_available():
        raise BadInput(f'--device {name}: this torch sees no CUDA device; use "--device cpu"')
    if kind == "cuda" and ":" in name and int(name.split(":")[1]) >= torch.cuda.device_count():
        raise BadInput(f"--device {name}: there are {torch.cuda.device_count()} CUDA devices, counted from 0")
    if kind == "mps" and not torch.backends.mps.is_available():
        raise BadInput('--device mps: this machine has no Metal device; use "--device cpu"')
    return name


@functools.cache
def bf16_gain(device_type: str) -> float:
    """How many times faster a convolution runs in bf16 than in float32 here; about 0.1 s, once a process."""
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


def choose_precision(asked: str, device: str, gan: nn.Module) -> str:
    """float32 or bf16. ``auto``: bf16 where the probe finds it clearly faster and the networks say it pays for them."""
    if asked != "auto":
        return asked
    if not any(getattr(network, "bf16", False) for network in called_networks(gan)):
        return "float32"
    return "bf16" if bf16_gain(device.split(":")[0]) >= _GAIN else "float32"
