"""bfloat16 inside the networks' calls only: losses, penalties, ``backward`` and ``step`` stay in float32.

Autocast that reaches around ``autograd.grad`` or ``backward`` quietly spoils a penalty's gradient (about 2e-3 relative,
measured), so it is opened when a network is called and closed before its output leaves, and ``full_precision`` turns it
off for the networks that a penalty calls.
"""

import contextlib
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

_full_precision_depth = 0


@contextlib.contextmanager
def full_precision() -> Iterator[None]:
    """Networks called inside compute in float32, whatever ``autocast_networks`` asked for."""
    global _full_precision_depth
    _full_precision_depth += 1
    try:
        yield
    finally:
        _full_precision_depth -= 1


def called_networks(gan: nn.Module) -> list[nn.Module]:
    """The modules that a recipe calls: the model's children, or the entries of a ModuleDict or ModuleList."""
    found: list[nn.Module] = []
    for child in gan.children():
        if isinstance(child, nn.ModuleDict | nn.ModuleList):
            found.extend(called_networks(child))
        elif any(True for _ in child.parameters()):
            found.append(child)
    return found


def autocast_networks(gan: nn.Module, device_type: str, dtype: torch.dtype) -> list[RemovableHandle]:
    """Make each network of ``gan`` compute in ``dtype`` and return float32; remove the handles to undo it.

    A network so made has the attribute ``autocasts``, by which a loss knows that its logits are no place for a penalty.
    """
    handles = []
    for network in called_networks(gan):
        open_contexts: list[contextlib.AbstractContextManager[Any] | None] = []

        def enter(module: nn.Module, args: Any, stack: list[Any] = open_contexts) -> None:
            context = None if _full_precision_depth else torch.autocast(device_type, dtype)
            if context is not None:
                context.__enter__()
            stack.append(context)

        def leave(module: nn.Module, args: Any, output: Any, stack: list[Any] = open_contexts) -> Any:
            context = stack.pop()
            if context is None:
                return output
            context.__exit__(None, None, None)
            return _as_float32(output)

        handles.append(network.register_forward_pre_hook(enter))
        handles.append(network.register_forward_hook(leave, always_call=True))
        network.autocasts = True  # type: ignore[assignment]
    return handles


def _as_float32(output: Any) -> Any:
    if isinstance(output, Tensor):
        return output.float() if output.is_floating_point() else output
    if isinstance(output, tuple) and hasattr(output, "_fields"):
        return type(output)(*(_as_float32(item) for item in output))
    if isinstance(output, tuple | list):
        return type(output)(_as_float32(item) for item in output)
    if isinstance(output, dict):
        return {key: _as_float32(item) for key, item in output.items()}
    return output
