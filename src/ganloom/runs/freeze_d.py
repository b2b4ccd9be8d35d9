"""FreezeD: the first layers of D stay as they are (Mo et al. 2020, arXiv:2002.10964)."""

from typing import Any

from torch import nn

from ganloom.core.errors import BadInput
from ganloom.gan import GAN
from ganloom.lint.inspect_model import Case, run_losses
from ganloom.training.config import TrainConfig


def frozen_layers(gan: GAN, data: Any, n: int) -> list[list[str]]:
    """Return the parameters of D's first layers.

    Args:
        gan: The model.
        data: Data to run D on.
        n: Number of layers.

    Returns:
        One list of parameter names per layer.

    Raises:
        BadInput: If n is negative or not below the number of layers, or the layers cannot be determined.
    """
    if n < 0:
        raise BadInput(f"--freeze-d is a number of layers of D and must not be negative, got {n}")
    if n == 0:
        return []
    layers = d_layers(gan, data)
    if n >= len(layers):
        raise BadInput(
            f"--freeze-d {n}: D of this recipe has {len(layers)} layers, and one must train. Use at most {len(layers) - 1}"
        )
    return layers[:n]


def d_layers(gan: GAN, data: Any) -> list[list[str]]:
    """Return D's parameters by layer, in the order of the forward pass.

    A layer starts with a weight of two or more dimensions (a convolution or a linear map). Norms and gains belong to the
    layer before them.

    Args:
        gan: The model.
        data: Data to run D on.

    Returns:
        One list of parameter names per layer.

    Raises:
        BadInput: If the model has no D, or its layers cannot be determined.
    """
    critic = getattr(gan, "D", None)
    if not isinstance(critic, nn.Module):
        raise BadInput("--freeze-d needs a model with a network D. Omit it")
    owned: dict[str, list[str]] = {}
    for name, _ in critic.named_parameters():
        owned.setdefault(owner(name), []).append(name)
    called: dict[str, None] = {}
    handles = [critic.get_submodule(o).register_forward_hook(lambda *_, o=o: called.setdefault(o)) for o in owned]
    try:
        run_losses(Case(gan, gan.phases(), TrainConfig()), data)
    finally:
        for handle in handles:
            handle.remove()
    shapes = {name: p.dim() for name, p in critic.named_parameters()}
    layers: list[list[str]] = []
    for layer in called:
        if not layers or any(shapes[name] > 1 for name in owned[layer]):
            layers.append([])
        layers[-1] += [f"D.{name}" for name in owned[layer]]
    if not layers:
        raise BadInput("--freeze-d: the layers of this model's D cannot be determined. Omit it")
    return layers


def owner(name: str) -> str:
    """Return the module of a parameter; for a parametrized weight, the layer whose weight it is."""
    return name.split(".parametrizations.")[0] if ".parametrizations." in name else name.rpartition(".")[0]
