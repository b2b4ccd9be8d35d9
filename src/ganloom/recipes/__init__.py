"""The recipes, one file per paper. To add one, add its file and one line here; the CLI, the tests and the docs follow."""

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
    "srgan": "srgan",
    "esrgan": "esrgan",
    "real-esrgan": "real_esrgan",
    "lama": "lama",
    "context-encoder": "context_encoder",
    "f-anogan": "f_anogan",
    "ganomaly": "ganomaly",
    "anogan": "anogan",
    "ss-gan": "ss_gan",
    "gan-cls": "gan_cls",
    "df-gan": "df_gan",
    "prgan": "prgan",
    "gan3d": "gan3d",
    "eg3d": "eg3d",
}


RECIPES = Listing({name: f"{__name__}.{file}" for name, file in _FILES.items()})
TABLES = Listing({"ctgan": f"{__name__}.ctgan", "tvae": "ganloom.baselines.tvae"})
"""The recipe and the baseline that learn tables and not images; `ganloom table` trains them."""
TEXTS = Listing(
    {name: f"{__name__}.{name.replace('-', '_')}" for name in ("seqgan", "maligan", "relgan", "residual-energy")}
    | {"mle": "ganloom.baselines.mle"}
)
"""The recipes and the baseline that learn texts; `ganloom text train` trains them."""
LISTED = Listing({**RECIPES.paths, **BASELINES.paths, **TABLES.paths, **TEXTS.paths})
"""Recipes and baselines: everything that can be trained by name."""


def plain(name: str) -> str:
    """Return a name of a recipe in lower case, with "-"."""
    return name.lower().replace("_", "-")


def find(name: str) -> ModuleType:
    """Return the module of a recipe or baseline.

    Args:
        name: The name, in any case, with "-" or "_".

    Raises:
        BadInput: If there is no such name; the message suggests the most similar one.
    """
    known = plain(name)
    if known not in LISTED:
        raise BadInput(f'unknown recipe "{name}"{did_you_mean(known, LISTED)}: `ganloom recipes` lists them')
    return LISTED[known]


def find_text(name: str) -> ModuleType:
    """Return the module of a recipe or baseline that learns texts.

    Args:
        name: The name, in any case, with "-" or "_".

    Raises:
        BadInput: If there is no such name.
    """
    known = plain(name)
    if known not in TEXTS:
        raise BadInput(f'"{name}" is no recipe for texts{did_you_mean(known, TEXTS)}: {", ".join(TEXTS)}')
    return TEXTS[known]
