"""The weights that come with ganloom: files in the folder shipped_weights/, each with a card that says how it was trained."""

from functools import cache
from pathlib import Path

import safetensors.torch
from torch import nn

from ganloom.weights import basicsr

FOLDER = Path(__file__).parent / "shipped_weights"


@cache
def compact_x4() -> nn.Module:
    """Return the compact network that enlarges photographs by 4, in eval mode; see shipped_weights/compact_x4.md."""
    state = safetensors.torch.load_file(FOLDER / "compact_x4.safetensors")
    network = basicsr.build({name: t.float() for name, t in state.items()}, None)
    return basicsr.upscaler_of(network._replace(config=network.config | {"base": "bicubic"}))
