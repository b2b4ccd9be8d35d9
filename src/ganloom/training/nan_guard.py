"""Stop NaN and infinity: skip the update in which they appear, then find their origin.

``Guard.check`` combines the gradient norms into one flag on the device. A fused optimizer reads the flag there, so the host does
not wait. Once set, the flag also blocks all later updates, and the state stays that of the last good step. On a CPU the flag is
read at once. ``autopsy`` repeats the phase and names the first tensor that was not finite.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from ganloom.core.errors import GanloomError

_PHASES, _REPEATS = 1 << 8, 1 << 12


class NonFinite(GanloomError):
    """A NaN or an infinity occurred in training, and the NaN policy is to stop (exit code 1)."""

    exit_code = 1


class Guard:
    """A flag on the device that is set when a gradient norm is not finite.

    Args:
        device: Device of the model.
        sticky: Keep the flag set until ``clear``; otherwise it applies to one update.
    """

    def __init__(self, device: torch.device, sticky: bool = True) -> None:
        self.sticky = sticky
        self.bad = torch.zeros((), dtype=torch.float32, device=device)
        self.found_inf = torch.zeros((), dtype=torch.float32, device=device)
        self.where = torch.full((), -1, dtype=torch.int64, device=device)

    def check(self, norm: Tensor, step: int, phase: int, repeat: int) -> Tensor | None:
        """Check the gradient norm of one update.

        Args:
            norm: Gradient norm (0-d).
            step: Training step.
            phase: Index of the phase.
            repeat: Index of the update within the phase.

        Returns:
            The flag for the optimizer (0-d, 1.0: skip the update), or None if the update is known to be good.
        """
        if norm.is_cpu and math.isfinite(norm.item()):
            return None
        now = (~norm.isfinite()).float()
        first = (self.bad == 0) & (now > 0)
        # One integer is passed as a kernel argument, so nothing is copied from the host.
        self.where = torch.where(first, (step * _PHASES + phase) * _REPEATS + repeat, self.where)
        self.bad = torch.maximum(self.bad, now)
        self.found_inf = self.bad if self.sticky else now
        return self.found_inf

    def read(self) -> tuple[int, int, int] | None:
        """Return (step, phase, repeat) of the first skipped update since ``clear``, or None. Waits for the device."""
        if not bool(self.bad):
            return None
        place, repeat = divmod(int(self.where), _REPEATS)
        return *divmod(place, _PHASES), repeat

    def clear(self) -> None:
        """Reset the flag."""
        self.bad.zero_()
        self.found_inf = torch.zeros_like(self.bad)


def finite(tensor: Tensor) -> bool:
    """Return whether a tensor contains neither NaN nor infinity; True for integers."""
    return not tensor.is_floating_point() or bool(tensor.isfinite().all())


def _fault(tensor: Tensor) -> str:
    return "NaN" if bool(tensor.isnan().any()) else "infinity"


def bad_state(gan: nn.Module) -> str | None:
    """Find the first parameter or buffer that is not finite.

    Returns:
        A description such as "NaN in weight D.out.weight"; None if all are finite.
    """
    for kind, named in (("weight", gan.named_parameters()), ("buffer", gan.named_buffers())):
        for name, tensor in named:
            if not finite(tensor):
                return f"{_fault(tensor)} in {kind} {name}"
    return None


def autopsy(gan: nn.Module, loss: Callable[[Any], dict[str, Tensor]], batch: Any) -> str:
    """Find the origin of a NaN or an infinity by computing a loss again.

    The batch, the weights, the inputs and outputs of each layer, the loss terms and the gradients are checked in this
    order. Buffers are restored.

    Args:
        gan: The model.
        loss: Loss of the phase. The caller must have restored the random state.
        batch: The batch of the failed update.

    Returns:
        A description of the first tensor that was not finite.
    """
    for name, value in _fields(batch):
        if isinstance(value, Tensor) and not finite(value):
            return f"{_fault(value)} in the batch ({name})"
    state = bad_state(gan)
    if state:
        return state
    faults: list[str] = []
    handles = [m.register_forward_hook(_watch(faults, name)) for name, m in gan.named_modules() if name]
    buffers = [(b, b.clone()) for b in gan.buffers()]
    try:
        terms = loss(batch)
    finally:
        for handle in handles:
            handle.remove()
        with torch.no_grad():
            for buffer, value in buffers:
                buffer.copy_(value)
    if faults:
        return faults[0]
    bad = [f'{_fault(t)} in loss term "{name}"' for name, t in terms.items() if not finite(t)]
    return bad[0] if bad else _bad_gradient(gan, terms) or "a gradient was not finite"


def _bad_gradient(gan: nn.Module, terms: dict[str, Tensor]) -> str | None:
    """Return a description of the first gradient that is not finite, or None."""
    named = [(name, p) for name, p in gan.named_parameters() if p.requires_grad]
    total = torch.stack([t for t in terms.values() if t.requires_grad]).sum()
    grads: Sequence[Tensor | None] = torch.autograd.grad(total, [p for _, p in named], allow_unused=True)
    for (name, _), grad in zip(named, grads, strict=True):
        if grad is not None and not finite(grad):
            return f"{_fault(grad)} in the gradient of {name}"
    return None


def _watch(faults: list[str], name: str) -> Callable[[nn.Module, Any, Any], None]:
    """Return a forward hook that notes the first module whose input or output is not finite."""

    def hook(module: nn.Module, args: Any, output: Any) -> None:
        if faults:
            return
        if any(not finite(t) for t in _tensors(args)):
            faults.append(f"NaN or infinity in the input of {name}")
        elif any(not finite(t) for t in _tensors(output)):
            faults.append(f"NaN or infinity in the output of {name}")

    return hook


def _tensors(value: Any) -> Iterator[Tensor]:
    """Yield the tensors in nested tuples and lists."""
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, tuple | list):
        for item in value:
            yield from _tensors(item)


def _fields(batch: Any) -> Iterator[tuple[str, Any]]:
    yield from zip(batch._fields, batch, strict=True)
