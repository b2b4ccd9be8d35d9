"""channels_last memory layout for the networks that ask for it."""

import torch
from torch import nn


def channels_last(gan: nn.Module) -> None:
    """Convert the modules with the attribute ``channels_last = True`` to that memory layout.

    Args:
        gan: Any module; its submodules are searched.
    """
    for module in gan.modules():
        if getattr(module, "channels_last", False):
            module.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
