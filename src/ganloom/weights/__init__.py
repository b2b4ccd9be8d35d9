"""Read the published weights of other projects: one reader per project, chosen by the tensor names in the file.

A reader is a module with ``KNOWN``, ``matches(shapes)`` and ``build(state, beside)``. To add one, write its file and add its
name to ``READERS``. Architecture and Config come from names and shapes. Every tensor of the file is used.
"""

import importlib
import sys
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from torch import Tensor

from ganloom import recipes
from ganloom.core import config
from ganloom.core.errors import BadInput
from ganloom.core.names import as_path
from ganloom.gan import GAN
from ganloom.training.state import load_strict
from ganloom.weights import cyclegan, lama, nvlabs, rosinality
from ganloom.weights.file_formats import checked, looks_like, open_value, tables
from ganloom.weights.pickle_reader import is_pickle
from ganloom.weights.tensor_reader import Network, as_network
from ganloom.weights.training_wrappers import bare_tables

MAX_SIDE = 16384
"""Largest height or width, in pixels, of the images of a network in a file."""
MAX_NEW = 1 << 28
"""Most parameters of a network that the file does not hold and that is initialized instead."""

Found = Network  # the earlier name

READERS = ("biggan", "studiogan", "mimicry", "nvlabs", "rosinality", "lama", "cyclegan", "munit", "basicsr")


def readers() -> list[ModuleType]:
    """Return the reader modules, in the order in which they are tried."""
    return [importlib.import_module(f"{__name__}.{name}") for name in READERS]


def known() -> str:
    """Return the layouts that can be read, as one string for messages."""
    return "; ".join(module.KNOWN for module in readers())


def find(state: dict[str, Tensor], beside: Network | None = None, where: str = "the file") -> Network:
    """Read a table of tensors with the first reader that knows its names.

    Args:
        state: Tensors by name, on the CPU.
        beside: What the generator's file was read as, where ``state`` is its discriminator.
        where: The name of the file, for messages.

    Returns:
        The recipe, the fields of its Config, and ganloom's tensors.

    Raises:
        BadInput: No reader knows the names, or the network is not one that ganloom has.
    """
    shapes = {name: tuple(t.shape) for name, t in state.items()}
    for module in readers():
        if module.matches(shapes):
            return as_network(partial(module.build, state, beside), module.KNOWN, where)
    raise BadInput(f"{where} has a layout that ganloom does not know: {looks_like(state)}; known are: {known()}")


def read(path: str | Path, discriminator: str | Path | None = None) -> GAN:
    """Read a model from another project's weights. No code in the file is run.

    Args:
        path: The generator's file (.pth, .pt, .bin, .safetensors). StyleGAN2's .pkl holds the discriminator too. A
            discriminator's file alone also works; then G is newly initialized.
        discriminator: The discriminator's file. None: D is newly initialized.

    Returns:
        The recipe's model on the CPU, in eval mode.

    Raises:
        BadInput: The layout is unknown, or ganloom cannot compute the same outputs as the network.
    """
    return build(network_in(path, discriminator))


def network_in(path: str | Path, discriminator: str | Path | None = None) -> Network:
    """Read the files as `read` does, without building the model."""
    path, discriminator = as_path(path), None if discriminator is None else as_path(discriminator)
    generator = _generator_in(path)
    if generator.recipe == "lama":
        lama.check_settings(path, generator.config)
    if (partner := cyclegan.partner(path)) is not None:
        generator = cyclegan.both(generator, _network(open_value(partner), partner), str(partner))
    if discriminator is None:
        return generator
    critic = _network(open_value(discriminator), discriminator, "D", generator)
    if critic.recipe == "cyclegan":
        other = cyclegan.partner(discriminator, "D")
        if other is None:
            raise BadInput(f"{discriminator}: cyclegan has two discriminators: give D_A and put D_B beside it")
        critic = cyclegan.both_critics(critic, _network(open_value(other), other, "D", generator), str(other))
    return _joined(generator, critic, str(discriminator))


