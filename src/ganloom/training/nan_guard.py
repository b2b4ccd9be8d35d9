"""Not-a-number and infinity: refused in the step in which they appear, and named afterwards.

``Guard.check`` folds the gradients' norms into one flag on the device; a fused optimizer reads the flag itself, so
nothing is waited for. Once set, the flag refuses every later update too, and the state stays that of the last good step.
On a CPU there is nothing to wait for, and the answer is read at once.
``autopsy`` replays the phase and says which tensor was bad first.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from ganloom.core.errors import GanloomError

_PHASES, _REPEATS = 1 << 8, 1 << 12


class NonFinite(GanloomError):
    """Training met a NaN or an infinity and the policy was to stop."""

    exit_code = 1


class Guard:
    """A flag on the device: were all gradient norms finite so far? ``sticky`` keeps it set until ``clear``."""

    def __init__(self, device: torch.device, sticky: bool = True) -> None:
        self.sticky = sticky
        self.bad = torch.zeros((), dtype=torch.float32, device=device)
        self.found_inf = torch.zeros((), dtype=torch.float32, device=device)
        self.where = torch.full((), -1, dtype=torch.int64, device=device)

    def check(self, norm: Tensor, step: int, phase: int, repeat: int) -> Tensor | None:
        """Take in one update's gradient norm (0-d); returns the flag (1.0 = refuse) for the optimizer, None = go on."""
        if norm.is_cpu and math.isfinite(norm.item()):
            return None
        now = (~norm.isfinite()).float()
        first = (self.bad == 0) & (now > 0)
        # One integer, passed as a kernel argument: nothing is copied from the host.
        self.where = torch.where(first, (step * _PHASES + phase) * _REPEATS + repeat, self.where)
        self.bad = torch.maximum(self.bad, now)
        self.found_inf = self.bad if self.sticky else now
        return self.found_inf

    def read(self) -> tuple[int, int, int] | None:
        """(step, phase, repeat) of the first refused update since ``clear``, or None; waits for the device."""
        if not bool(self.bad):
            return None
        place, repeat = divmod(int(self.where), _REPEATS)
        return *divmod(place, _PHASES), repeat

    def clear(self) -> None:
        """Begin anew."""
        self.bad.zero_()
        self.found_inf = torch.zeros_like(self.bad)


def finite(tensor: Tensor) -> bool:
    """Whether a tensor has neither NaN nor infinity (integers have none)."""
    return not tensor.is_floating_point() or bool(tensor.isfinite().all())


def _fault(tensor: Tensor) -> str:
    return "NaN" if bool(tensor.isnan().any()) else "infinity"


def bad_state(gan: nn.Module) -> str | None:
    """The first parameter or buffer that is not finite, in words; None when all are."""
    for kind, named in (("weight", gan.named_parameters()), ("buffer", gan.named_buffers())):
        for name, tensor in named:
            if not finite(tensor):
                return f"{_fault(tensor)} in {kind} {name}"
    return None


def autopsy(gan: nn.Module, loss: Callable[[Any], dict[str, Tensor]], batch: Any) -> str:
    """What was bad first: the batch, a weight, a layer's output, a loss term, or a gradient.

    Runs ``loss`` again (the caller has set the random state), with hooks on every layer, and puts buffers back.
    """
    for name, value in _fields(batch):
        if isinstance(value, Tensor) and not finite(value):
            return f"{_fault(value)} in the batch ({name})"
    state = bad_state(gan)
    if state:
        return state
    found: list[str] = []
    handles = [m.register_forward_hook(_watch(found, name)) for name, m in gan.named_modules() if name]
    kept = [(b, b.clone()) for b in gan.buffers()]
    try:
        terms = loss(batch)
    finally:
        for handle in handles:
            handle.remove()
        with torch.no_grad():
            for buffer, value in kept:
                buffer.copy_(value)
    if found:
        return found[0]
    bad = [f'{_fault(t)} in loss term "{name}"' for name, t in terms.items() if not finite(t)]
    return bad[0] if bad else _bad_gradient(gan, terms) or "a gradient was not finite"


def _bad_gradient(gan: nn.Module, terms: dict[str, Tensor]) -> str | None:
    named = [(name, p) for name, p in gan.named_parameters() if p.requires_grad]
    total = torch.stack([t for t in terms.values() if t.requires_grad]).sum()
    grads: Sequence[Tensor | None] = torch.autograd.grad(total, [p for _, p in named], allow_unused=True)
    for (name, _), grad in zip(named, grads, strict=True):
        if grad is not None and not finite(grad):
            return f"{_fault(grad)} in the gradient of {name}"
    return None


def _watch(found: list[str], name: str) -> Callable[[nn.Module, Any, Any], None]:
    def hook(module: nn.Module, args: Any, output: Any) -> None:
        if found:
            return
        if any(not finite(t) for t in _tensors(args)):
            found.append(f"not finite: the input of {name}")
        elif any(not finite(t) for t in _tensors(output)):
            found.append(f"not finite: the output of {name}")

    return hook


def _tensors(value: Any) -> Iterator[Tensor]:
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, tuple | list):
        for item in value:
            yield from _tensors(item)


def _fields(batch: Any) -> Iterator[tuple[str, Any]]:
    yield from zip(batch._fields, batch, strict=True)
