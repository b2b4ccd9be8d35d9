"""Compare a model with the size of its saved weights before it is built: a damaged size in config.json could fill the memory."""

from collections.abc import Callable
from pathlib import Path

import torch
from torch import nn

from ganloom.core.errors import BadInput

FACTOR, SLACK = 50, 2**28
"""A model may take this many times the bytes of the saved weights, which may lack D, plus this many bytes."""


def check_size(build: Callable[[], nn.Module], path: Path) -> None:
    """Check that a model has about the size of the weights in a folder, without allocating its memory.

    Args:
        build: Builds the model. It is called on PyTorch's meta device, where tensors have no content.
        path: A run folder or a model/ folder. Without weights in it, nothing is checked.

    Raises:
        BadInput: If the model is much larger than the weights.
    """
    files = [*path.glob("checkpoints/*/gan.safetensors"), path / "G.safetensors"]
    saved = max((file.stat().st_size for file in files if file.is_file()), default=0)
    if not saved:
        return
    try:
        with torch.device("meta"), torch.random.fork_rng(devices=[]):
            state = build().state_dict()
    except BadInput:
        raise
    except Exception:  # the model reads values while it is built, or cannot be built at all, which the caller finds
        return
    size = sum(t.numel() * t.element_size() for t in state.values())
    if size > FACTOR * saved + SLACK:
        raise BadInput(
            f"the settings describe a model of {size / 2**20:,.0f} MiB, but its weights have {saved / 2**20:,.1f} MiB. "
            "Restore the file from a copy, or train again"
        )