def _generator_in(path: Path) -> Network:
    if path.is_file() and is_pickle(path):
        return nvlabs.read(path)
    value = open_value(path)
    if rosinality.is_checkpoint(plain := bare_tables(value)):
        return rosinality.read(plain, path)
    return _network(value, path)


def _network(value: Any, path: Path, network: str = "G", beside: Network | None = None) -> Network:
    """Read a network from the content of a file: from the first table of weights whose names a reader knows."""
    found = tables(value, path, network)
    known = [candidate for candidate in found if _is_known(candidate.state)]
    chosen = (known or found)[0]
    state, others = chosen.state, [c for c in known if not c.averaged and c.state.keys() >= chosen.state.keys()]
    if chosen.averaged and others:
        text = f"{path} holds {others[0].where or 'weights'} and {chosen.where}: the average {chosen.where} is read"
        if (
            missing := others[0].state.keys() - state.keys()
        ):  # many programs average the parameters, but not the buffers
            text += f", with {len(missing)} tensors of {others[0].where or 'the weights'} that it lacks"
            state = {**others[0].state, **state}
        print(text, file=sys.stderr)
    return find(checked(state, path), beside, str(path))


def _is_known(state: dict[str, Tensor]) -> bool:
    """Whether a reader knows the names of a table."""
    shapes = {name: tuple(t.shape) for name, t in state.items() if t.layout == torch.strided and not t.is_nested}
    return any(module.matches(shapes) for module in readers())


def build(network: Network) -> GAN:
    """Build the recipe's model with the tensors of ``network``, in eval mode.

    Raises:
        BadInput: The tensors do not fit the recipe, or the network would be too large.
    """
    module = recipes.RECIPES[network.recipe]
    fields = dict(network.config)
    if "width" not in fields:  # a discriminator alone
        fields["width"] = fields["d_width"]
    cfg = config.replace(module.Config(), fields)
    if any(side > MAX_SIDE for side in cfg.shape):
        raise BadInput(f"images of {list(cfg.shape)}: ganloom reads networks of up to {MAX_SIDE} px")
    _check_sizes(module.MODEL, cfg, network)
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(0)
        gan: GAN = module.MODEL(cfg)
    nets = {name.split(".")[0] for name in network.tensors}
    initial = {name: t for name, t in gan.state_dict().items() if name.split(".")[0] not in nets}
    load_strict(gan, initial | network.tensors, f"the recipe {network.recipe} as read from the file")
    return gan.eval().requires_grad_(False)


def _check_sizes(model: Any, cfg: Any, network: Network) -> None:
    """Compare all shapes before any memory is allocated: a file can claim a larger network than it holds."""
    with torch.device("meta"):
        shapes = {name: t.shape for name, t in model(cfg).state_dict().items()}
    for name, shape in shapes.items():
        if name in network.tensors and network.tensors[name].shape != shape:
            raise BadInput(
                f"the weights do not fit the recipe {network.recipe} as read from the file: {name} is "
                f"{list(network.tensors[name].shape)} there and {list(shape)} here"
            )
    new = sum(shape.numel() for name, shape in shapes.items() if name not in network.tensors)
    if new > MAX_NEW:
        raise BadInput(
            f"the recipe {network.recipe} as read from the file needs {new:,} parameters that it does not hold"
        )


def _joined(generator: Network, critic: Network, where: str) -> Network:
    """Join both networks of a model. Config fields that both decide must agree."""
    both: dict[str, Any] = dict(generator.config)
    if generator.recipe != critic.recipe or not all(name.startswith("D.") for name in critic.tensors):
        raise BadInput(f"{where} is not a discriminator of the recipe {generator.recipe}")
    for name, value in critic.config.items():
        if both.setdefault(name, value) != value:
            raise BadInput(f"{where} does not fit the generator: {name} is {value} there and {both[name]} here")
    return Network(generator.recipe, both, generator.tensors | critic.tensors)


found_in = network_in  # the earlier name
