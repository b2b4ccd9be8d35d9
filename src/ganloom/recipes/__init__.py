"""The recipes: one paper, one file. A new one is its file and one line here; the CLI, the tests and the docs follow."""

import importlib
from collections.abc import Iterator, Mapping
from types import ModuleType

from ganloom.errors import BadInput, did_you_mean

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
    "pix2pix": "pix2pix",
    "cyclegan": "cyclegan",
    "cut": "cut",
}


class _Recipes(Mapping[str, ModuleType]):
    """Recipe modules by name, imported when they are asked for (a name costs no import of torch)."""

    def __getitem__(self, name: str) -> ModuleType:
        if name not in _FILES:
            raise KeyError(name)
        return importlib.import_module(f"{__name__}.{_FILES[name]}")

    def __iter__(self) -> Iterator[str]:
        return iter(_FILES)

    def __len__(self) -> int:
        return len(_FILES)


RECIPES: Mapping[str, ModuleType] = _Recipes()


def find(name: str) -> ModuleType:
    """The recipe of that name; an unknown one is an error that says the nearest."""
    plain = name.lower().replace("_", "-")
    if plain not in _FILES:
        raise BadInput(f'unknown recipe "{name}"{did_you_mean(plain, _FILES)}: `ganloom recipes` lists them')
    return RECIPES[plain]
