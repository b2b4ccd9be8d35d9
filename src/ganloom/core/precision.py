"""Use bfloat16 inside network calls only; losses, penalties, ``backward`` and ``step`` stay in float32.

Autocast around ``autograd.grad`` or ``backward`` makes the gradient of a penalty inaccurate without a warning (relative error
about 2e-3, measured). So autocast is on only during a network's forward call, and ``full_precision`` turns it off for the
networks that a penalty calls.
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
    """Turn autocast off for all networks called inside this context, including those of ``autocast_networks``."""
    global _full_precision_depth
    _full_precision_depth += 1
    try:
        yield
    finally:
        _full_precision_depth -= 1


def called_networks(gan: nn.Module) -> list[nn.Module]:
    """Return the networks that a recipe calls.

    Args:
        gan: The model.

    Returns:
        Its children that have parameters; a ModuleDict or ModuleList is replaced by its entries.
    """
    networks: list[nn.Module] = []
    for child in gan.children():
        if isinstance(child, nn.ModuleDict | nn.ModuleList):
            networks.extend(called_networks(child))
        elif any(True for _ in child.parameters()):
            networks.append(child)
    return networks


def autocast_networks(gan: nn.Module, device_type: str, dtype: torch.dtype) -> list[RemovableHandle]:
    """Make each network of a model compute in a lower precision and return float32.

    Each network gets the attribute ``autocasts = True``. Losses read it, because logits computed with autocast are not
    accurate enough for a penalty.

    Args:
        gan: The model.
        device_type: "cpu", "cuda" or "mps".
        dtype: Precision inside the networks, such as ``torch.bfloat16``.

    Returns:
        Hook handles; remove them to undo the change.
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
