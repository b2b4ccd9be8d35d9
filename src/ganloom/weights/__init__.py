"""Readers of other projects' published weights: one file a project, found by the names in the file, strict.

A reader is a module with ``KNOWN``, ``matches(shapes)`` and ``build(state, beside)``; a new one is its file and a name in
``READERS``. Architecture and Config come from names and shapes, every tensor of the file is used, none is made up.
"""

import importlib
import warnings
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from torch import Tensor

from ganloom import recipes
from ganloom.core import config
from ganloom.core.errors import BadInput
from ganloom.gan import GAN
from ganloom.training.state import load_strict
from ganloom.weights import cyclegan, nvlabs, rosinality
from ganloom.weights.files import looks_like, open_file, open_value, table
from ganloom.weights.pickle_reader import is_pickle
from ganloom.weights.reading import Found, as_network

MOST_PIXELS = 16384
"""Of a side of the images that a file's network makes."""
MOST_NEW = 1 << 28
"""Numbers of a network that the file does not hold and that is made new beside it."""

READERS = ("biggan", "studiogan", "mimicry", "nvlabs", "rosinality", "cyclegan", "munit")


def readers() -> list[ModuleType]:
    """The readers, in the order in which they are asked."""
    return [importlib.import_module(f"{__name__}.{name}") for name in READERS]


def known() -> str:
    """The layouts that can be read, in words."""
    return "; ".join(module.KNOWN for module in readers())


def find(state: dict[str, Tensor], beside: Found | None = None, where: str = "the file") -> Found:
    """What the first reader that knows these names makes of them; BadInput says what the file looks like."""
    shapes = {name: tuple(t.shape) for name, t in state.items()}
    for module in readers():
        if module.matches(shapes):
            return as_network(partial(module.build, state, beside), module.KNOWN, where)
    raise BadInput(f"{where} has a layout that ganloom does not know: {looks_like(state)}; known are: {known()}")


def read(path: str | Path, discriminator: str | Path | None = None) -> GAN:
    """The model of a file of another project's weights, in eval mode on the CPU.

    ``path``: a generator's file (.pth, .pt, .bin, .safetensors; StyleGAN2's .pkl has its discriminator too).
    ``discriminator``: its critic's file; none: D stays as new. A discriminator's file alone is read too, and G is then the
    new one. Nothing of a file is run. Raises BadInput on a layout that is not known, and on a network that ganloom's cannot
    be equal to.
    """
    return build(found_in(path, discriminator))


def found_in(path: str | Path, discriminator: str | Path | None = None) -> Found:
    """What ``read`` finds in its files, not yet a model; torch's warnings about them are no lines of ours."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return _found_in(path, discriminator)


def _found_in(path: str | Path, discriminator: str | Path | None) -> Found:
    found = _found(Path(path))
    if (partner := cyclegan.partner(Path(path))) is not None:
        found = cyclegan.both(found, find(open_file(partner), None, str(partner)), str(partner))
    if discriminator is None:
        return found
    critic = find(open_file(Path(discriminator)), found, str(discriminator))
    if critic.recipe == "cyclegan":
        other = cyclegan.partner(Path(discriminator), "D")
        if other is None:
            raise BadInput(f"{discriminator}: cyclegan has two discriminators: give D_A, and have D_B beside it")
        critic = cyclegan.both_critics(critic, find(open_file(other), found, str(other)), str(other))
    return _joined(found, critic, str(discriminator))


def _found(path: Path) -> Found:
    if path.is_file() and is_pickle(path):
        return nvlabs.read(path)
    value = open_value(path)
    if rosinality.is_checkpoint(value):
        return rosinality.read(value, path)
    return find(table(value, path), None, str(path))


def build(found: Found) -> GAN:
    """The recipe's model with the tensors of ``found`` in it, eval mode."""
    module = recipes.RECIPES[found.recipe]
    fields = dict(found.config)
    if "width" not in fields:  # a discriminator alone
        fields["width"] = fields["d_width"]
    cfg = config.replace(module.Config(), fields)
    if any(side > MOST_PIXELS for side in cfg.shape):
        raise BadInput(f"images of {list(cfg.shape)}: ganloom reads networks of up to {MOST_PIXELS} px")
    _check_sizes(module.MODEL, cfg, found)
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(0)
        gan: GAN = module.MODEL(cfg)
    nets = {name.split(".")[0] for name in found.tensors}
    kept = {name: t for name, t in gan.state_dict().items() if name.split(".")[0] not in nets}
    load_strict(gan, kept | found.tensors, f"the recipe {found.recipe} as read from the file")
    return gan.eval().requires_grad_(False)


def _check_sizes(model: Any, cfg: Any, found: Found) -> None:
    """That the network is the file's before memory is spent on it: sizes in a file can claim more than its numbers hold."""
    with torch.device("meta"):
        shapes = {name: t.shape for name, t in model(cfg).state_dict().items()}
    for name, shape in shapes.items():
        if name in found.tensors and found.tensors[name].shape != shape:
            raise BadInput(
                f"the weights do not fit the recipe {found.recipe} as read from the file: {name} is "
                f"{list(found.tensors[name].shape)} there and {list(shape)} here"
            )
    new = sum(shape.numel() for name, shape in shapes.items() if name not in found.tensors)
    if new > MOST_NEW:
        raise BadInput(
            f"the recipe {found.recipe} as read from the file would have {new:,} numbers that it does not hold"
        )


def _joined(generator: Found, critic: Found, where: str) -> Found:
    """Both networks of one model; fields that both decide must agree."""
    both: dict[str, Any] = dict(generator.config)
    if generator.recipe != critic.recipe or not all(name.startswith("D.") for name in critic.tensors):
        raise BadInput(f"{where} is no discriminator of the recipe {generator.recipe}")
    for name, value in critic.config.items():
        if both.setdefault(name, value) != value:
            raise BadInput(f"{where} does not go with the generator: {name} is {value} there and {both[name]} here")
    return Found(generator.recipe, both, generator.tensors | critic.tensors)
