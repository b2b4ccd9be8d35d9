"""What a GAN is honestly compared with: models of other families that train, sample and are measured like a recipe."""

from ganloom.core.registry import Listing

_FILES = {
    "vae": "vae",
    "ddpm": "ddpm",
    "autoregressive": "autoregressive",
}

BASELINES = Listing({name: f"{__name__}.{file}" for name, file in _FILES.items()})
