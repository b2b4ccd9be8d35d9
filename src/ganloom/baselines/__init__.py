"""Baselines: models of other families that are trained, sampled and measured like a recipe, for comparison with GANs."""

from ganloom.core.registry import Listing

_FILES = {
    "vae": "vae",
    "ddpm": "ddpm",
    "autoregressive": "autoregressive",
}

BASELINES = Listing({name: f"{__name__}.{file}" for name, file in _FILES.items()})
"""Modules of the baselines by name."""
