"""The recipes: one paper, one file. A new one is its file and one line here; the CLI, the tests and the docs follow."""

from types import ModuleType

from ganloom.baselines import BASELINES
from ganloom.core.errors import BadInput, did_you_mean
from ganloom.core.registry import Listing

_FILES = {
    "default": "default",
    "gan": "gan",
    "cnn-gan": "cnn_gan",
    "dcgan": "dcgan",
    "cgan": "cgan",
    "acgan": "acgan",
    "infogan": "infogan",
    "lsgan": "lsgan",
    "wgan": "wgan",
    "wgan-gp": "wgan_gp",
    "dragan": "dragan",
    "relativistic": "relativistic",
    "unrolled": "unrolled",
    "began": "began",
    "ebgan": "ebgan",
    "sngan": "sngan",
    "sagan": "sagan",
    "progan": "progan",
    "biggan": "biggan",
    "fastgan": "fastgan",
    "projected-gan": "projected_gan",
    "stylegan": "stylegan",
    "stylegan2": "stylegan2",
    "r3gan": "r3gan",
    "pix2pix": "pix2pix",
    "cyclegan": "cyclegan",
    "unit": "unit",
    "cut": "cut",
}


RECIPES = Listing({name: f"{__name__}.{file}" for name, file in _FILES.items()})
LISTED = Listing({**RECIPES.paths, **BASELINES.paths})
"""Recipes and baselines: whatever can be trained by its name."""


def find(name: str) -> ModuleType:
    """The recipe or baseline of that name; an unknown one is an error that says the nearest."""
    plain = name.lower().replace("_", "-")
    if plain not in LISTED:
        raise BadInput(f'unknown recipe "{name}"{did_you_mean(plain, LISTED)}: `ganloom recipes` lists them')
    return LISTED[plain]
